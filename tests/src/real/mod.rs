//! Real AMD host binaries under the shim: a throw-away root of Debian packages; trees that have the shim in
//! front of a library from it or are laid out like a machine; and a HIP runtime that records instead of
//! computing.
//!
//! This repository contains nothing from the vendor; the versions are those currently in the distribution.

pub mod compared;
pub mod debian;
pub mod development;
pub mod every_solver;
pub mod fatbin;
pub mod log;
pub(crate) mod packages;
pub mod promised;
pub mod recording;
pub mod rocm;
pub mod root;
pub mod vendor_tests;
pub mod wheels;

pub use debian::Debian;
pub use development::development;
pub use rocm::Rocm;
pub use root::{Root, root, say};
pub use vendor_tests::{VendorTests, vendor_tests};
pub use wheels::{python_bindings, rocblas_imports};
