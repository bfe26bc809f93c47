//! The two halves of a record: written before the call and completed after it.
//!
//! A reader relies on the order of the stores if the program dies in between: see
//! `rocblas_trace::layout`. x86-64 keeps stores in order; `Release` keeps the compiler from moving
//! them.
//!
//! The thunk's assembly writes the record of a plain call itself. This module does the same for all other calls:
//! the first one of a thread or of a segment, nested calls, calls after one that was abandoned by an exception,
//! and calls that are counted, filtered, printed, or of functions that the backend lacks.

use super::{
    around::{self, Arguments, last_error},
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

/// The number of arguments in registers.
const REGISTERS: usize = 6;

/// A call in flight.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Slot {
    /// The caller's stack pointer: a call from a frame at this address or higher means that this call has
    /// been abandoned.
    pub(super) stack: usize,
    /// Its record; null if there is none.
    pub(super) record: *mut u64,
    /// The record's first word and number, to detect that it was overwritten: a ring may have wrapped
    /// around.
    pub(super) head: u64,
    pub(super) sequence: u64,
    pub(super) recipe: *const Recipe,
    /// The trace that it belongs to.
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

    /// The slot of a call, from its record.
    ///
    /// # Safety
    /// The record exists, in a session that is never freed.
    #[cold]
    pub(super) unsafe fn of(stack: usize, record: *mut u64, session: *const Session) -> Self {
        // SAFETY: by contract.
        unsafe {
            let (head, sequence) = (*record.add(HEAD), *record.add(SEQUENCE));
            let recipe = (*session).recipe(usize::from(Head(head).function()));
            Self { stack, record, head, sequence, recipe, session }
        }
    }

    /// The trace and the recipe of the record, if the record still exists.
    fn resolve(&self) -> Option<(&'static Session, &'static Recipe)> {
        if self.record.is_null() {
            return None;
        }
        // SAFETY: a record in a file that is mapped as long as a slot points into it, and a session that
        // is never freed, with its recipes.
        unsafe {
            let same =
                *self.record.add(HEAD) == self.head && *self.record.add(SEQUENCE) == self.sequence;
            same.then(|| (&*self.session, &*self.recipe))
        }
    }

    /// Marks the call as abandoned.
    #[cold]
    pub(super) fn mark_left(&self) {
        if self.resolve().is_some() {
            // SAFETY: as above.
            unsafe { *self.record.add(NOTE) |= Note::LEFT };
        }
    }

    /// The words of the record.
    pub(super) fn words(&self, recipe: &Recipe) -> &[u64] {
        // SAFETY: an existing record of this length.
        unsafe { core::slice::from_raw_parts(self.record, usize::from(recipe.words)) }
    }
}

/// The values with which the thunk continues.
#[repr(C)]
pub(crate) struct Begun {
    /// The argument for [`end`]; null if it need not be called.
    thread: *mut Thread,
    /// The function.
    target: *const (),
}

/// Writes the first half of the record of any call.
///
/// # Safety
/// Called by a thunk: `registers` points to the six argument registers, `stack` is the caller's stack at
/// the call, with the function's other arguments.
#[cold]
pub(crate) unsafe extern "C" fn begin(
    index: usize,
    registers: *const u64,
    stack: *const u64,
) -> Begun {
    let Some(session) = ROUTING.session() else { return unrecorded(index) };
    let thread = thread::current();
    // SAFETY: null, or this thread's own; no reference is held across anything that accesses it.
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
        // The record may be removed later, so nothing must follow it.
        // SAFETY: a first argument that is a handle.
        handles::observe(session, thread, unsafe { *registers } as usize, clock::now());
    }
    if thread.around.is_some() {
        // SAFETY: as the caller promises.
        around::before(session, thread, recipe, unsafe { Arguments::new(registers, stack) });
    }
    if thread.room() < recipe.room() && !thread.make_room(session) {
        return unrecorded(index);
    }
    // Before the record's time is taken: the query must not count towards the call.
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
    // SAFETY: there is room for the record and the registers, which only this thread accesses; the caller
    // guarantees the arguments.
    let head = unsafe {
        // All six registers, even if the function has fewer arguments.
        record.add(ARGUMENTS).copy_from_nonoverlapping(registers, REGISTERS);
        record.add(ARGUMENTS + REGISTERS).copy_from_nonoverlapping(stack, recipe.stack_arguments());
        *record.add(END) = 0;
        *record.add(NOTE) =
            (capture as u64) << Note::CAPTURE | last_error::at_entry(session, recipe);
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
/// `thread` is this thread's state, `record` the record of its call, with a recipe that has scalars; `stack` is
/// the caller's stack, `mode` the backend's number for the handle's pointer mode, or -1.
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

/// Records the handle of a call that the thunk began.
///
/// # Safety
/// `thread` is this thread's state; `handle` is the first argument of its call.
#[cold]
pub(crate) unsafe extern "C" fn handle_of_latest(handle: usize, thread: *mut Thread) {
    // SAFETY: by contract; a session is never freed.
    unsafe {
        let thread = &mut *thread;
        let begin = *thread.record.add(BEGIN);
        handles::observe(&*thread.session, thread, handle, begin);
    }
}

/// Writes the second half of the record of any call.
///
/// # Safety
/// Called by a thunk, with the thread that [`begin`] returned and the same stack.
#[cold]
pub(crate) unsafe extern "C" fn end(thread: *mut Thread, result: u64, stack: *const u64) {
    // The minimum-duration filter uses this time.
    let now = clock::now_after_all();
    // SAFETY: by contract.
    let thread = unsafe { &mut *thread };
    // Later calls whose frames no longer exist.
    thread.leave_frames(stack.addr() - 1);
    let latest = thread.depth().checked_sub(1).map(|place| thread.slots[place]);
    // `None` in a forked child, which does not have its parent's calls.
    if let Some(slot) = latest.filter(|slot| slot.stack == stack.addr()) {
        thread.set_depth(thread.depth() - 1);
        if let Some((session, recipe)) = slot.resolve() {
            // SAFETY: an existing record.
            unsafe { complete(session, recipe, thread, &slot, result, now) };
        }
    }
}

/// # Safety
/// The slot's record exists.
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
    unsafe { last_error::at_exit(session, record) };
    let mut must_stay = false;
    if thread.around.is_some() {
        // SAFETY: by contract. Readers ignore the word before the record has an exit.
        unsafe { *record.add(RESULT) = result };
        must_stay = around::after(session, thread, recipe, slot);
    }
    // SAFETY: by contract.
    let begin = unsafe { *record.add(BEGIN) };
    if !must_stay
        && session.min > now.saturating_sub(begin)
        && thread.is_latest_record(slot, recipe)
    {
        // SAFETY: the record, which is removed.
        unsafe { AtomicU64::from_ptr(record.add(HEAD)).store(0, Ordering::Release) };
        thread.rewind_to(slot);
        thread.sequence = slot.sequence;
        around::taken_back(thread, slot);
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
    /// Marks calls whose frames no longer exist as abandoned: by an exception, which runs `thunk::leave`, or by a
    /// jump, which is detected at the next call from a frame at the same address or higher.
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

    /// Whether nothing was written after a record, so that it can be removed.
    fn is_latest_record(&self, slot: &Slot, recipe: &Recipe) -> bool {
        ptr::eq(self.session, slot.session)
            && self.cursor == slot.record.wrapping_add(usize::from(recipe.words))
            && self.sequence == slot.sequence + 1
    }

    /// Lets the next record overwrite this one, unless this one belongs to an earlier trace.
    fn rewind_to(&mut self, slot: &Slot) {
        if ptr::eq(self.session, slot.session) {
            self.cursor = slot.record;
        }
    }
}
