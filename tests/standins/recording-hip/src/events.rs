//! Events. No time passes on this device: everything recorded has happened, 0 ms after all else.

use crate::{
    answer::{hip_functions, put},
    errors::{Answer, HipError},
    handles::Table,
    streams,
};
use std::{
    ffi::c_void,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

/// `hipEventDisableTiming`.
const NO_TIMING: u32 = 2;

struct Event {
    flags: u32,
    recorded: bool,
}

fn events() -> MutexGuard<'static, Table<Event>> {
    static EVENTS: LazyLock<Mutex<Table<Event>>> =
        LazyLock::new(|| Mutex::new(Table::new(0x10_0000)));
    EVENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fails for a handle of no event.
pub(crate) fn check(event: *mut c_void) -> Answer {
    events().get(event).map(|_| ()).ok_or(HipError::INVALID_HANDLE)
}

/// Notes that an event has been recorded.
pub(crate) fn record(event: *mut c_void) -> Answer {
    events().get_mut(event).map(|event| event.recorded = true).ok_or(HipError::INVALID_HANDLE)
}

/// Makes an event for a caller who waits at `result`.
///
/// # Safety
/// `result` is null or may be written.
unsafe fn create(result: *mut *mut c_void, flags: u32) -> Answer {
    if result.is_null() {
        return Err(HipError::INVALID_VALUE);
    }
    let event = events().add(|_| Event { flags, recorded: false });
    // SAFETY: the caller's promise.
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
        record(event)
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
        let measures = |event| {
            events().get(event).is_some_and(|e| e.recorded && e.flags & NO_TIMING == 0)
        };
        if !measures(start) || !measures(stop) {
            return Err(HipError::INVALID_HANDLE);
        }
        // SAFETY: the caller's out-parameter.
        unsafe { put(milliseconds, 0.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;

    #[test]
    fn no_time_passes_between_recorded_events() {
        let mut events = [ptr::null_mut(); 2];
        for event in &mut events {
            // SAFETY: `event` is what the function fills.
            assert_eq!(unsafe { hipEventCreate(event) }, 0);
        }
        let [start, stop] = events;
        let mut elapsed = -1.0;
        // SAFETY: handles, and `elapsed` to be filled.
        unsafe {
            assert_eq!(hipEventElapsedTime(&raw mut elapsed, start, stop), 400, "not recorded");
            assert_eq!(hipEventRecord(start, ptr::null_mut()), 0);
            assert_eq!(hipEventRecord(stop, ptr::null_mut()), 0);
            assert_eq!(hipEventElapsedTime(&raw mut elapsed, start, stop), 0);
            assert_eq!(hipEventDestroy(start), 0);
            assert_eq!(hipEventDestroy(start), 400);
            assert_eq!(hipEventDestroy(stop), 0);
        }
        assert!(elapsed == 0.0);
    }
}
