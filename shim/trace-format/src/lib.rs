//! Traces of rocBLAS calls: what the shim writes and tools read.
//!
//! A trace is a directory for one process: [`process::PROCESS`] describes in JSON the program, the settings
//! and the functions; a file `thread-NNNN.trace` per thread contains its calls ([`layout`]);
//! [`process::ENDED`] appears when the trace is stopped. The files are written through shared memory, so they
//! contain every call up to the one in flight even if the process is killed by SIGKILL. They do not survive a
//! power cut, because nothing is synchronised to disk.
//!
//! The operands of single calls are in separate files ([`capture`]).
//!
//! The shim uses [`layout`], [`process`], [`options`], [`capture`], [`numbers`] and, to print calls, [`call`], [`text`] and
//! [`types`]. Tools use `read` (feature `read`), which does not trust any length in a file.

pub mod call;
pub mod capture;
pub mod layout;
pub mod numbers;
pub mod options;
pub mod process;
#[cfg(any(feature = "read", test))]
pub mod read;
pub mod text;
pub mod types;
