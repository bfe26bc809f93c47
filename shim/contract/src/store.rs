//! The store: the directory next to the shim that holds backends and settings.
//!
//! ```text
//! LIB/librocblas.so.5.99.0                          the shim
//! LIB/rocblas-shim/shim.toml                        settings
//! LIB/rocblas-shim/backends/NAME/lib/librocblas.so.N  a backend, in a prefix of its own
//! LIB/rocblas-shim/compat/                          libraries under the names of ROCm 6
//! ```

use std::path::{Path, PathBuf};

/// The store's name. It is a subdirectory because ldconfig does not search subdirectories.
pub const STORE: &str = "rocblas-shim";

/// The directory in the store that has a prefix for each backend.
pub const BACKENDS: &str = "backends";

/// The directory of libraries in a backend's prefix.
pub const LIB: &str = "lib";

/// The directory in the store for libraries under ROCm 6's names, used if a real library already has the
/// name next to the shim.
pub const COMPAT: &str = "compat";

/// The name of the settings file.
pub const SETTINGS: &str = "shim.toml";

/// The setting that chooses a backend, by a name in the store or a path.
pub const BACKEND_SETTING: &str = "backend";

/// The setting for the version of rocBLAS that programs see.
pub const PRESENTS_SETTING: &str = "presents";

/// The table of settings that maps GPUs to backends.
pub const ROUTE_SETTING: &str = "route";

/// The shim's own file name. ldconfig compares the numbers and points `librocblas.so.5` to the
/// highest, which no stock library exceeds.
pub const SHIM_FILE: &str = "librocblas.so.5.99.0";

/// The shim's DT_RUNPATH, by which the loader finds the libraries in [`COMPAT`], and those next to
/// the shim.
pub const RUNPATH: &str = "$ORIGIN/rocblas-shim/compat:$ORIGIN";

/// The directory of all backends' prefixes, for a shim in this directory.
#[must_use]
pub fn backends(directory: &Path) -> PathBuf {
    directory.join(STORE).join(BACKENDS)
}

/// The possible settings files of a shim in this directory, in search order: the first that exists is used.
#[must_use]
pub fn settings_files(directory: &Path) -> [PathBuf; 2] {
    [directory.join(STORE).join(SETTINGS), directory.join(SETTINGS)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runpath_names_the_directory_of_renamed_libraries_and_the_shims_own() {
        let (compat, own) = RUNPATH.split_once(':').expect("two directories");
        assert_eq!(own, "$ORIGIN");
        assert_eq!(Path::new(compat), Path::new(own).join(STORE).join(COMPAT));
    }

    #[test]
    fn settings_in_the_store_come_first() {
        let [in_store, next_to_shim] = settings_files(Path::new("/lib"));
        assert_eq!(in_store, Path::new("/lib/rocblas-shim/shim.toml"));
        assert_eq!(next_to_shim, Path::new("/lib/shim.toml"));
        assert_eq!(backends(Path::new("/lib")), Path::new("/lib/rocblas-shim/backends"));
    }

    #[test]
    fn the_shims_file_is_a_version_of_the_soname() {
        let version = SHIM_FILE.strip_prefix(crate::libraries::SONAME);
        assert!(version.is_some_and(|version| version.starts_with('.')));
    }
}
