//! The environment as the backend is to see it: the `getenv` that its own reference is bound to.
//!
//! A few variables are set for the rocBLAS that the program was built for and would mislead one of
//! another version. Hiding them here, rather than changing the environment, leaves other copies of
//! rocBLAS and child processes alone. Two promises are kept here: `hipblaslt` (4.3's handle constructor
//! would call into hipBLASLt, whose `.so.1` has other classes under the names that 4.3 was built
//! against) and `tensile` (the kernels are the backend's own). `secure_getenv` is left to libc. Constructors of the backend
//! have run before the filter is bound; rocBLAS reads its variables later.

use super::adapt::Replacement;
use crate::{
    compat::{Compat, Promise, Promises},
    config, init,
};
use core::{
    ffi::{CStr, c_char},
    ptr::null_mut,
};
use std::{
    borrow::Cow,
    ffi::{CString, OsStr},
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};
use tracing::warn;

const TENSILE_LIBPATH: &CStr = c"ROCBLAS_TENSILE_LIBPATH";
/// A file of tuned solutions: indices of the kernels of the library it was made with.
const TENSILE_OVERRIDE: &CStr = c"ROCBLAS_TENSILE_GEMM_OVERRIDE_PATH";
const USE_HIPBLASLT: &CStr = c"ROCBLAS_USE_HIPBLASLT";

/// What a backend is told.
#[derive(Debug)]
pub(crate) struct View {
    /// Of the promises, `tensile` and `hipblaslt` count here.
    promises: Promises,
    /// The directory of its own Tensile library, or nothing where it has none beside it.
    tensile: Option<CString>,
}

impl View {
    /// The view of the backend in that file; says what is hidden from it.
    pub(crate) fn of(backend: &Path, compat: &Compat) -> Self {
        let promises = compat.active;
        let version = || compat.version.backend().to_string_lossy();
        let tensile = tensile_directory(backend, version);
        let tensile = tensile.and_then(|d| CString::new(d.as_os_str().as_bytes()).ok());
        let view = Self { promises, tensile };
        if promises.contains(Promise::Hipblaslt) && config::is_set(USE_HIPBLASLT) {
            warn!(
                "ROCBLAS_USE_HIPBLASLT is hidden from the backend: it would call hipBLASLt 0.10 \
                 under the names of hipBLASLt 1.0, whose classes are others"
            );
        }
        if promises.contains(Promise::Tensile) {
            for name in
                [TENSILE_LIBPATH, TENSILE_OVERRIDE].into_iter().filter(|n| config::is_set(n))
            {
                warn!(
                    "{} is hidden from the backend: it is meant for the kernels of another rocBLAS",
                    name.to_string_lossy()
                );
            }
        }
        view
    }

    /// What the backend gets for a variable, if that is not what libc has.
    fn answer(&self, name: &CStr) -> Option<*mut c_char> {
        if name == USE_HIPBLASLT && self.promises.contains(Promise::Hipblaslt) {
            return Some(null_mut());
        }
        if !self.promises.contains(Promise::Tensile) {
            return None;
        }
        if name == TENSILE_LIBPATH {
            let directory = self.tensile.as_ref();
            return Some(directory.map_or(null_mut(), |directory| directory.as_ptr().cast_mut()));
        }
        (name == TENSILE_OVERRIDE).then_some(null_mut())
    }

    /// The directory of the backend's own Tensile library, where it is known.
    pub(crate) fn tensile(&self) -> Option<&Path> {
        let directory = self.tensile.as_ref()?;
        Some(Path::new(OsStr::from_bytes(directory.as_bytes())))
    }
}

/// The filter, as something to bind.
pub(crate) fn filter() -> Replacement {
    Replacement { name: c"getenv", function: getenv as *const () as usize }
}

/// Where the backend's kernels are: `rocblas/library` beside the file or beside its directory, or as
/// Debian has it `rocblas/<version>/library` beside the file. The backend's own search goes by the
/// last loaded file with `rocblas.` in its path, which may be the shim or a third library.
fn tensile_directory<'a>(
    backend: &Path,
    version: impl FnOnce() -> Cow<'a, str>,
) -> Option<PathBuf> {
    let file = backend.canonicalize().ok()?;
    let beside = file.parent()?.join("rocblas");
    let found = [beside.join("library"), file.parent()?.join("../rocblas/library")]
        .into_iter()
        .find(|candidate| candidate.is_dir())
        .or_else(|| of_version(&beside, version))?;
    found.canonicalize().ok()
}

/// The `library` in the sub-directory whose name is the longest that the version begins with:
/// several versions may share a directory.
fn of_version<'a>(directory: &Path, version: impl FnOnce() -> Cow<'a, str>) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).ok()?.flatten();
    let version = version();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let fitting = names.filter(|name| {
        let rest = version.strip_prefix(name.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '+']))
    });
    let library = directory.join(fitting.max_by_key(String::len)?).join("library");
    library.is_dir().then_some(library)
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
    if let Some(init::Outcome::Ready { backend, .. }) = init::settled()
        && let Some(answer) = backend.environment.answer(wanted)
    {
        return answer;
    }
    // SAFETY: passed on unchanged.
    unsafe { libc::getenv(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_are_found_in_every_layout() {
        for (library, kernels) in [
            ("lib/librocblas.so.4", "lib/rocblas/library"),
            ("lib/librocblas.so.4", "rocblas/library"),
            ("lib/librocblas.so.4.4", "lib/rocblas/4.4.1/library"),
        ] {
            let root = tempfile::tempdir().expect("temporary directory");
            let kernels = root.path().join(kernels);
            fs::create_dir_all(&kernels).expect("make directories");
            for other in ["lib/rocblas/4.4/empty", "lib/rocblas/5/library", "lib/rocblas/4.4.10"] {
                fs::create_dir_all(root.path().join(other)).expect("make directories");
            }
            let library = root.path().join(library);
            fs::write(&library, "").expect("write");
            let found = tensile_directory(&library, || "4.4.1.0-abc".into());
            assert_eq!(found, kernels.canonicalize().ok(), "{}", kernels.display());
        }
        assert_eq!(tensile_directory(Path::new("/absent/librocblas.so.4"), || "4.3".into()), None);
    }
}
