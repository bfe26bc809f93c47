//! Which package installed a file, read from the package databases themselves: a tree in another root has no
//! `dpkg` or `pacman` to run.
//!
//! A database lists paths as the package spells them. On a system with a merged `/usr`, a package may list
//! `/lib/...` for a file in `/usr/lib/...`, and symlinks in `/opt` have the same effect. A listed path whose
//! last component matches is therefore resolved and then compared; nearly all others cost only a comparison
//! of names.

use super::reading::{bytes_up_to, text_up_to};
use crate::root::Root;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fmt,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::Command,
};

/// Larger than any package's list of files, in bytes; the largest known has 6 MB.
const MOST_LIST: u64 = 64 << 20;

/// dpkg's database.
const DPKG: &str = "/var/lib/dpkg";
/// pacman's database of installed packages.
const PACMAN: &str = "/var/lib/pacman/local";
/// The places of rpm's database, old and new.
const RPM: [&str; 2] = ["/var/lib/rpm", "/usr/lib/sysimage/rpm"];

/// A package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// The package manager.
    pub manager: Manager,
    /// The package's name.
    pub package: String,
    /// Its version, if the database contains it.
    pub version: Option<String>,
}

/// A package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manager {
    /// Debian's and Ubuntu's.
    Dpkg,
    /// Arch Linux's.
    Pacman,
    /// Fedora's, RHEL's and SUSE's.
    Rpm,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.package)?;
        self.version.iter().try_for_each(|version| write!(f, " {version}"))
    }
}

/// The owners of files or symlinks whose directories are resolved. Files that no package owns are not in the
/// result. All are searched for in one pass over the databases. `rpm` is the program to run if there is an
/// rpm database, whose formats are private.
#[must_use]
pub fn owners(root: &Root, paths: &BTreeSet<PathBuf>, rpm: &Path) -> BTreeMap<PathBuf, Owner> {
    let asked = Asked::new(root, paths);
    let mut found = BTreeMap::new();
    if !paths.is_empty() {
        dpkg(&asked, &mut found);
        pacman(&asked, &mut found);
        ask_rpm(root, rpm, paths, &mut found);
    }
    found
}

/// The query.
struct Asked<'a> {
    root: &'a Root,
    paths: &'a BTreeSet<PathBuf>,
    names: BTreeSet<&'a [u8]>,
}

impl<'a> Asked<'a> {
    fn new(root: &'a Root, paths: &'a BTreeSet<PathBuf>) -> Self {
        let names = paths.iter().filter_map(|path| Some(path.file_name()?.as_bytes())).collect();
        Self { root, paths, names }
    }

    /// The requested path to which a listed one, relative to the root or not, resolves.
    fn is(&self, listed: &[u8]) -> Option<PathBuf> {
        let name = listed.rsplit(|byte| *byte == b'/').next()?;
        if !self.names.contains(name) {
            return None;
        }
        let path = self.root.resolve_entry(Path::new(OsStr::from_bytes(listed))).ok()?;
        self.paths.contains(&path).then_some(path)
    }
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n')
}

fn dpkg(asked: &Asked<'_>, found: &mut BTreeMap<PathBuf, Owner>) {
    let (root, info) = (asked.root, Path::new(DPKG).join("info"));
    let bytes = bytes_up_to(root, &Path::new(DPKG).join("diversions"), MOST_LIST);
    let bytes = bytes.unwrap_or_default();
    let diversions = Diversions::parse(&bytes);
    let mut owned = Vec::new();
    for name in root.names(&info).unwrap_or_default() {
        // `rocblas.list`, or `librocblas4:amd64.list` for a package that may be installed for several
        // architectures.
        let Some(package) = name.to_str().and_then(|name| name.strip_suffix(".list")) else {
            continue;
        };
        let (package, architecture) = match package.split_once(':') {
            Some((package, architecture)) => (package, Some(architecture)),
            None => (package, None),
        };
        let Ok(list) = bytes_up_to(root, &info.join(&name), MOST_LIST) else { continue };
        // A diversion may give a file any name, so it is applied before names are compared.
        let places = lines(&list).map(|listed| diversions.place_of(listed, package));
        owned.extend(places.filter_map(|place| {
            Some((asked.is(place)?, package.to_owned(), architecture.map(str::to_owned)))
        }));
    }
    if owned.is_empty() {
        return;
    }
    let status = text_up_to(root, &Path::new(DPKG).join("status"), MOST_LIST).unwrap_or_default();
    for (path, package, architecture) in owned {
        let version = dpkg_version(&status, &package, architecture.as_deref());
        found.entry(path).or_insert(Owner { manager: Manager::Dpkg, package, version });
    }
}

/// dpkg's diversions: which files are elsewhere than packages list them, and for which package this does not
/// apply.
struct Diversions<'a>(BTreeMap<&'a [u8], (&'a [u8], &'a [u8])>);

impl<'a> Diversions<'a> {
    /// The database: three lines each, the path, its diverted name, and the package that keeps the original
    /// path (`:` is the administrator).
    fn parse(bytes: &'a [u8]) -> Self {
        let lines: Vec<&[u8]> = lines(bytes).collect();
        let (threes, _) = lines.as_chunks::<3>();
        Self(threes.iter().map(|[from, to, by]| (*from, (*to, *by))).collect())
    }

    /// The actual place of a file that a package lists at that path.
    fn place_of(&self, listed: &'a [u8], package: &str) -> &'a [u8] {
        match self.0.get(listed) {
            Some((to, by)) if *by != package.as_bytes() => to,
            _ => listed,
        }
    }
}

/// The version of a package in dpkg's status file.
fn dpkg_version(status: &str, package: &str, architecture: Option<&str>) -> Option<String> {
    fn field<'a>(paragraph: &'a str, name: &str) -> Option<&'a str> {
        paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
    let paragraph = status.split("\n\n").find(|paragraph| {
        field(paragraph, "Package") == Some(package)
            && architecture.is_none_or(|a| field(paragraph, "Architecture") == Some(a))
    })?;
    field(paragraph, "Version").map(str::to_owned)
}

fn pacman(asked: &Asked<'_>, found: &mut BTreeMap<PathBuf, Owner>) {
    let root = asked.root;
    for name in root.names(Path::new(PACMAN)).unwrap_or_default() {
        let package = Path::new(PACMAN).join(name);
        let Ok(files) = bytes_up_to(root, &package.join("files"), MOST_LIST) else { continue };
        let mut owned = lines(&files).filter_map(|listed| asked.is(listed)).peekable();
        if owned.peek().is_none() {
            continue;
        }
        let text = text_up_to(root, &package.join("desc"), MOST_LIST).unwrap_or_default();
        // A line with the field's name, then one with its value.
        let field = |name: &str| {
            let value = text.lines().skip_while(|line| *line != name).nth(1);
            value.map(str::to_owned)
        };
        let Some(name) = field("%NAME%") else { continue };
        let owner = Owner { manager: Manager::Pacman, package: name, version: field("%VERSION%") };
        for path in owned {
            found.entry(path).or_insert_with(|| owner.clone());
        }
    }
}

/// Runs rpm, if the root has its database and the machine has the program. Its output is only displayed; if
/// it is unusable, the file has no owner.
fn ask_rpm(
    root: &Root,
    rpm: &Path,
    paths: &BTreeSet<PathBuf>,
    found: &mut BTreeMap<PathBuf, Owner>,
) {
    if !RPM.iter().any(|database| root.metadata(Path::new(database)).is_ok()) {
        return;
    }
    for path in paths.iter().filter(|path| path.is_absolute()) {
        let mut command = Command::new(rpm);
        if !root.is_system() {
            command.arg("--root").arg(root.directory());
        }
        command.args(["-qf", "--queryformat", "%{NAME} %{VERSION}-%{RELEASE}\n"]).arg(path);
        // Without the program, the other paths have no owner either.
        let Ok(output) = command.env("LC_ALL", "C").output() else { return };
        let said = String::from_utf8_lossy(&output.stdout);
        let answer = said.lines().next().and_then(|line| line.split_once(' '));
        if let (true, Some((package, version))) = (output.status.success(), answer) {
            let (package, version) = (package.to_owned(), Some(version.to_owned()));
            let owner = Owner { manager: Manager::Rpm, package, version };
            found.entry(path.clone()).or_insert(owner);
        }
    }
}

#[cfg(test)]
mod tests;
