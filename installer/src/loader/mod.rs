//! What the dynamic loader would do with a program, foretold without running anything: which files
//! it maps, and what it would complain of.
//!
//! The model is glibc's `ld.so` (`elf/dl-load.c`, `dl-deps.c`, `dl-lookup.c`, `dl-version.c`),
//! inside a [`Root`], whose libc need not be this machine's. Left out:
//! `LD_PRELOAD` and audit libraries, filters (DT_FILTER), `-z nodeflib`, and the directories per
//! processor that glibc searched before 2.37 besides `glibc-hwcaps`.

mod binding;
pub mod cache;
pub mod closure;
mod directories;
mod hwcaps;
mod objects;
mod problem;
mod search;

pub use closure::{Closure, How, Loaded, Start, check};
pub use problem::Problem;

use crate::root::Root;
use std::path::PathBuf;

/// The file that the loader finds for a name in its cache or its own directories, resolved.
#[must_use]
pub fn find(root: &Root, name: &str) -> Option<PathBuf> {
    let (search, _) = search::Search::new(root, &[]);
    search.find(name, &[], &[]).ok().map(|found| found.resolved)
}
