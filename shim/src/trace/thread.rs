//! Per-thread state of a trace: the place of the next record, and the calls that are under way.

use super::{
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

/// How deep traced calls are followed. rocBLAS does not call back; what is deeper is not recorded.
pub(super) const MOST_DEPTH: usize = 32;

/// Handles that a thread remembers to have seen, by their addresses, besides the latest.
pub(super) const RECENT: usize = 8;

/// Per-thread state, accessed only by its own thread. What the thunk uses comes first,
/// in a cache line.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Thread {
    /// The trace that the rest is for, or [`NONE`].
    pub(super) session: *const Session,
    /// Where the next record goes.
    pub(super) cursor: *mut u64,
    /// A record that ends before this leaves room for the six registers, which the thunk writes also
    /// where a function has fewer arguments.
    pub(super) near: *mut u64,
    /// The number of the next record.
    pub(super) sequence: u64,
    /// The caller's stack pointer of a call that is the only one under way, began in the thunk and after
    /// which nothing was written: it is in no slot. 0 when no call is under way, [`SLOTS`] where the
    /// slots tell.
    pub(super) sole: usize,
    /// The record of the call whose stack pointer that is.
    pub(super) record: *mut u64,
    /// The handle of the latest call that had one, or 0.
    pub(super) handle: usize,
    /// Before this, the zero behind a record included.
    limit: *mut u64,
    /// How many calls have a slot.
    depth: usize,
    pub(super) slots: [Slot; MOST_DEPTH],
    /// The lowest address of the thread's stack, and the one before which a scalar ends within it.
    pub(super) lowest: usize,
    pub(super) highest: usize,
    /// The thread's stack, lowest address and end.
    stack: Range<usize>,
    pub(super) recent: [usize; RECENT],
    /// Within the slow paths below: a call that these make is not traced.
    busy: bool,
    /// There was no place to write to, or there is none any more.
    dead: bool,
    file: Option<TraceFile>,
    /// Files of earlier traces in which calls are still under way.
    earlier: Vec<TraceFile>,
    /// For lines to stderr: records are here, and printed at exit.
    scratch: Vec<u64>,
    /// How often the destructor of the thread's data has run.
    rounds: u32,
}

/// No stack is there.
const SLOTS: usize = 1;

/// No trace. Not null, which is what there is while no trace is on.
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

/// This thread's state for a trace. `None` where nothing can be written, or from within the slow paths
/// themselves.
#[cold]
#[allow(clippy::mut_from_ref, reason = "the thread's state is no part of the session")]
pub(super) fn attach(session: &'static Session) -> Option<&'static mut Thread> {
    let mut thread = current();
    if thread.is_null() {
        thread = Box::into_raw(Box::new(Thread::new(own_stack())));
        set_current(thread);
        find_offset();
        register_destructor(thread);
    }
    // SAFETY: made above or before, freed by its own thread alone, when that ends; the one reference
    // that there is, because `busy` keeps calls from within from coming here.
    let thread = unsafe { &mut *thread };
    if thread.busy {
        return None;
    }
    thread.spill_latest_call();
    let attached = preserving_errno(|| thread.without_tracing(|thread| thread.attach(session)));
    // Also where it failed: it is not tried again at each call.
    thread.session = session;
    attached.then_some(thread)
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
            file: None,
            earlier: Vec::new(),
            scratch: Vec::new(),
            rounds: 0,
        }
    }

    fn attach(&mut self, session: &'static Session) -> bool {
        self.sequence = 0;
        self.forget_handles();
        self.dead = false;
        self.set_space(Space { from: null_mut(), to: null_mut() });
        self.earlier.extend(self.file.take());
        self.release_earlier();
        if session.to_stderr {
            self.scratch.resize((MOST_DEPTH + 1) * MOST_WORDS, 0);
            let from = self.scratch.as_mut_ptr();
            self.set_space(Space { from, to: from.wrapping_add(self.scratch.len() - 1) });
            return true;
        }
        match make_file(session) {
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

    /// Gives a call that the thunk began its slot, before the slots are looked at, another call is
    /// recorded, or another trace begins.
    pub(super) fn spill_latest_call(&mut self) {
        if self.sole > SLOTS {
            // SAFETY: the record of the thread's latest call, of this trace. Nothing is over it: behind it
            // there are at most the events of its handle, and a ring has more than one segment.
            self.slots[0] = unsafe { Slot::of(self.sole, self.record, self.session) };
            self.set_depth(1);
        }
    }

    /// Takes the record back that the thunk was writing: it is as if the call had not come.
    pub(super) fn withdraw(&mut self) {
        self.cursor = self.record;
        // SAFETY: the place of the next record, in a file that is mapped.
        unsafe { *self.cursor = 0 };
        self.sequence -= 1;
    }

    /// Marks the latest record of the thunk as that of a call that was left, unless it is complete.
    pub(super) fn leave_latest(&mut self) {
        // SAFETY: a record that the thunk was about to complete, in a file that is mapped.
        unsafe {
            if *self.record.add(END) == 0 {
                *self.record.add(NOTE) |= Note::LEFT;
            }
        }
    }

    /// How many calls are under way, of a thread whose latest call has its slot.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    pub(super) fn set_depth(&mut self, depth: usize) {
        self.depth = depth;
        self.sole = if depth == 0 { 0 } else { SLOTS };
    }

    /// The bytes that are free in the segment.
    pub(super) fn room(&self) -> usize {
        self.limit.addr() - self.cursor.addr()
    }

    /// All handles are to be looked at again.
    pub(super) fn forget_handles(&mut self) {
        self.handle = 0;
        self.recent = [0; RECENT];
    }

    fn set_space(&mut self, Space { from, to }: Space) {
        const REGISTERS: usize = 6 * 8;
        (self.cursor, self.limit) = (from, to);
        self.near = if to.is_null() { to } else { to.wrapping_byte_sub(REGISTERS) };
    }

    /// Makes room for a record that does not fit. Returns whether there is some.
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

    /// Does something without tracing the calls that come of it.
    pub(super) fn without_tracing<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let session = core::mem::replace(&mut self.session, NONE);
        self.busy = true;
        let result = work(self);
        self.busy = false;
        self.session = session;
        result
    }

    /// Gives files of earlier traces up, once none of their calls is under way.
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

    /// The thread ends.
    fn finish(&mut self) {
        self.spill_latest_call();
        for slot in &self.slots[..self.depth] {
            slot.mark_left();
        }
        self.set_depth(0);
        if let Some(mut file) = self.file.take() {
            file.close(self.cursor, self.sequence);
            file.unmap();
        }
        self.release_earlier();
    }
}

/// A new thread's file. The error is a sentence.
fn make_file(session: &'static Session) -> Result<TraceFile, String> {
    // A trace to stderr has no files.
    let directory = session.directory()?.ok_or_else(String::new)?;
    TraceFile::create(session, directory, session.next_thread()).map_err(|e| match e {
        Error::System(e)
            if e.kind() == io::ErrorKind::QuotaExceeded && e.raw_os_error().is_none() =>
        {
            let why = "the trace has reached its limit (a larger one: limit=SIZE)";
            sentences::thread_not_traced(directory.path().display(), why)
        }
        Error::System(e) => sentences::thread_not_traced(directory.path().display(), e),
        replaced @ Error::Replaced { .. } => {
            stop_this(session, &replaced.to_string());
            sentences::trace_replaced(replaced)
        }
    })
}

/// What is done in between leaves no trace in `errno`, which a caller may be about to read.
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

/// In a forked child: what this thread has is its parent's. The files stay mapped, and nobody has a
/// way to them.
pub(super) fn reset_after_fork() {
    // SAFETY: null, or this thread's own.
    if let Some(thread) = unsafe { current().as_mut() } {
        let new = Thread::new(thread.stack.clone());
        core::mem::forget(core::mem::replace(thread, new));
    }
}

/// The key whose destructor finishes a thread; 0: not made yet. It is the key plus one.
static KEY: AtomicU32 = AtomicU32::new(0);

/// Has a thread finished when it ends.
fn register_destructor(thread: *mut Thread) {
    let mut key = KEY.load(Ordering::Acquire);
    if key == 0 {
        let mut made: libc::pthread_key_t = 0;
        // SAFETY: memory for the result, and a function that stays mapped.
        if unsafe { libc::pthread_key_create(&raw mut made, Some(on_exit)) } != 0 {
            // None left: the file stays as it is when the thread ends, with all its records.
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
    // SAFETY: a key of ours.
    unsafe { libc::pthread_setspecific(key - 1, thread.cast()) };
}

/// Destructors of other keys may still call rocBLAS, in as many rounds as POSIX promises: the last
/// one finishes the thread.
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
    // A cancellation that is pending must not unwind this frame from a file that is closed. It stays
    // forbidden: the thread has nothing but destructors before it.
    crate::arch::forbid_cancellation();
    own.finish();
    set_current(null_mut());
    // SAFETY: made by Box in `attach`, and nobody can reach it any more.
    drop(unsafe { Box::from_raw(thread) });
}

/// The addresses of this thread's stack; empty where that is not to be had.
fn own_stack() -> Range<usize> {
    // SAFETY: a structure of plain words, which the call fills.
    let mut attributes: libc::pthread_attr_t = unsafe { core::mem::zeroed() };
    // SAFETY: this thread, and memory for the answer.
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
