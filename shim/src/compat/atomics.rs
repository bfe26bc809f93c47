//! Whether results may vary between runs.
//!
//! In 5.0.2 a new handle does not allow atomics; in 4.3.0 it does. In both, the environment variable
//! `ROCBLAS_DEFAULT_ATOMICS_MODE` overrides the default. So a backend that reads the variable gets a value
//! as if it were set: then it creates the handle in that mode, and its own log has the same lines as
//! 5.0.2's. For a backend that does not read it, the shim sets the mode of each new handle.
//! Source: release notes of rocBLAS 5.0, and the constructors of the handle.

use super::{Promise, handles::Handle, status};
use crate::{backend::Backend, config, diagnostics::warning};
use core::ffi::CStr;
use rocblas_abi::value::atomics_mode::ATOMICS_NOT_ALLOWED;
use rocblas_contract::{sentences, variables::DEFAULT_ATOMICS_MODE as VARIABLE};

/// [`ATOMICS_NOT_ALLOWED`] as a value of the variable.
const VALUE: &CStr = c"0";

/// The backend's value of the variable, unless the user has set it.
pub(crate) fn value(name: &CStr) -> Option<&'static CStr> {
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
        // SAFETY: the backend's function and a handle that it has just created.
        let result = unsafe { set_mode(handle, ATOMICS_NOT_ALLOWED) };
        if result != status::SUCCESS {
            warning!("{}", sentences::atomics_stay(result));
        }
    }
}
