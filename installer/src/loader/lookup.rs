//! Finds a library's direct dependencies, without following theirs.

use super::search::Search;
use crate::root::Root;
use std::path::{Path, PathBuf};

/// The places in which the loader searches for a library's dependencies.
#[derive(Debug)]
pub struct Lookup<'a> {
    search: Search<'a>,
    rpaths: Vec<PathBuf>,
    runpaths: Vec<PathBuf>,
}

impl<'a> Lookup<'a> {
    /// For a library in the directory `origin` with this DT_RPATH and DT_RUNPATH. `more` follows them:
    /// directories that the library's loading object searches.
    #[must_use]
    pub fn new(
        root: &'a Root,
        origin: &Path,
        (rpath, runpath): (&[String], &[String]),
        more: &[PathBuf],
    ) -> Self {
        // Without a cache, or with a damaged one, the loader continues.
        let (search, _) = Search::new(root, &[]);
        let directories = |path: &[String]| -> Vec<PathBuf> {
            path.iter().filter_map(|directory| search.expand(directory, origin)).collect()
        };
        let rpaths = directories(rpath);
        let mut runpaths = directories(runpath);
        runpaths.extend_from_slice(more);
        Self { search, rpaths, runpaths }
    }

    /// The path by which the loader finds the library of a name; symlinks are not resolved.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        self.search.find(name, &self.rpaths, &self.runpaths).ok().map(|found| found.path)
    }
}
