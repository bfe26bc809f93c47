//! A bundle and its table. A plain bundle starts with 24 bytes of magic and a count, followed for each code
//! object by its offset, its size, the length of its identifier, and the identifier. Numbers are 64-bit
//! little-endian; offsets count from the bundle's start.

use crate::{
    Malformed, ReadAt, Target, compressed,
    read_at::{Window, fill},
};
use std::{
    io::{self, BufReader, Read},
    ops::Range,
};

/// The magic number of a plain bundle.
pub(crate) const MAGIC: &[u8; 24] = b"__CLANG_OFFLOAD_BUNDLE__";

/// The longest table that is read, in bytes: a hundred targets take ten thousand.
const LONGEST_TABLE: u64 = 64 << 10;

/// Tables are shorter than a page; the first code object begins at the next page.
const TABLE_BUFFER: usize = 4096;

/// The code objects of one translation unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Its offset, in bytes from the reader's start.
    pub offset: u64,
    /// Its length there, in bytes. A version 1 compressed bundle does not record it: the bundle extends to
    /// the start of the next one, or to the end of the range.
    pub size: u64,
    /// Whether it is compressed as a whole.
    pub compressed: bool,
    /// The entries of its table, in order.
    pub entries: Vec<Entry>,
}

/// An entry of a bundle's table: a code object, or a placeholder for the host's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// For example `hipv4-amdgcn-amd-amdhsa--gfx906:xnack-`; printable ASCII.
    pub identifier: String,
    /// The target of the code; `None` for the host's entry and for SPIR-V.
    pub target: Option<Target>,
    /// Its offset, in bytes from the start of the bundle, decompressed.
    pub offset: u64,
    /// Its length in bytes, decompressed; 0 if there is no code.
    pub size: u64,
}

impl Entry {
    /// Whether it contains code that the device can run. Create `device` with [`Target::device`].
    #[must_use]
    pub fn runs_on(&self, device: &Target) -> bool {
        self.size > 0
            && match &self.target {
                Some(code) => device.runs(code),
                None => self.is_spirv(),
            }
    }

    /// The name of the target.
    pub(crate) fn label(&self) -> Option<String> {
        let name = match &self.target {
            Some(target) => target.to_string(),
            None if self.is_spirv() => "amdgcnspirv".to_owned(),
            None => return None,
        };
        (self.size > 0).then_some(name)
    }

    /// The runtime compiles SPIR-V for the actual device.
    fn is_spirv(&self) -> bool {
        self.identifier.starts_with("hip-spirv64-amd-amdhsa-")
    }

    fn end(&self) -> Option<u64> {
        self.offset.checked_add(self.size)
    }
}

/// The target in an identifier such as `hipv4-amdgcn-amd-amdhsa--gfx906:xnack-`; `None` for the host's entry.
fn code_target(identifier: &str) -> Option<Target> {
    let triple = identifier.strip_prefix("hipv4-").or(identifier.strip_prefix("hip-"))?;
    let target = triple.strip_prefix("amdgcn-amd-amdhsa-")?;
    Target::parse(target.strip_prefix('-').unwrap_or(target))
}

/// Reads the bundle at the start of a range, which may extend beyond it. Also returns whether the bundle
/// records its size; if not, it is assumed to fill the range.
pub(crate) fn read<R: ReadAt + ?Sized>(
    reader: &R,
    range: Range<u64>,
) -> Result<(Bundle, bool), Malformed> {
    let offset = range.start;
    let room = range.end.saturating_sub(offset);
    let mut magic = [0; MAGIC.len()];
    let read = fill(&mut Window::new(reader, range.clone()), &mut magic)
        .map_err(|e| Malformed::reading(offset, "a bundle", &e))?;
    let (compressed, size, entries) = if magic == *MAGIC {
        let window = Window::new(reader, range);
        let source = BufReader::with_capacity(TABLE_BUFFER, window);
        let table = table(source, offset, room)?;
        (false, Some(table.extent), table.entries)
    } else if magic[..read].starts_with(compressed::MAGIC) {
        let header = compressed::header(reader, range)?;
        let source = header.decompress(reader)?;
        // A position in the decompressed data is not a position in the file.
        let table =
            table(source, 0, header.uncompressed).map_err(|inner| Malformed { offset, ..inner })?;
        (true, header.size, table.entries)
    } else {
        return Err(Malformed::new(offset, "neither an offload bundle nor a code object"));
    };
    let told = size.is_some();
    let size = size.unwrap_or(room);
    // So far only the beginning of the bundle has been read. Reading its last byte detects a truncated file.
    let last = offset + size - 1;
    match fill(&mut Window::new(reader, last..last + 1), &mut [0]) {
        Ok(1) => Ok((Bundle { offset, size, compressed, entries }, told)),
        Ok(_) => Err(Malformed::new(offset, "a bundle is cut off by the end of the file")),
        Err(e) => Err(Malformed::reading(last, "the end of a bundle", &e)),
    }
}

struct Table {
    entries: Vec<Entry>,
    /// The end of the table or of the last code object, whichever is later.
    extent: u64,
}

/// Reads a table from a bundle's start. `base` is the bundle's offset, for errors; `room` limits its length.
fn table(source: impl Read, base: u64, room: u64) -> Result<Table, Malformed> {
    let longest = LONGEST_TABLE.min(room);
    let mut fields = Fields { source: source.take(longest), base, longest };
    if fields.array()? != *MAGIC {
        return Err(Malformed::new(base, "a compressed bundle holds no bundle"));
    }
    let mut entries = Vec::new();
    for _ in 0..fields.number()? {
        let place = fields.place();
        let (offset, size) = (fields.number()?, fields.number()?);
        let identifier = fields.identifier()?;
        let target = code_target(&identifier);
        let entry = Entry { identifier, target, offset, size };
        if size > 0 && entry.end().is_none_or(|end| end > room) {
            return Err(Malformed::new(place, "an entry in a bundle's table lies outside of it"));
        }
        entries.push(entry);
    }
    let extent = extent(&entries, fields.place() - base).ok_or_else(|| {
        Malformed::new(base, "entries in a bundle's table overlap each other or the table")
    })?;
    Ok(Table { entries, extent })
}

/// A table that is being read, field by field.
struct Fields<R> {
    source: io::Take<R>,
    base: u64,
    longest: u64,
}

impl<R: Read> Fields<R> {
    /// The offset of the next field.
    fn place(&self) -> u64 {
        self.base + (self.longest - self.source.limit())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let mut bytes = [0; N];
        match self.source.read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(e) => Err(Malformed::reading(self.place(), "the table of a bundle", &e)),
        }
    }

    fn number(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    /// A length, and an identifier of that length.
    fn identifier(&mut self) -> Result<String, Malformed> {
        let place = self.place();
        let length = self.number()?;
        let mut bytes = Vec::new();
        let read = self.source.by_ref().take(length).read_to_end(&mut bytes);
        let malformed = |what| Err(Malformed::new(place, what));
        match read {
            Err(e) => Err(Malformed::reading(place, "an identifier in a bundle's table", &e)),
            Ok(read) if (read as u64) < length => {
                malformed("an identifier in a bundle's table is cut off")
            }
            Ok(_) if !bytes.iter().all(u8::is_ascii_graphic) => {
                malformed("an identifier in a bundle's table is no text")
            }
            Ok(_) => Ok(bytes.into_iter().map(char::from).collect()),
        }
    }
}

/// The end of a bundle whose table has that length; `None` if its parts overlap.
fn extent(entries: &[Entry], table: u64) -> Option<u64> {
    let mut code: Vec<&Entry> = entries.iter().filter(|entry| entry.size > 0).collect();
    code.sort_unstable_by_key(|entry| entry.offset);
    code.iter().try_fold(table, |end, entry| if entry.offset < end { None } else { entry.end() })
}
