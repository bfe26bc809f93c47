//! The shim with a GPU that computes asynchronously: HIP's and rocBLAS's functions are implemented with the
//! CUDA runtime and cuBLAS, and compiled by `nvcc` when the tests run; `cargo gpu`.
//!
//! The shim is made for AMD's GPUs, but few developers have one. For streams, graphs and several devices, an
//! NVIDIA GPU has the same requirements.

mod planted;
mod routed;
mod standins;
mod timed;
