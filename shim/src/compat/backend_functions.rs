//! The backend's own functions that ours call, with the types that the table gives them.

use super::handles::original;
use crate::table::Table;
use core::mem::transmute;

/// The name of a function of the table, as the loader takes it.
macro_rules! c_name {
    ($name:ident) => {
        match core::ffi::CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
            Ok(name) => name,
            Err(_) => panic!("an identifier has no NUL in it"),
        }
    };
}
pub(super) use c_name;

/// A function of ours with the name of that whose place it takes. One whose type is not the table's does
/// not compile.
macro_rules! replacement {
    ($name:ident = $function:path) => {
        ($crate::compat::backend_functions::c_name!($name), {
            let function: rocblas_abi::prototype::$name = $function;
            $crate::table::Target(function as *const ())
        })
    };
}
pub(super) use replacement;

/// Several of them.
macro_rules! replacements {
    ($($name:ident = $function:path),+ $(,)?) => {
        [$($crate::compat::backend_functions::replacement!($name = $function)),+]
    };
}
pub(super) use replacements;

macro_rules! functions {
    ($($name:ident)+) => {
        /// Functions of the backend; `None` for what it lacks.
        #[derive(Debug)]
        pub(crate) struct BackendFunctions {
            $(pub(crate) $name: Option<rocblas_abi::prototype::$name>,)+
        }

        impl BackendFunctions {
            /// Of a table that nothing has been replaced in yet.
            pub(crate) fn of(table: &Table) -> Self {
                Self {$(
                    $name: original(table, c_name!($name)).map(|function| {
                        // SAFETY: the prototype is made from the vendor's of that name.
                        unsafe { transmute::<*const (), rocblas_abi::prototype::$name>(function) }
                    }),
                )+}
            }
        }
    };
}

functions! {
    rocblas_cherk
    rocblas_create_handle
    rocblas_csyrk
    rocblas_destroy_handle
    rocblas_dgemm_batched
    rocblas_dgemm_batched_64
    rocblas_dsyrk
    rocblas_gemm_batched_ex
    rocblas_gemm_batched_ex_64
    rocblas_gemm_batched_ex_get_solutions
    rocblas_gemm_ex_get_solutions
    rocblas_gemm_strided_batched_ex
    rocblas_gemm_strided_batched_ex_get_solutions
    rocblas_get_atomics_mode
    rocblas_get_pointer_mode
    rocblas_get_stream
    rocblas_initialize
    rocblas_is_device_memory_size_query
    rocblas_set_atomics_mode
    rocblas_set_pointer_mode
    rocblas_sgemm_batched
    rocblas_sgemm_batched_64
    rocblas_ssyrk
    rocblas_zherk
    rocblas_zsyrk
}
