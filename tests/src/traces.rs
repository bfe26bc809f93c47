//! What a traced program left: its traces, read whole.

use rocblas_trace::{
    call::Answer,
    layout::{NOTE, Note},
    read::{Merged, Next, Record, Trace, Tracked, traces_in},
    text::{Detail, Signature},
};
use std::path::{Path, PathBuf};

/// A recorded call.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The function.
    pub name: &'static str,
    /// Its number in its thread.
    pub sequence: u64,
    /// How many calls of the thread were under way.
    pub depth: u8,
    /// The raw arguments.
    pub words: Vec<u64>,
    /// As a person reads it: `rocblas_sscal(n=1, alpha=2, incx=1)`.
    pub text: String,
    /// The status, if it returned one.
    pub status: Option<i32>,
    /// Whether it has returned.
    pub has_ended: bool,
    /// Whether it was left by an exception.
    pub was_left: bool,
    /// What is known beside that.
    pub note: Note,
    /// Whether the shim itself answered.
    pub by_shim: bool,
    /// The device of its handle, where that is known.
    pub device: Option<i64>,
    /// The number of its handle's stream, where the handle is known.
    pub stream: Option<u32>,
    /// When it was entered, in ticks.
    pub begin: u64,
    /// How long it took, in ticks.
    pub ticks: u64,
}

/// The calls of a thread.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thread {
    /// In their order.
    pub calls: Vec<Recorded>,
    /// Why there are no more.
    pub state: Option<rocblas_trace::layout::State>,
    /// The system's error, where its file could not grow.
    pub errno: u32,
    /// Calls that were too short for the filter.
    pub filtered: u64,
    /// Calls that had no place.
    pub untraced: u64,
    /// Records that later ones took the place of.
    pub overwritten: u64,
    /// How many records it had written when it ended, as its file says; 0: it had not.
    pub records: u64,
    /// The file's length in bytes.
    pub bytes: u64,
}

/// A trace.
#[derive(Debug)]
pub struct Traced {
    /// Its directory.
    pub directory: PathBuf,
    /// What ran.
    pub process: rocblas_trace::process::Process,
    /// Its threads, in the order of their numbers.
    pub threads: Vec<Thread>,
    /// The devices' names and targets.
    pub devices: Vec<(u64, String, String)>,
    /// How it was stopped, if it was.
    pub ended: Option<String>,
}

/// The traces in a directory, of programs that are gone.
///
/// # Panics
/// When one cannot be read, or is damaged: what is written is whole, however the program ended.
#[must_use]
pub fn read_all(directory: &Path) -> Vec<Traced> {
    read_each(directory).collect()
}

/// The same one after the other, for more than memory has room for.
///
/// # Panics
/// As [`read_all`].
pub fn read_each(directory: &Path) -> impl Iterator<Item = Traced> {
    let traces = traces_in(directory).unwrap_or_else(|e| panic!("{e}"));
    traces.into_iter().map(|directory| read(&directory))
}

/// The only trace in a directory.
///
/// # Panics
/// As [`read_all`], and when there is another number of traces.
#[must_use]
pub fn read_only(directory: &Path) -> Traced {
    let mut traces = read_all(directory);
    assert_eq!(traces.len(), 1, "{:?}", traces.iter().map(|t| &t.directory).collect::<Vec<_>>());
    traces.remove(0)
}

fn read(directory: &Path) -> Traced {
    let trace = Trace::open(directory).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(trace.complaint(), None);
    let (threads, unreadable) = trace.threads().unwrap_or_else(|e| panic!("{e}"));
    assert!(unreadable.is_empty(), "{unreadable:?}");
    let mut read: Vec<Thread> = threads
        .iter()
        .map(|thread| {
            let written = thread.written();
            Thread {
                state: Some(written.state),
                errno: written.errno,
                filtered: written.filtered,
                untraced: written.untraced,
                records: written.records,
                bytes: thread.path().metadata().expect("a file").len(),
                ..Thread::default()
            }
        })
        .collect();
    let mut merged = Merged::new(threads);
    merged.close();
    let mut tracked = Tracked::default();
    while let Next::Record(thread, record) = merged.next() {
        if let Record::Call(call) = record {
            let state = tracked.state(&call);
            let recorded = Recorded {
                name: call.name(),
                sequence: call.sequence(),
                depth: call.depth(),
                words: (0..rocblas_abi::params(call.function()).len())
                    .map(|i| call.argument(i))
                    .collect(),
                text: Signature(call, Detail::Short).to_string(),
                status: match call.result() {
                    Some(Answer::Status(status)) => Some(status),
                    _ => None,
                },
                has_ended: call.end().is_some(),
                was_left: call.was_left(),
                note: Note(call.words()[NOTE]),
                by_shim: call.by_shim(),
                device: state.and_then(|state| state.device),
                stream: state.map(|state| state.stream),
                begin: call.begin(),
                ticks: call.ticks().unwrap_or(0),
            };
            read[thread].calls.push(recorded);
        }
        tracked.take(&record);
    }
    assert!(merged.failures().is_empty(), "{:?}", merged.failures());
    for (thread, reader) in read.iter_mut().zip(merged.threads()) {
        assert_eq!(reader.problems(), [], "{}", reader.path().display());
        thread.overwritten = reader.overwritten();
    }
    let devices = tracked.devices().iter();
    Traced {
        directory: directory.to_owned(),
        process: trace.process().expect("a header").clone(),
        threads: read,
        devices: devices.map(|(n, d)| (*n, d.name.clone(), d.target.clone())).collect(),
        ended: trace.ended().map(|ended| ended.why.clone()),
    }
}

impl Traced {
    /// The calls of all threads.
    #[must_use]
    pub fn calls(&self) -> Vec<&Recorded> {
        self.threads.iter().flat_map(|thread| &thread.calls).collect()
    }

    /// The calls of all threads as a person reads them.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        self.calls().into_iter().map(|call| call.text.as_str()).collect()
    }

    /// Panics unless each thread's calls are numbered without a gap, but for events, of which there
    /// are two for a handle at the most.
    #[track_caller]
    pub fn assert_nothing_is_missing(&self) {
        for thread in &self.threads {
            let numbers: Vec<u64> = thread.calls.iter().map(|call| call.sequence).collect();
            let gaps = numbers.windows(2).filter(|pair| pair[1] != pair[0] + 1);
            // Readers report missing records themselves; this is about calls out of order.
            assert!(numbers.is_sorted(), "{numbers:?}");
            assert!(gaps.clone().all(|pair| pair[1] - pair[0] <= 3), "{numbers:?}");
        }
    }
}
