//! x86-64, System V ABI.
//!
//! In the order of a call: `stubs` (the exported symbols), `cold` and `entry` (a call that has no function
//! to jump to yet), `route` (calls while several backends are open), `thunk` (a traced call) and
//! `thread_pointer` (where a thunk finds the state of its thread). `cancellation` surrounds every call from
//! these into Rust, and `backtrace` walks the stack from a traced call.

mod backtrace;
mod cancellation;
mod cold;
mod entry;
mod route;
mod stubs;
mod thread_pointer;
mod thunk;

pub(crate) use backtrace::walk;
pub(crate) use cancellation::{forbid_cancellation, without_cancellation};
pub(crate) use cold::cold_entries;
pub(crate) use route::routed_entries;
#[cfg(not(test))]
pub(crate) use stubs::index_of_stub;
pub(crate) use thread_pointer::{find_offset, thread_pointer};
pub(crate) use thunk::thunks;
