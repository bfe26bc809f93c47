//! The shim's own functions, `rocblas_shim_*`, as `include/rocblas_shim.h` documents them.
//!
//! Returned strings are never null and stay valid until the process ends.

use crate::{
    backend::Backend,
    backends,
    compat::status,
    diagnostics::error,
    facts,
    init::{self, Outcome},
    route::{self, policy},
    table::{self, COLD, ROUTING},
    trace::{self, listener},
};
use core::{
    ffi::{CStr, c_char, c_void},
    ptr::{self, null},
};
use once_cell::race::OnceBox;
use rocblas_contract::sentences;
use std::{
    ffi::{CString, OsStr},
    os::unix::ffi::OsStrExt,
};

const EMPTY: *const c_char = c"".as_ptr();

/// A string that is created at the first call and never freed.
fn cached(place: &'static OnceBox<CString>, text: impl FnOnce() -> Vec<u8>) -> *const c_char {
    place.get_or_init(|| Box::new(CString::new(text()).unwrap_or_default())).as_ptr()
}

/// The backend that makes new handles, opened if necessary.
fn backend() -> Option<&'static Backend> {
    init::outcome()?;
    policy::for_new_handle().ok()
}

#[unsafe(no_mangle)]
extern "C" fn rocblas_shim_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

#[unsafe(no_mangle)]
extern "C" fn rocblas_shim_backend_name() -> *const c_char {
    backend().map_or(EMPTY, |backend| backend.texts.name.as_ptr())
}

#[unsafe(no_mangle)]
extern "C" fn rocblas_shim_backend_path() -> *const c_char {
    backend().map_or(EMPTY, |backend| backend.texts.path.as_ptr())
}

#[unsafe(no_mangle)]
extern "C" fn rocblas_shim_backend_version() -> *const c_char {
    backend().map_or(EMPTY, |backend| backend.compat.version.backend().as_ptr())
}

#[unsafe(no_mangle)]
extern "C" fn rocblas_shim_compat() -> *const c_char {
    backend().map_or(EMPTY, |backend| backend.texts.promises.as_ptr())
}

/// # Safety
/// `wanted` is null or a C string.
#[unsafe(no_mangle)]
unsafe extern "C" fn rocblas_shim_backend_use(wanted: *const c_char) -> i32 {
    let wanted = (!wanted.is_null()).then(|| {
        // SAFETY: by contract.
        unsafe { CStr::from_ptr(wanted) }.to_bytes()
    });
    if wanted.is_some_and(<[u8]>::is_empty) {
        error!("{}", sentences::not_opened("rocblas_shim_backend_use", sentences::empty_setting()));
        return status::INVALID_VALUE;
    }
    let wanted = OsStr::from_bytes(wanted.unwrap_or_default());
    match backends::switch_to_named(wanted, "rocblas_shim_backend_use") {
        Ok(()) => status::SUCCESS,
        Err(why) => {
            error!("{why}");
            status::INVALID_VALUE
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn rocblas_shim_backend_of(handle: *const c_void) -> *const c_char {
    let owner = facts::owner_of(handle.addr()).and_then(backends::get);
    owner.map_or(EMPTY, |backend| backend.texts.name.as_ptr())
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
        _ if route::direct().is_some_and(|direct| ptr::eq(table, direct)) => c"routed",
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

/// A message for the caller, never freed: there are few.
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
