//! What differs between 6.4 and the shim before it because 7 promises it, by function.

/// Functions that 6.4 does not have.
pub const NOT_IN_6_4: [&str; 3] = [
    // Answered by the shim: promise `version`.
    "rocblas_get_commit_hash_string",
    "rocblas_get_commit_hash_string_size",
    // Promise `syrk-ex`: the argument checks, then not_implemented.
    "rocblas_syrk_ex",
];

/// Functions whose answers to the arguments of `every_function` differ.
pub const PROMISED: [&str; 3] = [
    // Promise `atomics`: 1 in 6.4, 0 in 7.
    "rocblas_get_atomics_mode",
    // Promise `version`: 4.4.1 in 6.4, 5.0.2 and a tag in the shim.
    "rocblas_get_version_string",
    "rocblas_get_version_string_size",
];
