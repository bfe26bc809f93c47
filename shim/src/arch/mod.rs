//! The assembly of the shim, one module for each architecture: whatever has to keep registers and the
//! stack as a caller has left them, and per-thread data that is reached without changing a register.
//!
//! All of it is reached from C and C++ callers, or from tables of addresses. What it calls is Rust.

#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::*;
