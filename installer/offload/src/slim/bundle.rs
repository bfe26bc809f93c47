//! Rewrites a bundle with only the code objects that chosen targets run.

use super::{
    Form,
    compress::Compressor,
    copy::copy,
    elf::{Elf, LE},
    error::Error,
};
use crate::{Bundle, Entry, Malformed, ReadAt, Target, bundle, compressed};
use object::{LittleEndian, U64, pod};
use std::io::{self, Read, Write};

/// Each bundle begins at a multiple of this, as clang aligns them, and so does each code object that was
/// aligned to it before.
pub(super) const ALIGNMENT: u64 = 4096;

/// Whether an entry is kept for the wanted targets. Always kept are the host's entry, SPIR-V, which the
/// runtime compiles for any device, and everything else that is not code for an AMD processor.
pub(super) fn stays(entry: &Entry, wanted: &[Target]) -> bool {
    let runs = |code| wanted.iter().any(|target| target.may_run(code));
    entry.size == 0 || entry.target.as_ref().is_none_or(runs)
}

/// Writes a bundle in its original form, or compressed, and returns its new size.
pub(super) fn write<R: ReadAt + ?Sized>(
    elf: &Elf<'_, R>,
    bundle: &Bundle,
    wanted: &[Target],
    form: Form,
    output: &mut impl Write,
) -> Result<u64, Error> {
    let range = bundle.offset..bundle.offset + bundle.size;
    if bundle.entries.iter().all(|entry| stays(entry, wanted)) && !is_new(bundle, form) {
        copy(elf.reader, range, output)?;
        return Ok(bundle.size);
    }
    let is_kept = |entry: &Entry| entry.size > 0 && stays(entry, wanted);
    let mut kept: Vec<Kept<'_>> = (bundle.entries.iter().filter(|entry| is_kept(entry)))
        .map(|entry| Kept { entry, offset: 0 })
        .collect();
    // A compressed bundle can only be read sequentially.
    kept.sort_by_key(|kept| kept.entry.offset);
    let entries: Vec<&Entry> = bundle.entries.iter().filter(|entry| stays(entry, wanted)).collect();
    let mut end =
        entries.iter().fold(HEAD, |end, entry| end + FIELDS + entry.identifier.len() as u64);
    let alignment = alignment(&kept);
    for kept in &mut kept {
        kept.offset = end.next_multiple_of(alignment);
        end = kept.offset + kept.entry.size;
    }
    let table = table(&entries, &kept);
    let (mut source, format) = if bundle.compressed {
        let header = compressed::header(elf.reader, range)?;
        let stream = header.decompress(elf.reader)?;
        (Source::Stream(Taken { source: stream, place: 0 }), Some(header.format))
    } else {
        (Source::File(elf.reader), is_new(bundle, form).then_some(compressed::NEW))
    };
    let Some(format) = format else {
        let mut output = Counted { output, written: 0 };
        write_plain(bundle, &table, &kept, &mut source, &mut output)?;
        return Ok(output.written);
    };
    let mut plain = Counted { output: Compressor::new(format)?, written: 0 };
    write_plain(bundle, &table, &kept, &mut source, &mut plain)?;
    let bytes = plain.output.finish(bundle.offset)?;
    output.write_all(&bytes).map_err(Error::Write)?;
    Ok(bytes.len() as u64)
}

/// Whether `form` requires compressing the bundle, which was plain before.
pub(super) fn is_new(bundle: &Bundle, form: Form) -> bool {
    form == Form::Compressed && !bundle.compressed
}

/// Writes the table and the kept code objects.
fn write_plain<R: ReadAt + ?Sized>(
    bundle: &Bundle,
    table: &[u8],
    kept: &[Kept<'_>],
    source: &mut Source<'_, R>,
    output: &mut Counted<impl Write>,
) -> Result<(), Error> {
    output.write_all(table).map_err(Error::Write)?;
    for &Kept { entry, offset } in kept {
        output.pad(offset)?;
        match source {
            Source::File(reader) => {
                let start = bundle.offset + entry.offset;
                copy(*reader, start..start + entry.size, output)?;
            }
            Source::Stream(stream) => {
                stream.copy(entry.offset - stream.place, bundle.offset, &mut io::sink())?;
                stream.copy(entry.size, bundle.offset, output)?;
            }
        }
    }
    Ok(())
}

/// The source of the code objects.
enum Source<'a, R: ?Sized> {
    File(&'a R),
    Stream(Taken<'a>),
}

/// The lengths of a table's magic number and count, and of the three numbers of an entry, in bytes.
const HEAD: u64 = bundle::MAGIC.len() as u64 + 8;
const FIELDS: u64 = 24;

/// A kept code object, and its offset in the new bundle.
struct Kept<'a> {
    entry: &'a Entry,
    offset: u64,
}

/// The alignment of code objects in the old bundle. Compilers before clang 13 did not align them to pages.
fn alignment(kept: &[Kept<'_>]) -> u64 {
    let offsets = kept.iter().fold(ALIGNMENT, |bits, kept| bits | kept.entry.offset);
    1 << offsets.trailing_zeros()
}

/// The table of the new bundle, in the order of the old one.
fn table(entries: &[&Entry], kept: &[Kept<'_>]) -> Vec<u8> {
    let word = |number: u64| U64::new(LE, number);
    let mut bytes = bundle::MAGIC.to_vec();
    bytes.extend((entries.len() as u64).to_le_bytes());
    for &entry in entries {
        let place = kept.iter().find(|kept| std::ptr::eq(kept.entry, entry));
        // The offset of an entry without code is arbitrary.
        let offset = place.map_or(0, |kept| kept.offset);
        let fields: [U64<LittleEndian>; 3] =
            [word(offset), word(entry.size), word(entry.identifier.len() as u64)];
        bytes.extend(pod::bytes_of_slice(&fields));
        bytes.extend(entry.identifier.bytes());
    }
    bytes
}

/// Counts the bytes written.
struct Counted<W> {
    output: W,
    written: u64,
}

impl<W: Write> Counted<W> {
    /// Writes zeros up to an offset.
    fn pad(&mut self, offset: u64) -> Result<(), Error> {
        let zeros = io::repeat(0).take(offset - self.written);
        io::copy(&mut { zeros }, self).map_err(Error::Write)?;
        Ok(())
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.output.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// A decompressed bundle, which is read sequentially.
struct Taken<'a> {
    source: Box<dyn Read + 'a>,
    place: u64,
}

impl Taken<'_> {
    /// Copies the next `length` bytes. `offset` is the bundle's offset, for errors.
    fn copy(&mut self, length: u64, offset: u64, output: &mut impl Write) -> Result<(), Error> {
        let mut buffer = vec![0; BUFFER];
        let end = self.place + length;
        while self.place < end {
            let most = usize::try_from(end - self.place).map_or(BUFFER, |left| left.min(BUFFER));
            let read = self.source.read(&mut buffer[..most]);
            let read = read.map_err(|e| Malformed::reading(offset, "a compressed bundle", &e))?;
            if read == 0 {
                return Err(Malformed::new(offset, "a compressed bundle is cut off").into());
            }
            output.write_all(&buffer[..read]).map_err(Error::Write)?;
            self.place += read as u64;
        }
        Ok(())
    }
}

/// How much is decompressed at a time, in bytes.
const BUFFER: usize = 128 << 10;
