//! x86-64, System V ABI.
//!
//! In the order of a call: `stubs` (what a client reaches), `cold` and `entry` (a call that has no
//! function to go to yet), `thunk` (a call that is traced) and `thread_pointer` (where a thunk finds the
//! state of its thread).

mod cold;
mod entry;
mod stubs;
mod thread_pointer;
mod thunk;

/// Of `pthread.h`: threads are not cancelled, and what asks for it stays pending.
const PTHREAD_CANCEL_DISABLE: i32 = 1;

unsafe extern "C" {
    /// <https://man7.org/linux/man-pages/man3/pthread_setcancelstate.3.html>. Not a cancellation point.
    /// Called through the GOT: linkers other than GNU's describe no PLT to unwinders.
    fn pthread_setcancelstate(state: i32, old: *mut i32) -> i32;
}

pub(crate) use cold::COLD_ENTRIES;
pub(crate) use thread_pointer::{find_offset, thread_pointer};
pub(crate) use thunk::thunks;
