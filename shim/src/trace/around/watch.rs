//! Checks the outputs of calls, and saves the operands of calls.
//!
//! The calling thread enqueues copies of the operands into the shim's memory, after the call on the call's own stream
//! ([`copies`]), and continues; it only waits for a free slot ([`pool`]). A thread of the shim ([`checker`]) detects
//! that the copies are done by a flag in that memory, which is written behind them. So it need not call HIP, which is not
//! safe in every thread while a stream is being captured. It computes ([`rocblas_trace::numbers`]) and writes its findings into its own
//! file, or the operands into separate files ([`save`]).

mod checker;
mod copies;
mod job;
mod operands;
mod pool;
mod save;
mod shared;

pub(super) use checker::after_fork;
pub(in crate::trace) use shared::Shared;

use super::{Arguments, Recipe, Session, Slot, Thread};
use crate::{
    backend::Backend,
    route,
    trace::{recipe::flags, thread::preserving_errno},
};
use copies::Way;
use core::{ptr, sync::atomic::Ordering};
use job::{Job, OPERANDS, Pieces, Wanted, Watched, slot_size};
use operands::{add_all, add_scalars, is_on_host, modes, pointer_mode};
use pool::Taken;
use rocblas_abi::operands::is_described;
use rocblas_trace::{
    capture::Time,
    layout::{ARGUMENTS, Due, MOST_WORDS, Mode, NOTE, Note, RESULT, Skipped},
    options::OnBad,
};

/// Runs when a trace ends: waits a short time until the results for its calls are written.
pub(super) fn finish(session: &Session) {
    if session.watch.is_on {
        checker::finish();
    }
}

/// Per-thread state.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The number of calls that could have been checked.
    seen: u64,
    /// The call in flight.
    pending: Option<Pending>,
}

/// A call in flight that will be checked or saved once it has returned.
#[derive(Debug)]
struct Pending {
    stack: usize,
    wanted: Wanted,
    /// The slot with its inputs, if these are wanted too.
    early: Option<(Way, Taken)>,
}

/// Runs before the call.
pub(super) fn before(
    state: &mut State,
    session: &Session,
    thread: &mut Thread,
    recipe: &Recipe,
    call: Arguments,
) {
    if !session.watch.is_on || thread.depth() > 0 {
        return;
    }
    if let Some(Pending { early: Some((_, taken)), .. }) = state.pending.take() {
        // That call was abandoned by an exception, and its stream may no longer exist.
        taken.lose();
    }
    if !recipe.has(flags::HANDLE) || !is_described(recipe.function()) || !thread.is_writing() {
        return;
    }
    let wanted = wanted(state, session, thread, recipe);
    if !wanted.check && !wanted.save {
        return;
    }
    let shared = &session.watch;
    let keeps_inputs = session.options.on_bad == OnBad::Capture;
    let is_early = wanted.save
        || session.options.check.inputs
        || keeps_inputs && !shared.has_captured.load(Ordering::Relaxed)
        || shared.looks_for_digests();
    let mut pending = Pending { stack: call.stack(), wanted, early: None };
    if is_early {
        match preserving_errno(|| take_inputs(session, thread, recipe, call, &mut pending)) {
            Ok(()) => {}
            // The outputs alone may be small enough.
            Err(Skipped::TooLarge) if !wanted.save => {}
            Err(reason) => return shared.skip_all(session, wanted, reason),
        }
    }
    state.pending = Some(pending);
}

/// What to do with a call.
fn wanted(state: &mut State, session: &Session, thread: &Thread, recipe: &Recipe) -> Wanted {
    let (options, sequence) = (&session.options, thread.sequence);
    let is_in_window = options.window.is_none_or(|(first, end)| (first..end).contains(&sequence));
    let mut check = options.check.is_on() && is_in_window;
    if check {
        check = state.seen.is_multiple_of(options.every);
        state.seen += 1;
    }
    let is_named = options.save.call == Some((thread.ordinal(), sequence));
    let is_counted = !is_named && session.watch.takes_one_to_save(recipe.function());
    Wanted { check, save: is_named || is_counted, is_counted }
}

/// Copies the operands that the call will read.
fn take_inputs(
    session: &Session,
    thread: &Thread,
    recipe: &Recipe,
    call: Arguments,
    pending: &mut Pending,
) -> Result<(), Skipped> {
    // SAFETY: only positions of the function's parameters are used, the first of which is its handle.
    let argument = |position: usize| unsafe { call.get(position) };
    let (handle, wanted) = (argument(0) as usize, pending.wanted);
    let backend = route::backend_of(handle).unwrap_or(session.backend);
    let way = Way::of(backend, handle)?;
    let mut watched = watched(session, thread, recipe.function(), backend, wanted, &argument)?;
    let mode = pointer_mode(session, handle);
    let added = add_all(&mut watched, recipe, mode, &argument);
    if added.is_ok() && !wanted.save && !watched.pieces.iter().any(|p| p.time == Time::After) {
        // There are no elements to check.
        return Ok(());
    }
    let is_too_large =
        added == Err(Skipped::TooLarge) || watched.pieces.bytes as u64 > session.options.save.limit;
    if is_too_large && !wanted.save {
        return Err(Skipped::TooLarge);
    }
    if is_too_large {
        session.watch.skip(session, Due::Save, Skipped::TooLarge);
    } else {
        added?;
    }
    (watched.has_inputs, watched.is_too_large) = (true, is_too_large);
    if is_too_large || session.options.save.redact {
        watched.pieces.clear();
    }
    if mode == Mode::Device {
        add_scalars(&mut watched, recipe, &argument);
    }
    watched.modes = modes(backend, handle);
    let mut taken = take(session, &way, watched.pieces.bytes)?;
    let Job { memory, watched: of_job, .. } = &mut *taken;
    let watched = of_job.insert(watched);
    // SAFETY: the addresses are those of the call, and the slot is large enough.
    let copied = unsafe { way.copy(memory, Time::Before, watched) };
    if let Err(reason) = copied {
        abandon(way, taken);
        return Err(reason);
    }
    pending.early = Some((way, taken));
    Ok(())
}

/// Runs after the function has returned. Returns whether its record must stay because it is referred to.
pub(super) fn after(
    state: &mut State,
    session: &Session,
    thread: &mut Thread,
    recipe: &Recipe,
    slot: &Slot,
) -> bool {
    if thread.depth() > 0 {
        return false;
    }
    let Some(pending) = state.pending.take_if(|pending| pending.stack == slot.stack) else {
        return false;
    };
    let wanted = pending.wanted;
    let submitted = preserving_errno(|| match pending.early {
        Some((way, taken)) => submit_with_inputs(way, taken, recipe, slot),
        None => submit_outputs(session, thread, recipe, slot, wanted),
    });
    submitted.unwrap_or_else(|reason| {
        session.watch.skip_all(session, wanted, reason);
        false
    })
}

/// Copies the outputs of a call whose inputs were copied.
fn submit_with_inputs(
    way: Way,
    mut taken: Taken,
    recipe: &Recipe,
    slot: &Slot,
) -> Result<bool, Skipped> {
    let words = slot.words(recipe);
    let status = words[RESULT] as i32;
    let Job { memory, watched, .. } = &mut *taken;
    let Some(watched) = watched else { return Ok(false) };
    watched.words[..words.len()].copy_from_slice(words);
    watched.status = status;
    watched.call.1 = slot.sequence;
    if status != 0 {
        watched.wanted.check = false;
        watched.pieces.remove(Time::After);
        if !watched.wanted.save {
            abandon(way, taken);
            return Ok(false);
        }
    }
    // SAFETY: the addresses are those of the call, which was successful, and the slot is large enough.
    let copied = unsafe { way.copy(memory, Time::After, watched) };
    submit(way, taken, copied)
}

/// Copies the outputs of a call that has returned.
fn submit_outputs(
    session: &Session,
    thread: &Thread,
    recipe: &Recipe,
    slot: &Slot,
    wanted: Wanted,
) -> Result<bool, Skipped> {
    let words = slot.words(recipe);
    if words[RESULT] as i32 != 0 {
        return Ok(false);
    }
    let argument = |position: usize| words[ARGUMENTS + position];
    let handle = argument(0) as usize;
    let backend = route::backend_of(handle).unwrap_or(session.backend);
    let mut watched = watched(session, thread, recipe.function(), backend, wanted, &argument)?;
    watched.words[..words.len()].copy_from_slice(words);
    watched.call.1 = slot.sequence;
    let mode = Note(words[NOTE]).mode();
    let pieces = &mut watched.pieces;
    for (number, operand) in watched.operands.iter().enumerate() {
        if operand.is_written() {
            let address = argument(usize::from(operand.parameter));
            let on_host = is_on_host(operand, mode)?;
            pieces.add((number, operand), Time::After, address, (false, on_host))?;
        }
    }
    if watched.pieces.bytes == 0 {
        return Ok(false);
    }
    if watched.pieces.bytes as u64 > session.options.save.limit {
        return Err(Skipped::TooLarge);
    }
    let way = Way::of(backend, handle)?;
    let mut taken = take(session, &way, watched.pieces.bytes)?;
    let Job { memory, watched: of_job, .. } = &mut *taken;
    let watched = of_job.insert(watched);
    // SAFETY: the addresses are those of the call, which was successful, and the slot is large enough.
    let copied = unsafe { way.copy(memory, Time::After, watched) };
    submit(way, taken, copied)
}

/// Passes a slot to the checker, which waits until the GPU is done with its copies. The error is why this failed.
fn submit(way: Way, mut taken: Taken, copied: Result<(), Skipped>) -> Result<bool, Skipped> {
    if let Err(reason) = copied {
        abandon(way, taken);
        return Err(reason);
    }
    // SAFETY: the flag has not been set since the slot was taken.
    if !unsafe { way.set_flag_behind(&mut taken.memory) } {
        taken.lose();
        return Err(Skipped::Unable);
    }
    taken.submit();
    Ok(true)
}

/// Gives up a slot whose copies are in progress.
fn abandon(way: Way, mut taken: Taken) {
    taken.is_abandoned = true;
    // SAFETY: its flag is not set.
    if unsafe { way.set_flag_behind(&mut taken.memory) } { taken.submit() } else { taken.lose() }
}

/// A slot for that many bytes of operands.
fn take(session: &Session, way: &Way, bytes: usize) -> Result<Taken, Skipped> {
    let most = usize::try_from(session.options.save.limit.saturating_mul(2)).unwrap_or(usize::MAX);
    let size = slot_size(bytes);
    let mut taken = pool::take(
        size,
        way.home(),
        // A slot of the limit's size may be twice as large after rounding up.
        most.max(size.next_power_of_two().saturating_mul(2)),
        &|size| way.allocate(size),
        &|job| way.release(job),
    )?;
    taken.is_abandoned = false;
    taken.memory.set_flag(false);
    Ok(taken)
}

/// The description of a call, from its arguments.
fn watched(
    session: &Session,
    thread: &Thread,
    function: usize,
    backend: &'static Backend,
    wanted: Wanted,
    argument: &dyn Fn(usize) -> u64,
) -> Result<Watched, Skipped> {
    let operands = rocblas_abi::operands::operands(function, argument).ok_or(Skipped::Unable)?;
    Ok(Watched {
        // SAFETY: a session is never freed.
        session: unsafe { &*ptr::from_ref(session) },
        backend,
        call: (thread.ordinal(), thread.sequence),
        function,
        words: [0; MOST_WORDS],
        status: 0,
        operands,
        is_read: [true; OPERANDS],
        pieces: Pieces::NONE,
        wanted,
        has_inputs: false,
        is_too_large: false,
        modes: [None; 2],
    })
}
