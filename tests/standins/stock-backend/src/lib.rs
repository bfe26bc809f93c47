//! A `librocblas.so.5` that computes on the CPU and fails like the one of ROCm 7.0.2 on a gfx906: the library that
//! a test or a demonstration replaces by the shim.
//!
//! Its triangular solvers find no kernel for the GPU; everything else that `cpu-blas`
//! implements works. New handles do not allow atomics.

use cpu_blas::Personality;

cpu_blas::export_library! {
    personality: Personality {
        version: "5.0.2.stand-in",
        atomics_allowed: false,
        trsm_has_kernels: false,
    },
    symbols: [for_each_function_of_rocm_7_0],
}
