//! What only dpkg owns: which package a file belongs to is read from its database, and diversions
//! are made by the real `dpkg-divert`, so that an upgrade of the package puts its file where the
//! stock library is kept instead of over the shim.

use crate::{
    directory::Name,
    journal::Diversion,
    lib_dir::LibDir,
    root::{MOST_TEXT, Root, inherited},
    state::State,
};
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

/// All diversions in dpkg's list, each with where it goes. A record is three lines: the name in the
/// package, where it goes, and whose diversion it is (`:` for a local one).
pub fn diversions(root: &Root) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let list = match root.read_to_string(&Path::new(DATABASE).join("diversions")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let lines: Vec<&str> = list.lines().collect();
    let records = lines.chunks_exact(3);
    Ok(records.map(|record| (record[0].into(), record[1].into())).collect())
}

/// Whether a diversion is in dpkg's list.
pub fn is_diverted(lib: &LibDir, diversion: &Diversion) -> io::Result<bool> {
    let wanted = (lib.inside(&diversion.path), lib.inside(&diversion.to));
    Ok(diversions(lib.root())?.contains(&wanted))
}

/// Whether a diversion that was made is gone and matters: a package has the file. An image that took
/// over the tree's files without dpkg's records of them has neither.
pub fn is_lost(lib: &LibDir, diversion: &Diversion) -> io::Result<bool> {
    Ok(!is_diverted(lib, diversion)? && owns(lib.root(), &lib.inside(&diversion.path)))
}

/// Makes a diversion that may be there already. The file itself is left where it is.
pub fn divert(lib: &LibDir, diversion: &Diversion) -> Result<()> {
    if is_diverted(lib, diversion)? {
        return Ok(());
    }
    let to = lib.inside(&diversion.to);
    call(lib.root(), &["--divert"], Some(&to), "--add", &lib.inside(&diversion.path))
}

/// Ends a diversion that may have ended already. The file itself is left where it is.
pub fn end_diversion(lib: &LibDir, diversion: &Diversion) -> Result<()> {
    if !is_diverted(lib, diversion)? {
        return Ok(());
    }
    call(lib.root(), &[], None, "--remove", &lib.inside(&diversion.path))
}

/// Whether dpkg-divert would come to an end with this database: it reads files whole, follows links out
/// of the root, and waits for pipes.
pub fn check(root: &Root) -> Result<()> {
    let database = root.open_directory(Path::new(DATABASE));
    let database = database.with_context(|| format!("cannot open {DATABASE}"))?;
    for name in ["status", "diversions", "statoverride"] {
        match database.state(Name::new(name).expect("plain"))? {
            State::Absent => {}
            State::File(file) if file.size <= MOST_TEXT => {}
            State::File(_) => bail!("{DATABASE}/{name} is too large to be a list of dpkg's"),
            other => bail!("{DATABASE}/{name} is {other} and not a list of dpkg's"),
        }
    }
    Ok(())
}

fn call(root: &Root, option: &[&str], to: Option<&Path>, verb: &str, path: &Path) -> Result<()> {
    let program = program().context("dpkg-divert is not installed")?;
    let database = root.open_directory(Path::new(DATABASE));
    let database = database.with_context(|| format!("cannot open {DATABASE}"))?;
    check(root)?;
    let mut command = Command::new(program);
    // Not `--root`: since dpkg 1.21 it also looks for configuration there, and before 1.19 it does
    // not exist; these two say all that is meant. As descriptors, which the child inherits: a path
    // in an image may lead out of it by a link.
    let (instdir, admindir) = (root.inherited()?, inherited(&database)?);
    command.arg("--instdir").arg(&instdir.1).arg("--admindir").arg(&admindir.1);
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
