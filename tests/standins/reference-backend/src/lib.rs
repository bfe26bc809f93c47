//! A `librocblas.so.4` that computes on the CPU: the shim's backend in tests that check numbers.
//!
//! It has the symbols of rocBLAS 4.3; those that `cpu-blas` implements work.

use cpu_blas::Personality;

cpu_blas::export_library! {
    personality: Personality {
        version: "4.3.0.stand-in",
        atomics_allowed: true,
        trsm_has_kernels: true,
    },
    symbols: [for_each_function_of_rocm_6_3],
}
