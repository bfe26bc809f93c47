//! The traces at a path, which is the directory of one process or a directory of several traces.

use crate::{
    output::{Listed, notice, shown},
    progress::Bar,
};
use anyhow::{Context, Result};
use rocblas_trace::{
    capture::remove_abandoned,
    options::Options,
    read::{GpuTimes, Life, ThreadReader, Timeline, Trace, Unreadable, traces_in},
};
use std::path::{Path, PathBuf};

/// A trace with readers for its threads.
#[derive(Debug)]
pub struct Opened {
    /// The trace.
    pub trace: Trace,
    /// Readers at the start of their files.
    pub threads: Vec<ThreadReader>,
    /// Its clock.
    pub timeline: Timeline,
    /// Messages about files that could not be opened.
    pub complaints: Vec<String>,
}

impl Opened {
    /// Opens a trace.
    ///
    /// # Errors
    /// Fails if it cannot be read, or was written by a newer program.
    pub fn new(directory: &Path) -> Result<Self> {
        let trace = Trace::open(directory)?;
        let (mut threads, unreadable) = trace.threads()?;
        // A running program may be writing a record at this moment: only the data present now is read.
        threads.iter_mut().for_each(ThreadReader::close);
        let timeline = trace.timeline(&threads);
        let mut complaints: Vec<String> =
            trace.complaint().into_iter().map(str::to_owned).collect();
        complaints.extend(unreadable.iter().map(ToString::to_string));
        for file in remove_abandoned(directory) {
            notice(&format!(
                "removed {}: the process that wrote this capture ended before it was complete",
                shown(&file)
            ));
        }
        Ok(Self { trace, threads, timeline, complaints })
    }

    /// The options of the recording; `None` if the trace does not contain all of them.
    #[must_use]
    pub fn options(&self) -> Option<Options> {
        let list = &self.trace.process()?.settings.options;
        let mut options = Options::default();
        // A complete list is never empty. An unknown option comes from a newer program.
        (!list.is_empty() && options.set_all(list).is_ok()).then_some(options)
    }

    /// The GPU times of its calls, which come later in a thread's file than the calls themselves.
    ///
    /// # Errors
    /// Fails if the directory cannot be read.
    pub fn gpu_times(&self) -> Result<GpuTimes> {
        let are_there = self.options().is_some_and(|options| options.gpu_time.is_some());
        Ok(if are_there { GpuTimes::read(self.trace.threads()?.0) } else { GpuTimes::default() })
    }

    /// Opens all traces at a path, ordered by name. The list is empty for a trace directory into which no
    /// program has recorded a call.
    ///
    /// # Errors
    /// Fails if the path is not a trace directory, or cannot be read.
    pub fn all(path: &Path) -> Result<Vec<Self>> {
        match traces_in(path) {
            Err(Unreadable::NoCalls { .. }) => Ok(Vec::new()),
            directories => directories?.iter().map(|directory| Self::new(directory)).collect(),
        }
    }

    /// Opens the only trace at a path.
    ///
    /// # Errors
    /// As for [`Self::all`]; also fails if there are several, and lists them.
    pub fn only(path: &Path) -> Result<Self> {
        Self::new(&only_directory(path)?)
    }

    /// `llama-server (process 4711)`, or the directory's name if the process is unknown.
    #[must_use]
    pub fn name(&self) -> String {
        name_of(&self.trace)
    }

    /// A progress bar over the data of the given traces.
    #[must_use]
    pub fn bar(traces: &[Self]) -> Bar {
        let bytes = traces.iter().flat_map(|opened| &opened.threads).map(ThreadReader::bytes_left);
        Bar::bytes("Reading the trace", bytes.sum())
    }

    /// Whether its program is currently being traced.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.trace.life() == Life::Running
    }
}

/// `llama-server (process 4711)`, or the directory's name if the process is unknown.
pub(super) fn name_of(trace: &Trace) -> String {
    let Some(process) = trace.process() else { return shown(trace.directory()).to_string() };
    let program = Path::new(&process.program);
    let program = program.file_name().unwrap_or_default().to_string_lossy();
    format!("{program} (process {})", process.pid)
}

/// The directory of the only trace at a path.
///
/// # Errors
/// As for [`Opened::only`].
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
