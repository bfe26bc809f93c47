//! A real BLAS on the CPU behind the C ABI of rocBLAS 6.3, for tests without a GPU.
//!
//! Device memory is host memory here: a client that allocates with `malloc` where it would use
//! `hipMalloc` gets numbers it can check, and the status codes of the real library, in the real
//! library's order. Correct and plain goes before fast.
//!
//! This crate exports no symbol itself. [`entry_point`] finds a function by its exported name, and
//! [`export_library!`] makes a shared library of it; the libraries differ in their [`Personality`].
//!
//! Read `table.rs` for what there is, `abi.rs` for how one function serves all six forms of a
//! routine, and then any of `level1.rs`, `level2.rs`, `level3.rs` and `gemm.rs`.

mod abi;
mod checks;
mod export;
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
