//! The status of a call, and how a routine returns early.
//!
//! rocBLAS decides in a fixed order why a call is refused or has nothing to do. The routines express that
//! order as a sequence of checks joined by `?`, so a check that ends the call must be an `Err` even if the
//! status is success.

use core::ffi::CStr;

/// The values of `rocblas_status` that this library returns, with the vendor's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[expect(missing_docs, reason = "the vendor's names are self-explanatory")]
pub enum Status {
    Success = 0,
    InvalidHandle = 1,
    NotImplemented = 2,
    InvalidPointer = 3,
    InvalidSize = 4,
    InternalError = 6,
    InvalidValue = 11,
}

/// The result of a routine: `Err` carries the status that ends the call before anything is computed, which is
/// [`Status::Success`] for a quick return.
pub(crate) type Course = Result<(), Status>;

/// The vendor's name for a status, or the vendor's text for any other number.
pub(crate) fn status_name(status: i32) -> &'static CStr {
    match status {
        0 => c"rocblas_status_success",
        1 => c"rocblas_status_invalid_handle",
        2 => c"rocblas_status_not_implemented",
        3 => c"rocblas_status_invalid_pointer",
        4 => c"rocblas_status_invalid_size",
        5 => c"rocblas_status_memory_error",
        6 => c"rocblas_status_internal_error",
        7 => c"rocblas_status_perf_degraded",
        8 => c"rocblas_status_size_query_mismatch",
        9 => c"rocblas_status_size_increased",
        10 => c"rocblas_status_size_unchanged",
        11 => c"rocblas_status_invalid_value",
        12 => c"rocblas_status_continue",
        13 => c"rocblas_status_check_numerics_fail",
        14 => c"rocblas_status_excluded_from_build",
        15 => c"rocblas_status_arch_mismatch",
        _ => c"<undefined rocblas_status value>",
    }
}
