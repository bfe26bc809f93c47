//! The shim's synchronisation between threads: which thread initialises, when the table is published,
//! how a trace is started and stopped, and what a fork waits for.
//!
//! It is a separate crate so that loom can run this code: with `--cfg loom`, the unit tests in `models`
//! run it on loom's atomics, in every interleaving that the memory model allows (only `primitives.rs`
//! differs). The shim's code around it, libc, the loader and the assembly do not run under loom.

/// A constructor that is `const`, except with loom's atomics, which have no const constructors.
macro_rules! constructor {
    ($(#[$doc:meta])* pub fn $($rest:tt)*) => {
        #[cfg(not(all(test, loom)))]
        $(#[$doc])*
        pub const fn $($rest)*
        #[cfg(all(test, loom))]
        $(#[$doc])*
        pub fn $($rest)*
    };
}

pub mod initialisation;
pub mod routing;
pub mod timed_lock;

#[cfg(all(test, loom))]
mod models;
mod primitives;
#[cfg(all(test, not(loom)))]
mod tests;
