//! From bundle to bundle of a section.

use crate::{
    Bundle, Malformed, ReadAt, bundle, compressed,
    read_at::{Window, fill},
};
use std::{iter, ops::Range};

/// Each bundle begins at a multiple of this from the section's start: clang aligns them so.
const ALIGNMENT: u64 = 4096;

/// The longest way from one bundle to the next: as long as a bundle may be that does not tell its
/// size, for its version has 32 bits for sizes.
const LONGEST_GAP: u64 = 4 << 30;

/// The bundles in `range` of a reader, which is a library's `.hip_fatbin` section. What lies between
/// the end of a bundle and the next one is not looked at. Of each bundle some bytes of its table and
/// its last byte are read.
///
/// # Errors
/// A range in which no bundle begins within 4 GiB after another, or none at all; a bundle with a bad
/// header, table or stream; a file that ends before its range or cannot be read. The first error is
/// the last item.
pub fn bundles<R: ReadAt + ?Sized>(
    reader: &R,
    range: Range<u64>,
) -> impl Iterator<Item = Result<Bundle, Malformed>> {
    let mut next = Some(range.start);
    iter::from_fn(move || {
        let from = next.take()?;
        let found = find(reader, range.start, from..range.end).and_then(|found| match found {
            Some(offset) => read(reader, range.start, offset..range.end).map(Some),
            None if from == range.start && !range.is_empty() => {
                Err(Malformed::new(from, "no offload bundle begins here"))
            }
            None => Ok(None),
        });
        if let Ok(Some(bundle)) = &found {
            next = Some(bundle.offset + bundle.size);
        }
        found.transpose()
    })
}

/// Reads the bundle at the start of `range`, and looks for its end where it does not tell.
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

/// Where the first bundle of a range begins.
fn find<R: ReadAt + ?Sized>(
    reader: &R,
    origin: u64,
    range: Range<u64>,
) -> Result<Option<u64>, Malformed> {
    let from = range.start;
    let mut magic = [0; bundle::MAGIC.len()];
    let aligned = (from - origin).checked_next_multiple_of(ALIGNMENT);
    let mut at = aligned.and_then(|distance| origin.checked_add(distance));
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
