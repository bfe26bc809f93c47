//! The loader's cache, which only the real `ldconfig` writes.

use crate::{lib_dir::LibDir, loader, root::Root};
use anyhow::{Context, Result, bail};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Whether the cache has to be made anew after a change in a directory of libraries: if it has files
/// of that directory. A wheel's is in none, and a root without a cache is not given one.
#[must_use]
pub fn concerns(lib: &LibDir) -> bool {
    loader::caches(lib.root(), lib.path())
}

/// Larger than any settings of the loader, in bytes.
pub const MOST_SETTINGS: u64 = 1 << 20;

/// Whether ldconfig would come to an end: it opens what its settings and the names of libraries lead to,
/// and waits for a pipe or reads a device or a sparse file without end. Only regular files of a sane
/// size are settings.
pub fn check(lib: &LibDir) -> Result<()> {
    let root = lib.root();
    let parts = Path::new("/etc/ld.so.conf.d");
    let names = root.names(parts).unwrap_or_default();
    let settings = names.iter().map(|name| parts.join(name)).chain(["/etc/ld.so.conf".into()]);
    for path in settings {
        let Ok(metadata) = root.metadata(&path) else { continue };
        if !metadata.is_file() && !metadata.is_dir() || metadata.len() > MOST_SETTINGS {
            bail!(
                "{} is not a file that ldconfig could read to its end: remove it first",
                path.display()
            );
        }
    }
    for name in lib.directory().names().context("cannot read the directory of the libraries")? {
        let text = name.to_string_lossy();
        let path = lib.path().join(&name);
        let is_link =
            text.starts_with("lib") && text.contains(".so") && root.read_link(&path).is_ok();
        let leads_to = is_link.then(|| root.metadata(&path).ok()).flatten();
        if leads_to.is_some_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
            bail!(
                "{} leads to a pipe or device, which ldconfig would wait for without end: remove it \
                 first",
                path.display()
            );
        }
    }
    Ok(())
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
