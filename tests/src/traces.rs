//! The traces of a program, read completely.

use rocblas_trace::{
    call::Answer,
    layout::{NOTE, Note},
    read::{Digest, Finding, Merged, Next, Record, Saved, SkippedCalls, Trace, Tracked, traces_in},
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
    /// The number of calls of the thread that were in flight.
    pub depth: u8,
    /// The raw arguments.
    pub words: Vec<u64>,
    /// As text: `rocblas_sscal(n=1, alpha=2, incx=1)`.
    pub text: String,
    /// The status, if it returned one.
    pub status: Option<i32>,
    /// Whether it has returned.
    pub has_ended: bool,
    /// Whether it was abandoned by an exception.
    pub was_left: bool,
    /// Further facts about it.
    pub note: Note,
    /// Whether the shim itself handled it.
    pub by_shim: bool,
    /// The device of its handle, if known.
    pub device: Option<i64>,
    /// The number of its handle's stream, if the handle is known.
    pub stream: Option<u32>,
    /// When it was entered, in ticks.
    pub begin: u64,
    /// How long it took, in ticks.
    pub ticks: u64,
}

/// The calls of a thread.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thread {
    /// In order.
    pub calls: Vec<Recorded>,
    /// Why there are no more.
    pub state: Option<rocblas_trace::layout::State>,
    /// The system's error if its file could not grow.
    pub errno: u32,
    /// Calls that were too short for the filter.
    pub filtered: u64,
    /// The number of calls that were not recorded.
    pub untraced: u64,
    /// The number of records that later ones overwrote.
    pub overwritten: u64,
    /// How many records it had written when it ended, according to its file; 0 if it has not ended.
    pub records: u64,
    /// The file's length in bytes.
    pub bytes: u64,
}

/// A trace.
#[derive(Debug)]
pub struct Traced {
    /// Its directory.
    pub directory: PathBuf,
    /// The process.
    pub process: rocblas_trace::process::Process,
    /// Its threads, in the order of their numbers.
    pub threads: Vec<Thread>,
    /// The devices' names and targets.
    pub devices: Vec<(u64, String, String)>,
    /// How it was stopped, if it was.
    pub ended: Option<String>,
    /// The findings of checks.
    pub findings: Vec<Finding>,
    /// Digests of operands.
    pub digests: Vec<Digest>,
    /// Calls that were skipped.
    pub skipped: Vec<SkippedCalls>,
    /// Calls whose operands are in files.
    pub saved: Vec<Saved>,
    /// How many calls were checked.
    pub checked: u64,
}

/// The traces in a directory, of programs that have ended.
///
/// # Panics
/// If one cannot be read, or is damaged: a trace must be intact however its program ended.
#[must_use]
pub fn read_all(directory: &Path) -> Vec<Traced> {
    read_each(directory).collect()
}

/// The same as an iterator, for more traces than fit into memory.
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
/// As [`read_all`], and if the number of traces is not one.
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
    let (mut findings, mut digests) = (Vec::new(), Vec::new());
    let (mut skipped, mut saved, mut checked) = (Vec::new(), Vec::new(), 0);
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
        match record {
            Record::Finding(finding) => findings.push(finding),
            Record::Digest(digest) => digests.push(digest),
            Record::Skipped(calls) => skipped.push(calls),
            Record::Saved(call) => saved.push(call),
            Record::Checked(calls) => checked += calls.calls,
            _ => {}
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
        findings,
        digests,
        skipped,
        saved,
        checked,
    }
}

impl Traced {
    /// The calls of all threads.
    #[must_use]
    pub fn calls(&self) -> Vec<&Recorded> {
        self.threads.iter().flat_map(|thread| &thread.calls).collect()
    }

    /// The calls of all threads as text.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        self.calls().into_iter().map(|call| call.text.as_str()).collect()
    }

    /// Panics unless each thread's calls are numbered without a gap, except for events, of which there are at most two
    /// for each handle.
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
