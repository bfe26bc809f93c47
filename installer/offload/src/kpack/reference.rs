//! The marker of a split library, which names the library's archives, and the records that refer to it.

use super::msgpack::Values;
use crate::{Malformed, number};
use rocblas_contract::kpack;

/// The contents of the section `.rocm_kpack_ref`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Reference {
    /// The library's name in the tables of the archives.
    pub kernel_name: String,
    /// Paths of archives, relative to the library's directory, with a placeholder for the target; at least
    /// one.
    pub search_paths: Vec<String>,
}

/// More paths than any library has: the splitter writes one.
const MOST_PATHS: usize = 64;

impl Reference {
    /// Parses the section's bytes. `base` is their file offset, for errors.
    ///
    /// # Errors
    /// If they are longer than the runtime reads, are not a map with both keys, or name no path.
    pub fn parse(bytes: &[u8], base: u64) -> Result<Self, Malformed> {
        let malformed = |what: &'static str| Malformed::new(base, what);
        if bytes.len() > kpack::MOST_REFERENCE {
            return Err(malformed(
                "the marker of a split library is longer than the runtime reads",
            ));
        }
        let mut values = Values::new(bytes, base);
        let (mut kernel_name, mut search_paths) = (None, None);
        for _ in 0..values.map()? {
            match values.text()? {
                kpack::KERNEL_NAME => kernel_name = Some(values.text()?.to_owned()),
                kpack::SEARCH_PATHS => {
                    let count = values.array()? as usize;
                    if count > MOST_PATHS {
                        return Err(values.malformed("a split library names too many archives"));
                    }
                    let paths = (0..count).map(|_| values.text().map(str::to_owned));
                    search_paths = Some(paths.collect::<Result<Vec<_>, _>>()?);
                }
                _ => values.skip()?,
            }
        }
        let kernel_name =
            kernel_name.ok_or_else(|| malformed("the marker of a split library has no name"))?;
        let search_paths = search_paths
            .filter(|paths| !paths.is_empty() && paths.iter().all(|path| !path.is_empty()))
            .ok_or_else(|| malformed("the marker of a split library names no archive"))?;
        Ok(Self { kernel_name, search_paths })
    }
}

/// A record of the section `.hipFatBinSegment`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    /// The code is in the library.
    Whole,
    /// The code is in archives, under this index.
    Split(u64),
}

/// The length of a record: a 32-bit magic number, a 32-bit version, a pointer, and the index.
const RECORD: usize = 24;

/// Parses the records of a section. `base` is its file offset, for errors.
///
/// # Errors
/// If the section does not consist of whole records, if a record has an unknown magic number or version, or
/// if the section contains records of both kinds.
pub fn segments(bytes: &[u8], base: u64) -> Result<Vec<Segment>, Malformed> {
    let (records, rest) = bytes.as_chunks::<RECORD>();
    if !rest.is_empty() {
        return Err(Malformed::new(base, "the last record of GPU code is cut off"));
    }
    let mut found: Vec<Segment> = Vec::new();
    for (at, record) in records.iter().enumerate() {
        let malformed = |what: &'static str| {
            Err(Malformed::new(base.saturating_add((at * RECORD) as u64), what))
        };
        let field = |at| number::<4>(record, at).unwrap_or_default();
        let segment = match u32::try_from(field(0)) {
            Ok(kpack::MAGIC) => Segment::Whole,
            Ok(kpack::SPLIT_MAGIC) => Segment::Split(number::<8>(record, 16).unwrap_or_default()),
            _ => return malformed("a record of GPU code has an unknown magic number"),
        };
        if field(4) != 1 {
            return malformed("a record of GPU code has an unknown version");
        }
        let is_split = |segment: &Segment| matches!(segment, Segment::Split(_));
        if found.first().is_some_and(|first| is_split(first) != is_split(&segment)) {
            return malformed("records of split and of whole GPU code are mixed");
        }
        found.push(segment);
    }
    Ok(found)
}
