//! `rocblas_syrk_ex`, which came with 5.2 and no 4.x library has.
//!
//! Its argument checks are answered as 5.2 answers them, so that a program that probes for the
//! function gets what it expects of a bad call; a good call is told that there is no implementation.
//! Source: `rocblas_syrk_ex_imp.hpp` and the checks of syrk, in their order.

use super::{handles::Handle, status};
use crate::table::Target;
use core::ffi::{CStr, c_void};

pub(super) const NAME: &CStr = c"rocblas_syrk_ex";

pub(super) static REPLACEMENTS: [(&CStr, Target); 1] = [(NAME, Target(syrk_ex as *const ()))];

const NO_TRANSPOSE: i32 = 111;
const OPERATIONS: core::ops::RangeInclusive<i32> = NO_TRANSPOSE..=113;
/// Upper, lower.
const FILLS: core::ops::RangeInclusive<i32> = 121..=122;

extern "C" fn syrk_ex(
    handle: Handle,
    uplo: i32,
    trans: i32,
    n: i32,
    k: i32,
    alpha: *const c_void,
    a: *const c_void,
    _a_type: i32,
    lda: i32,
    beta: *const c_void,
    c: *mut c_void,
    _c_type: i32,
    ldc: i32,
    _compute_type: i32,
) -> i32 {
    if handle.is_null() {
        return status::INVALID_HANDLE;
    }
    if !FILLS.contains(&uplo) || !OPERATIONS.contains(&trans) {
        return status::INVALID_VALUE;
    }
    let rows = if trans == NO_TRANSPOSE { n } else { k };
    if n < 0 || k < 0 || ldc < n || lda < rows {
        return status::INVALID_SIZE;
    }
    if n == 0 {
        return status::SUCCESS;
    }
    if (k > 0 && alpha.is_null()) || beta.is_null() {
        return status::INVALID_POINTER;
    }
    // Whether C or A are needed depends on the values of alpha and beta, which may be in device
    // memory; both are needed where a result is.
    if c.is_null() || (k > 0 && a.is_null()) {
        return status::INVALID_POINTER;
    }
    status::NOT_IMPLEMENTED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_come_in_the_vendors_order() {
        let some = core::ptr::dangling_mut::<c_void>();
        let none = core::ptr::null_mut::<c_void>();
        let call = |handle, uplo, trans, n, k, alpha, a, lda, c, ldc| {
            syrk_ex(handle, uplo, trans, n, k, alpha, a, 151, lda, alpha, c, 151, ldc, 151)
        };
        assert_eq!(call(none, 0, 0, -1, -1, none, none, 0, none, 0), status::INVALID_HANDLE);
        assert_eq!(call(some, 0, 111, -1, 1, none, none, 0, none, 0), status::INVALID_VALUE);
        assert_eq!(call(some, 121, 9, -1, 1, none, none, 0, none, 0), status::INVALID_VALUE);
        assert_eq!(call(some, 121, 111, -1, 1, none, none, 0, none, 0), status::INVALID_SIZE);
        assert_eq!(call(some, 121, 111, 4, 1, none, none, 3, none, 4), status::INVALID_SIZE);
        assert_eq!(call(some, 121, 112, 4, 1, none, none, 1, none, 3), status::INVALID_SIZE);
        assert_eq!(call(some, 122, 111, 0, 1, none, none, 0, none, 0), status::SUCCESS);
        assert_eq!(call(some, 122, 111, 4, 1, none, some, 4, some, 4), status::INVALID_POINTER);
        assert_eq!(call(some, 122, 111, 4, 1, some, none, 4, some, 4), status::INVALID_POINTER);
        assert_eq!(call(some, 122, 111, 4, 1, some, some, 4, none, 4), status::INVALID_POINTER);
        assert_eq!(call(some, 122, 111, 4, 1, some, some, 4, some, 4), status::NOT_IMPLEMENTED);
    }

    #[test]
    fn the_enums_are_the_tables() {
        for (name, value) in [
            ("rocblas_operation_none", NO_TRANSPOSE),
            ("rocblas_operation_none", *OPERATIONS.start()),
            ("rocblas_operation_conjugate_transpose", *OPERATIONS.end()),
            ("rocblas_fill_upper", *FILLS.start()),
            ("rocblas_fill_lower", *FILLS.end()),
        ] {
            let known = rocblas_abi::ENUMS.iter().find_map(|e| e.value_of(name));
            assert_eq!(known, Some(value), "{name}");
        }
    }

    #[test]
    fn the_prototype_is_the_tables() {
        let function = rocblas_abi::by_name("rocblas_syrk_ex").expect("known");
        let names: Vec<&str> = function.params.iter().map(|p| p.name).collect();
        assert_eq!(
            names,
            [
                "handle",
                "uplo",
                "transA",
                "n",
                "k",
                "alpha",
                "A",
                "a_type",
                "lda",
                "beta",
                "C",
                "c_type",
                "ldc",
                "execution_type"
            ]
        );
    }
}
