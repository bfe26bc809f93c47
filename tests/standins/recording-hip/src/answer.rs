//! The common wrapper of all HIP functions: a failure requested by the environment, then the function's body;
//! errors are logged and stored per thread as in HIP 7.
//!
//! HIP 7 stores two errors. `hipGetLastError` and `hipPeekAtLastError` return the last **failure**, which
//! later successes do not clear; `hipExtGetLastError` returns the result of the last **call**.
//! `hipErrorNotReady` does not count as a failure. (Public source of the runtime, release 7.)

use crate::{
    errors::{Answer, HipError, SUCCESS},
    log::{self, Entry},
    settings::settings,
};
use std::cell::Cell;

thread_local! {
    static LAST_FAILURE: Cell<i32> = const { Cell::new(SUCCESS) };
    static LAST_CALL: Cell<i32> = const { Cell::new(SUCCESS) };
}

/// Runs a HIP function's body and converts its result for C callers.
pub(crate) fn answer(function: &str, body: impl FnOnce() -> Answer) -> i32 {
    let outcome = match settings().failure_of(function) {
        Some(error) => Err(error),
        None if settings().devices == 0 && !works_without_devices(function) => {
            Err(HipError::NO_DEVICE)
        }
        None => body(),
    };
    if let Err(error) = outcome
        && error != HipError::NOT_READY
    {
        let name = error.name();
        log::write(&Entry::Error { code: error.code(), name: &name, function });
    }
    remember(outcome)
}

fn works_without_devices(function: &str) -> bool {
    function.starts_with("__hip")
        || function.ends_with("GetVersion")
        || function == "hipGetDeviceCount"
}

fn remember(outcome: Answer) -> i32 {
    let code = outcome.err().map_or(SUCCESS, HipError::code);
    LAST_CALL.set(code);
    if code != SUCCESS && code != HipError::NOT_READY.code() {
        LAST_FAILURE.set(code);
    }
    code
}

#[unsafe(no_mangle)]
extern "C" fn hipGetLastError() -> i32 {
    LAST_FAILURE.replace(SUCCESS)
}

#[unsafe(no_mangle)]
extern "C" fn hipPeekAtLastError() -> i32 {
    LAST_FAILURE.get()
}

#[unsafe(no_mangle)]
extern "C" fn hipExtGetLastError() -> i32 {
    LAST_CALL.replace(SUCCESS)
}

/// Writes through a caller's pointer.
///
/// # Safety
/// `to` is null or points to a `T` that may be written.
pub(crate) unsafe fn put<T>(to: *mut T, value: T) -> Answer {
    if to.is_null() {
        return Err(HipError::INVALID_VALUE);
    }
    // SAFETY: not null; the caller guarantees the rest.
    unsafe { to.write(value) };
    Ok(())
}

/// Defines functions of HIP's C interface whose bodies are of type [`Answer`].
macro_rules! hip_functions {
    ($($(#[$attribute:meta])* fn $name:ident($($parameter:ident: $type:ty),* $(,)?) $body:block)*) => {
        $(
            $(#[$attribute])*
            #[unsafe(no_mangle)]
            pub(crate) unsafe extern "C" fn $name($($parameter: $type),*) -> i32 {
                $crate::answer::answer(stringify!($name), || $body)
            }
        )*
    };
}
pub(crate) use hip_functions;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_stays_until_it_is_asked_for() {
        // Each test runs in its own thread and so has its own errors.
        assert_eq!(hipGetLastError(), SUCCESS);
        assert_eq!(remember(Err(HipError::INVALID_VALUE)), 1);
        assert_eq!(remember(Ok(())), 0);
        assert_eq!(hipExtGetLastError(), 0);
        assert_eq!(hipPeekAtLastError(), 1);
        assert_eq!(hipGetLastError(), 1);
        assert_eq!(hipGetLastError(), SUCCESS);
    }

    #[test]
    fn a_later_failure_replaces_an_earlier_one() {
        remember(Err(HipError::INVALID_VALUE));
        remember(Err(HipError::INVALID_DEVICE_FUNCTION));
        assert_eq!(hipExtGetLastError(), 98);
        assert_eq!(hipExtGetLastError(), 0);
        assert_eq!(hipGetLastError(), 98);
    }

    #[test]
    fn not_ready_is_no_failure() {
        assert_eq!(remember(Err(HipError::NOT_READY)), 600);
        assert_eq!(hipExtGetLastError(), 600);
        assert_eq!(hipGetLastError(), SUCCESS);
    }

    #[test]
    fn a_null_result_pointer_is_an_invalid_value() {
        let mut number = 1;
        // SAFETY: null is allowed, and the other pointer refers to an i32.
        let answers = unsafe { (put(std::ptr::null_mut::<i32>(), 2), put(&raw mut number, 2)) };
        assert_eq!(answers, (Err(HipError::INVALID_VALUE), Ok(())));
        assert_eq!(number, 2);
    }
}
