//! A trace's directory.

use super::{
    backends::Backends, clock::Timeline, open, problem::Unreadable, stacks::Modules, table::Table,
    thread::ThreadReader,
};
use crate::{
    layout::{VERSION, table_identity},
    process::{ENDED, Ended, MODULES, PROCESS, Process, is_thread_file},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The maximum size of the JSON files, in bytes.
const MOST_JSON: u64 = 16 << 20;

/// A trace.
#[derive(Debug)]
pub struct Trace {
    directory: PathBuf,
    process: Option<Process>,
    /// Why there is no [`Self::process`].
    complaint: Option<String>,
    ended: Option<Ended>,
    table: Arc<Table>,
}

/// Whether a trace is still being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its process is running and being traced.
    Running,
    /// It was stopped before its process ended.
    Stopped,
    /// Its process has ended.
    Over,
    /// Its process was on another machine or in another container.
    Unknown,
}

impl Trace {
    /// Opens a trace's directory.
    ///
    /// # Errors
    /// A directory that cannot be read, that has neither a thread's file nor a process header, or that was
    /// written by a newer program. A missing or damaged header is not an error; see [`Self::complaint`].
    pub fn open(directory: &Path) -> Result<Self, Unreadable> {
        let names = thread_files(directory).map_err(|e| Unreadable::io(directory, e))?;
        let process = json::<Process>(&directory.join(PROCESS));
        if names.is_empty() && process.is_err() {
            let what = format!("it has neither {PROCESS} nor a thread's file");
            return Err(Unreadable::other(directory, what));
        }
        let (process, complaint) = match process {
            Ok(process) => (Some(process), None),
            Err(why) => (None, Some(format!("{}: {why}", directory.join(PROCESS).display()))),
        };
        if let Some(Process { format, .. }) = process
            && format > VERSION
        {
            return Err(Unreadable::Newer { path: directory.to_owned(), version: format });
        }
        let table = process.as_ref().map_or_else(Table::default, |process| {
            // The header itself may be damaged.
            let same = process.table == table_identity();
            Table::of(if same { &[] } else { &process.functions }, process.table)
        });
        Ok(Self {
            directory: directory.to_owned(),
            process,
            complaint,
            ended: json(&directory.join(ENDED)).ok(),
            table: Arc::new(table),
        })
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Why the process is not known.
    #[must_use]
    pub fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    /// How it was stopped, if it was.
    #[must_use]
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Its backends.
    #[must_use]
    pub fn backends(&self) -> Backends {
        Backends::of(&self.directory, self.process())
    }

    /// The files that contain the addresses of its call stacks.
    #[must_use]
    pub fn modules(&self) -> Modules {
        Modules::of(json(&self.directory.join(MODULES)).unwrap_or_default())
    }

    /// The table of functions to which its records refer.
    #[must_use]
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// Whether it is still being written.
    #[must_use]
    pub fn life(&self) -> Life {
        let ended: io::Result<bool> = fs::exists(self.directory.join(ENDED));
        if ended.unwrap_or(false) {
            return Life::Stopped;
        }
        let Some(process) = &self.process else { return Life::Unknown };
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        if boot.trim() != process.boot {
            return if process.boot.is_empty() { Life::Unknown } else { Life::Over };
        }
        match started(process.pid) {
            Some(started) if started == process.started => Life::Running,
            // In a container a process has another PID than outside.
            _ if std::process::id() == process.pid => Life::Unknown,
            _ => Life::Over,
        }
    }

    /// Readers of its threads' files, in the order of their numbers, and the files that could not be opened.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn threads(&self) -> Result<(Vec<ThreadReader>, Vec<Unreadable>), Unreadable> {
        self.threads_but(&[])
    }

    /// The same, without the files that are already known.
    ///
    /// # Errors
    /// As for [`Self::threads`].
    pub fn threads_but(
        &self,
        known: &[PathBuf],
    ) -> Result<(Vec<ThreadReader>, Vec<Unreadable>), Unreadable> {
        let live = self.life() == Life::Running;
        let names =
            thread_files(&self.directory).map_err(|e| Unreadable::io(&self.directory, e))?;
        let mut readers = Vec::new();
        let mut unreadable = Vec::new();
        for path in names.into_iter().map(|name| self.directory.join(name)) {
            if known.contains(&path) {
                continue;
            }
            match ThreadReader::open(&path, Arc::clone(&self.table), live) {
                Ok(reader) => readers.push(reader),
                Err(e) => unreadable.push(e),
            }
        }
        Ok((readers, unreadable))
    }

    /// The clock, according to the header and the threads' files.
    #[must_use]
    pub fn timeline(&self, threads: &[ThreadReader]) -> Timeline {
        let fallback = crate::process::Clock {
            kind: String::new(),
            hertz: 1e9,
            start: threads.first().map_or_else(Default::default, |thread| {
                let start = thread.written().start;
                crate::process::Point {
                    ticks: start.ticks,
                    monotonic: start.monotonic,
                    realtime: 0,
                }
            }),
        };
        let clock = self.process.as_ref().map_or(&fallback, |process| &process.clock);
        let latest = threads.iter().map(ThreadReader::last_clock).max_by_key(|point| point.ticks);
        let ended = self.ended.as_ref().map(|ended| ended.at.into());
        let latest = latest.into_iter().chain(ended).max_by_key(|point| point.ticks);
        Timeline::new(clock, latest.unwrap_or_default())
    }
}

/// The traces at a path: the path itself, or those in it, one directory for each process.
///
/// # Errors
/// A path that cannot be read or contains no trace; [`Unreadable::NoCalls`] for a directory that is used
/// only for traces.
pub fn traces_in(path: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let is_trace = |path: &Path| {
        path.join(PROCESS).exists() || thread_files(path).is_ok_and(|names| !names.is_empty())
    };
    if is_trace(path) {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Unreadable::Absent { path: path.to_owned() },
        _ => Unreadable::io(path, e),
    })?;
    let entries: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let mut traces: Vec<PathBuf> =
        entries.iter().filter(|path| is_trace(path)).map(Clone::clone).collect();
    traces.sort();
    if traces.is_empty() {
        if entries.iter().all(|path| is_beside_traces(path)) {
            return Err(Unreadable::NoCalls { path: path.to_owned() });
        }
        let what = "neither it nor a directory in it has traces of the shim (ROCBLAS_SHIM_TRACE=DIR makes one)";
        return Err(Unreadable::other(path, what));
    }
    Ok(traces)
}

/// Whether a file may be in a directory that is used only for traces: a report, or a file that file systems
/// create in a volume.
fn is_beside_traces(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name == b"lost+found" || name.starts_with(b".") || name.ends_with(b".html")
}

fn thread_files(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        if let Ok(name) = entry?.file_name().into_string()
            && is_thread_file(&name)
        {
            names.push(name);
        }
    }
    names.sort_by_key(|name| (name.len(), name.clone()));
    Ok(names)
}

pub(super) fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, String> {
    use std::io::Read;
    let file = open::regular(path).map_err(|e| e.to_string())?;
    let mut text = Vec::new();
    file.take(MOST_JSON + 1).read_to_end(&mut text).map_err(|e| e.to_string())?;
    if text.len() as u64 > MOST_JSON {
        return Err(format!("it is larger than {} MiB", MOST_JSON >> 20));
    }
    serde_json::from_slice(&text).map_err(|e| e.to_string())
}

/// When a process of this machine started, in the kernel's ticks since boot; `None` if it has ended or is a
/// zombie.
#[must_use]
pub fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may itself contain spaces and parentheses.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then(|| fields.nth(18)?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_start_and_no_other_has_it() {
        let own = started(std::process::id()).expect("it runs");
        assert!(own > 0);
        assert_eq!(started(u32::MAX), None);
        let text = fs::read_to_string("/proc/self/stat").expect("there");
        // Field 22 in proc(5).
        let after = text.rsplit_once(") ").expect("a name").1;
        assert_eq!(after.split(' ').nth(19).and_then(|f| f.parse().ok()), Some(own));
    }
}
