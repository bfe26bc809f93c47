//! hipBLASLt is never entered from an older backend.
//!
//! 5.0.2 may call hipBLASLt 1.0, which it was built against. 4.3.0's handle constructor calls
//! hipBLASLt too where `ROCBLAS_USE_HIPBLASLT=1` is set, built against 0.10: the same mangled names
//! with other classes behind them, so the calls bind and corrupt memory. Without the variable it goes
//! by the architecture, and gfx12 enters hipBLASLt. So the variable is `0` for the backend.
//! Source: `handle.cpp` of 4.3, and hipBLASLt's headers of both releases.

use crate::config;
use core::ffi::CStr;
use rocblas_contract::{sentences, variables::USE_HIPBLASLT as VARIABLE};
use tracing::warn;

const OFF: &CStr = c"0";

/// What the backend gets for a variable of hipBLASLt's.
pub(crate) fn answer(name: &CStr) -> Option<&'static CStr> {
    (name == VARIABLE).then_some(OFF)
}

/// Says once that the variable is hidden, if it is set to anything else.
pub(crate) fn announce() {
    if config::value(VARIABLE).is_some_and(|value| value != OFF) {
        warn!("{}", sentences::hipblaslt_hidden(VARIABLE.to_string_lossy()));
    }
}
