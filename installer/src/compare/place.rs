//! The directories of the traces: one for each run, below a directory that is either kept or temporary.

use crate::output::shown;
use anyhow::{Context, Result, bail};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// The directory of all traces.
#[derive(Debug)]
pub(super) enum Place {
    Kept(PathBuf),
    /// Removed when dropped.
    Temporary(TempDir),
}

impl Place {
    /// Creates the directory. A kept one must be empty: old traces would be mistaken for new ones.
    pub(super) fn new(keep: Option<&Path>) -> Result<Self> {
        let Some(path) = keep else {
            let directory = tempfile::Builder::new().prefix("rocblas-compare-").tempdir();
            let directory =
                directory.context("cannot make a temporary directory for the traces")?;
            return Ok(Self::Temporary(directory));
        };
        // The program may change its working directory.
        let path = std::path::absolute(path).context("cannot tell the current directory")?;
        let failed = || format!("--keep {}: cannot make a directory for the traces", shown(&path));
        fs::create_dir_all(&path).with_context(failed)?;
        if fs::read_dir(&path).with_context(failed)?.next().is_some() {
            bail!(
                "--keep {}: the directory is not empty, and its traces would be mixed with new ones: \
                 name another directory, or remove what is in it",
                shown(&path)
            );
        }
        Ok(Self::Kept(path))
    }

    /// The directory, if it is kept.
    pub(super) fn kept(&self) -> Option<&Path> {
        match self {
            Self::Kept(path) => Some(path),
            Self::Temporary(_) => None,
        }
    }

    /// The directory, if it is to be removed.
    pub(super) fn temporary(&self) -> Option<&Path> {
        match self {
            Self::Kept(_) => None,
            Self::Temporary(directory) => Some(directory.path()),
        }
    }

    /// Creates the directory of a run, such as `1-6.3.0/run-2`, from the number and name of the backend and
    /// the name of the run.
    pub(super) fn of(&self, backend: usize, name: &str, run: &str) -> io::Result<PathBuf> {
        let top = match self {
            Self::Kept(path) => path,
            Self::Temporary(directory) => directory.path(),
        };
        // For a path, this is the name of the file. The number distinguishes backends with the same name.
        let name = Path::new(name).file_name().unwrap_or_default().display();
        let path = top.join(format!("{}-{name}", backend + 1)).join(run);
        fs::create_dir_all(&path)?;
        Ok(path)
    }
}
