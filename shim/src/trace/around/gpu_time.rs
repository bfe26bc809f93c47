//! The time that the GPU takes for a call, measured by two events on its stream, from a per-thread pool. The times are
//! read before later calls of the thread, once the events have completed; nothing waits for them.
//!
//! While the stream is being captured, events would become part of the graph, so none are recorded. HIP is called only
//! while no HIP error is pending, and an error from the shim's own calls is cleared: see
//! [`LastError::undisturbed`](crate::backend::hip::LastError::undisturbed).

mod pool;

use super::{
    super::{clock, events::append, recipe::flags},
    Arguments, Recipe, Session, Slot, Thread,
};
use crate::{
    backend::hip::{Between, Hip, Stream},
    route,
};
use core::{
    ffi::c_void,
    ptr::{null_mut, with_exposed_provenance_mut},
};
use once_cell::race::OnceBox;
use pool::{Pair, Pool, is_exiting};
use rocblas_abi::{C_EXPORTS, c_name};
use rocblas_trace::layout::{Due, NOTE, Note, Skipped, event};
use std::collections::VecDeque;

/// Per-thread state.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The number of calls so far that could have been measured.
    calls: u64,
    /// When a call was last measured, in ticks.
    latest: Option<u64>,
    /// The runtime of the events; a process has only one.
    hip: Option<&'static Hip>,
    pool: Pool,
    /// The call in flight.
    open: Option<Open>,
    /// Calls whose events have not been read, in order.
    pending: VecDeque<Pending>,
    skipped: [SkippedCount; REASONS.len()],
}

/// A call whose first event is recorded.
#[derive(Debug)]
struct Open {
    pair: Pair,
    stream: Stream,
    /// The number of its record.
    sequence: u64,
}

/// A call whose events are recorded.
#[derive(Debug)]
struct Pending {
    pair: Pair,
    sequence: u64,
}

const REASONS: [Skipped; 4] = [Skipped::Capturing, Skipped::Busy, Skipped::Unable, Skipped::Ended];

/// The number of calls that were due but not measured, for one reason.
#[derive(Clone, Copy, Debug, Default)]
struct SkippedCount {
    /// Since the last event that reported them.
    calls: u64,
    /// Reported in events.
    told: u64,
}

/// Whether a function has work for the GPU, by its index. Other functions are not counted, because they would be
/// selected instead of those that have.
fn has_work(function: usize) -> bool {
    static HAVE_WORK: OnceBox<[bool; C_EXPORTS]> = OnceBox::new();
    HAVE_WORK.get_or_init(|| {
        const WITHOUT: [&str; 8] =
            ["set_", "get_", "is_", "start_", "stop_", "create_", "destroy_", "device_"];
        let has_work = |function| {
            let name = c_name(function).to_str().unwrap_or_default();
            let short = name.strip_prefix("rocblas_").unwrap_or_default();
            !WITHOUT.iter().any(|prefix| short.starts_with(prefix))
                && !name.contains("_get_solutions")
        };
        Box::new(core::array::from_fn(has_work))
    })[function]
}

/// Whether a call is the one of `every` that is measured. Its position changes from one group of `every` calls to the
/// next, so that in a program whose calls repeat with that period each of them gets measured.
pub(super) fn is_due(call: u64, every: u64) -> bool {
    // 2^32 divided by the golden ratio, whose multiples are evenly distributed.
    const SPREAD: u64 = 0x9e37_79b9;
    let (group, place) = (call / every, call % every);
    place == ((group.wrapping_mul(SPREAD) & 0xffff_ffff) * (every & 0xffff_ffff)) >> 32
}

impl State {
    /// Whether the next call of this function is to be measured.
    fn is_next_due(&self, session: &Session, thread: &Thread, recipe: &Recipe) -> bool {
        // Nested calls belong to the outer one; lines to stderr are written when the call ends.
        let is_counted = recipe.has(flags::HANDLE) && thread.depth() == 0 && !session.to_stderr;
        let sampling =
            session.options.gpu_time.filter(|_| is_counted && has_work(recipe.function()));
        sampling.is_some_and(|sampling| is_due(self.calls, sampling.every))
            && (session.gpu_time_pause == 0 || self.has_paused(session.gpu_time_pause))
    }

    /// Whether the last measured call is that many ticks ago. Only calls that are due ask: a call that is next once the
    /// time is over would more often be one that follows long calls.
    fn has_paused(&self, pause: u64) -> bool {
        self.latest.is_none_or(|latest| clock::now().saturating_sub(latest) >= pause)
    }

    fn start(
        &mut self,
        session: &'static Session,
        handle: usize,
        sequence: u64,
    ) -> Result<Open, Skipped> {
        if is_exiting() {
            return Err(Skipped::Ended);
        }
        let compat = &route::backend_of(handle).unwrap_or(session.backend).compat;
        let (Some(hip), Some(get_stream)) = (&compat.hip, compat.functions.rocblas_get_stream)
        else {
            return Err(Skipped::Unable);
        };
        let (Some(events), Some(last_error)) = (&hip.events, hip.last_error) else {
            return Err(Skipped::Unable);
        };
        self.hip = Some(hip);
        let started = last_error.undisturbed(|| {
            let raw: *mut c_void = with_exposed_provenance_mut(handle);
            let mut stream = null_mut();
            // SAFETY: the function's prototype; rocBLAS checks for null, and any other handle is the caller's.
            if unsafe { get_stream(raw, &raw mut stream) } != 0 || !hip.can_report_captures() {
                return Err(Skipped::Unable);
            }
            // HIP returns an error for the default stream while another stream is being captured, and an event would
            // invalidate that capture.
            if hip.is_capturing(stream) != Some(false) {
                return Err(Skipped::Capturing);
            }
            let device = hip.current_device().ok_or(Skipped::Unable)?;
            let pair = self.pool.take(events, device)?;
            // SAFETY: an event of the pool, and the stream that the call is about to use.
            if unsafe { events.record(pair.start, stream) } {
                Ok(Open { pair, stream, sequence })
            } else {
                self.pool.put(pair);
                Err(Skipped::Unable)
            }
        });
        started.unwrap_or(Err(Skipped::Unable))
    }

    /// Records the second event. Returns whether that succeeded.
    fn finish(hip: &Hip, open: &Open) -> bool {
        let (Some(events), Some(last_error)) = (&hip.events, hip.last_error) else { return false };
        let recorded = last_error.undisturbed(|| {
            // SAFETY: an event of the pool, and the stream that the call has used.
            hip.is_capturing(open.stream) == Some(false)
                && unsafe { events.record(open.pair.end, open.stream) }
        });
        recorded == Some(true)
    }

    fn skip(&mut self, reason: Skipped, calls: u64) {
        if let Some(place) = REASONS.iter().position(|known| *known == reason) {
            self.skipped[place].calls += calls;
        }
    }

    /// Removes the calls whose times are available from the pending ones. Returns their numbers and nanoseconds.
    fn read(&mut self) -> Vec<(u64, u64)> {
        // The work of one stream completes in order, but a second stream may be ahead.
        const MOST_WAITING: usize = 2;
        let mut read = Vec::new();
        let Some(hip) = self.hip else { return read };
        let (Some(events), Some(last_error)) = (&hip.events, hip.last_error) else { return read };
        let mut failed = 0;
        last_error.undisturbed(|| {
            events.relaxed(|| {
                let mut waiting = 0;
                while waiting < MOST_WAITING
                    && let Some(Pending { pair, sequence }) = self.pending.get(waiting)
                {
                    // SAFETY: events of the pool.
                    match unsafe { events.elapsed(pair.start, pair.end) } {
                        Between::NotReady => {
                            waiting += 1;
                            continue;
                        }
                        Between::Milliseconds(time) => {
                            let nanoseconds = f64::from(time.max(0.0)) * 1e6;
                            read.push((*sequence, nanoseconds.round() as u64));
                        }
                        Between::Failed => failed += 1,
                    }
                    if let Some(done) = self.pending.remove(waiting) {
                        self.pool.put(done.pair);
                    }
                }
            });
        });
        self.skip(Skipped::Unable, failed);
        read
    }

    /// Drops the measurement of a call whose record was removed.
    fn drop_withdrawn(&mut self, next: u64) {
        while self.pending.back().is_some_and(|latest| latest.sequence >= next)
            && let Some(latest) = self.pending.pop_back()
        {
            self.pool.put(latest.pair);
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let open = self.open.take().map(|open| open.pair);
        let pending = self.pending.drain(..).map(|pending| pending.pair);
        for pair in pending.chain(open) {
            self.pool.put(pair);
        }
    }
}

/// Runs before the call.
pub(super) fn before(
    state: &mut State,
    session: &'static Session,
    thread: &Thread,
    recipe: &Recipe,
    call: Arguments,
) {
    if session.options.gpu_time.is_none() || thread.depth() > 0 {
        return;
    }
    // A call that was abandoned by an exception or jump, or that was not recorded after all.
    if let Some(open) = state.open.take() {
        state.pool.put(open.pair);
    }
    let is_due = state.is_next_due(session, thread, recipe);
    state.calls += u64::from(recipe.has(flags::HANDLE) && has_work(recipe.function()));
    if is_due {
        // SAFETY: the function has a handle, which comes first.
        let handle = unsafe { call.get(0) } as usize;
        match state.start(session, handle, thread.sequence) {
            Ok(open) => {
                state.latest = Some(clock::now());
                state.open = Some(open);
            }
            Err(reason) => state.skip(reason, 1),
        }
    }
}

/// Runs after the call.
pub(super) fn after(state: &mut State, slot: &Slot) {
    let (Some(open), Some(hip)) =
        (state.open.take_if(|open| open.sequence == slot.sequence), state.hip)
    else {
        return;
    };
    if State::finish(hip, &open) {
        // SAFETY: the record of the call, which still exists.
        unsafe { *slot.record.add(NOTE) |= Note::TIMED };
        state.pending.push_back(Pending { pair: open.pair, sequence: open.sequence });
    } else {
        state.pool.put(open.pair);
        state.skip(Skipped::Unable, 1);
    }
}

/// Appends the times that have become available: before a call that is measured itself, before the handle is destroyed,
/// and when the thread ends or stops the trace (`call` is `None` then).
pub(super) fn append_times(session: &Session, thread: &mut Thread, call: Option<&Recipe>) {
    if session.options.gpu_time.is_none() {
        return;
    }
    let Some(mut around) = thread.around.take() else { return };
    let state = &mut around.gpu_time;
    state.drop_withdrawn(thread.sequence);
    let is_last = call.is_none();
    // The end of the main thread cannot be detected, so everything is appended when the handle is destroyed.
    let is_all_told = call.is_none_or(|recipe| recipe.has(flags::ENDS_HANDLE));
    let wants = |recipe: &Recipe| {
        recipe.has(flags::ENDS_HANDLE) || state.is_next_due(session, thread, recipe)
    };
    if call.is_none_or(wants) {
        let read = if state.pending.is_empty() || is_exiting() {
            Vec::new()
        } else {
            thread.without_tracing(|_| state.read())
        };
        for (sequence, nanoseconds) in read {
            let mut words = [0; event::GPU_TIME_WORDS];
            words[3] = sequence;
            words[4] = nanoseconds;
            append(session, thread, event::GPU_TIME, clock::now(), &mut words);
        }
        if is_last {
            state.skip(Skipped::Ended, state.pending.len() as u64);
            for pending in state.pending.drain(..) {
                state.pool.put(pending.pair);
            }
        }
        for (reason, skipped) in REASONS.into_iter().zip(&mut state.skipped) {
            // At any time at least half of them have been reported, in few events.
            if skipped.calls > 0 && (is_all_told || skipped.calls >= skipped.told) {
                let mut words = [0; event::SKIPPED_WORDS];
                words[3] = (Due::GpuTime as u64) << 32 | reason as u64;
                words[4] = skipped.calls;
                append(session, thread, event::SKIPPED, clock::now(), &mut words);
                skipped.told += skipped.calls;
                skipped.calls = 0;
            }
        }
    }
    thread.around = Some(around);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_every_n_calls_is_due_at_changing_places() {
        for every in [1_u64, 2, 3, 16, 100] {
            let due: Vec<u64> = (0..every * 50).filter(|call| is_due(*call, every)).collect();
            assert_eq!(due[0], 0);
            let groups: Vec<u64> = due.iter().map(|call| call / every).collect();
            assert_eq!(groups, (0..50).collect::<Vec<_>>(), "{every}");
            let mut places: Vec<u64> = due.iter().map(|call| call % every).collect();
            places.sort_unstable();
            places.dedup();
            assert!(places.len() as u64 >= every.min(30), "{every}: {places:?}");
        }
    }

    #[test]
    fn functions_that_only_set_and_tell_have_no_work() {
        let has = |name: &str| {
            has_work(usize::from(rocblas_abi::by_name(name).expect("a function").index))
        };
        for name in ["rocblas_sgemm", "rocblas_strsm_batched", "rocblas_isamax", "rocblas_scopy_64"]
        {
            assert!(has(name), "{name}");
        }
        for name in [
            "rocblas_set_stream",
            "rocblas_get_pointer_mode",
            "rocblas_destroy_handle",
            "rocblas_gemm_ex_get_solutions",
            "rocblas_is_managing_device_memory",
            "rocblas_start_device_memory_size_query",
        ] {
            assert!(!has(name), "{name}");
        }
    }
}
