//! The shim before a GPU that computes asynchronously: HIP's and rocBLAS's names over the CUDA runtime and
//! cuBLAS, compiled by `nvcc` where the tests run; `cargo gpu`.
//!
//! AMD's GPUs are what the shim is for, and machines with one are rare among those who change it. What a stream, a
//! graph and a second device ask of it is the same on a GPU of NVIDIA's.

mod routed;
mod standins;
