//! The shim's own functions, `rocblas_shim_*`, as `include/rocblas_shim.h` documents them.
//!
//! Strings are never null, and stay valid until the process ends.

use crate::{
    init::{self, Outcome},
    table::{self, COLD, ROUTING},
    trace::{self, listener},
};
use core::{
    ffi::{CStr, c_char},
    ptr::{self, null},
};
use once_cell::race::OnceBox;
use std::{
    ffi::{CString, OsStr},
    os::unix::ffi::OsStrExt,
};

const EMPTY: *const c_char = c"".as_ptr();

/// A string that is made at the first call and kept for ever.
fn cached(place: &'static OnceBox<CString>, text: impl FnOnce() -> Vec<u8>) -> *const c_char {
    place.get_or_init(|| Box::new(CString::new(text()).unwrap_or_default())).as_ptr()
}

fn backend() -> Option<&'static crate::backend::Backend> {
    match init::outcome()? {
        Outcome::Ready { backend, .. } => Some(backend),
        Outcome::Failed { .. } => None,
    }
}

#[unsafe(no_mangle)]
extern "C" fn rocblas_shim_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

#[unsafe(no_mangle)]
extern "C" fn rocblas_shim_backend_name() -> *const c_char {
    static NAME: OnceBox<CString> = OnceBox::new();
    backend().map_or(EMPTY, |backend| cached(&NAME, || backend.name.clone().into_bytes()))
}

#[unsafe(no_mangle)]
extern "C" fn rocblas_shim_backend_path() -> *const c_char {
    static PATH: OnceBox<CString> = OnceBox::new();
    backend()
        .map_or(EMPTY, |backend| cached(&PATH, || backend.path.as_os_str().as_bytes().to_vec()))
}

#[unsafe(no_mangle)]
extern "C" fn rocblas_shim_backend_version() -> *const c_char {
    static VERSION: OnceBox<CString> = OnceBox::new();
    backend().map_or(EMPTY, |backend| {
        cached(&VERSION, || backend.compat.version.backend().to_bytes().to_vec())
    })
}

#[unsafe(no_mangle)]
extern "C" fn rocblas_shim_compat() -> *const c_char {
    static COMPAT: OnceBox<CString> = OnceBox::new();
    backend().map_or(EMPTY, |backend| {
        cached(&COMPAT, || backend.compat.active.names().join(",").into_bytes())
    })
}

#[unsafe(no_mangle)]
extern "C" fn rocblas_shim_missing_count() -> usize {
    backend().map_or(0, |backend| backend.missing.len())
}

#[unsafe(no_mangle)]
extern "C" fn rocblas_shim_missing_name(index: usize) -> *const c_char {
    backend()
        .and_then(|backend| backend.missing.get(index))
        .map_or(null(), |missing| table::name(usize::from(*missing)).as_ptr())
}

#[unsafe(no_mangle)]
extern "C" fn rocblas_shim_mode() -> *const c_char {
    let table = ROUTING.table();
    match init::published_outcome() {
        Some(Outcome::Failed { .. }) => c"failed",
        _ if ptr::eq(table, &raw const COLD) => c"cold",
        Some(Outcome::Ready { backend, .. }) if ptr::eq(table, &raw const *backend.table) => {
            c"direct"
        }
        _ => c"traced",
    }
    .as_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn rocblas_shim_error() -> *const c_char {
    static ERROR: OnceBox<CString> = OnceBox::new();
    match init::outcome() {
        Some(Outcome::Failed { message, .. }) => cached(&ERROR, || message.clone().into_bytes()),
        Some(Outcome::Ready { .. }) => EMPTY,
        None => c"not initialised yet".as_ptr(),
    }
}

/// A message for the caller, kept for ever: there are few.
fn leaked(text: String) -> *const c_char {
    CString::new(text).unwrap_or_default().into_raw()
}

/// # Safety
/// Each is null or a C string.
#[unsafe(no_mangle)]
unsafe extern "C" fn rocblas_shim_trace_start(
    place: *const c_char,
    options: *const c_char,
) -> *const c_char {
    let bytes = |text: *const c_char| match text.is_null() {
        true => &b""[..],
        // SAFETY: by contract.
        false => unsafe { CStr::from_ptr(text) }.to_bytes(),
    };
    let options = String::from_utf8_lossy(bytes(options)).into_owned();
    match listener::start(OsStr::from_bytes(bytes(place)), &options) {
        Ok(_) => null(),
        Err(why) => leaked(why),
    }
}

#[unsafe(no_mangle)]
extern "C" fn rocblas_shim_trace_stop() -> *const c_char {
    match trace::stop("the program stopped it") {
        Ok(_) => null(),
        Err(why) => leaked(why),
    }
}

#[unsafe(no_mangle)]
extern "C" fn rocblas_shim_trace_directory() -> *const c_char {
    trace::directory().map_or(EMPTY, CStr::as_ptr)
}
