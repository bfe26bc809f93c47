//! hipBLASLt is never entered from an older backend.
//!
//! 5.0.2 may call hipBLASLt 1.0, which it was built against. 4.3.0's handle constructor calls
//! hipBLASLt too where `ROCBLAS_USE_HIPBLASLT=1` is set, built against 0.10: the same mangled names
//! with other classes behind them, so the calls bind and corrupt memory. So the variable is hidden
//! from it.
//! Source: `handle.cpp` of 4.3, and hipBLASLt's headers of both releases.

use crate::config;
use core::ffi::CStr;
use tracing::warn;

const VARIABLE: &CStr = c"ROCBLAS_USE_HIPBLASLT";

/// Whether a variable is not for the backend.
pub(crate) fn hides(name: &CStr) -> bool {
    name == VARIABLE
}

/// Says once, if the variable is set, that it is hidden.
pub(crate) fn announce() {
    if config::is_set(VARIABLE) {
        warn!(
            "ROCBLAS_USE_HIPBLASLT is hidden from the backend: it would call hipBLASLt 0.10 under \
             the names of hipBLASLt 1.0, whose classes are others"
        );
    }
}
