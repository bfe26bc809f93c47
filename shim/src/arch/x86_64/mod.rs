//! x86-64, System V ABI.
//!
//! In the order of a call: `stubs` (what a client reaches), `cold` and `entry` (a call that has no
//! function to go to yet), `route` (calls while several backends are open), `thunk` (a call that is traced) and `thread_pointer` (where a thunk finds the
//! state of its thread). `cancellation` is around whatever these call in Rust.

mod cancellation;
mod cold;
mod entry;
mod route;
mod stubs;
mod thread_pointer;
mod thunk;

pub(crate) use cancellation::{forbid_cancellation, without_cancellation};
pub(crate) use cold::cold_entries;
pub(crate) use route::routed_entries;
pub(crate) use thread_pointer::{find_offset, thread_pointer};
pub(crate) use thunk::thunks;
