//! `rocblas_syrk_ex`, which came with 5.2 and no 4.x library has.
//!
//! Its argument checks are answered as 5.2 answers them, so that a program that probes for the
//! function gets what it expects of a bad call; a good call is told that there is no implementation.
//! Source: `rocblas_syrk_ex_imp.hpp` and the checks of syrk, in their order.

use super::{
    handles::{self, Handle},
    status,
};
use crate::table::Target;
use core::ffi::{CStr, c_void};

pub(super) const NAME: &CStr = c"rocblas_syrk_ex";

pub(super) static REPLACEMENTS: [(&CStr, Target); 1] = [(NAME, Target(syrk_ex as *const ()))];

const NO_TRANSPOSE: i32 = 111;
const OPERATIONS: core::ops::RangeInclusive<i32> = NO_TRANSPOSE..=113;
const F32: i32 = 151;
const F64: i32 = 152;
const F32_COMPLEX: i32 = 154;
const F64_COMPLEX: i32 = 155;
/// Upper, lower.
const FILLS: core::ops::RangeInclusive<i32> = 121..=122;

/// # Safety
/// As `rocblas_syrk_ex`.
unsafe extern "C" fn syrk_ex(
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
    compute_type: i32,
) -> i32 {
    // SAFETY: asked of a handle that is not null; the vendor's contract has it that it is one.
    let has_host_scalars = |handle| unsafe { handles::has_host_scalars(handle) };
    let (alpha, beta) = (Scalar(alpha, compute_type), Scalar(beta, compute_type));
    // SAFETY: the caller's arguments, under the vendor's contract.
    unsafe { check(handle, uplo, trans, n, k, alpha, a, lda, beta, c, ldc, has_host_scalars) }
}

/// alpha or beta, and the datatype of the computation, which is its own.
#[derive(Clone, Copy)]
struct Scalar(*const c_void, i32);

impl Scalar {
    /// Whether a scalar in host memory has that value. Not of a datatype that no syrk computes in.
    ///
    /// # Safety
    /// The address is readable for the datatype.
    unsafe fn is(self, value: f64) -> bool {
        let Self(at, datatype) = self;
        // SAFETY: by contract; a scalar of C need not be aligned for a pair of numbers.
        unsafe {
            match datatype {
                F32 => f64::from(at.cast::<f32>().read_unaligned()) == value,
                F64 => at.cast::<f64>().read_unaligned() == value,
                F32_COMPLEX => {
                    at.cast::<[f32; 2]>().read_unaligned().map(f64::from) == [value, 0.0]
                }
                F64_COMPLEX => at.cast::<[f64; 2]>().read_unaligned() == [value, 0.0],
                _ => false,
            }
        }
    }
}

/// The checks in the vendor's order, up to where a computation would begin.
///
/// # Safety
/// Where the handle has host scalars, alpha and beta are null or readable.
unsafe fn check(
    handle: Handle,
    uplo: i32,
    trans: i32,
    n: i32,
    k: i32,
    alpha: Scalar,
    a: *const c_void,
    lda: i32,
    beta: Scalar,
    c: *mut c_void,
    ldc: i32,
    has_host_scalars: impl Fn(Handle) -> bool,
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
    if (k > 0 && alpha.0.is_null()) || beta.0.is_null() {
        return status::INVALID_POINTER;
    }
    // Whether A or C are needed depends on alpha and beta. In device memory they are not looked at.
    if has_host_scalars(handle) {
        // SAFETY: host scalars that are not null, by contract. alpha may be null if k is 0.
        let (has_product, changes) = unsafe { (k > 0 && !alpha.is(0.0), !beta.is(1.0)) };
        if !has_product && !changes {
            return status::SUCCESS;
        }
        if c.is_null() || (has_product && a.is_null()) {
            return status::INVALID_POINTER;
        }
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
        let at = |value: &f32| Scalar((&raw const *value).cast(), F32);
        let null = Scalar(none, F32);
        let call = |handle, uplo, trans, n, k, alpha, a, lda, beta, c, ldc, host| {
            // SAFETY: scalars are null or of the type that they are said to be.
            unsafe { check(handle, uplo, trans, n, k, alpha, a, lda, beta, c, ldc, |_| host) }
        };
        let sizes = |handle, uplo, trans, n, k, lda, ldc| {
            call(handle, uplo, trans, n, k, null, none, lda, null, none, ldc, true)
        };
        assert_eq!(sizes(none, 0, 0, -1, -1, 0, 0), status::INVALID_HANDLE);
        assert_eq!(sizes(some, 0, 111, -1, 1, 0, 0), status::INVALID_VALUE);
        assert_eq!(sizes(some, 121, 9, -1, 1, 0, 0), status::INVALID_VALUE);
        assert_eq!(sizes(some, 121, 111, -1, 1, 0, 0), status::INVALID_SIZE);
        assert_eq!(sizes(some, 121, 111, 4, 1, 3, 4), status::INVALID_SIZE);
        assert_eq!(sizes(some, 121, 112, 4, 1, 1, 3), status::INVALID_SIZE);
        assert_eq!(sizes(some, 122, 111, 0, 1, 0, 0), status::SUCCESS);
        assert_eq!(sizes(some, 122, 111, 4, 1, 4, 4), status::INVALID_POINTER, "no scalars");
        let pointers = |k, alpha: &f32, a, beta: &f32, c, host| {
            call(some, 122, 111, 4, k, at(alpha), a, 4, at(beta), c, 4, host)
        };
        // Nothing to do comes before what would be needed for it.
        assert_eq!(pointers(1, &0.0, none, &1.0, none, true), status::SUCCESS);
        assert_eq!(pointers(0, &2.0, none, &1.0, none, true), status::SUCCESS);
        assert_eq!(pointers(1, &0.0, none, &0.0, none, true), status::INVALID_POINTER);
        assert_eq!(pointers(1, &2.0, none, &1.0, some, true), status::INVALID_POINTER);
        assert_eq!(pointers(1, &2.0, some, &1.0, none, true), status::INVALID_POINTER);
        assert_eq!(pointers(1, &0.0, none, &0.0, some, true), status::NOT_IMPLEMENTED);
        assert_eq!(pointers(1, &2.0, some, &1.0, some, true), status::NOT_IMPLEMENTED);
        assert_eq!(pointers(1, &0.0, none, &1.0, none, false), status::NOT_IMPLEMENTED);
    }

    #[test]
    fn scalars_are_compared_in_the_datatype_of_the_computation() {
        let of = |words: &[f32], datatype| Scalar(words.as_ptr().cast(), datatype);
        let double = 1.0_f64.to_ne_bytes();
        let complex = [1.0_f64, 0.0];
        // SAFETY: each is as large as its datatype.
        unsafe {
            assert!(of(&[1.0], F32).is(1.0) && !of(&[0.5], F32).is(1.0));
            assert!(Scalar(double.as_ptr().cast(), F64).is(1.0));
            assert!(of(&[1.0, 0.0], F32_COMPLEX).is(1.0) && !of(&[1.0, 2.0], F32_COMPLEX).is(1.0));
            assert!(Scalar(complex.as_ptr().cast(), F64_COMPLEX).is(1.0));
            assert!(!of(&[1.0, 0.0], 150).is(1.0), "no such computation");
        }
    }

    #[test]
    fn the_enums_are_the_tables() {
        for (name, value) in [
            ("rocblas_operation_none", NO_TRANSPOSE),
            ("rocblas_operation_none", *OPERATIONS.start()),
            ("rocblas_operation_conjugate_transpose", *OPERATIONS.end()),
            ("rocblas_fill_upper", *FILLS.start()),
            ("rocblas_fill_lower", *FILLS.end()),
            ("rocblas_datatype_f32_r", F32),
            ("rocblas_datatype_f64_r", F64),
            ("rocblas_datatype_f32_c", F32_COMPLEX),
            ("rocblas_datatype_f64_c", F64_COMPLEX),
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
