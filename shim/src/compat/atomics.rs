//! Whether results may vary between runs.
//!
//! 5.0.2: a new handle does not allow atomics. 4.3.0: it does. Both take
//! `ROCBLAS_DEFAULT_ATOMICS_MODE` from the environment instead where it is set.
//! Source: release notes of rocBLAS 5.0, and the constructors of the handle.

use super::{Compat, Promise, handles::Handle, status};
use crate::config;
use core::ffi::CStr;
use tracing::warn;

const NOT_ALLOWED: i32 = 0;
const VARIABLE: &CStr = c"ROCBLAS_DEFAULT_ATOMICS_MODE";

pub(super) fn on_create(compat: &Compat, handle: Handle) {
    if !compat.active.contains(Promise::Atomics) || config::is_set(VARIABLE) {
        return;
    }
    if let Some(set_mode) = compat.originals.set_atomics_mode {
        // SAFETY: the backend's function and a handle that it has just made.
        let answer = unsafe { set_mode(handle, NOT_ALLOWED) };
        if answer != status::SUCCESS {
            warn!("the backend's rocblas_set_atomics_mode answered {answer}: atomics stay allowed");
        }
    }
}
