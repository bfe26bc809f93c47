//! A `librocblas.so.4` that calculates on the CPU: what the shim forwards to when a test wants to
//! check numbers.
//!
//! It has the symbols of rocBLAS 4.3, of which everything that `reference-blas` implements works.

use reference_blas::Personality;

reference_blas::export_library! {
    personality: Personality {
        version: "4.3.0.stand-in",
        atomics_allowed: true,
        trsm_has_kernels: true,
    },
    symbols: [for_each_function_of_rocm_6_3],
}
