//! GPU code that was split off its library (ROCm 7.13 and later): the marker in the library, its records, and
//! the archives, one per target, that the marker names.
//!
//! The format is known from the sources of TheRock's `rocm-kpack` and of the HIP runtime. As for bundles,
//! nothing that the bytes claim is trusted: offsets and counts are checked against the actual data, tables
//! and code objects have limits, and no parser recurses.

mod archive;
mod msgpack;
mod reference;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use archive::{Archive, Object};
pub use reference::{Reference, Segment, segments};

#[cfg(test)]
mod tests;
