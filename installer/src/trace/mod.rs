//! `installer trace`: starts and stops traces of running programs, and reads them.
//!
//! | file | what it does |
//! |---|---|
//! | `command.rs` | runs a command and prints its result |
//! | `capture.rs` | saves the operands of calls of a running process |
//! | `checks.rs` | results of checks, by call |
//! | `control.rs` | communicates with the process to be traced |
//! | `peer.rs` | which process is at the other end of a socket |
//! | `opened.rs` | the traces at a path, with their progress bar |
//! | `alike.rs` | when two calls count as alike |
//! | `looked.rs` | what a trace observes around calls |
//! | `select.rs` | which calls to show |
//! | `show.rs` | prints calls, one per line, of a finished or growing trace |
//! | `show_capture.rs` | describes the file of one captured call |
//! | `stacks/` | call stacks with names |
//! | `work.rs` | operations and bytes of a call |
//! | `summary/` | calls by function and shape, errors, calls in flight |
//! | `diff.rs` | compares two summaries |
//! | `export/` | other programs' formats |
//! | `report/` | a page with everything, for a browser |
//! | `top/` | what a program calls now, in a terminal |
//!
//! The crate `rocblas-trace` defines the format of the files.

pub(crate) mod alike;
mod capture;
pub mod checks;
mod command;
pub mod control;
pub mod diff;
pub mod export;
pub(crate) mod looked;
mod opened;
mod peer;
pub mod report;
pub mod select;
pub mod show;
pub mod show_capture;
pub mod stacks;
pub mod summary;
pub mod top;
pub mod work;

pub use command::run;
pub use opened::Opened;
