//! Keeps an older backend from calling hipBLASLt.
//!
//! 5.0.2 may call hipBLASLt 1.0, for which it was built. 4.3.0 was built for hipBLASLt 0.10, and its handle
//! constructor calls it if `ROCBLAS_USE_HIPBLASLT=1` is set. Both versions have the same mangled names for
//! classes of different layouts, so the calls bind and corrupt memory. If the variable is not set, 4.3.0
//! decides by the architecture and calls hipBLASLt on gfx12. So the backend reads `0` for the variable.
//! Source: `handle.cpp` of 4.3, and hipBLASLt's headers of both releases.

use crate::{config, diagnostics::warning};
use core::ffi::CStr;
use rocblas_contract::{sentences, variables::USE_HIPBLASLT as VARIABLE};

const OFF: &CStr = c"0";

/// The backend's value of a variable about hipBLASLt.
pub(crate) fn value(name: &CStr) -> Option<&'static CStr> {
    (name == VARIABLE).then_some(OFF)
}

/// Reports once that the variable is hidden, if it is set to another value.
pub(crate) fn announce() {
    if config::value(VARIABLE).is_some_and(|value| value != OFF) {
        warning!("{}", sentences::hipblaslt_hidden(VARIABLE.to_string_lossy()));
    }
}
