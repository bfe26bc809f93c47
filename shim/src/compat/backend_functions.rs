//! The backend's functions that the shim's replacements call, with their types from the ABI table.

use super::handles::original;
use crate::table::Table;
use core::mem::transmute;

/// The name of a function of the table, as a C string for the loader.
macro_rules! c_name {
    ($name:ident) => {
        match core::ffi::CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
            Ok(name) => name,
            Err(_) => panic!("an identifier has no NUL in it"),
        }
    };
}
pub(super) use c_name;

/// A replacement with the name of the function that it replaces. It does not compile unless its type is the
/// table's.
macro_rules! replacement {
    ($name:ident = $function:path) => {
        ($crate::compat::backend_functions::c_name!($name), {
            let function: rocblas_abi::prototype::$name = $function;
            $crate::table::Target(function as *const ())
        })
    };
}
pub(super) use replacement;

/// Several replacements.
macro_rules! replacements {
    ($($name:ident = $function:path),+ $(,)?) => {
        [$($crate::compat::backend_functions::replacement!($name = $function)),+]
    };
}
pub(super) use replacements;

macro_rules! functions {
    ($($name:ident)+) => {
        /// Functions of the backend; `None` for each one that it lacks.
        #[derive(Debug)]
        pub(crate) struct BackendFunctions {
            $(pub(crate) $name: Option<rocblas_abi::prototype::$name>,)+
        }

        impl BackendFunctions {
            /// Reads them from a table before any replacement.
            pub(crate) fn of(table: &Table) -> Self {
                Self {$(
                    $name: original(table, c_name!($name)).map(|function| {
                        // SAFETY: the prototype is generated from the vendor's function of that name.
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
    rocblas_get_math_mode
    rocblas_initialize
    rocblas_is_device_memory_size_query
    rocblas_scopy_batched
    rocblas_set_atomics_mode
    rocblas_set_pointer_mode
    rocblas_sgemm_batched
    rocblas_sgemm_batched_64
    rocblas_ssyrk
    rocblas_zherk
    rocblas_zsyrk
}
