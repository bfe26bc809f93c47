//! Makes a backend load its own kernels.
//!
//! 5.0.2 reads the directory of its Tensile library from `ROCBLAS_TENSILE_LIBPATH`, and tuned
//! solutions from `ROCBLAS_TENSILE_GEMM_OVERRIDE_PATH`; a user's values of these are meant for 5.0.2.
//! 4.3.0 reads the same variables; without them it searches next to the last loaded file with `rocblas.`
//! in its path, which may be the shim or a third library. So the backend reads its own directory from the
//! former, and the latter is hidden from it, because tuned solutions are indices of another library's kernels.
//! Source: `tensile_host.cpp` of 4.3. `../backend/kernels.rs` handles GPUs without kernels.

use super::Compat;
use crate::{config, diagnostics::warning};
use core::{
    ffi::{CStr, c_char},
    ptr::null_mut,
};
use rocblas_contract::{
    sentences,
    tensile::{LIBRARY, PLACES, ROCBLAS},
    variables::{TENSILE_LIBPATH as LIBPATH, TENSILE_OVERRIDE as OVERRIDE},
};
use std::{
    borrow::Cow,
    ffi::{CString, OsStr},
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// The kernels of a backend.
#[derive(Debug)]
pub(crate) struct Tensile {
    /// `None` if there are none next to the library.
    directory: Option<CString>,
}

impl Tensile {
    /// The kernels of the backend in that file.
    pub(crate) fn of(backend: &Path, compat: &Compat) -> Self {
        let directory = directory(backend, || compat.version.backend().to_string_lossy());
        Self { directory: directory.and_then(|d| CString::new(d.as_os_str().as_bytes()).ok()) }
    }

    /// Reports once which variables are hidden.
    pub(crate) fn announce() {
        for name in [LIBPATH, OVERRIDE].into_iter().filter(|name| config::is_set(name)) {
            warning!("{}", sentences::tensile_hidden(name.to_string_lossy()));
        }
    }

    /// The backend's value of a variable about Tensile.
    pub(crate) fn value(&self, name: &CStr) -> Option<*mut c_char> {
        if name == LIBPATH {
            let directory = self.directory.as_ref();
            return Some(directory.map_or(null_mut(), |directory| directory.as_ptr().cast_mut()));
        }
        (name == OVERRIDE).then_some(null_mut())
    }

    /// The directory, if it is known.
    pub(crate) fn directory(&self) -> Option<&Path> {
        let directory = self.directory.as_ref()?;
        Some(Path::new(OsStr::from_bytes(directory.as_bytes())))
    }
}

/// The directory of the backend's kernels: `rocblas/library` next to the file or next to its directory, or, in
/// Debian, `rocblas/<version>/library` next to the file.
fn directory<'a>(backend: &Path, version: impl FnOnce() -> Cow<'a, str>) -> Option<PathBuf> {
    let file = backend.canonicalize().ok()?;
    let lib = file.parent()?;
    let found = (PLACES.into_iter().map(|place| lib.join(place)))
        .find(|candidate| candidate.is_dir())
        .or_else(|| of_version(&lib.join(ROCBLAS), version))?;
    found.canonicalize().ok()
}

/// The `library` in the subdirectory whose name is the longest prefix of the version: several versions may
/// share a parent directory.
fn of_version<'a>(directory: &Path, version: impl FnOnce() -> Cow<'a, str>) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).ok()?.flatten();
    let version = version();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let fitting = names.filter(|name| {
        let rest = version.strip_prefix(name.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '+']))
    });
    let library = directory.join(fitting.max_by_key(String::len)?).join(LIBRARY);
    library.is_dir().then_some(library)
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
            let found = directory(&library, || "4.4.1.0-abc".into());
            assert_eq!(found, kernels.canonicalize().ok(), "{}", kernels.display());
        }
        assert_eq!(directory(Path::new("/absent/librocblas.so.4"), || "4.3".into()), None);
    }
}
