//! The JSON documents of a trace about its process: one is written at the start, one when the trace is stopped.

use crate::layout::ClockPoint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The file that describes the process.
pub const PROCESS: &str = "process.json";

/// The file that appears when the trace is stopped before its process ends.
pub const ENDED: &str = "ended.json";

/// The file with the program's modules, if call stacks are recorded. It appears before the first record with
/// an address in one of them, and is replaced when there are more.
pub const MODULES: &str = "modules.json";

/// A program or library in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Its file.
    pub path: String,
    /// Its build ID, in hexadecimal digits; empty if it has none.
    pub build_id: String,
    /// The offset to add to addresses in the file.
    pub base: u64,
    /// Its first address, and the first address after it.
    pub range: [u64; 2],
    /// When it was first seen, in ticks: an address belongs to the latest module at that address.
    pub since: u64,
}

/// The name of the file about a further backend, by its number, from 1. It appears before the first record of
/// one of its handles.
#[must_use]
pub fn backend_file(number: u8) -> String {
    format!("backend-{number}.json")
}

/// The name of a thread's file, by its number in the trace.
#[must_use]
pub fn thread_file(ordinal: u32) -> String {
    format!("thread-{ordinal:04}.trace")
}

/// The name of the file with the operands of a call, by its thread's number in the trace and the call's number in
/// the thread.
#[must_use]
pub fn saved_file(ordinal: u32, sequence: u64) -> String {
    format!("call-{ordinal}-{sequence}.safetensors")
}

/// Whether a file of a trace belongs to a thread.
#[must_use]
pub fn is_thread_file(name: &str) -> bool {
    let number = name.strip_prefix("thread-").and_then(|rest| rest.strip_suffix(".trace"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// The process, and how it was traced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// [`crate::layout::VERSION`].
    pub format: u32,
    /// The program's file.
    pub program: String,
    /// Its arguments, from `argv[0]` on. Invalid UTF-8 is replaced.
    pub arguments: Vec<String>,
    /// The PID, in the process's own namespace.
    pub pid: u32,
    /// When the process started, in the kernel's ticks since boot: together with `pid` and `boot` this identifies
    /// the process.
    pub started: u64,
    /// The kernel's boot ID.
    pub boot: String,
    /// The machine's name.
    pub host: String,
    /// The shim's version.
    pub shim: String,
    /// The backend that handled the calls.
    pub backend: Backend,
    /// Promises of rocBLAS 5.0.2 that the shim kept for it.
    pub promises: Vec<String>,
    /// The clock of the records.
    pub clock: Clock,
    /// The options of the trace.
    pub settings: Settings,
    /// The environment variables that affect rocBLAS and HIP.
    pub environment: BTreeMap<String, String>,
    /// [`crate::layout::table_identity`] of `functions`.
    pub table: u64,
    /// Names of the exported C functions, by the index in records.
    pub functions: Vec<String>,
}

/// The rocBLAS behind the shim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// Its name in the store, or its file name.
    pub name: String,
    /// Its file.
    pub path: String,
    /// Its version string.
    pub version: String,
}

/// The maximum number of backends that a process can have open.
pub const MOST_BACKENDS: usize = 8;

/// A backend other than the first one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FurtherBackend {
    /// The backend.
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
    /// `tsc`, the processor's counter, or `monotonic`, if the counter is not invariant.
    pub kind: String,
    /// Ticks per second, as measured within a millisecond at the start. Readings in the threads' files give a
    /// more precise value.
    pub hertz: f64,
    /// A reading at the start.
    pub start: Point,
}

/// A simultaneous reading of three clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// The records' clock, in ticks.
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

/// The options of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Each thread keeps only its most recent records in this many bytes; `None`: all records.
    pub ring: Option<u64>,
    /// The maximum size for all threads, in bytes.
    pub limit: u64,
    /// Patterns of function names, with the prefix `-` to exclude functions; if empty, all functions.
    pub functions: Vec<String>,
    /// Shorter calls are not recorded; in nanoseconds.
    pub min: u64,
    /// The trace stops after that many calls.
    pub first: Option<u64>,
    /// Whether HIP was queried at each call whether its stream is being captured.
    #[serde(default)]
    pub capture: bool,
    /// All options, in the syntax of `ROCBLAS_SHIM_TRACE_OPTIONS`; empty in traces of version 2 and earlier.
    #[serde(default)]
    pub options: String,
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
