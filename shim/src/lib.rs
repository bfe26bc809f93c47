//! `librocblas.so.5`: the rocBLAS ABI of ROCm 7, forwarded to a rocBLAS of another version.
//!
//! The path of a call, in reading order: `arch` (the exported stubs, in assembly) -> `table` (the table that
//! a stub jumps through) -> `arch` again (the first call, which saves registers) -> `init` (runs once) ->
//! `backend` (locate, inspect, open, adapt, resolve) -> `missing` (substitutes for functions that do not
//! exist). Where the backend does not keep the promises of 5.0.2, `compat` puts replacements into the table.
//! While a trace is on, `trace` puts thunks in front of all functions. Not on the path: `config`,
//! `diagnostics`, `early`, `exports` (exported data), `facts`, `fork`, `note`, `own` and the public
//! `control` functions. The synchronisation between threads is in the crate `rocblas_sync`.

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
#[cfg(not(test))]
mod names;
mod note;
mod own;
mod route;
mod table;
mod trace;
