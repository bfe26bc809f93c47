//! Tensile's files next to a rocBLAS: the kernels of matrix products for each GPU target.
//!
//! rocBLAS uses one directory, the first existing one of several, and in it a target's own sub-directory if
//! there is one. Without an entry file for the GPU it aborts the process at the first product, whatever other
//! files exist.

use crate::root::Root;
use crate::source::gpu::gpu_of;
use rocblas_contract::tensile as contract;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// More directories than any build has targets.
const MOST_DIRECTORIES: usize = 256;

/// The entry file for all targets in older builds.
const COMMON_ENTRY: &str = contract::ENTRY;

/// The files that a rocBLAS would use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tensile {
    /// The directory, resolved, inside the root.
    #[serde(serialize_with = "crate::output::json::path")]
    pub directory: PathBuf,
    /// The files for each target.
    pub targets: BTreeMap<String, Files>,
    /// Whether there is an entry file for no particular target.
    pub common_entry: bool,
}

/// One target's files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Files {
    /// Their number.
    pub files: usize,
    /// Their total size, in bytes.
    pub bytes: u64,
    /// The file that rocBLAS reads first, if it exists.
    #[serde(serialize_with = "crate::output::json::optional_path")]
    pub entry: Option<PathBuf>,
}

impl Tensile {
    /// The entry file in which a target's products find their kernels.
    #[must_use]
    pub fn entry(&self, target: &str) -> Option<PathBuf> {
        let files = self.targets.get(target)?;
        let common = || self.common_entry.then(|| self.directory.join(COMMON_ENTRY));
        files.entry.clone().or_else(common)
    }
}

/// The files that a rocBLAS in a library directory would use; `None` if there is no directory of them.
/// `version` is the library's ("4.4"), which is part of the path in Debian's builds.
#[must_use]
pub fn of(root: &Root, lib: &Path, version: Option<&str>) -> Option<Tensile> {
    let directory = directory(root, lib, version)?;
    let mut tensile = Tensile { directory: directory.clone(), ..Tensile::default() };
    let mut sub_directories = Vec::new();
    for name in root.names(&directory).unwrap_or_default() {
        let path = directory.join(&name);
        let Ok(metadata) = root.metadata(&path) else { continue };
        if metadata.is_dir() {
            sub_directories.push((name, path));
        } else if metadata.is_file() {
            tensile.common_entry |= name == COMMON_ENTRY;
            if let Some(target) = target_of(&name) {
                let files = tensile.targets.entry(target.clone()).or_default();
                files.add(&target, &name, path, metadata.len());
            }
        }
    }
    for (name, path) in sub_directories.into_iter().take(MOST_DIRECTORIES) {
        if let Some(target) = target_of(&name).filter(|target| name == target.as_str()) {
            let files = of_sub_directory(root, &target, &path);
            // rocBLAS searches nowhere else if the sub-directory exists.
            tensile.targets.insert(target, files);
        }
    }
    Some(tensile)
}

impl Files {
    fn add(&mut self, target: &str, name: &OsString, path: PathBuf, size: u64) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(size);
        let lazy = contract::lazy_entry(target);
        if *name == *lazy || (*name == *contract::eager_entry(target) && self.entry.is_none()) {
            self.entry = Some(path);
        }
    }
}

fn of_sub_directory(root: &Root, target: &str, directory: &Path) -> Files {
    let mut files = Files::default();
    for name in root.names(directory).unwrap_or_default() {
        let path = directory.join(&name);
        match root.metadata(&path) {
            Ok(metadata) if metadata.is_file() => {
                if name == COMMON_ENTRY && files.entry.is_none() {
                    files.entry = Some(path.clone());
                }
                files.add(target, &name, path, metadata.len());
            }
            _ => {}
        }
    }
    files
}

fn target_of(name: &OsString) -> Option<String> {
    gpu_of(name.to_str()?).map(str::to_owned)
}

/// The directories of rocBLAS 4.3 and later, in search order, and Debian's.
fn directory(root: &Root, lib: &Path, version: Option<&str>) -> Option<PathBuf> {
    let fixed = contract::PLACES_OF_ROCBLAS.map(|path| lib.join(path));
    let debian = debian_directory(root, lib, version);
    let existing = |path: &PathBuf| root.metadata(path).is_ok_and(|metadata| metadata.is_dir());
    let found = fixed.into_iter().chain(debian).find(existing)?;
    root.resolve(&found).ok()
}

/// Debian's: `rocblas/4.4.1/library` for 4.4, `rocblas/5/library` for 5.2. The path is compiled in; its
/// version has more or fewer parts than the file's. Without a version, only if there is exactly one.
fn debian_directory(root: &Root, lib: &Path, version: Option<&str>) -> Option<PathBuf> {
    let base = lib.join(contract::ROCBLAS);
    let names = root.names(&base).ok()?;
    let versions: Vec<&str> = names
        .iter()
        .filter_map(|name| name.to_str())
        .filter(|name| name.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    let name = match version {
        Some(version) => {
            let fitting = versions.into_iter().filter(|name| agree(name, version));
            fitting.max_by_key(|name| name.len())?
        }
        None if versions.len() == 1 => versions[0],
        None => return None,
    };
    Some(base.join(name).join(contract::LIBRARY))
}

/// Whether two versions are equal in all parts that both have.
fn agree(one: &str, other: &str) -> bool {
    one.split('.').zip(other.split('.')).all(|(one, other)| one == other)
}

#[cfg(test)]
mod tests;
