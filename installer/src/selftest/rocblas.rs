//! The rocBLAS functions that the test calls, and their handle.

use crate::doctor::shared_object::{SharedObject, text};
use rocblas_abi::{
    prototype::{
        rocblas_create_handle, rocblas_destroy_handle, rocblas_sgemm, rocblas_status_to_string,
        rocblas_strsm_batched,
    },
    value::status::SUCCESS,
};
use std::{
    ffi::{CStr, c_int, c_void},
    ptr,
};

/// A rocBLAS with a handle for the thread's GPU.
pub(super) struct Rocblas<'l> {
    library: &'l SharedObject,
    pub(super) handle: *mut c_void,
    pub(super) sgemm: rocblas_sgemm,
    pub(super) strsm_batched: rocblas_strsm_batched,
}

impl<'l> Rocblas<'l> {
    /// Creates a handle. The error names the status.
    pub(super) fn new(library: &'l SharedObject) -> Result<Self, String> {
        let lacks = |name: &str| format!("it has no {name}: it is not a rocBLAS");
        // SAFETY: the prototypes are generated from rocBLAS's headers.
        let (create, sgemm, strsm_batched) = unsafe {
            (
                library
                    .function::<rocblas_create_handle>(c"rocblas_create_handle")
                    .ok_or_else(|| lacks("rocblas_create_handle"))?,
                library.function(c"rocblas_sgemm").ok_or_else(|| lacks("rocblas_sgemm"))?,
                library
                    .function(c"rocblas_strsm_batched")
                    .ok_or_else(|| lacks("rocblas_strsm_batched"))?,
            )
        };
        let mut rocblas = Self { library, handle: ptr::null_mut(), sgemm, strsm_batched };
        // SAFETY: writes a handle to the pointer's target.
        let status = unsafe { create(&raw mut rocblas.handle) };
        rocblas.check("rocblas_create_handle", status)?;
        Ok(rocblas)
    }

    /// The status that a function returned, by the library's name of it, unless it is success.
    pub(super) fn check(&self, function: &str, status: c_int) -> Result<(), String> {
        const NAME: &CStr = c"rocblas_status_to_string";
        if status == SUCCESS {
            return Ok(());
        }
        // SAFETY: the function's prototype; takes any number and returns a constant string.
        let name = unsafe {
            self.library.function::<rocblas_status_to_string>(NAME).map(|name| text(name(status)))
        };
        match name.filter(|name| !name.is_empty()) {
            Some(name) => Err(format!("{function} returned {name}")),
            None => Err(format!("{function} returned status {status}")),
        }
    }
}

impl Drop for Rocblas<'_> {
    fn drop(&mut self) {
        // SAFETY: the function's prototype; a handle that is not used any more, or null, which is rejected.
        unsafe {
            if let Some(destroy) =
                self.library.function::<rocblas_destroy_handle>(c"rocblas_destroy_handle")
            {
                destroy(self.handle);
            }
        }
    }
}
