//! `librocblas.so.5`: the rocBLAS ABI of ROCm 7, forwarded to a rocBLAS of another version.
//!
//! The path of a call, in reading order: `arch` (the stub a client reaches, in assembly) -> `table`
//! (the table it jumps through) -> `arch` again (the first call, registers kept) -> `init` (done once,
//! whoever comes first) -> `backend` (locate, inspect, open, adapt, resolve) -> `missing` (what
//! a caller gets when there is no function to jump to). Where the backend does not keep what 5.0.2
//! promises, `compat` puts functions of ours into the table. While a trace is on, `trace` puts thunks
//! before all of them. Beside the path: `config`,
//! `diagnostics`, `early`, `exports` (exported data), `facts`, `fork`, `note`, `own` and the public
//! `control` functions. What threads wait for and see of each other is in the crate `rocblas_sync`.

#[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")))]
compile_error!(
    "the shim is written for x86-64 Linux with glibc, the only platform of ROCm 7's rocBLAS"
);

mod arch;
mod backend;
mod backends;
mod compat;
mod config;
mod control;
mod diagnostics;
mod early;
mod exports;
mod facts;
mod fork;
mod init;
mod missing;
mod note;
mod own;
mod route;
mod table;
mod trace;
