//! Where the ROCm trees are: as packages, wheels and applications install them, or at given paths.
//!
//! The places are patterns of paths, so that looking for them costs as many directory reads as there
//! are stars, on any machine: nothing is searched in depth, and a loop of links leads nowhere.

use super::reading::text_up_to;
use crate::{journal::STORE, root::Root};
use anyhow::{Context, Result, bail};
use rocblas_contract::libraries;
use serde::Serialize;
use std::{
    collections::BTreeSet,
    io,
    path::{Component, Path, PathBuf},
};

/// How a tree came to be where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
    /// AMD's wheels: `_rocm_sdk_libraries_<target>/lib`.
    RocmWheel,
    /// Ollama's `lib/ollama/rocm*`.
    Ollama,
    /// LM Studio's vendor directory in a home directory.
    LmStudio,
    /// A given directory that is like none of these.
    Other,
}

/// A directory with ROCm's libraries, and what it is part of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tree {
    /// How it came there.
    pub layout: Layout,
    /// The directory that all of it is in, resolved, inside the root.
    #[serde(serialize_with = "crate::output::json::path")]
    pub top: PathBuf,
    /// The directory with the libraries, resolved, inside the root.
    #[serde(serialize_with = "crate::output::json::path")]
    pub lib: PathBuf,
    /// ROCm's release ("7.0.2"): from `.info/version` in `top` where that is, else from its name.
    pub release: Option<String>,
}

/// Library directories of packages and applications.
const LIBS: [&str; 12] = [
    "/opt/rocm/lib",
    "/opt/rocm/lib64",
    "/opt/rocm-*/lib",
    "/opt/rocm-*/lib64",
    "/opt/rocm/core-*/lib",
    "/opt/rocm-*/core-*/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib64",
    "/usr/local/lib/ollama/rocm*",
    "/usr/lib/ollama/rocm*",
    "/usr/share/ollama/lib/ollama/rocm*",
    "/opt/ollama/lib/ollama/rocm*",
];

/// Library directories in a home directory.
const LIBS_OF_HOME: [&str; 3] = [
    ".lmstudio/extensions/backends/vendor/*",
    ".lmstudio/extensions/backends/vendor/*/lib",
    ".local/lib/ollama/rocm*",
];

/// What has Python's packages in `lib/python3*`.
const PYTHONS: [&str; 7] =
    ["/usr", "/usr/local", "/opt/conda", "/opt/conda/envs/*", "/opt/venv", "/opt/python*", "/venv"];

/// The same in a home directory. A name with a star counts where it is a virtual environment.
const PYTHONS_OF_HOME: [&str; 6] =
    [".local", "*conda*", "*conda*/envs/*", "miniforge3", "miniforge3/envs/*", ".pyenv/versions/*"];

/// Where virtual environments are kept in a home directory; each has this file.
const ENVIRONMENTS_OF_HOME: [&str; 3] = ["*", "*/*", ".virtualenvs/*"];
const ENVIRONMENT_FILE: &str = "pyvenv.cfg";

const HOMES: [&str; 2] = ["/root", "/home/*"];

/// Library directories in a directory that has `python3*`.
const LIBS_OF_PYTHON: [&str; 4] = [
    "python3*/site-packages/torch/lib",
    "python3*/dist-packages/torch/lib",
    "python3*/site-packages/_rocm_sdk_libraries_*/lib",
    "python3*/dist-packages/_rocm_sdk_libraries_*/lib",
];

/// Where the libraries may be in a given directory.
const LIBS_OF_GIVEN: [&str; 7] =
    ["", "lib", "lib64", "lib/x86_64-linux-gnu", "core-*/lib", "torch/lib", "rocm*"];

/// Beginnings of file names of which a given tree has to have one.
const WANTED: [&str; 3] = [libraries::ROCBLAS, libraries::HIP, libraries::HIPBLAS];

/// The trees at the given paths, each the tree's top, its library directory or a library in it; or,
/// where none is given, all with a rocBLAS in the usual places. Each library directory comes once,
/// however many links lead to it. A given path without a ROCm library is an error.
pub fn find(root: &Root, given: &[PathBuf]) -> Result<Vec<Tree>> {
    let mut trees: Vec<Tree> = Vec::new();
    let mut add = |found: &Path, lib: PathBuf| {
        if trees.iter().all(|tree| tree.lib != lib) {
            trees.push(tree(root, found, lib));
        }
    };
    if given.is_empty() {
        for found in usual(root) {
            let Ok(lib) = root.resolve(&found) else { continue };
            // With a store and no rocBLAS, a tree is in the middle of something.
            if has(root, &lib, &WANTED[..1]) || is_directory(root, &lib.join(STORE)) {
                add(&found, lib);
            }
        }
    }
    for path in given {
        for (found, lib) in at(root, path)? {
            add(&found, lib);
        }
    }
    Ok(trees)
}

/// The library that a given path is, in its directory, resolved; `None` for anything else.
pub fn library(root: &Root, given: &Path) -> Option<PathBuf> {
    let given = absolute(root, given).ok()?;
    let is_file = root.metadata(&given).is_ok_and(|metadata| metadata.is_file());
    is_file.then(|| root.resolve_entry(&given).ok()).flatten()
}

/// A path on the running system may be relative to where one is.
fn absolute(root: &Root, given: &Path) -> io::Result<PathBuf> {
    if root.is_system() { std::path::absolute(given) } else { Ok(given.to_owned()) }
}

/// Library directories in the usual places, those that exist.
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
    for python in &pythons {
        libs.extend(all(&python.join("lib"), &LIBS_OF_PYTHON));
        libs.extend(all(&python.join("lib64"), &LIBS_OF_PYTHON));
    }
    libs
}

/// The library directories that a given path means: as found, and resolved.
fn at(root: &Root, given: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
    let given = absolute(root, given)?;
    let shown = given.display();
    let failed = || format!("cannot look at {shown}");
    let metadata = root.metadata(&given).with_context(failed)?;
    let candidates = if metadata.is_dir() {
        LIBS_OF_GIVEN.iter().flat_map(|pattern| expand(root, &given, pattern)).collect()
    } else {
        // The directory that the library's name is in: links from it may lead elsewhere.
        let entry = root.resolve_entry(&given).with_context(failed)?;
        entry.parent().map(Path::to_owned).into_iter().collect::<Vec<_>>()
    };
    let found: Vec<_> = candidates
        .into_iter()
        .filter_map(|found| root.resolve(&found).ok().map(|lib| (found, lib)))
        .filter(|(_, lib)| has(root, lib, &WANTED))
        .collect();
    if found.is_empty() {
        bail!(
            "{shown} has none of {}, nor do its lib, lib64 and lib/x86_64-linux-gnu; give the \
             directory of a ROCm installation or of its libraries",
            WANTED.map(|name| format!("{name}*")).join(", "),
        );
    }
    Ok(found)
}

/// The tree of a library directory. Its kind is known by the path that it was found at, as what is
/// behind a link may have any name; where that says nothing, by the resolved one.
fn tree(root: &Root, found: &Path, lib: PathBuf) -> Tree {
    let (layout, top) = match recognise(root, found) {
        (Layout::Other, _) => recognise(root, &lib),
        known => known,
    };
    let top = root.resolve(&top).unwrap_or(top);
    let release = release(root, &top);
    Tree { layout, top, lib, release }
}

/// What a library directory is by its path, and the directory that it is part of.
fn recognise(root: &Root, lib: &Path) -> (Layout, PathBuf) {
    let names: Vec<&str> = lib
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_str().unwrap_or("")),
            _ => None,
        })
        .collect();
    let parent = || lib.parent().unwrap_or(lib).to_owned();
    match names.as_slice() {
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
        [.., top, "lib" | "lib64"]
            if *top == "rocm" || top.starts_with("rocm-") || top.starts_with("core-") =>
        {
            (Layout::Amd, parent())
        }
        [.., "lib" | "lib64"] => (Layout::Other, parent()),
        _ => (Layout::Other, lib.to_owned()),
    }
}

/// Whether pacman's packages are what is in `/opt/rocm`, rather than a link to AMD's tree.
fn is_arch(root: &Root) -> bool {
    let own = root.metadata_of_entry(Path::new("/opt/rocm")).is_ok_and(|m| m.is_dir());
    own && is_directory(root, Path::new("/var/lib/pacman/local"))
}

/// ROCm's release.
fn release(root: &Root, top: &Path) -> Option<String> {
    // AMD's file says "7.0.2-56".
    let said = text_up_to(root, &top.join(".info/version"), 1 << 10).ok();
    said.and_then(|text| leading_version(&text)).or_else(|| {
        let name = top.file_name()?.to_str()?;
        let version = name.strip_prefix("rocm-").or_else(|| name.strip_prefix("core-"))?;
        leading_version(version)
    })
}

/// The numbers with dots that a text begins with.
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

fn is_directory(root: &Root, path: &Path) -> bool {
    root.metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// The directories that match a pattern of path components, each with at most stars, below a base.
/// What cannot be read has no matches: another user's home directory is not an error.
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

/// Whether a name matches a pattern in which each star is any run of characters.
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
