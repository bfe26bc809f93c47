//! Finds ROCm trees: where packages, wheels and applications install them, or at given paths.
//!
//! Most places are path patterns, which cost one directory read per star and match. Python environments can
//! be anywhere, so a bounded search follows (`search.rs`).

use super::{reading::text_up_to, search};
use crate::{elf, journal::STORE, root::Root};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use rocblas_contract::libraries;
use serde::Serialize;
use std::{
    collections::BTreeSet,
    io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

/// How a tree was installed. `ValueEnum` lists the values for the test of the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// AMD's packages and images: `/opt/rocm-7.0.2`, from 7.14 on `/opt/rocm/core-7.14`.
    Amd,
    /// Debian's and Ubuntu's own packages: `/usr/lib/x86_64-linux-gnu`.
    Debian,
    /// Fedora's own packages: `/usr/lib64`.
    Fedora,
    /// Arch Linux's packages: `/opt/rocm` itself.
    Arch,
    /// A PyTorch wheel: `torch/lib`.
    PytorchWheel,
    /// AMD's wheels: `_rocm_sdk_libraries/lib`, possibly with a suffix for a family of GPUs.
    RocmWheel,
    /// Installations of rocm_sdk_builder: `/opt/rocm_sdk_612/lib64`.
    SdkBuilder,
    /// Ollama's `lib/ollama/rocm*`.
    Ollama,
    /// LM Studio's vendor directory in a home directory.
    LmStudio,
    /// A package in the Nix store.
    Nix,
    /// A Flatpak application or extension.
    Flatpak,
    /// A mounted snap.
    Snap,
    /// A given directory of none of these layouts.
    Other,
}

impl Layout {
    /// Why trees of this layout cannot be changed, and what to do instead.
    #[must_use]
    pub fn immutable(self) -> Option<&'static str> {
        match self {
            Self::Nix => Some(
                "the Nix store is read-only, and its files are shared between generations. Copy the \
                 directories of rocBLAS and HIP to one outside the store, patch that with --rocm \
                 COPY, and start the program with LD_LIBRARY_PATH=COPY",
            ),
            Self::Flatpak => Some(
                "Flatpak shares these files with its repository and replaces them at each update. \
                 Copy the directory to one outside, patch that with --rocm COPY, and let the \
                 application use it: `flatpak override --filesystem=COPY \
                 --env=LD_LIBRARY_PATH=COPY APPLICATION`",
            ),
            Self::Snap => Some(
                "a snap is a read-only image. Install the program from its own packages or archive \
                 instead, and patch that",
            ),
            _ => None,
        }
    }
}

/// A directory with ROCm's libraries, and what it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tree {
    /// How it was installed.
    pub layout: Layout,
    /// The installation's top directory, resolved, inside the root.
    #[serde(serialize_with = "crate::output::json::path")]
    pub top: PathBuf,
    /// The directory with the libraries, resolved, inside the root.
    #[serde(serialize_with = "crate::output::json::path")]
    pub lib: PathBuf,
    /// ROCm's release ("7.0.2"): from `.info/version` in `top` if that exists, else from its name.
    pub release: Option<String>,
}

/// Library directories of packages and applications.
const LIBS: [&str; 25] = [
    "/opt/rocm/lib",
    "/opt/rocm/lib64",
    "/opt/rocm-*/lib",
    "/opt/rocm-*/lib64",
    "/opt/rocm/core-*/lib",
    "/opt/rocm/core-*/lib64",
    "/opt/rocm-*/core-*/lib",
    "/opt/rocm-*/core-*/lib64",
    "/opt/rocm_sdk_*/lib",
    "/opt/rocm_sdk_*/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib64",
    "/usr/local/lib/ollama/rocm*",
    "/usr/lib/ollama/rocm*",
    "/usr/lib64/ollama/rocm*",
    "/usr/share/ollama/lib/ollama/rocm*",
    "/opt/ollama/lib/ollama/rocm*",
    "/nix/store/*-rocblas-*/lib",
    "/nix/store/*-rocm-*/lib",
    "/nix/store/*-ollama-*/lib/ollama/rocm*",
    "/var/lib/flatpak/app/*/current/active/files/lib/ollama/rocm*",
    "/var/lib/flatpak/runtime/*/x86_64/*/active/files/lib/ollama/rocm*",
    "/var/lib/flatpak/app/*/current/active/files/lib",
    "/snap/*/current/lib/ollama/rocm*",
    "/snap/*/current/usr/lib/x86_64-linux-gnu",
];

/// Library directories in a home directory.
const LIBS_OF_HOME: [&str; 4] = [
    ".local/share/flatpak/runtime/*/x86_64/*/active/files/lib/ollama/rocm*",
    ".lmstudio/extensions/backends/vendor/*",
    ".lmstudio/extensions/backends/vendor/*/lib",
    ".local/lib/ollama/rocm*",
];

/// Directories with Python packages in `lib/python3*`.
const PYTHONS: [&str; 7] =
    ["/usr", "/usr/local", "/opt/conda", "/opt/conda/envs/*", "/opt/venv", "/opt/python*", "/venv"];

/// The same in a home directory. A name with a star counts if it is a virtual environment.
const PYTHONS_OF_HOME: [&str; 6] =
    [".local", "*conda*", "*conda*/envs/*", "miniforge3", "miniforge3/envs/*", ".pyenv/versions/*"];

/// Where virtual environments are kept in a home directory; each contains this file.
const ENVIRONMENTS_OF_HOME: [&str; 3] = ["*", "*/*", ".virtualenvs/*"];
const ENVIRONMENT_FILE: &str = "pyvenv.cfg";

const HOMES: [&str; 2] = ["/root", "/home/*"];

/// Library directories in a directory of Python packages.
const LIBS_OF_PACKAGES: [&str; 2] = ["torch/lib", "_rocm_sdk_libraries*/lib"];

/// Directories of Python packages in an environment.
const PACKAGES_OF_PYTHON: [&str; 4] = [
    "lib/python3*/site-packages",
    "lib/python3*/dist-packages",
    "lib64/python3*/site-packages",
    "lib64/python3*/dist-packages",
];

/// Where the libraries may be in a given directory, besides those in Python packages.
const LIBS_OF_GIVEN: [&str; 9] = [
    "",
    "lib",
    "lib64",
    "lib/x86_64-linux-gnu",
    "core-*/lib",
    "core-*/lib64",
    "rocm*",
    "ollama/rocm*",
    "lib/ollama/rocm*",
];

/// Prefixes of file names; a given tree must contain one such file.
const WANTED: [&str; 3] = [libraries::ROCBLAS, libraries::HIP, libraries::HIPBLAS];

/// The trees at the given paths, each the tree's top, its library directory or a library in it; or, if none
/// is given, all trees with a rocBLAS in the usual places. Each library directory is listed once, however
/// many symlinks point to it. A given path without a ROCm library is an error.
pub fn find(root: &Root, given: &[PathBuf]) -> Result<Vec<Tree>> {
    let mut trees = if given.is_empty() { find_usual(root) } else { Trees::new(root) };
    if given.is_empty() {
        let found = search::search(root);
        for lib in found.libs.into_iter().chain(libs_of_pythons(root, &found.pythons)) {
            trees.add_usual(&lib);
        }
    }
    for path in given {
        for (found, lib) in at(root, path)? {
            trees.add(&found, lib);
        }
    }
    Ok(trees.all)
}

/// The trees that the patterns find, without the search.
#[must_use]
pub fn usual_trees(root: &Root) -> Vec<Tree> {
    find_usual(root).all
}

fn find_usual(root: &Root) -> Trees<'_> {
    let mut trees = Trees::new(root);
    for found in usual(root) {
        trees.add_usual(&found);
    }
    trees
}

/// Trees, each library directory once: it may have several paths through symlinks and bind mounts.
struct Trees<'a> {
    root: &'a Root,
    all: Vec<Tree>,
    /// Device and inode.
    seen: BTreeSet<(u64, u64)>,
}

impl<'a> Trees<'a> {
    fn new(root: &'a Root) -> Self {
        Self { root, all: Vec::new(), seen: BTreeSet::new() }
    }

    /// Adds the tree at a place that was not named, if there is one.
    fn add_usual(&mut self, found: &Path) {
        let Ok(lib) = self.root.resolve(found) else { return };
        // A tree with a store and without rocBLAS is in the middle of a change.
        if has(self.root, &lib, &WANTED[..1]) || is_directory(self.root, &lib.join(STORE)) {
            self.add(found, lib);
        }
    }

    fn add(&mut self, found: &Path, lib: PathBuf) {
        let Ok(metadata) = self.root.metadata(&lib) else { return };
        if self.seen.insert((metadata.dev(), metadata.ino())) {
            self.all.push(tree(self.root, found, lib));
        }
    }
}

/// The library at a given path, in its directory, resolved; `None` for anything else.
pub fn library(root: &Root, given: &Path) -> Option<PathBuf> {
    let given = absolute(root, given).ok()?;
    let is_file = root.metadata(&given).is_ok_and(|metadata| metadata.is_file());
    is_file.then(|| root.resolve_entry(&given).ok()).flatten()
}

/// A path on the running system may be relative to the current directory.
pub(crate) fn absolute(root: &Root, given: &Path) -> io::Result<PathBuf> {
    if root.is_system() { std::path::absolute(given) } else { Ok(given.to_owned()) }
}

/// The existing library directories in the usual places.
fn usual(root: &Root) -> Vec<PathBuf> {
    let nowhere = Path::new("/");
    let all = |base: &Path, patterns: &[&str]| -> Vec<PathBuf> {
        patterns.iter().flat_map(|pattern| expand(root, base, pattern)).collect()
    };
    let homes = all(nowhere, &HOMES);
    let mut libs = all(nowhere, &LIBS);
    let mut pythons = all(nowhere, &PYTHONS);
    for home in &homes {
        libs.extend(all(home, &LIBS_OF_HOME));
        pythons.extend(all(home, &PYTHONS_OF_HOME));
        let environments = all(home, &ENVIRONMENTS_OF_HOME);
        pythons.extend(
            environments.into_iter().filter(|e| root.metadata(&e.join(ENVIRONMENT_FILE)).is_ok()),
        );
    }
    libs.extend(libs_of_pythons(root, &pythons));
    libs
}

/// Library directories in Python environments.
fn libs_of_pythons(root: &Root, pythons: &[PathBuf]) -> Vec<PathBuf> {
    let in_python = |python: &PathBuf| {
        PACKAGES_OF_PYTHON.map(|packages| expand(root, python, packages)).into_iter().flatten()
    };
    let packages = pythons.iter().flat_map(in_python);
    packages.flat_map(|packages| libs_of_packages(root, &packages)).collect()
}

fn libs_of_packages(root: &Root, packages: &Path) -> Vec<PathBuf> {
    LIBS_OF_PACKAGES.iter().flat_map(|pattern| expand(root, packages, pattern)).collect()
}

/// The library directories that a given path denotes: as found, and resolved.
fn at(root: &Root, given: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let given = absolute(root, given)?;
    let shown = given.display();
    let failed = || format!("cannot examine {shown}");
    let metadata = root.metadata(&given).with_context(failed)?;
    let candidates = if metadata.is_dir() {
        let own = LIBS_OF_GIVEN.iter().flat_map(|pattern| expand(root, &given, pattern));
        let packages = libs_of_packages(root, &given);
        own.chain(packages).chain(libs_of_pythons(root, std::slice::from_ref(&given))).collect()
    } else {
        // The directory that contains the library's name: symlinks in it may point elsewhere.
        let entry = root.resolve_entry(&given).with_context(failed)?;
        entry.parent().map(Path::to_owned).into_iter().collect::<Vec<_>>()
    };
    let mut found: Vec<_> = candidates
        .into_iter()
        .filter_map(|found| root.resolve(&found).ok().map(|lib| (found, lib)))
        .filter(|(_, lib)| has(root, lib, &WANTED))
        .collect();
    if found.is_empty() && metadata.is_file() {
        let summary = elf::summary(&root.open(&given).with_context(failed)?);
        let why = summary.map_or_else(|e| e.to_string(), |_| "nothing loads it".to_owned());
        bail!(
            "{shown} is not a library or program ({why}); pass one, or the directory of a ROCm installation, \
             of its libraries, or a Python environment"
        );
    }
    if found.is_empty() {
        bail!(
            "{shown} contains none of {}, and neither do its lib, lib64 and lib/x86_64-linux-gnu, or PyTorch's \
             or AMD's wheels in it; pass the directory of a ROCm installation, of its libraries, or a \
             Python environment",
            WANTED.map(|name| format!("{name}*")).join(", "),
        );
    }
    // A directory that contains only HIP, next to one with rocBLAS, is not intended.
    let with_rocblas: Vec<_> =
        found.iter().filter(|(_, lib)| has(root, lib, &WANTED[..1])).cloned().collect();
    if !with_rocblas.is_empty() {
        found = with_rocblas;
    }
    Ok(found)
}

/// The tree of a library directory. Its layout is determined from the path by which it was found, since a
/// symlink's target may have any name; if that is inconclusive, from the resolved one.
fn tree(root: &Root, found: &Path, lib: PathBuf) -> Tree {
    let (layout, top) = match recognise(root, found) {
        (Layout::Other, _) => recognise(root, &lib),
        known => known,
    };
    let top = root.resolve(&top).unwrap_or(top);
    let release = release(root, &top);
    Tree { layout, top, lib, release }
}

/// The layout of a library directory according to its path, and the installation's top directory.
pub(super) fn recognise(root: &Root, lib: &Path) -> (Layout, PathBuf) {
    let names: Vec<&str> = lib
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_str().unwrap_or("")),
            _ => None,
        })
        .collect();
    let parent = || lib.parent().unwrap_or(lib).to_owned();
    match names.as_slice() {
        ["nix", "store", ..] => (Layout::Nix, lib.to_owned()),
        ["snap", _, ..] => (Layout::Snap, lib.to_owned()),
        ["var", "lib", "flatpak", ..] => (Layout::Flatpak, lib.to_owned()),
        [.., ".local", "share", "flatpak", _, _, _, _, _, "files", "lib"]
        | [.., ".local", "share", "flatpak", _, _, _, _, _, "files", "lib", "ollama", _] => {
            (Layout::Flatpak, lib.to_owned())
        }
        [.., "ollama", variant] if variant.starts_with("rocm") => (Layout::Ollama, lib.to_owned()),
        _ if names.contains(&".lmstudio") => (Layout::LmStudio, lib.to_owned()),
        [.., "torch", "lib"] => (Layout::PytorchWheel, parent()),
        [.., package, "lib"] if package.starts_with("_rocm_sdk_libraries") => {
            (Layout::RocmWheel, parent())
        }
        ["usr", "lib", "x86_64-linux-gnu"] | ["lib", "x86_64-linux-gnu"] => {
            (Layout::Debian, PathBuf::from("/usr"))
        }
        ["usr", "lib64"] | ["lib64"] => (Layout::Fedora, PathBuf::from("/usr")),
        ["opt", "rocm", "lib"] if is_arch(root) => (Layout::Arch, parent()),
        [.., top, "lib" | "lib64"] if top.starts_with("rocm_sdk_") => {
            (Layout::SdkBuilder, parent())
        }
        [.., top, "lib" | "lib64"]
            if *top == "rocm" || top.starts_with("rocm-") || top.starts_with("core-") =>
        {
            (Layout::Amd, parent())
        }
        [.., "lib" | "lib64"] => (Layout::Other, parent()),
        _ => (Layout::Other, lib.to_owned()),
    }
}

/// Whether `/opt/rocm` belongs to pacman's packages, and is not a symlink to AMD's tree.
fn is_arch(root: &Root) -> bool {
    let own = root.metadata_of_entry(Path::new("/opt/rocm")).is_ok_and(|m| m.is_dir());
    own && is_directory(root, Path::new("/var/lib/pacman/local"))
}

/// ROCm's release.
fn release(root: &Root, top: &Path) -> Option<String> {
    // AMD's file contains "7.0.2-56".
    let said = text_up_to(root, &top.join(".info/version"), 1 << 10).ok();
    said.and_then(|text| leading_version(&text)).or_else(|| {
        let name = top.file_name()?.to_str()?;
        let version = name.strip_prefix("rocm-").or_else(|| name.strip_prefix("core-"))?;
        leading_version(version)
    })
}

/// The dotted numbers at the beginning of a text.
fn leading_version(text: &str) -> Option<String> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let version = text[..end].trim_end_matches('.');
    version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
}

/// Whether a directory has an entry that begins with one of these names.
fn has(root: &Root, directory: &Path, beginnings: &[&str]) -> bool {
    let names = root.names(directory).unwrap_or_default();
    names.iter().any(|name| {
        let name = name.to_string_lossy();
        beginnings.iter().any(|beginning| name.starts_with(beginning))
    })
}

pub(super) fn is_directory(root: &Root, path: &Path) -> bool {
    root.metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// The directories below a base that match a pattern of path components, each of which may contain stars.
/// Unreadable directories have no matches: another user's home directory is not an error.
fn expand(root: &Root, base: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![base.to_owned()];
    for component in pattern.split('/').filter(|component| !component.is_empty()) {
        found = found.iter().flat_map(|directory| step(root, directory, component)).collect();
    }
    found.retain(|path| is_directory(root, path));
    found
}

fn step(root: &Root, directory: &Path, component: &str) -> BTreeSet<PathBuf> {
    if !component.contains('*') {
        return BTreeSet::from([directory.join(component)]);
    }
    let names: io::Result<Vec<_>> = root.names(directory);
    let names = names.unwrap_or_default();
    let matching = names.into_iter().filter(|name| matches(component, &name.to_string_lossy()));
    matching.map(|name| directory.join(name)).collect()
}

/// Whether a name matches a pattern in which each star stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|start| name.strip_prefix(start)) else {
        return false;
    };
    let Some(end) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(end)
}

#[cfg(test)]
mod tests;
