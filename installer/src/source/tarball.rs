//! tar archives, plain or compressed, alone and inside Debian packages.
//!
//! The crate `tar` reads the fields of a header. Its iterator is not used: it reads long names into memory at
//! whatever size an archive claims, unpacks holes of sparse files, and accepts an archive that was truncated
//! between two members.

use super::{
    Error, Intake,
    intake::{Kind, LONGEST_NAME, Member},
    stream::{Stream, decompress},
};
use std::io::{self, Read};
use tar::{EntryType, Header};

/// The size of a header; a member's data is padded to a multiple of it.
const BLOCK: u64 = 512;

/// The longest extension records for one member: names, and attributes that are ignored here.
const LONGEST_RECORDS: u64 = 1 << 20;

/// Extracts from a tar archive, in any compression, what the intake wants.
pub fn unpack(input: impl Read, intake: &mut Intake<'_>) -> Result<(), Error> {
    let input = decompress(input).map_err(|e| intake.unread(None, 0, &e))?;
    let mut stream = Stream::new(input, intake.limits().unpacked);
    let mut records = Records::default();
    loop {
        let offset = stream.position();
        let mut block = [0; BLOCK as usize];
        let n = stream.fill(&mut block).map_err(|e| intake.unread(None, stream.position(), &e))?;
        if n < block.len() {
            let end = io::ErrorKind::UnexpectedEof.into();
            return Err(intake.unread(None, offset + n as u64, &end));
        }
        if block == [0; BLOCK as usize] {
            return stream.drain().map_err(|e| intake.unread(None, stream.position(), &e));
        }
        if !is_header(&block) {
            let what =
                if offset == 0 { "this is not a tar archive" } else { "no member begins here" };
            return Err(intake.damaged(None, offset, what));
        }
        next(Header::from_byte_slice(&block), offset, &mut records, &mut stream, intake)?;
    }
}

/// Whether a block is a member's header with a valid checksum. The bytes of the checksum itself count as
/// blanks.
pub(super) fn is_header(block: &[u8; BLOCK as usize]) -> bool {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let expected = sum(&block[..148]) + 8 * u32::from(b' ') + sum(&block[156..]);
    Header::from_byte_slice(block).cksum().is_ok_and(|checksum| checksum == expected)
}

/// Extension records, which precede a file's own header if that is too small for its properties.
#[derive(Debug, Default)]
struct Records {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

fn next(
    header: &Header,
    offset: u64,
    records: &mut Records,
    stream: &mut Stream<impl Read>,
    intake: &mut Intake<'_>,
) -> Result<(), Error> {
    let own_name = header.path_bytes().into_owned();
    let invalid = |intake: &Intake<'_>, what| intake.damaged(Some(&own_name), offset, what);
    let size = header.entry_size();
    let size = size.map_err(|e| invalid(intake, format!("its size is not a number: {e}")))?;
    let data = stream.position();
    let text = |stream: &mut Stream<_>, intake: &Intake<'_>, most| {
        stream.text(size, most).map_err(|e| intake.unread(Some(&own_name), data, &e))
    };
    let kind = match header.entry_type() {
        EntryType::GNULongName => {
            records.name = Some(before_zero(text(stream, intake, LONGEST_NAME + 1)?));
            return pad(size, data, stream, intake);
        }
        EntryType::GNULongLink => {
            records.link = Some(before_zero(text(stream, intake, LONGEST_NAME + 1)?));
            return pad(size, data, stream, intake);
        }
        EntryType::XHeader => {
            let text = text(stream, intake, LONGEST_RECORDS)?;
            records.read(&text).map_err(|what| invalid(intake, what.to_owned()))?;
            return pad(size, data, stream, intake);
        }
        EntryType::XGlobalHeader => {
            let skipped = stream.skip(size);
            skipped.map_err(|e| intake.unread(Some(&own_name), stream.position(), &e))?;
            return pad(size, data, stream, intake);
        }
        kind => kind,
    };
    let Records { name, link, size: recorded, sparse } = std::mem::take(records);
    let name = name.unwrap_or_else(|| own_name.clone());
    let link = link.or_else(|| header.link_name_bytes().map(Into::into)).unwrap_or_default();
    let kind = match kind {
        _ if sparse && intake.wants(&name) => {
            return Err(intake.damaged(Some(&name), offset, SPARSE));
        }
        _ if sparse => Kind::Other("sparse"),
        // The form of a directory in archives from before 1988.
        EntryType::Regular if name.ends_with(b"/") => Kind::Directory,
        EntryType::Regular | EntryType::Continuous => Kind::File,
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => Kind::Link(link),
        EntryType::Link => Kind::HardLink(link),
        EntryType::Char | EntryType::Block => Kind::Other("a device"),
        EntryType::Fifo => Kind::Other("a pipe"),
        // More headers of its own follow it, so it cannot be skipped either.
        EntryType::GNUSparse => return Err(invalid(intake, SPARSE.to_owned())),
        _ => Kind::Other("of an unknown type"),
    };
    // As in GNU tar, links, directories and devices have no data, whatever they claim.
    let has_data = match kind {
        Kind::File => true,
        Kind::Other(_) => {
            !matches!(header.entry_type(), EntryType::Char | EntryType::Block | EntryType::Fifo)
        }
        Kind::Directory | Kind::Link(_) | Kind::HardLink(_) => false,
    };
    let size = if has_data { recorded.unwrap_or(size) } else { 0 };
    let mode =
        header.mode().map_err(|e| invalid(intake, format!("its mode is not a number: {e}")))?;
    // 32 bits, as in cpio, are enough until 2106.
    let modified = header.mtime().ok().and_then(|seconds| seconds.try_into().ok());
    let member = Member { name, kind, size, mode, modified, offset };
    intake.offer(&member, stream)?;
    let rest = size - (stream.position() - data);
    stream.skip(rest).map_err(|e| intake.unread(Some(&member.name), stream.position(), &e))?;
    pad(size, data, stream, intake)
}

const SPARSE: &str = "it is stored as a sparse file; pack it again without --sparse";

/// Skips the padding of a member's last block.
fn pad(
    size: u64,
    data: u64,
    stream: &mut Stream<impl Read>,
    intake: &Intake<'_>,
) -> Result<(), Error> {
    debug_assert_eq!(stream.position() - data, size);
    let rest = (BLOCK - size % BLOCK) % BLOCK;
    stream.skip(rest).map_err(|e| intake.unread(None, stream.position(), &e))
}

impl Records {
    /// Reads the records of POSIX's extended header: `<length> <key>=<value>\n` each, the length in decimal
    /// and including itself. A value may contain newlines.
    fn read(&mut self, mut text: &[u8]) -> Result<(), &'static str> {
        const BROKEN: &str = "its extended header is malformed";
        while !text.is_empty() {
            let blank = text.iter().take(8).position(|byte| *byte == b' ').ok_or(BROKEN)?;
            let length: usize = decimal(&text[..blank]).ok_or(BROKEN)?;
            let record = text.get(blank + 1..length).ok_or(BROKEN)?;
            text = &text[length..];
            let record = record.strip_suffix(b"\n").ok_or(BROKEN)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(BROKEN)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.name = Some(value.to_owned()),
                b"linkpath" => self.link = Some(value.to_owned()),
                b"size" => self.size = Some(decimal(value).ok_or(BROKEN)?),
                _ => self.sparse |= key.starts_with(b"GNU.sparse."),
            }
        }
        Ok(())
    }
}

fn decimal<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    str::from_utf8(digits).ok()?.parse().ok()
}

fn before_zero(mut text: Vec<u8>) -> Vec<u8> {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    text.truncate(end);
    text
}
