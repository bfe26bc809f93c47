//! Whether a HIP runtime reads compressed bundles.

use crate::{elf, output::shown, peers::Peers, root::Root};
use anyhow::{Context, Result, bail};
use rocblas_contract::libraries::{HIP, version_of};
use std::path::Path;

/// The oldest major version whose LLVM is known to be 19 or later, which reads compressed bundles that record
/// their size in the header.
const OLDEST: u64 = 7;

/// Checks that the HIP runtime of a library directory reads compressed bundles.
///
/// # Errors
/// If it does not, or if there is none.
pub fn check(root: &Root, lib: &Path) -> Result<()> {
    let hip = Peers::of(root, lib).hip();
    let hip = hip.with_context(|| {
        format!(
            "{} has no HIP runtime, so it is unknown whether compressed code would be read",
            shown(lib)
        )
    })?;
    let name = shown(&hip.path);
    let file = root.open(&hip.path).with_context(|| format!("cannot read {name}"))?;
    let soname = elf::summary(&file).with_context(|| format!("cannot read {name}"))?.soname;
    let version = soname.as_deref().and_then(|soname| version_of(soname, HIP));
    let major = version.and_then(|version| version.split('.').next()?.parse::<u64>().ok());
    if major.is_none_or(|major| major < OLDEST) {
        bail!("the HIP runtime {name} may not read compressed code; omit --compress");
    }
    Ok(())
}
