//! Per-thread state of a trace: the place of the next record, and the calls in flight.

use super::{
    around,
    directory::Error,
    file::{Space, TraceFile},
    record::Slot,
    scalars::LARGEST,
    session::Session,
    stop_this,
};
use crate::arch::{find_offset, thread_pointer};
use core::{
    ops::Range,
    ptr::{self, null_mut},
    sync::atomic::{AtomicU32, Ordering},
};
use rocblas_contract::sentences;
use rocblas_trace::layout::{END, MOST_WORDS, NOTE, Note};
use std::io;

/// The maximum depth of nested calls that are recorded. rocBLAS does not call back, so deeper calls are rare.
pub(super) const MOST_DEPTH: usize = 32;

/// The number of handles that a thread remembers, by address, in addition to the latest.
pub(super) const RECENT: usize = 8;

/// Per-thread state, accessed only by its own thread. The fields that the thunk uses come first, in one cache
/// line.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Thread {
    /// The trace that the other fields belong to, or [`NONE`].
    pub(super) session: *const Session,
    /// The place of the next record.
    pub(super) cursor: *mut u64,
    /// A record that ends before this leaves room for the six registers, which the thunk always writes, even
    /// if a function has fewer arguments.
    pub(super) near: *mut u64,
    /// The number of the next record.
    pub(super) sequence: u64,
    /// The caller's stack pointer of the only call in flight, if it began in the thunk and nothing was written
    /// after it; such a call has no slot. 0 if no call is in flight, [`SLOTS`] if the calls in flight are in
    /// the slots.
    pub(super) sole: usize,
    /// The record of that call.
    pub(super) record: *mut u64,
    /// The handle of the latest call that had one, or 0.
    pub(super) handle: usize,
    /// The end of the space for records, including the zero after a record.
    limit: *mut u64,
    /// The number of calls with a slot.
    depth: usize,
    pub(super) slots: [Slot; MOST_DEPTH],
    /// The lowest address of the thread's stack, and the end of the range in which a scalar fits on the stack.
    pub(super) lowest: usize,
    pub(super) highest: usize,
    /// The thread's stack, lowest address and end.
    stack: Range<usize>,
    pub(super) recent: [usize; RECENT],
    /// Whether a slow path is running: a call that it makes is not traced.
    busy: bool,
    /// Whether the thread's records cannot be written, or no longer.
    dead: bool,
    /// Whether this is the shim's own thread, which makes no calls.
    is_own: bool,
    /// Its state for another trace.
    other: Option<Box<Thread>>,
    file: Option<TraceFile>,
    /// Files of earlier traces in which calls are still in flight.
    earlier: Vec<TraceFile>,
    /// For a trace to stderr: the space for records, which are printed at exit.
    scratch: Vec<u64>,
    /// The state of measurements around calls, if there are any.
    pub(super) around: Option<Box<around::State>>,
    /// How often the destructor of the thread's data has run.
    rounds: u32,
}

/// An address that no stack has.
const SLOTS: usize = 1;

/// Means that there is no trace. Not null, because the session is null while no trace is running.
const NONE: *const Session = ptr::dangling();

/// This thread's state; null before its first traced call.
pub(super) fn current() -> *mut Thread {
    // SAFETY: this thread's own variable.
    unsafe { *thread_pointer().cast() }
}

fn set_current(thread: *mut Thread) {
    // SAFETY: as above. There is no destructor: that of [`KEY`] comes later than those of C++ and Rust.
    unsafe { *thread_pointer().cast() = thread };
}

/// This thread's state for a trace. `None` if nothing can be written, or within the slow paths themselves.
#[cold]
#[allow(clippy::mut_from_ref, reason = "the thread's state is no part of the session")]
pub(super) fn attach(session: &'static Session) -> Option<&'static mut Thread> {
    if current().is_null() {
        make_current();
    }
    // SAFETY: created above or earlier, freed only by its own thread when that ends; the only reference,
    // because `busy` keeps nested calls from coming here.
    let thread = unsafe { &mut *current() };
    if thread.busy {
        return None;
    }
    thread.spill_latest_call();
    let attached = preserving_errno(|| thread.without_tracing(|thread| thread.attach(session)));
    // Set even if attaching failed, so that it is not tried again at each call.
    thread.session = session;
    attached.then_some(thread)
}

/// The same of the shim's own thread, unless it has been attached to this trace already.
///
/// It has a state for each of two traces: a call that is under way when its trace is stopped is looked at when it
/// returns, and calls of the next trace have been by then.
#[cold]
#[allow(clippy::mut_from_ref, reason = "the thread's state is no part of the session")]
pub(super) fn attach_own(session: &'static Session) -> Option<&'static mut Thread> {
    if current().is_null() {
        make_current();
    }
    exchange_unless_of(session);
    // SAFETY: this thread's own; no reference is held over anything that looks at it.
    let thread = unsafe { &mut *current() };
    if ptr::eq(thread.session, session) {
        return Some(thread);
    }
    thread.is_own = true;
    attach(session)
}

/// Makes the state for another trace the current one, which is that of the trace before or a new one.
fn exchange_unless_of(session: &Session) {
    // SAFETY: this thread's own, made by Box in `make_current` or below.
    let mut before = unsafe { Box::from_raw(current()) };
    if before.session != NONE && !ptr::eq(before.session, session) {
        let other = before.other.take();
        let mut other = other.unwrap_or_else(|| Box::new(Thread::new(before.stack.clone())));
        if !ptr::eq(other.session, session) {
            other.finish();
            *other = Thread::new(before.stack.clone());
        }
        other.other = Some(before);
        before = other;
    }
    let thread = Box::into_raw(before);
    set_current(thread);
    register_destructor(thread);
}

/// The number of the shim's own thread in traces. Those of the program's threads do not depend on whether it is there.
const OWN: u32 = 0;

/// Creates this thread's state.
fn make_current() {
    let thread = Box::into_raw(Box::new(Thread::new(own_stack())));
    set_current(thread);
    find_offset();
    register_destructor(thread);
}

impl Thread {
    fn new(stack: Range<usize>) -> Self {
        Self {
            session: NONE,
            cursor: null_mut(),
            near: null_mut(),
            sequence: 0,
            sole: 0,
            record: null_mut(),
            handle: 0,
            limit: null_mut(),
            depth: 0,
            slots: [Slot::EMPTY; MOST_DEPTH],
            lowest: stack.start,
            highest: stack.end.saturating_sub(LARGEST),
            stack,
            recent: [0; RECENT],
            busy: false,
            dead: false,
            is_own: false,
            other: None,
            file: None,
            earlier: Vec::new(),
            scratch: Vec::new(),
            around: None,
            rounds: 0,
        }
    }

    fn attach(&mut self, session: &'static Session) -> bool {
        self.sequence = 0;
        self.forget_handles();
        self.dead = false;
        self.around = around::is_wanted(&session.options).then(Box::default);
        self.set_space(Space { from: null_mut(), to: null_mut() });
        self.earlier.extend(self.file.take());
        self.release_earlier();
        if session.to_stderr {
            self.scratch.resize((MOST_DEPTH + 1) * MOST_WORDS, 0);
            let from = self.scratch.as_mut_ptr();
            self.set_space(Space { from, to: from.wrapping_add(self.scratch.len() - 1) });
            return true;
        }
        let ordinal = if self.is_own { OWN } else { session.next_thread() };
        match make_file(session, ordinal) {
            Ok(file) => {
                let file = self.file.insert(file);
                let space = file.next_segment(0);
                self.dead = space.is_none();
                if let Some(space) = space {
                    self.set_space(space);
                }
            }
            Err(why) => {
                session.report_once(&why);
                self.dead = true;
            }
        }
        !self.dead
    }

    /// Gives the call that the thunk began a slot, before the slots are used, another call is recorded, or
    /// another trace begins.
    pub(super) fn spill_latest_call(&mut self) {
        if self.sole > SLOTS {
            // SAFETY: the record of the thread's latest call in this trace. It has not been overwritten: at most
            // the events of its handle follow it, and a ring has more than one segment.
            self.slots[0] = unsafe { Slot::of(self.sole, self.record, self.session) };
            self.set_depth(1);
        }
    }

    /// Removes the record that the thunk was writing, as if there had been no call.
    pub(super) fn withdraw(&mut self) {
        self.cursor = self.record;
        // SAFETY: the place of the next record, in a file that is mapped.
        unsafe { *self.cursor = 0 };
        self.sequence -= 1;
    }

    /// Marks the thunk's latest record as an abandoned call, unless it is complete.
    pub(super) fn leave_latest(&mut self) {
        // SAFETY: a record that the thunk was about to complete, in a file that is mapped.
        unsafe {
            if *self.record.add(END) == 0 {
                *self.record.add(NOTE) |= Note::LEFT;
            }
        }
    }

    /// The number of calls in flight, for a thread whose latest call has a slot.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    pub(super) fn set_depth(&mut self, depth: usize) {
        self.depth = depth;
        self.sole = if depth == 0 { 0 } else { SLOTS };
    }

    /// The number of the thread in the trace; 0 if it has no file.
    pub(super) fn ordinal(&self) -> u32 {
        self.file.as_ref().map_or(0, TraceFile::ordinal)
    }

    /// Whether records are still being written.
    pub(super) fn is_writing(&self) -> bool {
        !self.dead
    }

    /// The number of free bytes in the segment.
    pub(super) fn room(&self) -> usize {
        self.limit.addr() - self.cursor.addr()
    }

    /// Forgets all handles, so that they are recorded again.
    pub(super) fn forget_handles(&mut self) {
        self.handle = 0;
        self.recent = [0; RECENT];
    }

    fn set_space(&mut self, Space { from, to }: Space) {
        const REGISTERS: usize = 6 * 8;
        (self.cursor, self.limit) = (from, to);
        self.near = if to.is_null() { to } else { to.wrapping_byte_sub(REGISTERS) };
    }

    /// Makes room for a record that does not fit. Returns whether that succeeded.
    #[cold]
    pub(super) fn make_room(&mut self, session: &Session) -> bool {
        if self.dead || session.to_stderr {
            self.count(0, 1);
            return false;
        }
        let sequence = self.sequence;
        let space = preserving_errno(|| {
            self.without_tracing(|thread| thread.file.as_mut()?.next_segment(sequence))
        });
        self.dead = space.is_none();
        self.set_space(space.unwrap_or(Space { from: null_mut(), to: null_mut() }));
        if self.dead {
            self.count(0, 1);
        }
        !self.dead
    }

    /// Counts a call that is not in the file because it was too short, or nested too deep.
    pub(super) fn count(&self, filtered: u64, untraced: u64) {
        if let Some(file) = &self.file {
            file.count(filtered, untraced);
        }
    }

    /// Runs `work` without tracing the calls that it makes.
    pub(super) fn without_tracing<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let session = core::mem::replace(&mut self.session, NONE);
        self.busy = true;
        let result = work(self);
        self.busy = false;
        self.session = session;
        result
    }

    /// Releases files of earlier traces, once none of their calls is in flight.
    fn release_earlier(&mut self) {
        let slots = &self.slots[..self.depth];
        self.earlier.retain_mut(|file| {
            let is_used = slots.iter().any(|slot| file.holds(slot.record));
            if !is_used {
                file.unmap();
            }
            is_used
        });
    }

    /// Runs when the thread ends.
    fn finish(&mut self) {
        self.spill_latest_call();
        for slot in &self.slots[..self.depth] {
            slot.mark_left();
        }
        self.set_depth(0);
        if self.around.is_some() && self.file.is_some() {
            // SAFETY: a thread with a file has a trace, which is never freed.
            around::finish(unsafe { &*self.session }, self);
        }
        if let Some(mut file) = self.file.take() {
            file.close(self.cursor, self.sequence);
            file.unmap();
            if self.is_own {
                // SAFETY: as above.
                unsafe { &*self.session }.watch.close();
            }
        }
        self.release_earlier();
        if let Some(mut other) = self.other.take() {
            other.finish();
        }
    }
}

/// Runs when this thread is about to stop the trace outside any traced call: appends the pending measurements, because
/// no later call does.
pub(super) fn finish_own(session: &Session) {
    // SAFETY: null, or this thread's own; no reference is held outside of calls.
    let Some(thread) = (unsafe { current().as_mut() }) else { return };
    let is_in_no_call = thread.sole == 0 && !thread.busy;
    if ptr::eq(thread.session, session) && is_in_no_call && thread.file.is_some() && !thread.dead {
        preserving_errno(|| around::finish(session, thread));
    }
}

/// Creates a thread's file. The error is a message.
fn make_file(session: &'static Session, ordinal: u32) -> Result<TraceFile, String> {
    // A trace to stderr has no files.
    let directory = session.directory()?.ok_or_else(String::new)?;
    TraceFile::create(session, directory, ordinal).map_err(|e| match e {
        Error::System(e)
            if e.kind() == io::ErrorKind::QuotaExceeded && e.raw_os_error().is_none() =>
        {
            let why = "the trace has reached its size limit (limit=SIZE raises it)";
            sentences::thread_not_traced(directory.path().display(), why)
        }
        Error::System(e) => sentences::thread_not_traced(directory.path().display(), e),
        replaced @ Error::Replaced { .. } => {
            stop_this(session, &replaced.to_string());
            sentences::trace_replaced(replaced)
        }
    })
}

/// Runs `work` and restores `errno`, which the caller may be about to read.
pub(super) fn preserving_errno<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: the address of this thread's errno.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { errno.read() };
    let result = work();
    // SAFETY: as above.
    unsafe { errno.write(before) };
    result
}

/// In a forked child: this thread's state belongs to its parent. The files stay mapped, but are no longer
/// referenced.
pub(super) fn reset_after_fork() {
    // SAFETY: null, or this thread's own.
    if let Some(thread) = unsafe { current().as_mut() } {
        let new = Thread::new(thread.stack.clone());
        core::mem::forget(core::mem::replace(thread, new));
    }
}

/// The key whose destructor finishes a thread, plus one; 0 if it has not been created yet.
static KEY: AtomicU32 = AtomicU32::new(0);

/// Registers the destructor that finishes a thread when it ends.
fn register_destructor(thread: *mut Thread) {
    let mut key = KEY.load(Ordering::Acquire);
    if key == 0 {
        let mut made: libc::pthread_key_t = 0;
        // SAFETY: memory for the result, and a function that stays mapped.
        if unsafe { libc::pthread_key_create(&raw mut made, Some(on_exit)) } != 0 {
            // No keys are available: the file is not closed when the thread ends, but has all its records.
            return;
        }
        key = match KEY.compare_exchange(0, made + 1, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => made + 1,
            Err(other) => {
                // SAFETY: a key that no thread has used.
                unsafe { libc::pthread_key_delete(made) };
                other
            }
        };
    }
    // SAFETY: the shim's own key.
    unsafe { libc::pthread_setspecific(key - 1, thread.cast()) };
}

/// Destructors of other keys may still call rocBLAS, in as many rounds as POSIX guarantees, so the thread is
/// finished in the last round.
///
/// # Safety
/// Called by the C library with the value of [`KEY`], which `register_destructor` has set.
unsafe extern "C" fn on_exit(thread: *mut libc::c_void) {
    const ROUNDS: u32 = 3;
    let thread: *mut Thread = thread.cast();
    // SAFETY: the value that `register_destructor` set: this thread's own.
    let own = unsafe { &mut *thread };
    own.rounds += 1;
    if own.rounds < ROUNDS {
        register_destructor(thread);
        return;
    }
    // A pending cancellation must not unwind this frame while a file is being closed. It stays disabled:
    // only destructors run in this thread from now on.
    crate::arch::forbid_cancellation();
    own.finish();
    set_current(null_mut());
    // SAFETY: created by Box in `attach`, and no longer reachable.
    drop(unsafe { Box::from_raw(thread) });
}

/// The addresses of this thread's stack; empty if they cannot be determined.
fn own_stack() -> Range<usize> {
    // SAFETY: a structure of plain words, which the call fills.
    let mut attributes: libc::pthread_attr_t = unsafe { core::mem::zeroed() };
    // SAFETY: this thread, and memory for the result.
    if unsafe { libc::pthread_getattr_np(libc::pthread_self(), &raw mut attributes) } != 0 {
        return 0..0;
    }
    let (mut start, mut size) = (null_mut(), 0);
    // SAFETY: attributes that the call above has filled.
    let failed = unsafe {
        libc::pthread_attr_getstack(&raw const attributes, &raw mut start, &raw mut size)
    };
    // SAFETY: as above; nothing of them is used any more.
    unsafe { libc::pthread_attr_destroy(&raw mut attributes) };
    if failed == 0 { start as usize..start as usize + size } else { 0..0 }
}
