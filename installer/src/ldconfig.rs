//! The loader's cache, which only the real `ldconfig` writes.

use crate::{lib_dir::LibDir, loader, root::Root};
use anyhow::{Context, Result, bail};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Whether the cache must be rebuilt after a change in a library directory, because it lists files there. No
/// cache lists a wheel's files, and a root without a cache does not get one.
#[must_use]
pub fn concerns(lib: &LibDir) -> bool {
    loader::caches(lib.root(), lib.path())
}

/// Larger than any configuration of the loader, in bytes.
pub const MOST_SETTINGS: u64 = 1 << 20;

/// Checks that ldconfig would terminate: it opens whatever its configuration and the library names point to,
/// and blocks on a pipe or reads a device or sparse file endlessly. Only regular files of a sane size are
/// accepted as configuration.
pub fn check(lib: &LibDir) -> Result<()> {
    let root = lib.root();
    let parts = Path::new("/etc/ld.so.conf.d");
    let names = root.names(parts).unwrap_or_default();
    let settings = names.iter().map(|name| parts.join(name)).chain(["/etc/ld.so.conf".into()]);
    for path in settings {
        let Ok(metadata) = root.metadata(&path) else { continue };
        if !metadata.is_file() && !metadata.is_dir() || metadata.len() > MOST_SETTINGS {
            bail!(
                "{} is not a file that ldconfig could read to the end: remove it first",
                path.display()
            );
        }
    }
    for name in lib.directory().names().context("cannot read the library directory")? {
        let text = name.to_string_lossy();
        let path = lib.path().join(&name);
        let is_link =
            text.starts_with("lib") && text.contains(".so") && root.read_link(&path).is_ok();
        let leads_to = is_link.then(|| root.metadata(&path).ok()).flatten();
        if leads_to.is_some_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
            bail!(
                "{} points to a pipe or device, on which ldconfig would block forever: remove it \
                 first",
                path.display()
            );
        }
    }
    Ok(())
}

/// Rebuilds the cache. Symlinks are left unchanged (`-X`): the plan creates those of rocBLAS, and others are
/// not ours.
pub fn run(root: &Root) -> Result<()> {
    let program = program().context(
        "cannot find ldconfig in /sbin or /usr/sbin; install it (Debian: libc-bin), or run \
         ldconfig by hand afterwards",
    )?;
    let mut command = Command::new(&program);
    command.arg("-X");
    let directory = root.inherited().context("cannot pass the root to ldconfig")?;
    if !root.is_system() {
        command.arg("-r").arg(&directory.1);
    }
    let output = command.output().with_context(|| format!("cannot run {}", program.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed ({}): {}", program.display(), output.status, said.trim());
    }
    Ok(())
}

/// The machine's own program even for another root, whose own may be for another architecture.
fn program() -> Option<PathBuf> {
    // On some releases, Debian's and Ubuntu's /sbin/ldconfig is a script, diverted for dpkg triggers; the
    // program is then `.real`.
    let names =
        ["/sbin/ldconfig.real", "/sbin/ldconfig", "/usr/sbin/ldconfig", "/usr/bin/ldconfig"];
    names.into_iter().map(PathBuf::from).find(|path| path.exists())
}
