//! The environment as the backend is to see it: the `getenv` that its own reference is bound to.
//!
//! A few variables are set for the rocBLAS that the program was built for and would mislead one of
//! another version. Hiding them here, rather than changing the environment, leaves other copies of
//! rocBLAS and child processes alone. `secure_getenv` is left to libc. Constructors of the backend
//! have run before the filter is bound; rocBLAS reads its variables later.

use super::adapt::Replacement;
use crate::init;
use core::{
    ffi::{CStr, c_char},
    ptr::null_mut,
};
use std::{
    ffi::CString,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

const TENSILE_LIBPATH: &CStr = c"ROCBLAS_TENSILE_LIBPATH";

/// Not for the backend:
/// - a file of tuned solutions indexes the kernels of the library it was made with;
/// - 4.3's handle constructor would call into hipBLASLt, whose `.so.1` has other classes under the
///   names that 4.3 was built against.
const HIDDEN: [&CStr; 2] = [c"ROCBLAS_TENSILE_GEMM_OVERRIDE_PATH", c"ROCBLAS_USE_HIPBLASLT"];

/// What a backend is told.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// The directory of its own Tensile library, or nothing where it has none beside it.
    tensile: Option<CString>,
}

impl View {
    /// The view of the backend in that file.
    pub(crate) fn of(backend: &Path) -> Self {
        let tensile = tensile_directory(backend);
        Self { tensile: tensile.and_then(|d| CString::new(d.as_os_str().as_bytes()).ok()) }
    }
}

/// The filter, as something to bind.
pub(crate) fn filter() -> Replacement {
    Replacement { name: c"getenv", function: getenv as *const () as usize }
}

/// Where the backend's kernels are: `rocblas/library` beside the file or beside its directory. The
/// backend's own search goes by the last loaded file with `rocblas.` in its path, which may be the
/// shim or a third library.
fn tensile_directory(backend: &Path) -> Option<PathBuf> {
    let file = backend.canonicalize().ok()?;
    let directory = file.parent()?;
    [directory.join("rocblas/library"), directory.join("../rocblas/library")]
        .into_iter()
        .find(|candidate| candidate.is_dir())
        .and_then(|found| found.canonicalize().ok())
}

/// `getenv` for a backend. Until the backend is the one in use, it answers like libc's.
///
/// # Safety
/// As `getenv`: `name` is a C string, and nobody changes the environment meanwhile.
unsafe extern "C" fn getenv(name: *const c_char) -> *mut c_char {
    if name.is_null() {
        return null_mut();
    }
    // SAFETY: a C string, by contract.
    let wanted = unsafe { CStr::from_ptr(name) };
    if let Some(init::Outcome::Ready { backend, .. }) = init::settled() {
        if HIDDEN.contains(&wanted) {
            return null_mut();
        }
        if wanted == TENSILE_LIBPATH {
            let directory = backend.environment.tensile.as_ref();
            return directory.map_or(null_mut(), |directory| directory.as_ptr().cast_mut());
        }
    }
    // SAFETY: passed on unchanged.
    unsafe { libc::getenv(name) }
}
