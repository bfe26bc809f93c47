//! Environment variables: the shim's own, and those of other libraries that the shim or the installer
//! reads or hides.

use core::ffi::CStr;

/// The backend: a name in the store, or a path.
pub const BACKEND: &str = "ROCBLAS_SHIM_BACKEND";
/// The level of the shim's messages.
pub const LOG: &str = "ROCBLAS_SHIM_LOG";
/// What to do when there is no function to call.
pub const ON_ERROR: &str = "ROCBLAS_SHIM_ON_ERROR";
/// The promises to keep.
pub const COMPAT: &str = "ROCBLAS_SHIM_COMPAT";
/// The version of rocBLAS that programs see.
pub const PRESENTS: &str = "ROCBLAS_SHIM_PRESENTS";
/// Where to write a trace.
pub const TRACE: &str = "ROCBLAS_SHIM_TRACE";
/// What to record in it.
pub const TRACE_OPTIONS: &str = "ROCBLAS_SHIM_TRACE_OPTIONS";
/// Whether other processes may start a trace.
pub const LISTEN: &str = "ROCBLAS_SHIM_LISTEN";

/// The rules that map GPUs to backends.
pub const ROUTE: &str = "ROCBLAS_SHIM_ROUTE";

/// All of the shim's own variables.
pub const ALL: [&str; 9] =
    [BACKEND, LOG, ON_ERROR, COMPAT, PRESENTS, TRACE, TRACE_OPTIONS, LISTEN, ROUTE];

/// The prefix of the shim's own variables.
pub const PREFIX: &str = "ROCBLAS_SHIM_";

/// rocBLAS's variable for the directory of its Tensile library.
pub const TENSILE_LIBPATH: &CStr = c"ROCBLAS_TENSILE_LIBPATH";
/// rocBLAS's variable for a file of tuned solutions.
pub const TENSILE_OVERRIDE: &CStr = c"ROCBLAS_TENSILE_GEMM_OVERRIDE_PATH";
/// rocBLAS's variable that decides whether it calls hipBLASLt.
pub const USE_HIPBLASLT: &CStr = c"ROCBLAS_USE_HIPBLASLT";
/// rocBLAS's variable for the atomics mode of a new handle.
pub const DEFAULT_ATOMICS_MODE: &CStr = c"ROCBLAS_DEFAULT_ATOMICS_MODE";

/// The loader's variable for directories of libraries.
pub const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";
/// The loader's variable for libraries that are loaded before all others.
pub const PRELOAD: &str = "LD_PRELOAD";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shims_own_have_its_prefix_and_differ() {
        for (i, name) in ALL.iter().enumerate() {
            assert!(name.len() > PREFIX.len() && name.starts_with(PREFIX), "{name}");
            assert!(!ALL[..i].contains(name), "{name}");
        }
    }
}
