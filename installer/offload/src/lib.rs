//! Which GPUs a library has code for, and which kernels, by reading clang's offload bundles.
//!
//! A library's `.hip_fatbin` section holds a bundle per translation unit, each at a multiple of
//! 4 KiB: a table of targets, then a code object (an ELF file for AMD's processors) for each. A
//! bundle is plain (`__CLANG_OFFLOAD_BUNDLE__`) or compressed (`CCOB`) as a whole. The format is
//! described in Clang's document "Clang Offload Bundler".
//!
//! From ROCm 7.13 on, the code may instead be in separate archives: see [`kpack`]. [`slim()`](slim::slim)
//! rewrites a library without the code of unwanted GPUs.
//!
//! A section can exceed a gigabyte, so only the requested parts are read: [`bundles`] and [`targets`] read a
//! few kilobytes of each bundle, [`kernels()`] the symbols of a code object. Nothing that the bytes claim is
//! trusted: sizes are checked against the actual data, memory use is limited and proportional to the data
//! read, and every loop ends with the data.

mod bundle;
mod code_object;
mod compressed;
mod kernels;
pub mod kpack;
mod malformed;
mod read_at;
pub mod slim;
mod target;
#[cfg(test)]
mod testing;
mod walk;

pub use bundle::{Bundle, Entry};
pub use kernels::{kernels, kernels_of};
pub use malformed::Malformed;
pub use read_at::ReadAt;
pub use target::Target;
pub use walk::bundles;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// The result of [`targets`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// How many bundles have code for each target, by its name with features as written: `gfx90a:xnack-`.
    /// SPIR-V, which runtimes compile for any device, counts as `amdgcnspirv`.
    pub counts: BTreeMap<String, usize>,
    /// Parts that could not be read, in file order.
    pub problems: Vec<Malformed>,
}

/// The targets of the bundles in `range` of a reader. A bundle that cannot be read becomes a problem, as in
/// [`bundles`]; the other bundles still count.
pub fn targets<R: ReadAt + ?Sized>(reader: &R, range: Range<u64>) -> Targets {
    let mut targets = Targets::default();
    for bundle in bundles(reader, range) {
        match bundle {
            Ok(bundle) => {
                let labels = bundle.entries.iter().filter_map(Entry::label);
                for name in labels.collect::<BTreeSet<String>>() {
                    *targets.counts.entry(name).or_default() += 1;
                }
            }
            Err(malformed) => targets.problems.push(malformed),
        }
    }
    targets
}

/// Whether GPU code in memory, a bundle of either form or a single code object, runs on a device. `image` may
/// be longer than the code. Only the table of a bundle is read.
///
/// # Errors
/// If `image` is neither, or is truncated within the data that its header or table describes.
pub fn has_code_for(image: &[u8], device: &Target) -> Result<bool, Malformed> {
    if image.starts_with(code_object::MAGIC) {
        let code = code_object::target(image)?;
        return Ok(code.is_some_and(|code| device.runs(&code)));
    }
    let (bundle, _) = bundle::read(image, 0..image.len() as u64)?;
    Ok(bundle.entries.iter().any(|entry| entry.runs_on(device)))
}

/// Reads a little-endian number.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(N)?)?;
    let mut wide = [0; 8];
    wide[..N].copy_from_slice(field);
    Some(u64::from_le_bytes(wide))
}

#[cfg(test)]
mod tests;
