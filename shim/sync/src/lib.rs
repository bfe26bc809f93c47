//! How threads of the shim wait for and see each other: who initialises, when the table is published,
//! how a trace is started and stopped, and what fork waits for.
//!
//! A crate of its own so that loom can run this very code: with `--cfg loom`, the unit tests in `models`
//! run it on loom's atomics, in every order of its steps that the memory model allows (`primitives.rs` is
//! the only place that knows the difference). What surrounds it in the shim, libc, the loader and the
//! assembly, does not run there.

/// A constructor that is `const`, except with loom's atomics, which cannot be made in a constant.
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
