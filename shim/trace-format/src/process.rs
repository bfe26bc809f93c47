//! What a trace says of its process, in JSON, once at its beginning and once when it is stopped.

use crate::layout::ClockPoint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The file that says what ran.
pub const PROCESS: &str = "process.json";

/// The file that appears when the trace is stopped while its process goes on.
pub const ENDED: &str = "ended.json";

/// The name of the file about a further backend, by its number, from 1. It appears before the first record of
/// a handle of it.
#[must_use]
pub fn backend_file(number: u8) -> String {
    format!("backend-{number}.json")
}

/// The name of a thread's file, by its number in the trace.
#[must_use]
pub fn thread_file(ordinal: u32) -> String {
    format!("thread-{ordinal:04}.trace")
}

/// Whether a file of a trace is a thread's.
#[must_use]
pub fn is_thread_file(name: &str) -> bool {
    let number = name.strip_prefix("thread-").and_then(|rest| rest.strip_suffix(".trace"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// What ran, and how it was traced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// [`crate::layout::VERSION`].
    pub format: u32,
    /// The program's file.
    pub program: String,
    /// Its arguments, the name it was called by first. What is not UTF-8 is replaced.
    pub arguments: Vec<String>,
    /// The kernel's number of the process, in its own name space.
    pub pid: u32,
    /// When the process started, in the kernel's ticks since boot: with `pid` and `boot` it names one
    /// process.
    pub started: u64,
    /// The kernel's name of this run of the machine.
    pub boot: String,
    /// The machine's name.
    pub host: String,
    /// The shim's version.
    pub shim: String,
    /// What answered the calls.
    pub backend: Backend,
    /// Promises of rocBLAS 5.0.2 that the shim kept for it.
    pub promises: Vec<String>,
    /// The clock of the records.
    pub clock: Clock,
    /// What was to be recorded.
    pub settings: Settings,
    /// Variables of the environment that matter to rocBLAS and HIP.
    pub environment: BTreeMap<String, String>,
    /// [`crate::layout::table_identity`] of `functions`.
    pub table: u64,
    /// Names of the exported C functions, by the index that records have.
    pub functions: Vec<String>,
}

/// The rocBLAS behind the shim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// Its name in the store, or its file name.
    pub name: String,
    /// Its file.
    pub path: String,
    /// What it says of itself.
    pub version: String,
}

/// The most backends that a process can have open.
pub const MOST_BACKENDS: usize = 8;

/// A backend that was opened besides the first one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FurtherBackend {
    /// Which.
    #[serde(flatten)]
    pub backend: Backend,
    /// Promises of rocBLAS 5.0.2 that the shim keeps for it.
    pub promises: Vec<String>,
    /// Names of the functions that the shim implements instead of this backend.
    pub by_shim: Vec<String>,
}

/// The clock of the records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// `tsc`, the processor's counter, or `monotonic`, where that does not run evenly.
    pub kind: String,
    /// Ticks in a second, as measured within a millisecond at the start. Readings in the threads'
    /// files tell it better.
    pub hertz: f64,
    /// A reading at the start.
    pub start: Point,
}

/// A reading of three clocks at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Of the records' clock, in ticks.
    pub ticks: u64,
    /// `CLOCK_MONOTONIC` in nanoseconds.
    pub monotonic: u64,
    /// Nanoseconds since 1970.
    pub realtime: u64,
}

impl From<Point> for ClockPoint {
    fn from(point: Point) -> Self {
        Self { ticks: point.ticks, monotonic: point.monotonic }
    }
}

/// What was to be recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Each thread keeps its last records in this many bytes; `None`: all.
    pub ring: Option<u64>,
    /// The most bytes for all threads.
    pub limit: u64,
    /// Patterns of function names, those to leave out with a `-`; none: all functions.
    pub functions: Vec<String>,
    /// Shorter calls are left out; in nanoseconds.
    pub min: u64,
    /// The trace stops after that many calls.
    pub first: Option<u64>,
    /// Whether HIP was asked at each call if its stream captures.
    #[serde(default)]
    pub capture: bool,
}

/// How a trace was stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Why.
    pub why: String,
    /// When.
    pub at: Point,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_files_are_known_by_their_names() {
        assert_eq!(thread_file(3), "thread-0003.trace");
        assert!(is_thread_file(&thread_file(3)) && is_thread_file(&thread_file(123_456)));
        for other in [PROCESS, ENDED, "thread-.trace", "thread-1.trace.txt", "thread-x.trace"] {
            assert!(!is_thread_file(other), "{other}");
        }
    }
}
