//! Iterates over the bundles of a section.

use crate::{
    Bundle, Malformed, ReadAt, bundle, compressed,
    read_at::{Window, fill},
};
use std::{iter, ops::Range};

/// Each bundle begins at a multiple of this from the section's start: clang aligns them to it.
const ALIGNMENT: u64 = 4096;

/// The largest distance from one bundle to the next, which is the maximum size of a bundle that does not
/// record its size: that version has 32-bit sizes.
const LONGEST_GAP: u64 = 4 << 30;

/// How much padding is read at a time, in bytes.
const PADDING_BUFFER: usize = 64 << 10;

/// The bundles in `range` of a reader, which is a library's `.hip_fatbin` section. Reads part of each
/// bundle's table, and its last byte.
///
/// # Errors
/// An item for each bundle with an invalid header, table or stream, and for bytes between bundles that are
/// neither a bundle nor zero padding, such as a bundle with a damaged magic number; the walk continues with
/// the next bundle. It ends with an error if the file ends before its range or cannot be read, if no bundle
/// begins within 4 GiB after another, or if there is no bundle at all.
pub fn bundles<R: ReadAt + ?Sized>(
    reader: &R,
    range: Range<u64>,
) -> impl Iterator<Item = Result<Bundle, Malformed>> {
    let origin = range.start;
    let mut from = Some(Place { offset: origin, after: After::Nothing });
    iter::from_fn(move || {
        let place = from.take()?;
        let found = match find(reader, origin, place.offset..range.end) {
            Ok(found) => found,
            Err(malformed) => return Some(Err(malformed)),
        };
        if place.after == After::Nothing && found.is_none() && !range.is_empty() {
            return Some(Err(Malformed::new(origin, "no offload bundle begins here")));
        }
        let gap = place.offset..found.unwrap_or(range.end);
        if place.after != After::Malformed
            && let Err(malformed) = padding(reader, origin, gap)
        {
            from = found.map(|offset| Place { offset, after: After::Malformed });
            return Some(Err(malformed));
        }
        let offset = found?;
        let bundle = read(reader, origin, offset..range.end);
        from = Some(match &bundle {
            Ok(bundle) => Place { offset: offset + bundle.size, after: After::Bundle },
            Err(_) => Place { offset: offset + 1, after: After::Malformed },
        });
        Some(bundle)
    })
}

/// Where to search for the next bundle.
struct Place {
    offset: u64,
    after: After,
}

/// What precedes the place.
#[derive(PartialEq, Eq)]
enum After {
    /// The section's start.
    Nothing,
    Bundle,
    /// Data of unknown length, for which an error has been returned.
    Malformed,
}

/// Checks that the bytes after the end of a bundle are the linker's padding. The rest of the bundle's last
/// page is alignment and is not examined.
fn padding<R: ReadAt + ?Sized>(reader: &R, origin: u64, gap: Range<u64>) -> Result<(), Malformed> {
    let Some(mut at) = aligned(origin, gap.start).filter(|&at| at < gap.end) else {
        return Ok(());
    };
    let mut window = Window::new(reader, at..gap.end);
    let mut buffer = vec![0; PADDING_BUFFER];
    loop {
        let read = fill(&mut window, &mut buffer)
            .map_err(|e| Malformed::reading(at, "a section of bundles", &e))?;
        if let Some(byte) = buffer[..read].iter().position(|byte| *byte != 0) {
            let what = "there are bytes that are neither an offload bundle nor padding";
            return Err(Malformed::new(at + byte as u64, what));
        }
        if read < buffer.len() {
            return Ok(());
        }
        at += read as u64;
    }
}

/// Reads the bundle at the start of `range`, and searches for its end if it does not record its size.
fn read<R: ReadAt + ?Sized>(
    reader: &R,
    origin: u64,
    range: Range<u64>,
) -> Result<Bundle, Malformed> {
    let Range { start, end } = range;
    let (mut bundle, sized) = bundle::read(reader, range)?;
    if !sized && let Some(next) = find(reader, origin, start + 1..end)? {
        bundle.size = next - start;
    }
    Ok(bundle)
}

/// The first offset, at or after `from`, at which a bundle of a section may begin.
fn aligned(origin: u64, from: u64) -> Option<u64> {
    origin.checked_add((from - origin).checked_next_multiple_of(ALIGNMENT)?)
}

/// Finds the first bundle of a range.
fn find<R: ReadAt + ?Sized>(
    reader: &R,
    origin: u64,
    range: Range<u64>,
) -> Result<Option<u64>, Malformed> {
    let from = range.start;
    let mut magic = [0; bundle::MAGIC.len()];
    let mut at = aligned(origin, from);
    while let Some(offset) = at.filter(|&offset| offset < range.end) {
        if offset - from > LONGEST_GAP {
            return Err(Malformed::new(from, "no offload bundle begins within 4 GiB from here"));
        }
        let read = fill(&mut Window::new(reader, offset..range.end), &mut magic)
            .map_err(|e| Malformed::reading(offset, "a section of bundles", &e))?;
        if (read as u64) < (magic.len() as u64).min(range.end - offset) {
            return Err(Malformed::new(offset, "the file ends before its section of bundles"));
        }
        if magic[..read].starts_with(compressed::MAGIC) || magic == *bundle::MAGIC {
            return Ok(Some(offset));
        }
        at = offset.checked_add(ALIGNMENT);
    }
    Ok(None)
}
