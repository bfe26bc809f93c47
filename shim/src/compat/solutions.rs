//! Queries of the solutions for a product, without matrices.
//!
//! 5.x accepts null for A, B, C and D in the `get_solutions` functions, because the result does not
//! depend on them. 4.3.0 returns `rocblas_status_invalid_pointer`. So null is replaced by an address. It is
//! never read: solutions are looked up, not run.
//! Source: the argument checks of `rocblas_gemm_ex_get_solutions` in both.

use super::{backend_functions::replacements, of, status};
use crate::table::Target;
use core::ffi::{CStr, c_void};

/// A stand-in for a matrix, with the alignment of device memory.
#[repr(align(256))]
struct Nothing(#[allow(dead_code, reason = "only its address is used")] [u8; 256]);
static NOTHING: Nothing = Nothing([0; 256]);

/// The parameters that are matrices.
const MATRICES: [&str; 4] = ["a", "b", "c", "d"];

/// An argument that is passed on.
trait Argument: Sized {
    /// Replaces a null matrix by an address; returns any other argument unchanged.
    fn with_address(self, _parameter: &str) -> Self {
        self
    }
}

impl Argument for i32 {}
impl Argument for u32 {}
impl Argument for i64 {}
impl Argument for *mut i32 {}

impl Argument for *const c_void {
    fn with_address(self, parameter: &str) -> Self {
        self.cast_mut().with_address(parameter)
    }
}

impl Argument for *mut c_void {
    fn with_address(self, parameter: &str) -> Self {
        if self.is_null() && MATRICES.contains(&parameter) {
            (&raw const NOTHING).cast::<c_void>().cast_mut()
        } else {
            self
        }
    }
}

macro_rules! function {
    ($function:ident $original:ident ($handle:ident: $of_handle:ty $(, $parameter:ident: $type:ty)*)) => {
        /// # Safety
        /// As the vendor's function of these arguments.
        #[allow(non_snake_case, reason = "parameters are named as in the vendor's headers")]
        unsafe extern "C" fn $function($handle: $of_handle $(, $parameter: $type)*) -> i32 {
            let Some(original) = of($handle).and_then(|compat| compat.functions.$original) else {
                return status::NOT_IMPLEMENTED;
            };
            // SAFETY: the caller's arguments, except for matrices, which are neither read nor written.
            unsafe { original($handle $(, $parameter.with_address(stringify!($parameter)))*) }
        }
    };
}

macro_rules! functions {
    ($($function:ident = $original:ident),* $(,)?) => {
        $(rocblas_abi::parameters! { $original; function!($function $original) })*

        pub(super) static REPLACEMENTS: [(&CStr, Target); 3] =
            replacements![$($original = $function),*];
    };
}

functions! {
    plain = rocblas_gemm_ex_get_solutions,
    batched = rocblas_gemm_batched_ex_get_solutions,
    strided = rocblas_gemm_strided_batched_ex_get_solutions,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_function_has_four_matrices_by_these_names() {
        for (name, _) in REPLACEMENTS {
            let function = rocblas_abi::by_name(name.to_str().expect("ASCII")).expect("known");
            let names: Vec<&str> = function.params.iter().map(|p| p.name).collect();
            assert!(MATRICES.iter().all(|matrix| names.contains(matrix)), "{name:?}: {names:?}");
        }
    }

    #[test]
    fn only_null_matrices_are_replaced() {
        let null = core::ptr::null::<c_void>();
        assert!(MATRICES.iter().all(|matrix| !null.with_address(matrix).is_null()));
        assert!(["alpha", "beta", "handle"].iter().all(|other| null.with_address(other).is_null()));
        assert_eq!(
            (&raw const NOTHING).cast::<c_void>().with_address("a"),
            (&raw const NOTHING).cast()
        );
    }
}
