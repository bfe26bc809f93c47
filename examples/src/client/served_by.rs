//! Which library served the calls.
//!
//! The clients link any `librocblas.so.5`. They look up the shim's own functions at run time, so that they
//! also start with a library that is not the shim.

use super::rocblas;
use libc::{Dl_info, RTLD_DEFAULT, dladdr, dlsym};
use std::{
    ffi::{CStr, c_char, c_void},
    mem::{MaybeUninit, transmute},
};

/// Names and values, to be printed.
pub(crate) fn facts() -> Vec<(&'static str, String)> {
    let Some(version) = shim(c"rocblas_shim_version") else {
        return vec![
            ("served by", "rocBLAS itself, no shim".to_owned()),
            ("library", file_of(c"rocblas_create_handle").unwrap_or_default()),
            ("version", rocblas::version()),
        ];
    };
    let ask = |name| shim(name).unwrap_or_default();
    let backend = ask(c"rocblas_shim_backend_name");
    vec![
        ("served by", format!("rocblas-shim {version}, backend {backend}")),
        ("library", ask(c"rocblas_shim_backend_path")),
        ("version", ask(c"rocblas_shim_backend_version")),
    ]
}

/// The result of a function of `rocblas_shim.h` that takes no arguments and returns a string; `None` if the
/// library in this process is not the shim.
fn shim(function: &CStr) -> Option<String> {
    let address = symbol(function)?;
    // SAFETY: all functions that are looked up here have this prototype in the shim's header.
    let function =
        unsafe { transmute::<*mut c_void, unsafe extern "C" fn() -> *const c_char>(address) };
    // SAFETY: may be called from any thread at any time.
    let text = unsafe { function() };
    // SAFETY: never null, and valid until the process ends.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_string_lossy().into_owned())
}

fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: a valid C string; searches the libraries that the loader has loaded.
    let address = unsafe { dlsym(RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}

/// The file that defines a function.
fn file_of(function: &CStr) -> Option<String> {
    let address = symbol(function)?;
    let mut info = MaybeUninit::<Dl_info>::zeroed();
    // SAFETY: fills the given structure.
    let found = unsafe { dladdr(address, info.as_mut_ptr()) } != 0;
    // SAFETY: zero is a valid value of all its fields.
    let info = unsafe { info.assume_init() };
    if !found || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: not null, so the loader's own record of the file's name.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    Some(name.to_string_lossy().into_owned())
}
