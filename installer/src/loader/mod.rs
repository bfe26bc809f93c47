//! Predicts what the dynamic loader would do with a program, without running anything: which files it maps,
//! and what it would reject.
//!
//! The model is glibc's `ld.so` (`elf/dl-load.c`, `dl-deps.c`, `dl-lookup.c`, `dl-version.c`), inside a
//! [`Root`], whose libc may differ from this machine's. Not modelled: audit libraries, filters (DT_FILTER),
//! `-z nodeflib`, and the directories per processor that glibc searched before 2.37 besides `glibc-hwcaps`.

mod binding;
pub mod cache;
pub mod closure;
mod directories;
mod environment;
mod hwcaps;
mod lookup;
mod objects;
mod problem;
mod search;

pub use closure::{Closure, How, Loaded, Start, check, check_in};
pub use environment::Environment;
pub use lookup::Lookup;
pub use problem::Problem;

use crate::root::Root;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Whether the loader's cache lists files of a directory, which is resolved.
#[must_use]
pub fn caches(root: &Root, directory: &Path) -> bool {
    let Ok(file) = root.open(Path::new(search::CACHE)) else { return false };
    let Ok(cache) = cache::Cache::read(&file) else { return false };
    let directories: BTreeSet<&Path> = cache.paths().filter_map(Path::parent).collect();
    directories.iter().any(|cached| root.resolve(cached).is_ok_and(|path| path == directory))
}

/// The file that the loader finds for a name in its cache or its own directories, resolved.
#[must_use]
pub fn find(root: &Root, name: &str) -> Option<PathBuf> {
    let (search, _) = search::Search::new(root, &[]);
    search.find(name, &[], &[]).ok().map(|found| found.resolved)
}
