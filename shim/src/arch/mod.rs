//! The assembly of the shim, one module for each architecture: code that must preserve the caller's
//! registers and stack, and per-thread data that is read without changing a register.
//!
//! C and C++ callers enter it directly or through tables of addresses. It calls Rust functions.

#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::*;
