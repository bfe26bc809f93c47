//! Reads a trace: complete, still being written, left by a crash, or damaged.
//!
//! | file | what it does |
//! |---|---|
//! | `trace.rs` | a directory: the process, its threads, its clock |
//! | `thread.rs` | a thread's file, segment by segment, in bounded memory |
//! | `walk.rs` | the records of a segment, and what is between them if it is damaged |
//! | `table.rs` | the functions of the trace's table by those of this program |
//! | `merged.rs` | the threads' records in the order of time |
//! | `tracked.rs` | which handle is on which device and stream, in which mode |
//! | `backends.rs` | the backends of a trace, and whose a handle was at a time |
//! | `clock.rs` | ticks to nanoseconds |
//! | `open.rs` | opens files, and no pipes or devices |
//! | `problem.rs` | what could not be read, and where |
//!
//! Files are read and not mapped: a file that is cut off while it is read is an error and no signal.
//! A trace may be anybody's: time and memory are bounded by what its files take on the disk.

mod backends;
mod clock;
mod merged;
mod open;
mod problem;
mod table;
#[cfg(test)]
mod testing;
mod thread;
mod trace;
mod tracked;
mod walk;

pub use backends::{Backends, Owners};
pub use clock::Timeline;
pub use merged::{Merged, Next};
pub use problem::{NO_CALLS, Problem, Unreadable};
pub use table::Table;
pub use thread::{ThreadReader, Written};
pub use trace::{Life, Trace, started, traces_in};
pub use tracked::{Device, HandleState, Tracked};
pub use walk::{DeviceSeen, HandleSeen, Record};

#[cfg(test)]
mod tests;
