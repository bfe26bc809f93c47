//! Reads a trace: complete, still being written, left by a crash, or damaged.
//!
//! | file | what it does |
//! |---|---|
//! | `trace.rs` | a directory: the process, its threads, its clock |
//! | `thread.rs` | a thread's file, segment by segment, in bounded memory |
//! | `walk.rs` | the records of a segment, and damage between them |
//! | `table.rs` | maps the functions of the trace's table to those of this program |
//! | `merged.rs` | the threads' records in the order of time |
//! | `tracked.rs` | the device, stream and mode of each handle |
//! | `backends.rs` | the backends of a trace, and the backend of a handle at a time |
//! | `clock.rs` | ticks to nanoseconds |
//! | `stacks.rs` | the call stacks of calls, and the files that contain their addresses |
//! | `open.rs` | opens only regular files, not pipes or devices |
//! | `problem.rs` | what could not be read, and where |
//!
//! Files are read and not mapped: truncating a file while it is read causes an error and not a signal.
//! A trace is not trusted: time and memory are bounded by the size of its files on the disk.

mod backends;
mod clock;
mod merged;
pub(crate) mod open;
mod problem;
mod stacks;
mod table;
#[cfg(test)]
mod testing;
mod thread;
mod timed;
mod trace;
mod tracked;
mod walk;

pub use backends::{Backends, Owners};
pub use clock::Timeline;
pub use merged::{Merged, Next};
pub use open::regular;
pub use problem::{NO_CALLS, Problem, Unreadable};
pub use stacks::{Modules, Stacks};
pub use table::Table;
pub use thread::{ThreadReader, Written};
pub use timed::{Awaited, GpuTimes};
pub use trace::{Life, Trace, started, traces_in};
pub use tracked::{Device, HandleState, Tracked};
pub use walk::{
    CallId, CheckedCalls, DeviceSeen, Digest, Finding, GpuTime, HandleSeen, Record, Saved,
    SkippedCalls, StackSeen,
};

#[cfg(test)]
mod tests;
