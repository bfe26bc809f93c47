//! Graphs and stream capture, which AMD's test program imports and this runtime does not have: each
//! function returns `hipErrorNotSupported`.

use crate::{answer::hip_functions, errors::HipError};
use std::ffi::{c_char, c_void};

hip_functions! {
    fn hipStreamBeginCapture(_stream: *mut c_void, _mode: i32) {
        Err(HipError::NOT_SUPPORTED)
    }

    fn hipStreamEndCapture(_stream: *mut c_void, _graph: *mut *mut c_void) {
        Err(HipError::NOT_SUPPORTED)
    }

    fn hipGraphInstantiate(
        _executable: *mut *mut c_void,
        _graph: *mut c_void,
        _error_node: *mut *mut c_void,
        _log: *mut c_char,
        _log_size: usize,
    ) {
        Err(HipError::NOT_SUPPORTED)
    }

    fn hipGraphLaunch(_executable: *mut c_void, _stream: *mut c_void) {
        Err(HipError::NOT_SUPPORTED)
    }

    fn hipGraphExecDestroy(_executable: *mut c_void) {
        Err(HipError::NOT_SUPPORTED)
    }

    fn hipGraphDestroy(_graph: *mut c_void) {
        Err(HipError::NOT_SUPPORTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr::null_mut;

    #[test]
    fn capturing_is_not_supported() {
        // SAFETY: nothing is written to.
        unsafe {
            assert_eq!(hipStreamBeginCapture(null_mut(), 0), 801);
            assert_eq!(hipStreamEndCapture(null_mut(), null_mut()), 801);
        }
    }
}
