//! Asking which solutions there are for a product, without matrices.
//!
//! 5.x accepts null for A, B, C and D in the `get_solutions` functions, as the question does not
//! depend on them. 4.3.0 answers `rocblas_status_invalid_pointer`. So a null becomes an address that
//! nothing is read from: the solutions are looked up, not run.
//! Source: the argument checks of `rocblas_gemm_ex_get_solutions` in both.

use super::{current, handles::original, status};
use crate::table::{Table, Target};
use core::{ffi::CStr, mem::transmute};

/// What stands in for a matrix: as aligned as device memory is.
#[repr(align(256))]
struct Nothing(#[allow(dead_code, reason = "only its address is used")] [u8; 256]);
static NOTHING: Nothing = Nothing([0; 256]);

/// Makes a function of `words` parameters, each an integer or a pointer and so a word, that puts an
/// address where a matrix is null and passes on all others.
macro_rules! with_matrices {
    ($($function:ident $field:ident $name:literal [$($word:ident)*] matrices $matrices:expr;)*) => {
        #[derive(Debug)]
        pub(crate) struct Originals {
            $($field: Option<unsafe extern "C" fn($(with_matrices!(@word $word)),*) -> i32>,)*
        }

        impl Originals {
            /// Of a table that nothing has been replaced in yet.
            pub(crate) fn of(table: &Table) -> Self {
                Self {
                    $($field: original(table, $name).map(|function| {
                        // SAFETY: every parameter is an integer or a pointer: a word of its own.
                        unsafe { transmute::<
                            *const (),
                            unsafe extern "C" fn($(with_matrices!(@word $word)),*) -> i32,
                        >(function) }
                    }),)*
                }
            }
        }

        $(
            /// # Safety
            /// As the vendor's function of these arguments.
            unsafe extern "C" fn $function($($word: u64),*) -> i32 {
                let Some(original) = current().and_then(|compat| compat.solutions.$field) else {
                    return status::NOT_IMPLEMENTED;
                };
                let mut words = [$($word),*];
                for matrix in $matrices {
                    if words[matrix] == 0 {
                        words[matrix] = (&raw const NOTHING) as u64;
                    }
                }
                let [$($word),*] = words;
                // SAFETY: the caller's arguments, but for matrices that are not read.
                unsafe { original($($word),*) }
            }
        )*

        pub(super) static REPLACEMENTS: [(&CStr, Target); 3] =
            [$(($name, Target($function as *const ()))),*];

        #[cfg(test)]
        const SHAPES: [(&CStr, usize, [usize; 4]); 3] =
            [$(($name, [$(stringify!($word)),*].len(), $matrices)),*];
    };
    (@word $word:ident) => { u64 };
}

with_matrices! {
    plain single c"rocblas_gemm_ex_get_solutions"
        [a b c d e f g h i j k l m n o p q r s t u v w x y]
        matrices [7, 10, 14, 17];
    batched batched c"rocblas_gemm_batched_ex_get_solutions"
        [a b c d e f g h i j k l m n o p q r s t u v w x y z]
        matrices [7, 10, 14, 17];
    strided strided c"rocblas_gemm_strided_batched_ex_get_solutions"
        [a b c d e f g h i j k l m n o p q r s t u v w x y z a2 b2 c2 d2]
        matrices [7, 11, 16, 20];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrices_are_where_the_table_has_them() {
        for (name, words, matrices) in SHAPES {
            let function = rocblas_abi::by_name(name.to_str().expect("ASCII")).expect("known");
            assert_eq!(function.params.len(), words, "{name:?}");
            let names = matrices.map(|i| function.params[i].name);
            assert_eq!(names, ["a", "b", "c", "d"], "{name:?}");
        }
    }
}
