//! A `librocblas.so.5` that calculates on the CPU and fails where the one of ROCm 7.0.2 fails on a
//! gfx906: the library that a test or a demonstration replaces by the shim.
//!
//! Its triangular solvers find no kernel for the GPU; everything else that `reference-blas`
//! implements works. New handles do not allow atomics.

use reference_blas::Personality;

reference_blas::export_library! {
    personality: Personality {
        version: "5.0.2.stand-in",
        atomics_allowed: false,
        trsm_has_kernels: false,
    },
    symbols: [for_each_function_of_rocm_7_0],
}
