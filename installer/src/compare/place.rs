//! Where traces go: a directory for each run, in one that is kept or in a temporary one.

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
    /// A new place. One that is kept has to be empty: old traces would be taken for new ones.
    pub(super) fn new(keep: Option<&Path>) -> Result<Self> {
        let Some(path) = keep else {
            let directory = tempfile::Builder::new().prefix("rocblas-compare-").tempdir();
            let directory =
                directory.context("cannot make a temporary directory for the traces")?;
            return Ok(Self::Temporary(directory));
        };
        // Programs may change their directory.
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

    /// Makes the directory of a run: `1-6.3.0/run-2`, by the number of the backend and that of its run.
    pub(super) fn of_run(&self, backend: usize, name: &str, run: u32) -> io::Result<PathBuf> {
        let top = match self {
            Self::Kept(path) => path,
            Self::Temporary(directory) => directory.path(),
        };
        // Of a path, what it is a path of; the number keeps two of the same name apart.
        let name = Path::new(name).file_name().unwrap_or_default().display();
        let path = top.join(format!("{}-{name}", backend + 1)).join(format!("run-{run}"));
        fs::create_dir_all(&path)?;
        Ok(path)
    }
}
