//! What only dpkg owns: which package a file belongs to is read from its database, and diversions
//! are made by the real `dpkg-divert`, so that an upgrade of the package puts its file where the
//! stock library is kept instead of over the shim.

use crate::{journal::Diversion, root::Root};
use anyhow::{Context, Result, bail};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

const DATABASE: &str = "/var/lib/dpkg";

/// Whether the root has dpkg's database and this machine has the program to change it.
#[must_use]
pub fn is_present(root: &Root) -> bool {
    root.metadata(&Path::new(DATABASE).join("info")).is_ok_and(|m| m.is_dir())
        && program().is_some()
}

/// Whether a package has a file of that name: only those can be brought back by an upgrade.
pub fn owns(root: &Root, path: &Path) -> bool {
    let wanted = aliases(path);
    let info = Path::new(DATABASE).join("info");
    let Ok(names) = root.names(&info) else { return false };
    names.iter().filter(|name| name.to_string_lossy().ends_with(".list")).any(|name| {
        root.read_to_string(&info.join(name))
            .is_ok_and(|list| list.lines().any(|line| wanted.iter().any(|path| path == line)))
    })
}

/// The names that a package may have for a path: with `/usr` merged, `/lib` is `/usr/lib`.
fn aliases(path: &Path) -> Vec<String> {
    let path = path.to_string_lossy().into_owned();
    let unmerged = path.strip_prefix("/usr").map(str::to_owned);
    unmerged.into_iter().chain([path]).collect()
}

/// Whether a diversion is in dpkg's list. Its records are three lines: the name in the package,
/// where it goes, and whose diversion it is (`:` for a local one).
pub fn is_diverted(root: &Root, diversion: &Diversion) -> io::Result<bool> {
    let list = match root.read_to_string(&Path::new(DATABASE).join("diversions")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    let lines: Vec<&str> = list.lines().collect();
    Ok(lines.chunks(3).any(|record| {
        record.len() == 3
            && Path::new(record[0]) == diversion.path
            && Path::new(record[1]) == diversion.to
    }))
}

/// Whether a diversion that was made is gone and matters: a package has the file. An image that took
/// over the tree's files without dpkg's records of them has neither.
pub fn is_lost(root: &Root, diversion: &Diversion) -> io::Result<bool> {
    Ok(!is_diverted(root, diversion)? && owns(root, &diversion.path))
}

/// Makes a diversion that may be there already. The file itself is left where it is.
pub fn divert(root: &Root, diversion: &Diversion) -> Result<()> {
    if is_diverted(root, diversion)? {
        return Ok(());
    }
    call(root, &["--divert"], Some(&diversion.to), "--add", &diversion.path)
}

/// Ends a diversion that may have ended already. The file itself is left where it is.
pub fn end_diversion(root: &Root, diversion: &Diversion) -> Result<()> {
    if !is_diverted(root, diversion)? {
        return Ok(());
    }
    call(root, &[], None, "--remove", &diversion.path)
}

fn call(root: &Root, option: &[&str], to: Option<&Path>, verb: &str, path: &Path) -> Result<()> {
    let program = program().context("dpkg-divert is not installed")?;
    let mut command = Command::new(program);
    // Not `--root`: since dpkg 1.21 it also looks for configuration there, and before 1.19 it does
    // not exist; these two say all that is meant.
    command.arg("--instdir").arg(root.directory());
    command.arg("--admindir").arg(root.on_machine(Path::new(DATABASE)));
    command.args(["--quiet", "--local", "--no-rename"]).args(option).args(to).arg(verb).arg(path);
    let output = command.output().context("cannot run dpkg-divert")?;
    if !output.status.success() {
        bail!("dpkg-divert says: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn program() -> Option<PathBuf> {
    ["/usr/bin/dpkg-divert", "/usr/sbin/dpkg-divert"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| fs::metadata(path).is_ok())
}
