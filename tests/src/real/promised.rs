//! The functions that differ between 6.4 and the shim in front of it because of 7's promises.

/// Functions that 6.4 lacks according to the ABI table. The shim implements them with promises: `version`, `syrk-ex`,
/// `herk-ex`, `grouped-gemm`, `batch-strides`.
#[must_use]
pub fn not_in_6_4() -> Vec<&'static str> {
    let release = rocblas_abi::release("6.4").expect("in the table");
    let later = rocblas_abi::c_exports().iter().filter(|f| f.versions.has(release) == Some(false));
    later.map(|f| f.name).collect()
}

/// Functions whose results for the arguments of `every_function` differ.
pub const PROMISED: [&str; 3] = [
    // Promise `atomics`: 1 in 6.4, 0 in 7.
    "rocblas_get_atomics_mode",
    // Promise `version`: 4.4.1 in 6.4, 5.0.2 and a tag in the shim.
    "rocblas_get_version_string",
    "rocblas_get_version_string_size",
];
