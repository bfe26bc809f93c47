//! The two halves of a record: written before the call and completed after it.
//!
//! The order of the stores is what a reader relies on when the program dies in between: see
//! `rocblas_trace::layout`. x86-64 keeps stores in order; `Release` keeps the compiler from moving
//! them.
//!
//! The thunk's assembly writes the record of a plain call itself. What is here does the same for the others: the
//! first of a thread or of a segment, nested ones, those after a call that was left by an exception,
//! those that are counted, filtered, printed, or of functions that the backend lacks.

use super::{
    capture, clock, handles, live,
    recipe::{Recipe, flags},
    scalars,
    session::Session,
    stop_this,
    thread::{self, MOST_DEPTH, Thread},
};
use crate::{init, table::ROUTING};
use core::{
    ptr::{self, null, null_mut},
    sync::atomic::{AtomicU64, Ordering},
};
use rocblas_trace::layout::{
    ARGUMENTS, BEGIN, Capture, END, HEAD, Head, NOTE, Note, RESULT, SEQUENCE,
};

/// Arguments that come in registers.
const REGISTERS: usize = 6;

/// A call that is under way.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Slot {
    /// The caller's stack pointer: a call from a frame as high as this, or higher, means that this one
    /// has been left.
    pub(super) stack: usize,
    /// Its record; null when there is none.
    pub(super) record: *mut u64,
    /// The record's first word and number, by which it is known not to have been overwritten: a ring
    /// may have come around.
    pub(super) head: u64,
    pub(super) sequence: u64,
    pub(super) recipe: *const Recipe,
    /// The trace that it is in.
    pub(super) session: *const Session,
}

impl Slot {
    pub(super) const EMPTY: Self = Self {
        stack: 0,
        record: null_mut(),
        head: 0,
        sequence: 0,
        recipe: null(),
        session: null(),
    };

    /// That of a call in a trace, from its record.
    ///
    /// # Safety
    /// The record is there, in a session that is never freed.
    #[cold]
    pub(super) unsafe fn of(stack: usize, record: *mut u64, session: *const Session) -> Self {
        // SAFETY: by contract.
        unsafe {
            let (head, sequence) = (*record.add(HEAD), *record.add(SEQUENCE));
            let recipe = (*session).recipe(usize::from(Head(head).function()));
            Self { stack, record, head, sequence, recipe, session }
        }
    }

    /// The trace and the recipe of the record, if that is still there.
    fn resolve(&self) -> Option<(&'static Session, &'static Recipe)> {
        if self.record.is_null() {
            return None;
        }
        // SAFETY: a record in a file that is mapped as long as a slot leads into it, and a session
        // that is never freed, with its recipes.
        unsafe {
            let same =
                *self.record.add(HEAD) == self.head && *self.record.add(SEQUENCE) == self.sequence;
            same.then(|| (&*self.session, &*self.recipe))
        }
    }

    /// Notes that the call has been left without an exit.
    #[cold]
    pub(super) fn mark_left(&self) {
        if self.resolve().is_some() {
            // SAFETY: as above.
            unsafe { *self.record.add(NOTE) |= Note::LEFT };
        }
    }

    /// The words of the record.
    pub(super) fn words(&self, recipe: &Recipe) -> &[u64] {
        // SAFETY: a record that is there, of this length.
        unsafe { core::slice::from_raw_parts(self.record, usize::from(recipe.words)) }
    }
}

/// What the thunk goes on with.
#[repr(C)]
pub(crate) struct Begun {
    /// What [`end`] is to be given; null if there is nothing to end.
    thread: *mut Thread,
    /// The function.
    target: *const (),
}

/// Writes the first half of a record, of any call.
///
/// # Safety
/// Called by a thunk: `registers` are the six that hold arguments, `stack` is the caller's stack at
/// the call, with as many arguments as the function has beyond those.
#[cold]
pub(crate) unsafe extern "C" fn begin(
    index: usize,
    registers: *const u64,
    stack: *const u64,
) -> Begun {
    let Some(session) = ROUTING.session() else { return unrecorded(index) };
    let thread = thread::current();
    // SAFETY: null, or this thread's own; no reference is held over anything that looks at it.
    let thread = match unsafe { thread.as_mut() } {
        Some(thread) if ptr::eq(thread.session, session) => Some(thread),
        _ => thread::attach(session),
    };
    let Some(thread) = thread else { return unrecorded(index) };
    thread.leave_frames(stack.addr());
    if thread.depth() == MOST_DEPTH {
        thread.count(0, 1);
        return unrecorded(index);
    }
    // SAFETY: a thunk's index is that of a C function.
    let recipe = unsafe { &*session.recipe(index) };
    if let Some(remaining) = &session.remaining
        && remaining.fetch_sub(1, Ordering::Relaxed) <= 0
    {
        stop_this(session, "as many calls as were asked for are recorded");
        return unrecorded(index);
    }
    if session.min > 0 && recipe.has(flags::HANDLE) {
        // The record may be taken back, so nothing must follow it.
        // SAFETY: a first argument that is a handle.
        handles::observe(session, thread, unsafe { *registers } as usize, clock::now());
    }
    if thread.room() < recipe.room() && !thread.make_room(session) {
        return unrecorded(index);
    }
    // Before the record has its time: asking is not the call's.
    let capture = if session.options.capture && recipe.has(flags::HANDLE) {
        // SAFETY: a first argument that is a handle.
        capture::of(session, thread, unsafe { *registers })
    } else {
        Capture::Unasked
    };
    // SAFETY: as the caller promises.
    unsafe { write(registers, stack, session, thread, recipe, capture) };
    let missing = recipe.has(flags::MISSING).then(|| init::missing(index).0);
    Begun { thread, target: missing.unwrap_or(recipe.target()) }
}

/// Nothing is recorded.
#[cold]
fn unrecorded(index: usize) -> Begun {
    Begun { thread: null_mut(), target: init::traced_target(index).0 }
}

/// # Safety
/// As of [`begin`], with room for the record.
unsafe fn write(
    registers: *const u64,
    stack: *const u64,
    session: &Session,
    thread: &mut Thread,
    recipe: &Recipe,
    capture: Capture,
) {
    let (record, sequence, depth) = (thread.cursor, thread.sequence, thread.depth());
    let words = usize::from(recipe.words);
    // SAFETY: room was made for the record and the registers, which are this thread's alone; the
    // arguments are there, as the caller promises.
    let head = unsafe {
        // All six registers, also where a function has fewer arguments.
        record.add(ARGUMENTS).copy_from_nonoverlapping(registers, REGISTERS);
        record.add(ARGUMENTS + REGISTERS).copy_from_nonoverlapping(stack, recipe.stack_arguments());
        *record.add(END) = 0;
        *record.add(NOTE) = (capture as u64) << Note::CAPTURE;
        *record.add(words) = 0;
        let begin = clock::now();
        *record.add(SEQUENCE) = sequence;
        *record.add(BEGIN) = begin;
        let head = Head(recipe.head | (depth as u64) << 24).checked(sequence, begin).0;
        AtomicU64::from_ptr(record.add(HEAD)).store(head, Ordering::Release);
        thread.cursor = record.add(words);
        head
    };
    thread.sequence = sequence + 1;
    thread.slots[depth] = Slot { stack: stack.addr(), record, head, sequence, recipe, session };
    thread.set_depth(depth + 1);
    if recipe.has(flags::SCALARS) {
        // SAFETY: the record that was just written.
        unsafe { scalars::at_entry(session, thread, recipe, record, stack.addr()) };
    }
    if recipe.has(flags::HANDLE) && session.min == 0 {
        // SAFETY: as above: its first argument is a handle.
        let (handle, begin) = unsafe { (*record.add(ARGUMENTS) as usize, *record.add(BEGIN)) };
        if handle != thread.handle {
            handles::observe(session, thread, handle, begin);
        }
    }
}

/// Captures the scalars of a call that the thunk began.
///
/// # Safety
/// `thread` is this one's, `record` that of its call, by a recipe that has scalars; `stack` is the
/// caller's stack, `mode` the backend's number for the handle's pointer mode, or -1.
pub(crate) unsafe extern "C" fn scalars_of_latest(
    record: *mut u64,
    stack: usize,
    thread: *const Thread,
    recipe: *const Recipe,
    mode: i32,
) {
    // SAFETY: by contract; a session is never freed.
    unsafe { scalars::in_mode(mode, &*thread, &*recipe, record, stack) };
}

/// Looks at the handle of a call that the thunk began.
///
/// # Safety
/// `thread` is this one's; `handle` is the first argument of its call.
#[cold]
pub(crate) unsafe extern "C" fn handle_of_latest(handle: usize, thread: *mut Thread) {
    // SAFETY: by contract; a session is never freed.
    unsafe {
        let thread = &mut *thread;
        let begin = *thread.record.add(BEGIN);
        handles::observe(&*thread.session, thread, handle, begin);
    }
}

/// Writes the second half, of any call.
///
/// # Safety
/// Called by a thunk, in the thread that [`begin`] gave it, with the same stack.
#[cold]
pub(crate) unsafe extern "C" fn end(thread: *mut Thread, result: u64, stack: *const u64) {
    // A filter of time decides by it.
    let now = clock::now_after_all();
    // SAFETY: by contract.
    let thread = unsafe { &mut *thread };
    // Calls after this one whose frames are gone.
    thread.leave_frames(stack.addr() - 1);
    let latest = thread.depth().checked_sub(1).map(|place| thread.slots[place]);
    // None in a forked child, which knows nothing of its parent's calls.
    if let Some(slot) = latest.filter(|slot| slot.stack == stack.addr()) {
        thread.set_depth(thread.depth() - 1);
        if let Some((session, recipe)) = slot.resolve() {
            // SAFETY: a record that is there.
            unsafe { complete(session, recipe, thread, &slot, result, now) };
        }
    }
}

/// # Safety
/// The slot's record is there.
unsafe fn complete(
    session: &Session,
    recipe: &Recipe,
    thread: &mut Thread,
    slot: &Slot,
    result: u64,
    now: u64,
) {
    let record = slot.record;
    // SAFETY: by contract.
    let begin = unsafe { *record.add(BEGIN) };
    if session.min > now.saturating_sub(begin) && thread.is_latest_record(slot, recipe) {
        // SAFETY: the record, which is taken back.
        unsafe { AtomicU64::from_ptr(record.add(HEAD)).store(0, Ordering::Release) };
        thread.rewind_to(slot);
        thread.sequence = slot.sequence;
        thread.count(1, 0);
        return;
    }
    // SAFETY: by contract. The clock is what makes the half complete.
    unsafe {
        if recipe.has(flags::SCALARS) {
            scalars::at_exit(thread, recipe, record, slot.stack);
        }
        *record.add(RESULT) = result;
        AtomicU64::from_ptr(record.add(END)).store(now.max(1), Ordering::Release);
    }
    if session.to_stderr {
        live::print(session, recipe, slot);
        thread.rewind_to(slot);
    } else if recipe.has(flags::MAKES_HANDLE | flags::ENDS_HANDLE) {
        // SAFETY: a record that is complete, and arguments that the function has accepted.
        unsafe { handles::created_or_destroyed(session, thread, recipe, record) };
    }
}

impl Thread {
    /// Calls whose frames are gone were left: by an exception, of which `thunk::leave` hears, or by a jump,
    /// which shows as soon as a call comes from as high up the stack.
    #[cold]
    pub(super) fn leave_frames(&mut self, stack: usize) {
        self.spill_latest_call();
        while let Some(depth) = self.depth().checked_sub(1)
            && self.slots[depth].stack <= stack
        {
            self.set_depth(depth);
            let slot = self.slots[depth];
            slot.mark_left();
            if let Some((session, recipe)) = slot.resolve()
                && session.to_stderr
            {
                live::print(session, recipe, &slot);
                self.rewind_to(&slot);
            }
        }
    }

    /// Whether nothing was written after a record, so that it can be taken back.
    fn is_latest_record(&self, slot: &Slot, recipe: &Recipe) -> bool {
        ptr::eq(self.session, slot.session)
            && self.cursor == slot.record.wrapping_add(usize::from(recipe.words))
            && self.sequence == slot.sequence + 1
    }

    /// The next record takes the place of this one, unless it is of an earlier trace.
    fn rewind_to(&mut self, slot: &Slot) {
        if ptr::eq(self.session, slot.session) {
            self.cursor = slot.record;
        }
    }
}
