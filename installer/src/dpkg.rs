//! dpkg's database and diversions. The owner of a file is read from the database; diversions are made by the
//! real `dpkg-divert`, so that an upgrade of the package writes its file where the stock library is kept
//! instead of over the shim.

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

/// Whether the root has a dpkg database and this machine has the program to change it.
#[must_use]
pub fn is_present(root: &Root) -> bool {
    root.metadata(&Path::new(DATABASE).join("info")).is_ok_and(|m| m.is_dir())
        && program().is_some()
}

/// Whether a package contains a file of that name: only such files can be restored by an upgrade.
pub fn owns(root: &Root, path: &Path) -> bool {
    let wanted = aliases(path);
    let info = Path::new(DATABASE).join("info");
    let Ok(names) = root.names(&info) else { return false };
    names.iter().filter(|name| name.to_string_lossy().ends_with(".list")).any(|name| {
        root.read_to_string(&info.join(name))
            .is_ok_and(|list| list.lines().any(|line| wanted.iter().any(|path| path == line)))
    })
}

/// The names under which a package may list a path: with `/usr` merged, `/lib` is `/usr/lib`.
fn aliases(path: &Path) -> Vec<String> {
    let path = path.to_string_lossy().into_owned();
    let unmerged = path.strip_prefix("/usr").map(str::to_owned);
    unmerged.into_iter().chain([path]).collect()
}

/// All diversions in dpkg's list, each with its target. A record is three lines: the name in the package, the
/// diverted name, and the package that diverts (`:` for a local diversion).
pub fn diversions(root: &Root) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let list = match root.read_to_string(&Path::new(DATABASE).join("diversions")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let lines: Vec<&str> = list.lines().collect();
    let records = lines.chunks_exact(3);
    Ok(records.map(|record| (record[0].into(), record[1].into())).collect())
}

/// Whether dpkg's list contains a diversion.
pub fn is_diverted(lib: &LibDir, diversion: &Diversion) -> io::Result<bool> {
    let wanted = (lib.inside(&diversion.path), lib.inside(&diversion.to));
    Ok(diversions(lib.root())?.contains(&wanted))
}

/// Whether a diversion has been lost although it is needed, because a package contains the file. An image
/// with copied files but without dpkg's records has neither.
pub fn is_lost(lib: &LibDir, diversion: &Diversion) -> io::Result<bool> {
    Ok(!is_diverted(lib, diversion)? && owns(lib.root(), &lib.inside(&diversion.path)))
}

/// Adds a diversion, which may exist already. The file itself is not moved.
pub fn divert(lib: &LibDir, diversion: &Diversion) -> Result<()> {
    if is_diverted(lib, diversion)? {
        return Ok(());
    }
    let to = lib.inside(&diversion.to);
    call(lib.root(), &["--divert"], Some(&to), "--add", &lib.inside(&diversion.path))
}

/// Removes a diversion, which may not exist. The file itself is not moved.
pub fn end_diversion(lib: &LibDir, diversion: &Diversion) -> Result<()> {
    if !is_diverted(lib, diversion)? {
        return Ok(());
    }
    call(lib.root(), &[], None, "--remove", &lib.inside(&diversion.path))
}

/// Checks that dpkg-divert would terminate with this database: it reads files whole, follows symlinks out of
/// the root, and blocks on pipes.
pub fn check(root: &Root) -> Result<()> {
    let database = root.open_directory(Path::new(DATABASE));
    let database = database.with_context(|| format!("cannot open {DATABASE}"))?;
    for name in ["status", "diversions", "statoverride"] {
        match database.state(Name::new(name).expect("plain"))? {
            State::Absent => {}
            State::File(file) if file.size <= MOST_TEXT => {}
            State::File(_) => bail!("{DATABASE}/{name} is too large for a dpkg list"),
            other => bail!("{DATABASE}/{name} is {other}, not a dpkg list"),
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
    // Not `--root`: since dpkg 1.21 it also reads configuration there, and before 1.19 it does not exist;
    // these two options are sufficient. They are passed as inherited descriptors, since a path in an image
    // may lead out of it through a symlink.
    let (instdir, admindir) = (root.inherited()?, inherited(&database)?);
    command.arg("--instdir").arg(&instdir.1).arg("--admindir").arg(&admindir.1);
    command.args(["--quiet", "--local", "--no-rename"]).args(option).args(to).arg(verb).arg(path);
    let output = command.output().context("cannot run dpkg-divert")?;
    if !output.status.success() {
        bail!("dpkg-divert failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn program() -> Option<PathBuf> {
    ["/usr/bin/dpkg-divert", "/usr/sbin/dpkg-divert"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| fs::metadata(path).is_ok())
}
