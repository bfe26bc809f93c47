//! The functions of rocBLAS that the test calls, with the handle that they take.

use crate::doctor::shared_object::{SharedObject, text};
use std::{
    ffi::{CStr, c_char, c_int, c_void},
    ptr,
};

/// Values of rocBLAS's enums (`rocblas-types.h`).
pub(super) const OPERATION_NONE: c_int = 111;
pub(super) const OPERATION_TRANSPOSE: c_int = 112;
pub(super) const FILL_UPPER: c_int = 121;
pub(super) const DIAGONAL_NON_UNIT: c_int = 131;
pub(super) const SIDE_RIGHT: c_int = 142;

type Sgemm = unsafe extern "C" fn(
    *mut c_void,
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    *const f32,
    *const f32,
    c_int,
    *const f32,
    c_int,
    *const f32,
    *mut f32,
    c_int,
) -> c_int;

type StrsmBatched = unsafe extern "C" fn(
    *mut c_void,
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    *const f32,
    *const *const f32,
    c_int,
    *const *mut f32,
    c_int,
    c_int,
) -> c_int;

/// A rocBLAS with a handle for the thread's GPU.
pub(super) struct Rocblas<'l> {
    library: &'l SharedObject,
    pub(super) handle: *mut c_void,
    pub(super) sgemm: Sgemm,
    pub(super) strsm_batched: StrsmBatched,
}

impl<'l> Rocblas<'l> {
    /// Makes a handle. The error names the status.
    pub(super) fn new(library: &'l SharedObject) -> Result<Self, String> {
        type Create = unsafe extern "C" fn(*mut *mut c_void) -> c_int;
        let lacks = |name: &str| format!("it has no {name}: it is no rocBLAS");
        // SAFETY: the prototypes of rocBLAS's header.
        let (create, sgemm, strsm_batched) = unsafe {
            (
                library
                    .function::<Create>(c"rocblas_create_handle")
                    .ok_or_else(|| lacks("rocblas_create_handle"))?,
                library.function(c"rocblas_sgemm").ok_or_else(|| lacks("rocblas_sgemm"))?,
                library
                    .function(c"rocblas_strsm_batched")
                    .ok_or_else(|| lacks("rocblas_strsm_batched"))?,
            )
        };
        let mut rocblas = Self { library, handle: ptr::null_mut(), sgemm, strsm_batched };
        // SAFETY: writes a handle to where the pointer leads.
        let status = unsafe { create(&raw mut rocblas.handle) };
        rocblas.check("rocblas_create_handle", status)?;
        Ok(rocblas)
    }

    /// What a function answered, by the library's name of it, unless it is success.
    pub(super) fn check(&self, function: &str, status: c_int) -> Result<(), String> {
        type Name = unsafe extern "C" fn(c_int) -> *const c_char;
        const NAME: &CStr = c"rocblas_status_to_string";
        if status == 0 {
            return Ok(());
        }
        // SAFETY: the function's prototype; takes any number and answers a constant string.
        let name = unsafe { self.library.function::<Name>(NAME).map(|name| text(name(status))) };
        match name.filter(|name| !name.is_empty()) {
            Some(name) => Err(format!("{function} answered {name}")),
            None => Err(format!("{function} answered status {status}")),
        }
    }
}

impl Drop for Rocblas<'_> {
    fn drop(&mut self) {
        type Destroy = unsafe extern "C" fn(*mut c_void) -> c_int;
        // SAFETY: the function's prototype; a handle that nobody uses from here on, or null, which
        // is refused.
        unsafe {
            if let Some(destroy) = self.library.function::<Destroy>(c"rocblas_destroy_handle") {
                destroy(self.handle);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_tables() {
        for (value, name) in [
            (OPERATION_NONE, "rocblas_operation_none"),
            (OPERATION_TRANSPOSE, "rocblas_operation_transpose"),
            (FILL_UPPER, "rocblas_fill_upper"),
            (DIAGONAL_NON_UNIT, "rocblas_diagonal_non_unit"),
            (SIDE_RIGHT, "rocblas_side_right"),
        ] {
            let known = rocblas_abi::ENUMS.iter().find_map(|e| e.value_of(name));
            assert_eq!(known, Some(value), "{name}");
        }
    }
    #[test]
    fn prototypes_are_the_tables() {
        fn parameters<Prototype>() -> String {
            let name = std::any::type_name::<Prototype>().replace("core::ffi::c_void", "c_void");
            let (_, parameters) = name.split_once('(').expect("a function");
            parameters.split_once(')').expect("a function").0.to_owned()
        }
        let of_the_table = |name| {
            let declaration =
                rocblas_abi::rust_declaration(rocblas_abi::by_name(name).expect("known"));
            let (_, parameters) = declaration.split_once('(').expect("a function");
            let (parameters, _) = parameters.split_once(')').expect("a function");
            let types = parameters.split(", ").map(|p| p.split_once(": ").expect("typed").1);
            types.collect::<Vec<_>>().join(", ").replace("std::ffi::c_void", "c_void")
        };
        assert_eq!(parameters::<Sgemm>(), of_the_table("rocblas_sgemm"));
        assert_eq!(parameters::<StrsmBatched>(), of_the_table("rocblas_strsm_batched"));
    }
}
