//! The plain bundle: a magic word, a count, and for each code object its place and whom it is for.
//! (Clang's document on offload bundles: 24 bytes of magic, then 64-bit little-endian numbers; each
//! entry is offset, size, length of the identifier, identifier.)

use super::{Malformed, number};
use crate::targets::Target;

/// How a plain bundle begins.
pub(crate) const MAGIC: &[u8] = b"__CLANG_OFFLOAD_BUNDLE__";

/// One code object of a bundle.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// As `hipv4-amdgcn-amd-amdhsa--gfx906:xnack-`.
    pub(crate) identifier: String,
    pub(crate) size: u64,
}

/// Reads the table at the start of a bundle. `beginning` has to hold the whole table, `whole` is how
/// long the bundle is altogether.
pub(crate) fn entries(beginning: &[u8], whole: u64) -> Result<Vec<Entry>, Malformed> {
    if !beginning.starts_with(MAGIC) {
        return Err(Malformed("no bundle's magic"));
    }
    let cut = Malformed("a bundle's table is cut off");
    let Some(count) = number::<8>(beginning, MAGIC.len()) else { return Err(cut) };
    let mut at = MAGIC.len() + 8;
    // Each entry has at least its three numbers.
    if count > (beginning.len() - at) as u64 / 24 {
        return Err(cut);
    }
    let mut entries = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let field = |index: usize| number::<8>(beginning, at + index * 8);
        let (Some(offset), Some(size), Some(length)) = (field(0), field(1), field(2)) else {
            return Err(cut);
        };
        if offset.checked_add(size).is_none_or(|end| end > whole) {
            return Err(Malformed("a bundle's entry lies outside of it"));
        }
        at += 24;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(identifier) = at.checked_add(length).and_then(|end| beginning.get(at..end)) else {
            return Err(cut);
        };
        let identifier = str::from_utf8(identifier)
            .map_err(|_| Malformed("a bundle's identifier is no text"))?
            .to_owned();
        at += length;
        entries.push(Entry { identifier, size });
    }
    Ok(entries)
}

/// Whether a device runs any of the code.
pub(crate) fn any_runs_on(entries: &[Entry], target: &Target) -> bool {
    entries.iter().any(|entry| {
        // SPIR-V is compiled by the runtime, for whatever device there is.
        entry.size > 0
            && (entry.identifier.starts_with("hip-spirv64-amd-amdhsa-")
                || code_target(&entry.identifier).is_some_and(|code| target.runs(&code)))
    })
}

/// The target in `hipv4-amdgcn-amd-amdhsa--gfx906:xnack-`; none for the host's entry.
fn code_target(identifier: &str) -> Option<Target> {
    let triple = identifier.strip_prefix("hipv4-").or(identifier.strip_prefix("hip-"))?;
    let target = triple.strip_prefix("amdgcn-amd-amdhsa-")?;
    Target::parse_exactly(target.strip_prefix('-').unwrap_or(target))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::offload::has_code_for;

    /// A bundle with a code object of eight bytes for each identifier.
    pub(crate) fn bundle(identifiers: &[&str]) -> Vec<u8> {
        let table: usize = identifiers.iter().map(|i| 24 + i.len()).sum();
        let mut offset = MAGIC.len() + 8 + table;
        let mut bytes = MAGIC.to_vec();
        bytes.extend((identifiers.len() as u64).to_le_bytes());
        for identifier in identifiers {
            for value in [offset, 8, identifier.len()] {
                bytes.extend((value as u64).to_le_bytes());
            }
            bytes.extend(identifier.as_bytes());
            offset += 8;
        }
        bytes.resize(offset, 0xcc);
        bytes
    }

    pub(crate) const HOST: &str = "host-x86_64-unknown-linux-gnu-";

    fn device() -> Target {
        Target::parse("gfx906").expect("a target")
    }

    #[test]
    fn code_is_found_by_target() {
        let both =
            bundle(&[HOST, "hipv4-amdgcn-amd-amdhsa--gfx906", "hipv4-amdgcn-amd-amdhsa--gfx90a"]);
        assert_eq!(has_code_for(&both, &device()), Ok(true));
        let other = bundle(&[HOST, "hipv4-amdgcn-amd-amdhsa--gfx90a:xnack-"]);
        assert_eq!(has_code_for(&other, &device()), Ok(false));
        let old = bundle(&["hip-amdgcn-amd-amdhsa-gfx906"]);
        assert_eq!(has_code_for(&old, &device()), Ok(true));
        let portable = bundle(&[HOST, "hip-spirv64-amd-amdhsa--amdgcnspirv"]);
        assert_eq!(has_code_for(&portable, &device()), Ok(true));
        assert_eq!(has_code_for(&bundle(&[HOST]), &device()), Ok(false));
        assert_eq!(has_code_for(&bundle(&[]), &device()), Ok(false));
    }

    #[test]
    fn a_cut_bundle_is_malformed_wherever_it_is_cut() {
        let whole = bundle(&[HOST, "hipv4-amdgcn-amd-amdhsa--gfx906"]);
        for length in 0..whole.len() {
            assert!(has_code_for(&whole[..length], &device()).is_err(), "{length} bytes");
        }
        assert!(has_code_for(&whole, &device()).is_ok());
    }

    #[test]
    fn hostile_numbers_are_malformed() {
        let good = bundle(&["hipv4-amdgcn-amd-amdhsa--gfx906"]);
        let count = MAGIC.len();
        for (at, what) in
            [(count, "count"), (count + 8, "offset"), (count + 16, "size"), (count + 24, "length")]
        {
            for value in [u64::MAX, 1 << 63, 1 << 32, good.len() as u64] {
                let mut bad = good.clone();
                bad[at..at + 8].copy_from_slice(&value.to_le_bytes());
                assert!(has_code_for(&bad, &device()).is_err(), "{what} {value}");
            }
        }
        let mut no_text = good.clone();
        no_text[count + 32] = 0xff;
        assert!(has_code_for(&no_text, &device()).is_err());
    }
}
