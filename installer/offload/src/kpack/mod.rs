//! GPU code that was split from its library (ROCm 7.13 and later): the marker in the library, its
//! records, and the archives, one for each target, that the marker names.
//!
//! Known from the sources of TheRock's `rocm-kpack` and of the HIP runtime. As for bundles, nothing is
//! believed that the bytes claim: offsets and counts are checked against what is there, tables and
//! code objects have limits, and no parser recurses.

mod archive;
mod msgpack;
mod reference;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use archive::{Archive, Object};
pub use reference::{Reference, Segment, segments};

#[cfg(test)]
mod tests;
