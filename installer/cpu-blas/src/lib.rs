//! A real BLAS on the CPU behind the C ABI of rocBLAS 6.3, with `syrk_ex` and `herk_ex` of later releases. The
//! installer compares replayed calls with it, and tests without a GPU compute with it.
//!
//! Device memory is host memory here: a client that allocates with `malloc` instead of `hipMalloc` gets
//! numbers that it can check, and the status codes of the real library, in the real library's order.
//! Correctness and simplicity take precedence over speed.
//!
//! This crate itself exports no symbols. [`entry_point`] finds a function by its exported name, and
//! [`export_library!`] builds a shared library from all of them. The libraries differ in their
//! [`Personality`].
//!
//! Tests inject faults through the environment: see `faults.rs`.
//!
//! Start with `table.rs` for what is implemented and `abi.rs` for how one function serves all six variants of
//! a routine, then read any of `level1.rs`, `level2.rs`, `level3.rs` and `gemm.rs`.

mod abi;
mod checks;
mod datatype;
mod export;
mod faults;
mod gemm;
mod handle;
mod level1;
mod level2;
mod level3;
mod personality;
mod scalar;
mod status;
mod table;
#[cfg(test)]
mod testing;
mod transfer;
mod views;

pub use export::Table;
pub use personality::Personality;
#[doc(hidden)]
pub use rocblas_abi;
pub use status::Status;
pub use table::entry_point;
