//! The shim under real AMD host binaries: hipBLAS and rocSOLVER of ROCm 7 in front of it, rocBLAS of
//! ROCm 6 behind it, from Debian's packages, on a HIP runtime that records launches. No GPU.
//!
//! `cargo real` prepares `target/real/` on its first run; see `tests/src/real/root.rs`.

mod arguments;
mod bench_lines;
mod blas;
mod closure;
mod cmake;
mod imports;
mod kernels;
mod loading;
mod offload;
mod promises;
mod python;
mod routing;
mod slim;
mod solver;
mod tracing;
mod vendor_tests;
