//! `installer trace`: starts and stops traces of running programs, and reads them.
//!
//! | file | what it does |
//! |---|---|
//! | `command.rs` | carries a command out, and prints |
//! | `control.rs` | talks to a process that is to be traced |
//! | `peer.rs` | which process is at the other end of a socket |
//! | `opened.rs` | the traces at a path, with their progress bar |
//! | `alike.rs` | what makes two calls alike |
//! | `select.rs` | which calls are wanted |
//! | `show.rs` | calls in lines, of a trace that is there and of one that grows |
//! | `work.rs` | operations and bytes of a matrix product or a triangular solver |
//! | `summary/` | calls by function and shape, errors, what was in flight |
//! | `diff.rs` | two summaries, side by side |
//! | `export/` | other programs' formats |
//! | `report/` | a page with everything, for a browser |
//!
//! The format of the files is `rocblas-trace`'s business.

pub(crate) mod alike;
mod command;
pub mod control;
pub mod diff;
pub mod export;
mod opened;
mod peer;
pub mod report;
pub mod select;
pub mod show;
pub mod summary;
pub mod work;

pub use command::run;
pub use opened::Opened;
