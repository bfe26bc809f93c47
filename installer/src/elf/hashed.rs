//! The hash table of a library's symbols: which of them the loader can find, and thereby how many there are.

use super::{
    dynamic::Dynamic,
    image::Image,
    malformed::{Fault, Malformed},
    symbols::MOST_SYMBOLS,
};
use goblin::elf::dynamic::{DT_GNU_HASH, DT_HASH};
use std::ops::Range;

/// How much is read at once, in bytes: at first little, since most chains are short, and then more.
const SHORT: u64 = 1 << 12;
const PART: u64 = 1 << 20;

/// The indices of those symbols.
pub(super) struct Hashed {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Hashed {
    pub(super) fn read(image: &Image<'_>, dynamic: &Dynamic) -> Result<Self, Malformed> {
        if let Some(address) = dynamic.value(DT_GNU_HASH) {
            let (offset, left) = image.locate(address, HASHES)?;
            return Self::read_gnu(image, offset, offset + left);
        }
        let Some(address) = dynamic.value(DT_HASH) else {
            return Ok(Self { start: 0, end: 0 });
        };
        // Number of buckets, number of symbols, both tables.
        let (offset, _) = image.locate(address, HASHES)?;
        let [_, end] = words(image.array::<8>(offset, HASHES)?);
        Ok(Self { start: 0, end: end.into() })
    }

    /// Number of buckets, index of the first hashed symbol, number of 64-bit words of the filter, its shift;
    /// the filter; per bucket the index of its first symbol or zero; per symbol its hash, in which the lowest
    /// bit marks the last of its bucket.
    fn read_gnu(image: &Image<'_>, offset: u64, end: u64) -> Result<Self, Malformed> {
        let header: [u8; 16] = image.array(offset, HASHES)?;
        let [buckets, start, filter, _] = words(header).map(u64::from);
        if buckets > MOST_SYMBOLS {
            return Err(Fault::Excessive { what: "hash buckets", count: buckets }.at(offset));
        }
        let first_bucket = offset + 16 + 8 * filter;
        let first_hash = first_bucket + 4 * buckets;
        if first_hash > end {
            return Err(Fault::Truncated(HASHES).at(offset));
        }
        let mut last = 0;
        each_word(image, first_bucket..first_hash, |bucket| {
            last = last.max(u64::from(bucket));
            true
        })?;
        if last < start {
            return Ok(Self { start: 0, end: 0 });
        }
        // The bucket with the highest symbols ends the table.
        let chain = first_hash + 4 * (last - start);
        let most = end.min(chain.saturating_add(4 * MOST_SYMBOLS));
        let mut ended = false;
        each_word(image, chain..most, |hash| {
            last += 1;
            ended = hash & 1 != 0;
            !ended
        })?;
        if !ended {
            return Err(Fault::Truncated(HASHES).at(offset));
        }
        Ok(Self { start, end: last })
    }
}

const HASHES: &str = "the hashes of symbols";

fn words<const N: usize, const M: usize>(bytes: [u8; N]) -> [u32; M] {
    const { assert!(N == 4 * M) };
    std::array::from_fn(|i| {
        u32::from_le_bytes([bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]])
    })
}

/// Passes 32-bit words of a part of the file to a function until it has enough.
fn each_word(
    image: &Image<'_>,
    range: Range<u64>,
    mut wanted: impl FnMut(u32) -> bool,
) -> Result<(), Malformed> {
    let mut offset = range.start;
    while offset < range.end {
        let size = (range.end - offset).min(if offset == range.start { SHORT } else { PART });
        let bytes = image.read(offset, size, HASHES)?;
        for word in bytes.chunks_exact(4) {
            if !wanted(u32::from_le_bytes([word[0], word[1], word[2], word[3]])) {
                return Ok(());
            }
        }
        offset += size;
    }
    Ok(())
}
