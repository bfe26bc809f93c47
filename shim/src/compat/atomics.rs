//! Whether results may vary between runs.
//!
//! 5.0.2: a new handle does not allow atomics. 4.3.0: it does. Both take
//! `ROCBLAS_DEFAULT_ATOMICS_MODE` from the environment instead where it is set. So a backend that asks
//! for the variable is answered as if it were set: then the handle is made in that mode, and the
//! backend's own log has the lines that 5.0.2's has. Of a backend that does not ask, each new handle
//! is told.
//! Source: release notes of rocBLAS 5.0, and the constructors of the handle.

use super::{Promise, handles::Handle, status};
use crate::{backend::Backend, config};
use core::ffi::CStr;
use rocblas_abi::value::atomics_mode::ATOMICS_NOT_ALLOWED;
use rocblas_contract::{sentences, variables::DEFAULT_ATOMICS_MODE as VARIABLE};
use tracing::warn;

/// [`ATOMICS_NOT_ALLOWED`], as the variable has it.
const VALUE: &CStr = c"0";

/// What the backend gets for the variable, unless the user has set it.
pub(crate) fn answer(name: &CStr) -> Option<&'static CStr> {
    if name != VARIABLE || config::is_set(VARIABLE) {
        return None;
    }
    Some(VALUE)
}

pub(super) fn on_create(backend: &Backend, handle: Handle) {
    let compat = &backend.compat;
    if !compat.active.contains(Promise::Atomics)
        || backend.environment.asked_for_atomics()
        || config::is_set(VARIABLE)
    {
        return;
    }
    if let Some(set_mode) = compat.functions.rocblas_set_atomics_mode {
        // SAFETY: the backend's function and a handle that it has just made.
        let answer = unsafe { set_mode(handle, ATOMICS_NOT_ALLOWED) };
        if answer != status::SUCCESS {
            warn!("{}", sentences::atomics_stay(answer));
        }
    }
}
