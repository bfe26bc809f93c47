//! The loader's cache, which only the real `ldconfig` writes.

use crate::{lib_dir::LibDir, loader, root::Root};
use anyhow::{Context, Result, bail};
use std::{path::PathBuf, process::Command};

/// Whether the cache has to be made anew after a change in a directory of libraries: if it has files
/// of that directory. A wheel's is in none, and a root without a cache is not given one.
#[must_use]
pub fn concerns(lib: &LibDir) -> bool {
    loader::caches(lib.root(), lib.path())
}

/// Makes the cache anew. Links are left alone (`-X`): those of rocBLAS are made by the plan, and
/// others are not ours.
pub fn run(root: &Root) -> Result<()> {
    let program = program().context(
        "cannot find ldconfig in /sbin or /usr/sbin; install it (Debian: libc-bin), or run \
         ldconfig by hand afterwards",
    )?;
    let mut command = Command::new(&program);
    command.arg("-X");
    let directory = root.inherited().context("cannot hand the root to ldconfig")?;
    if !root.is_system() {
        command.arg("-r").arg(&directory.1);
    }
    let output = command.output().with_context(|| format!("cannot run {}", program.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} fails ({}): {}", program.display(), output.status, said.trim());
    }
    Ok(())
}

/// The machine's own program also for another root, whose own may be for another architecture.
fn program() -> Option<PathBuf> {
    // Debian's and Ubuntu's /sbin/ldconfig is a script on some releases that dpkg triggers divert;
    // `.real` is the program then.
    let names =
        ["/sbin/ldconfig.real", "/sbin/ldconfig", "/usr/sbin/ldconfig", "/usr/bin/ldconfig"];
    names.into_iter().map(PathBuf::from).find(|path| path.exists())
}
