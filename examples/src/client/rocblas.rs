//! The handle and the status, which every rocBLAS program uses.

use std::{
    ffi::{CStr, c_void},
    fmt, ptr,
};

mod calls {
    include!(concat!(env!("OUT_DIR"), "/client.rs"));
}
use calls::{
    STATUS_SUCCESS, rocblas_create_handle, rocblas_destroy_handle, rocblas_get_version_string,
    rocblas_status_to_string,
};

/// The status that a call returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) i32);

impl Status {
    pub(crate) fn is_success(self) -> bool {
        self.0 == STATUS_SUCCESS
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: takes any number.
        let name = unsafe { rocblas_status_to_string(self.0) };
        if name.is_null() {
            return write!(f, "status {}", self.0);
        }
        // SAFETY: not null, so a constant string of the library.
        let name = unsafe { CStr::from_ptr(name) };
        f.pad(&name.to_string_lossy())
    }
}

/// A rocBLAS context.
#[derive(Debug)]
pub(crate) struct Handle(*mut c_void);

impl Handle {
    pub(crate) fn new() -> Result<Self, Status> {
        let mut handle = ptr::null_mut();
        // SAFETY: writes a handle to the pointer's target.
        let status = Status(unsafe { rocblas_create_handle(&raw mut handle) });
        if status.is_success() { Ok(Self(handle)) } else { Err(status) }
    }

    pub(crate) fn as_ptr(&self) -> *mut c_void {
        self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: created by rocblas_create_handle, and not used any more.
        unsafe { rocblas_destroy_handle(self.0) };
    }
}

/// The library's version string; empty if it has none.
pub(crate) fn version() -> String {
    let mut text = [0_u8; 256];
    // SAFETY: writes a C string within the given buffer size.
    let status =
        Status(unsafe { rocblas_get_version_string(text.as_mut_ptr().cast(), text.len()) });
    match CStr::from_bytes_until_nul(&text) {
        Ok(version) if status.is_success() => version.to_string_lossy().into_owned(),
        _ => String::new(),
    }
}
