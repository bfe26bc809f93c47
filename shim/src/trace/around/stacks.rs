//! Records the call stacks of some calls: return addresses, and the files that contain them. The reader of a trace
//! finds the names.
//!
//! **`_Unwind_Backtrace` of libgcc walks the stack.** The shim needs libgcc for exceptions anyway. It uses the unwind
//! tables in memory (`.eh_frame`), which the x86-64 ABI requires of all code and `strip` does not remove, so programs
//! need neither frame pointers nor symbols. A walk by frame pointers would be ten times as fast, but distributions
//! compile without them; rbp then has an arbitrary value, and usually only the first frame would be right. The walk
//! ends at code without unwind tables, such as that of a just-in-time compiler; this frame is the last one. A walk is as
//! safe as an exception thrown at the same place, because both read the same tables; wrong hand-written tables can crash
//! either.
//!
//! The walk runs in the thread of the call, before the record is written, never in a signal handler. With glibc 2.35 and
//! GCC 12 or later the walk itself takes no lock and allocates nothing. Asking the loader for its count of libraries
//! (`modules.rs`), and a walk with older versions, take the loader's lock for its list of libraries, which is not held
//! while constructors run.

mod modules;

pub(in crate::trace) use modules::Modules;

use super::{
    super::{clock, events::append, thread::preserving_errno},
    Arguments, Recipe, Session, Slot, Thread,
    gpu_time::is_due,
};
use crate::arch::walk;
use core::{
    ffi::c_void,
    sync::atomic::{AtomicU64, Ordering},
};
use rocblas_trace::layout::{
    HEAD, Stack,
    event::{MOST_FRAMES, STACK, STACK_HEAD},
};

// libgcc_s: `unwind.h`.
unsafe extern "C" {
    fn _Unwind_Backtrace(
        visit: unsafe extern "C" fn(*mut c_void, *mut c_void) -> i32,
        data: *mut c_void,
    ) -> i32;
    fn _Unwind_GetIPInfo(context: *mut c_void, is_before: *mut i32) -> usize;
}

/// The state of a thread.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The number of calls so far.
    calls: u64,
    /// The latest stack.
    latest: Option<Latest>,
}

/// A recorded stack.
#[derive(Clone, Copy, Debug)]
struct Latest {
    record: *mut u64,
    /// The end of the record.
    end: *mut u64,
    sequence: u64,
}

/// Return addresses, the innermost first.
struct Frames<'a> {
    addresses: &'a mut [u64],
    count: usize,
    /// The number of the shim's own frames that are still to be skipped.
    own: usize,
    is_cut: bool,
}

impl Frames<'_> {
    /// Collects the stack of the call whose caller has this stack pointer.
    ///
    /// # Safety
    /// As for [`walk`], and there is room for one address.
    unsafe fn collect(&mut self, stack: usize) {
        // SAFETY: by contract, and the prototypes of the function's own header.
        unsafe { walk(visit, (&raw mut *self).cast(), stack, _Unwind_Backtrace) };
        if self.count == 0 {
            // If the walk fails, the caller's own address is still known.
            // SAFETY: the call instruction stored it there.
            self.addresses[0] = unsafe { *core::ptr::with_exposed_provenance::<u64>(stack - 8) };
            self.count = 1;
        }
    }
}

/// # Safety
/// Called by the unwinder with what [`Frames::collect`] has given it.
unsafe extern "C" fn visit(context: *mut c_void, frames: *mut c_void) -> i32 {
    const GO_ON: i32 = 0;
    const END: i32 = 5;
    // SAFETY: by contract; nobody else has a reference to them during the walk.
    let frames = unsafe { &mut *frames.cast::<Frames<'_>>() };
    if frames.own > 0 {
        frames.own -= 1;
        return GO_ON;
    }
    let mut is_before = 0;
    // SAFETY: the context of the frame, and memory for the result.
    let address = unsafe { _Unwind_GetIPInfo(context, &raw mut is_before) } as u64;
    if address == 0 {
        return END;
    }
    match frames.addresses.get_mut(frames.count) {
        Some(place) => {
            *place = address + u64::from(is_before != 0);
            frames.count += 1;
            GO_ON
        }
        None => {
            frames.is_cut = true;
            END
        }
    }
}

/// Records the stack of the call that is about to be made, if it is due.
pub(super) fn before(
    state: &mut State,
    session: &'static Session,
    thread: &mut Thread,
    recipe: &Recipe,
    call: Arguments,
) {
    // Nested calls belong to the outer one; lines to stderr are written when the call ends.
    let every = session.options.stacks.filter(|_| thread.depth() == 0 && !session.to_stderr);
    let Some(every) = every else { return };
    state.latest = None;
    let is_due = is_due(state.calls, every);
    state.calls += 1;
    if !is_due || !thread.is_writing() {
        return;
    }
    let begin = clock::now();
    let mut words = [0; STACK_HEAD + MOST_FRAMES];
    let (head, addresses) = words.split_at_mut(STACK_HEAD);
    let mut frames = Frames { addresses, count: 0, own: 1, is_cut: false };
    thread.without_tracing(|_| {
        // Before the walk: libraries that are loaded later are in none of its frames.
        preserving_errno(|| session.modules.write_new(session));
        // SAFETY: the stack pointer of the call that this thread is about to make.
        unsafe { frames.collect(call.stack()) };
    });
    let length = STACK_HEAD + frames.count;
    head[4] = if frames.is_cut { Stack::CUT } else { 0 };
    // The record of the call follows immediately, so that both can be removed together.
    if thread.room() < length * 8 + recipe.room() && !thread.make_room(session) {
        return;
    }
    words[3] = thread.sequence + 1;
    let (record, sequence) = (thread.cursor, thread.sequence);
    append(session, thread, STACK, begin, &mut words[..length]);
    state.latest = Some(Latest { record, end: thread.cursor, sequence });
}

/// Removes the stack of a call whose record was removed.
pub(super) fn taken_back(state: &mut State, thread: &mut Thread, slot: &Slot) {
    let latest = state.latest.take_if(|latest| latest.end == slot.record);
    if let Some(Latest { record, sequence, .. }) = latest {
        // SAFETY: a record of this thread's in a file that is mapped.
        unsafe { AtomicU64::from_ptr(record.add(HEAD)).store(0, Ordering::Release) };
        thread.cursor = record;
        thread.sequence = sequence;
    }
}
