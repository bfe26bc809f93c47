//! Traces of rocBLAS calls: what the shim writes and tools read.
//!
//! A trace is a directory for a process: [`process::PROCESS`] says in JSON what ran, with which
//! settings and which functions; a file `thread-NNNN.trace` for each thread has its calls
//! ([`layout`]); [`process::ENDED`] appears when the trace was stopped. The files are written through
//! shared memory, so they hold every call up to the one under way wherever the process ends, be it by
//! SIGKILL. Loss of power is another matter: nothing is synchronised to disk.
//!
//! The shim uses [`layout`], [`process`], [`options`] and, to print calls, [`call`] and [`text`]. Tools read with
//! `read` (feature `read`), which believes no length in a file.

pub mod call;
pub mod layout;
pub mod options;
pub mod process;
#[cfg(any(feature = "read", test))]
pub mod read;
pub mod text;
