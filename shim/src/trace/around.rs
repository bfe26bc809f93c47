//! Optional measurements around a recorded call: HIP's last error, GPU time, operands, call stacks. Each has its own module.
//! Calls with measurements take the slow path through `record`, which reads HIP's last error itself, closest to
//! the call.

mod gpu_time;
pub(super) mod last_error;
pub(super) mod ranges;
mod stacks;
mod watch;

pub(super) use stacks::Modules;
pub(super) use watch::Shared;

use super::{Options, recipe::Recipe, record::Slot, session::Session, thread::Thread};

/// The state that a thread keeps between calls of one trace.
#[derive(Debug, Default)]
pub(super) struct State {
    gpu_time: gpu_time::State,
    ranges: ranges::State,
    stacks: stacks::State,
    watch: watch::State,
}

/// The arguments of a call that is about to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arguments {
    registers: *const u64,
    stack: *const u64,
}

impl Arguments {
    /// # Safety
    /// `registers` points to the six argument registers and `stack` to the other arguments; both stay valid until
    /// the call is made.
    pub(super) unsafe fn new(registers: *const u64, stack: *const u64) -> Self {
        Self { registers, stack }
    }

    /// The argument at a position.
    ///
    /// # Safety
    /// The function has that many parameters.
    pub(super) unsafe fn get(&self, position: usize) -> u64 {
        const REGISTERS: usize = 6;
        // SAFETY: by contract, and by that of `new`.
        unsafe {
            match position.checked_sub(REGISTERS) {
                None => *self.registers.add(position),
                Some(place) => *self.stack.add(place),
            }
        }
    }

    /// The caller's stack pointer, which the call's [`Slot`] stores too.
    pub(super) fn stack(&self) -> usize {
        self.stack.addr()
    }
}

/// Whether these options require measurements around calls.
pub(super) fn is_wanted(options: &Options) -> bool {
    options.looks_at_calls()
}

/// Runs before a call is recorded and made. Its record gets the thread's next number, unless something is appended
/// here. The measurement that is started last is the closest to the call.
#[cold]
pub(super) fn before(
    session: &'static Session,
    thread: &mut Thread,
    recipe: &Recipe,
    call: Arguments,
) {
    // Pending GPU times are appended first, so that the number of the record does not change afterwards.
    gpu_time::append_times(session, thread, Some(recipe));
    let Some(mut state) = thread.around.take() else { return };
    stacks::before(&mut state.stacks, session, thread, recipe, call);
    thread.without_tracing(|thread| {
        watch::before(&mut state.watch, session, thread, recipe, call);
        ranges::before(&mut state.ranges, session, thread, recipe);
        gpu_time::before(&mut state.gpu_time, session, thread, recipe, call);
    });
    thread.around = Some(state);
}

/// Runs after the function has returned and its result is in the record. Returns whether the record must stay because
/// it will be referred to; otherwise it may be removed, so nothing may be appended.
#[cold]
pub(super) fn after(session: &Session, thread: &mut Thread, recipe: &Recipe, slot: &Slot) -> bool {
    let Some(mut state) = thread.around.take() else { return false };
    let must_stay = thread.without_tracing(|thread| {
        gpu_time::after(&mut state.gpu_time, slot);
        ranges::after(&mut state.ranges, slot);
        watch::after(&mut state.watch, session, thread, recipe, slot)
    });
    thread.around = Some(state);
    must_stay
}

/// Runs when the record of a call is removed again: the next record takes its place.
pub(super) fn taken_back(thread: &mut Thread, slot: &Slot) {
    if let Some(mut state) = thread.around.take() {
        stacks::taken_back(&mut state.stacks, thread, slot);
        thread.around = Some(state);
    }
}

/// Runs when the trace ends: waits a short time until pending results are written.
pub(super) fn end(session: &Session) {
    watch::finish(session);
}

/// In a forked child.
pub(super) fn after_fork() {
    watch::after_fork();
}

/// Runs when the thread ends or stops the trace: appends the available results.
#[cold]
pub(super) fn finish(session: &Session, thread: &mut Thread) {
    gpu_time::append_times(session, thread, None);
}
