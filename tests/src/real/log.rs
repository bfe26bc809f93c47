//! The log of the recording runtime.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The log of one program.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
}

impl Log {
    /// A log that is still empty.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// For `RECORDING_HIP_LOG`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All lines.
    ///
    /// # Panics
    /// When there is no log.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.path)
            .unwrap_or_else(|e| panic!("{}: {e}", self.path.display()));
        text.lines().map(str::to_owned).collect()
    }
}

/// The lines in which two texts differ, side by side, for a message; a dozen at most.
#[must_use]
pub fn difference(left: &[String], right: &[String]) -> Vec<String> {
    let absent = "(nothing)".to_owned();
    let longest = left.len().max(right.len());
    let mut different: Vec<String> = (0..longest)
        .map(|i| (left.get(i).unwrap_or(&absent), right.get(i).unwrap_or(&absent)))
        .filter(|(left, right)| left != right)
        .map(|(left, right)| format!("{left}  |  {right}"))
        .collect();
    if different.len() > 12 {
        let more = different.len() - 12;
        different.truncate(12);
        different.push(format!("and {more} more of {longest}"));
    }
    different
}
