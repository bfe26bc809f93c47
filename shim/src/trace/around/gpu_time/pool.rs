//! Pairs of events. A thread creates them in batches up to a limit. When it ends, later threads reuse them, so that no
//! event is ever destroyed: HIP may have been torn down by then.

use crate::backend::hip::{Event, Events};
use core::sync::atomic::{AtomicBool, Ordering};
use rocblas_trace::layout::Skipped;
use std::sync::{Mutex, MutexGuard, TryLockError};

/// The maximum number of pairs of a thread, and so of measured calls that are not complete.
const MOST: usize = 1024;

/// The number of pairs that are created at a time.
const BATCH: usize = 16;

/// Two events on a device.
#[derive(Debug)]
pub(super) struct Pair {
    device: i32,
    pub(super) start: Event,
    pub(super) end: Event,
}

// SAFETY: HIP's events may be used by any thread.
unsafe impl Send for Pair {}

/// A thread's unused pairs.
#[derive(Debug, Default)]
pub(super) struct Pool {
    free: Vec<Pair>,
    made: usize,
}

/// The pairs of threads that have ended.
static INHERITED: Mutex<Vec<Pair>> = Mutex::new(Vec::new());

/// The pairs of threads that have ended. `None` while another thread holds the lock, which in a forked child may be
/// forever.
fn inherited_pairs() -> Option<MutexGuard<'static, Vec<Pair>>> {
    match INHERITED.try_lock() {
        Ok(left) => Some(left),
        Err(TryLockError::Poisoned(left)) => Some(left.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl Pool {
    /// A pair of the device, which is the thread's current one.
    pub(super) fn take(&mut self, events: &Events, device: i32) -> Result<Pair, Skipped> {
        let of_device = |pair: &Pair| pair.device == device;
        if let Some(place) = self.free.iter().rposition(of_device) {
            return Ok(self.free.swap_remove(place));
        }
        if self.made >= MOST {
            return Err(Skipped::Busy);
        }
        let inherited: Vec<Pair> = match inherited_pairs() {
            Some(mut left) => left.extract_if(.., |pair| of_device(pair)).take(BATCH).collect(),
            None => Vec::new(),
        };
        let missing = BATCH - inherited.len();
        self.made += inherited.len();
        self.free.extend(inherited);
        if missing == BATCH {
            register();
            events.relaxed(|| {
                for _ in 0..BATCH {
                    let Some(start) = events.create() else { break };
                    let Some(end) = events.create() else {
                        // SAFETY: created above and not used elsewhere.
                        unsafe { events.destroy(start) };
                        break;
                    };
                    self.free.push(Pair { device, start, end });
                    self.made += 1;
                }
            });
        }
        match self.free.iter().rposition(of_device) {
            Some(place) => Ok(self.free.swap_remove(place)),
            None => Err(Skipped::Unable),
        }
    }

    /// Returns a pair that is no longer in use.
    pub(super) fn put(&mut self, pair: Pair) {
        self.free.push(pair);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // This includes events that have not completed: they may be recorded again.
        if let Some(mut left) = inherited_pairs() {
            left.append(&mut self.free);
        }
    }
}

static EXITING: AtomicBool = AtomicBool::new(false);

/// Whether the program is exiting: HIP may be torn down already, or soon.
pub(super) fn is_exiting() -> bool {
    EXITING.load(Ordering::Relaxed)
}

/// Registers an exit handler. HIP has registered its own before, so this one runs first.
fn register() {
    extern "C" fn on_exit() {
        EXITING.store(true, Ordering::Relaxed);
    }
    static IS_REGISTERED: AtomicBool = AtomicBool::new(false);
    if !IS_REGISTERED.swap(true, Ordering::Relaxed) {
        // SAFETY: a function that stays mapped. If it cannot be registered, HIP is called until the process ends.
        let _ = unsafe { libc::atexit(on_exit) };
    }
}
