//! The environment as the backend is to see it: the `getenv` that its own reference is bound to.
//!
//! A few variables are set for the rocBLAS that the program was built for and would mislead one of
//! another version. Hiding them here, rather than changing the environment, leaves other copies of
//! rocBLAS and child processes alone.

use core::{
    ffi::{CStr, c_char},
    ptr::null_mut,
    sync::atomic::{AtomicPtr, Ordering},
};
use std::{ffi::CString, os::unix::ffi::OsStrExt, path::Path};

/// The directory of the backend's own Tensile library; null where it has none beside it.
static TENSILE_DIRECTORY: AtomicPtr<c_char> = AtomicPtr::new(null_mut());

const TENSILE_LIBPATH: &CStr = c"ROCBLAS_TENSILE_LIBPATH";

/// Not for the backend:
/// - a file of tuned solutions indexes the kernels of the library it was made with;
/// - 4.3's handle constructor would call into hipBLASLt, whose `.so.1` has other classes under the
///   names that 4.3 was built against.
const HIDDEN: [&CStr; 2] = [c"ROCBLAS_TENSILE_GEMM_OVERRIDE_PATH", c"ROCBLAS_USE_HIPBLASLT"];

/// The functions of libc that read the environment.
pub(crate) const NAMES: &[&CStr] = &[c"getenv", c"secure_getenv", c"__secure_getenv"];

/// Decides what the backend in that file is told about its Tensile library. The last file tried is
/// the one that is used.
pub(crate) fn prepare(backend: &Path) {
    let directory = tensile_directory(backend);
    let directory = directory.and_then(|d| CString::new(d.as_os_str().as_bytes()).ok());
    // Never freed: a backend may keep what its getenv answered.
    let directory = directory.map_or(null_mut(), CString::into_raw);
    TENSILE_DIRECTORY.store(directory, Ordering::Release);
}

/// Where the backend's kernels are: `rocblas/library` beside the file or beside its directory. The
/// backend's own search goes by the last loaded file with `rocblas.` in its path, which may be the
/// shim or a third library.
fn tensile_directory(backend: &Path) -> Option<std::path::PathBuf> {
    let file = backend.canonicalize().ok()?;
    let directory = file.parent()?;
    [directory.join("rocblas/library"), directory.join("../rocblas/library")]
        .into_iter()
        .find(|candidate| candidate.is_dir())
        .and_then(|found| found.canonicalize().ok())
}

/// `getenv` for a backend.
///
/// # Safety
/// As `getenv`: `name` is a C string, and nobody changes the environment meanwhile.
pub(crate) unsafe extern "C" fn getenv(name: *const c_char) -> *mut c_char {
    if name.is_null() {
        return null_mut();
    }
    // SAFETY: a C string, by contract.
    let wanted = unsafe { CStr::from_ptr(name) };
    if HIDDEN.contains(&wanted) {
        return null_mut();
    }
    if wanted == TENSILE_LIBPATH {
        return TENSILE_DIRECTORY.load(Ordering::Acquire);
    }
    // SAFETY: passed on unchanged.
    unsafe { libc::getenv(name) }
}
