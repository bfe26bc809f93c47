//! Events, which complete as soon as they are recorded. Time advances with launches: each kernel takes [`LAUNCH`], and
//! kernels of all streams run one after the other.

use crate::{
    answer::{hip_functions, put},
    errors::{Answer, HipError},
    graphs,
    handles::Table,
    streams,
};
use std::{
    ffi::c_void,
    ptr,
    sync::{
        LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// `hipEventDisableTiming`.
const NO_TIMING: u32 = 2;

/// The duration of a kernel, in microseconds.
const LAUNCH: u64 = 10;

/// Microseconds since the start.
static NOW: AtomicU64 = AtomicU64::new(0);

/// Advances the time by one kernel.
pub(crate) fn pass() {
    NOW.fetch_add(LAUNCH, Ordering::Relaxed);
}

struct Event {
    flags: u32,
    /// When it was recorded.
    at: Option<u64>,
}

fn events() -> MutexGuard<'static, Table<Event>> {
    static EVENTS: LazyLock<Mutex<Table<Event>>> =
        LazyLock::new(|| Mutex::new(Table::new(0x10_0000)));
    EVENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fails if the handle is not an event.
pub(crate) fn check(event: *mut c_void) -> Answer {
    events().get(event).map(|_| ()).ok_or(HipError::INVALID_HANDLE)
}

/// Records an event.
pub(crate) fn record(event: *mut c_void) -> Answer {
    let mut events = events();
    let event = events.get_mut(event).ok_or(HipError::INVALID_HANDLE)?;
    event.at = Some(NOW.load(Ordering::Relaxed));
    Ok(())
}

/// Creates an event and stores its handle in `result`.
///
/// # Safety
/// `result` is null or may be written.
unsafe fn create(result: *mut *mut c_void, flags: u32) -> Answer {
    if result.is_null() {
        return Err(HipError::INVALID_VALUE);
    }
    let event = events().add(|_| Event { flags, at: None });
    // SAFETY: guaranteed by the caller.
    unsafe { put(result, event) }
}

hip_functions! {
    fn hipEventCreate(result: *mut *mut c_void) {
        // SAFETY: the caller's out-parameter.
        unsafe { create(result, 0) }
    }

    fn hipEventCreateWithFlags(result: *mut *mut c_void, flags: u32) {
        // SAFETY: the caller's out-parameter.
        unsafe { create(result, flags) }
    }

    fn hipEventDestroy(event: *mut c_void) {
        events().remove(event).map(|_| ()).ok_or(HipError::INVALID_HANDLE)
    }

    fn hipEventRecord(event: *mut c_void, stream: *mut c_void) {
        streams::check(stream)?;
        check(event)?;
        let event = event.addr();
        graphs::submit(stream, "event", move || record(ptr::without_provenance_mut(event)))
    }

    fn hipEventSynchronize(event: *mut c_void) {
        check(event)
    }

    fn hipEventQuery(event: *mut c_void) {
        check(event)
    }

    fn hipEventElapsedTime(milliseconds: *mut f32, start: *mut c_void, stop: *mut c_void) {
        if milliseconds.is_null() {
            return Err(HipError::INVALID_VALUE);
        }
        let at = |event| {
            let events = events();
            let at = events.get(event).filter(|event| event.flags & NO_TIMING == 0)?.at;
            at.map(|at| at as f32)
        };
        let (Some(start), Some(stop)) = (at(start), at(stop)) else {
            return Err(HipError::INVALID_HANDLE);
        };
        // SAFETY: the caller's out-parameter.
        unsafe { put(milliseconds, (stop - start) / 1e3) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_by_launches_between_recorded_events() {
        let mut events = [ptr::null_mut(); 2];
        for event in &mut events {
            // SAFETY: `event` is what the function fills.
            assert_eq!(unsafe { hipEventCreate(event) }, 0);
        }
        let [start, stop] = events;
        // Not the default stream, which would invalidate captures of other tests.
        let mut stream = ptr::null_mut();
        // SAFETY: `stream` is what the function fills.
        assert_eq!(unsafe { streams::hipStreamCreate(&raw mut stream) }, 0);
        let mut elapsed = -1.0;
        // SAFETY: these are handles, and `elapsed` may be written.
        unsafe {
            assert_eq!(hipEventElapsedTime(&raw mut elapsed, start, stop), 400, "not recorded");
            assert_eq!(hipEventRecord(start, stream), 0);
            pass();
            assert_eq!(hipEventRecord(stop, stream), 0);
            assert_eq!(hipEventElapsedTime(&raw mut elapsed, start, stop), 0);
            assert_eq!(hipEventDestroy(start), 0);
            assert_eq!(hipEventDestroy(start), 400);
            assert_eq!(hipEventDestroy(stop), 0);
        }
        // Other tests launch kernels too.
        assert!(elapsed >= 0.01, "{elapsed}");
    }
}
