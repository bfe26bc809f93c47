//! The traces at a path: one process's directory, or a directory of several.

use crate::{
    output::{Listed, shown},
    progress::Bar,
};
use anyhow::{Context, Result};
use rocblas_trace::read::{Life, ThreadReader, Timeline, Trace, Unreadable, traces_in};
use std::path::{Path, PathBuf};

/// A trace with the readers of its threads.
#[derive(Debug)]
pub struct Opened {
    /// The trace.
    pub trace: Trace,
    /// Readers at the start of their files.
    pub threads: Vec<ThreadReader>,
    /// Its clock.
    pub timeline: Timeline,
    /// Sentences about files that could not be opened.
    pub complaints: Vec<String>,
}

impl Opened {
    /// Opens a trace.
    ///
    /// # Errors
    /// When it cannot be read, or is a newer program's.
    pub fn new(directory: &Path) -> Result<Self> {
        let trace = Trace::open(directory)?;
        let (mut threads, unreadable) = trace.threads()?;
        // A program that runs may write a last record while it is read: what is there now counts.
        threads.iter_mut().for_each(ThreadReader::close);
        let timeline = trace.timeline(&threads);
        let mut complaints: Vec<String> =
            trace.complaint().into_iter().map(str::to_owned).collect();
        complaints.extend(unreadable.iter().map(ToString::to_string));
        Ok(Self { trace, threads, timeline, complaints })
    }

    /// Opens all traces at a path, in the order of their names: none in a directory for traces where no
    /// program has made a call.
    ///
    /// # Errors
    /// A path that is not for traces, or one that cannot be read.
    pub fn all(path: &Path) -> Result<Vec<Self>> {
        match traces_in(path) {
            Err(Unreadable::NoCalls { .. }) => Ok(Vec::new()),
            directories => directories?.iter().map(|directory| Self::new(directory)).collect(),
        }
    }

    /// Opens the trace at a path that has only one.
    ///
    /// # Errors
    /// As [`Self::all`], and where there are several: it says which.
    pub fn only(path: &Path) -> Result<Self> {
        Self::new(&only_directory(path)?)
    }

    /// `llama-server (process 4711)`, or the directory's name where nothing is known.
    #[must_use]
    pub fn name(&self) -> String {
        let Some(process) = self.trace.process() else {
            return shown(self.trace.directory()).to_string();
        };
        let program = Path::new(&process.program);
        let program = program.file_name().unwrap_or_default().to_string_lossy();
        format!("{program} (process {})", process.pid)
    }

    /// A bar over what is to be read of some traces.
    #[must_use]
    pub fn bar(traces: &[Self]) -> Bar {
        let bytes = traces.iter().flat_map(|opened| &opened.threads).map(ThreadReader::bytes_left);
        Bar::bytes("Reading the trace", bytes.sum())
    }

    /// Whether its program is being traced now.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.trace.life() == Life::Running
    }
}

/// The directory of the only trace at a path.
///
/// # Errors
/// As [`Opened::only`].
pub(super) fn only_directory(path: &Path) -> Result<PathBuf> {
    let mut directories = traces_in(path)?;
    if directories.len() > 1 {
        let names: Vec<String> =
            directories.iter().map(|directory| shown(directory).to_string()).collect();
        let count = names.len();
        let what = format!("{} has the traces of {count} processes; name one of them", shown(path));
        return Err(Listed::new(what, names).into());
    }
    directories.pop().with_context(|| format!("{} has no trace", shown(path)))
}
