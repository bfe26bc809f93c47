//! RPM packages: a lead, two headers and a compressed cpio archive.
//!
//! Of the headers only their ends and the version are needed. The crate `rpm` is not used for them: it
//! allocates what they claim, up to 8 GiB, and panics at offsets outside the header.
//! Layout: <https://rpm-software-management.github.io/rpm/manual/format_v4.html>.

use super::{
    Error, Intake,
    error::reading,
    intake::{Kind, LONGEST_NAME, Member},
    stream::{Stream, decompress},
};
use cpio::newc;
use std::{
    collections::HashMap,
    io::{self, Read},
};

/// The magic number of every package.
pub(super) const MAGIC: &[u8] = b"\xed\xab\xee\xdb";

const LEAD: u64 = 96;
const HEADER_MAGIC: &[u8] = b"\x8e\xad\xe8\x01";

/// rpm's own limits for a header.
const MOST_ENTRIES: u32 = 0xffff;
const MOST_BYTES: u32 = 256 << 20;

/// The tag of the package's version and the type of a text.
const VERSION: u32 = 1001;
const STRING: u32 = 6;

/// Packages of format 6, and those with a file over 4 GiB, have the file names in the header and not in the
/// payload.
const OTHER_FORMAT: &str =
    "only packages of format 4 are supported: convert it with rpm2archive and pass the tar archive";

/// The fixed part of a cpio header, in bytes.
const CPIO_HEADER: u64 = 110;

/// Extracts from an RPM package what the intake wants.
pub fn unpack(input: impl Read, intake: &mut Intake<'_>) -> Result<(), Error> {
    let mut stream = Stream::new(input, u64::MAX);
    let version = headers(&mut stream)
        .map_err(|e| intake.damaged_file(None, stream.position(), reading(&e)))?;
    intake.package_version(&String::from_utf8_lossy(&version));
    let payload = decompress(stream).map_err(|e| intake.unread(None, 0, &e))?;
    files(&mut Stream::new(payload, intake.limits().unpacked), intake)
}

/// Reads up to the payload; returns the version, empty if there is none.
fn headers(stream: &mut Stream<impl Read>) -> io::Result<Vec<u8>> {
    let mut magic = [0; MAGIC.len()];
    stream.read_exact(&mut magic)?;
    if magic != MAGIC {
        return Err(io::Error::other("this is not an RPM package"));
    }
    stream.skip(LEAD - MAGIC.len() as u64)?;
    header(stream)?;
    // Only the first header, with the signatures, is padded.
    stream.skip((8 - stream.position() % 8) % 8)?;
    header(stream)
}

/// Reads one header; returns the version in it.
fn header(stream: &mut Stream<impl Read>) -> io::Result<Vec<u8>> {
    let mut intro = [0; 16];
    stream.read_exact(&mut intro)?;
    let [entries, bytes] = [word(&intro, 2), word(&intro, 3)];
    if !intro.starts_with(HEADER_MAGIC) || entries > MOST_ENTRIES || bytes > MOST_BYTES {
        return Err(io::Error::other("the package's header is broken"));
    }
    let mut version_at = None;
    for _ in 0..entries {
        // Tag, type, offset in the store, count.
        let mut entry = [0; 16];
        stream.read_exact(&mut entry)?;
        if (word(&entry, 0), word(&entry, 1)) == (VERSION, STRING) {
            version_at = Some(word(&entry, 2)).filter(|at| *at < bytes);
        }
    }
    let store = stream.position();
    let mut version = Vec::new();
    if let Some(at) = version_at {
        stream.skip(at.into())?;
        stream.by_ref().take(u64::from(bytes - at).min(64)).read_to_end(&mut version)?;
        version.truncate(version.iter().position(|byte| *byte == 0).unwrap_or(0));
    }
    stream.skip(u64::from(bytes) - (stream.position() - store))?;
    Ok(version)
}

/// The big-endian word number `n`.
fn word(bytes: &[u8; 16], n: usize) -> u32 {
    let bytes: [u8; 4] = std::array::from_fn(|i| bytes[4 * n + i]);
    u32::from_be_bytes(bytes)
}

/// Wanted names of files with hard links, of which only the last name has the data.
#[derive(Default)]
struct Waiting {
    /// By the file's device and inode number.
    names: HashMap<(u32, u32, u32), Vec<Member>>,
    /// In all.
    count: usize,
}

fn files(stream: &mut Stream<impl Read>, intake: &mut Intake<'_>) -> Result<(), Error> {
    let mut waiting = Waiting::default();
    loop {
        let offset = stream.position();
        // The crate reads as much of a name as its claimed length, but no further than this.
        let mut head = stream.by_ref().take(CPIO_HEADER + LONGEST_NAME + 4);
        let entry = newc::Reader::new(&mut head).map(|reader| reader.entry().clone());
        let entry = match entry {
            Err(_) if head.limit() == 0 => {
                return Err(intake.damaged(None, offset, "a name is longer than any path"));
            }
            Err(e) if offset == 0 && e.kind() == io::ErrorKind::InvalidData => {
                return Err(intake.damaged(None, offset, format!("{e}; {OTHER_FORMAT}")));
            }
            other => other.map_err(|e| intake.unread(None, offset, &e))?,
        };
        if entry.is_trailer() {
            break;
        }
        let data = stream.position();
        let size = u64::from(entry.file_size());
        let name = entry.name().as_bytes().to_vec();
        let unread = |intake: &Intake<'_>, stream: &Stream<_>, e: &io::Error| {
            intake.unread(Some(entry.name().as_bytes()), stream.position(), e)
        };
        let kind = match entry.mode() & 0o170_000 {
            0o100_000 => Kind::File,
            0o040_000 => Kind::Directory,
            0o120_000 => {
                let target = stream.text(size, LONGEST_NAME);
                Kind::Link(target.map_err(|e| unread(intake, stream, &e))?)
            }
            0o020_000 | 0o060_000 => Kind::Other("a device"),
            0o010_000 => Kind::Other("a pipe"),
            _ => Kind::Other("of an unknown type"),
        };
        let is_shared = matches!(kind, Kind::File) && entry.nlink() > 1;
        let member =
            Member { name, kind, size, mode: entry.mode(), modified: Some(entry.mtime()), offset };
        if is_shared {
            let identity = (entry.dev_major(), entry.dev_minor(), entry.ino());
            share(member, identity, &mut waiting, stream, intake)?;
        } else {
            intake.offer(&member, stream)?;
        }
        let rest = size - (stream.position() - data);
        let padding = (4 - size % 4) % 4;
        stream.skip(rest + padding).map_err(|e| unread(intake, stream, &e))?;
    }
    // Names that never got data are invalid.
    for mut names in waiting.names.into_values() {
        let Some(first) = names.pop() else { continue };
        intake.offer(&first, stream)?;
        names_of(&first, names, stream, intake)?;
    }
    stream.drain().map_err(|e| intake.unread(None, stream.position(), &e))
}

/// A name of a file with hard links.
fn share(
    mut member: Member,
    identity: (u32, u32, u32),
    waiting: &mut Waiting,
    stream: &mut Stream<impl Read>,
    intake: &mut Intake<'_>,
) -> Result<(), Error> {
    if member.size == 0 {
        if intake.wants(&member.name) {
            waiting.count += 1;
            if waiting.count > intake.limits().members {
                return Err(intake.damaged(Some(&member.name), member.offset, "too many names"));
            }
            waiting.names.entry(identity).or_default().push(member);
        }
        return Ok(());
    }
    let mut names = waiting.names.remove(&identity).unwrap_or_default();
    if !intake.wants(&member.name)
        && let Some(wanted) = names.pop()
    {
        member.name = wanted.name;
    }
    intake.offer(&member, stream)?;
    names_of(&member, names, stream, intake)
}

fn names_of(
    first: &Member,
    names: Vec<Member>,
    stream: &mut Stream<impl Read>,
    intake: &mut Intake<'_>,
) -> Result<(), Error> {
    names.into_iter().try_for_each(|name| {
        let kind = Kind::HardLink(first.name.clone());
        intake.offer(&Member { kind, size: 0, ..name }, stream)
    })
}
