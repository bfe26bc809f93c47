//! The packages of a release, and the workflows that make one; `cargo packages`.
//!
//! Packages are of the binaries that the other tests run. They are installed in roots with Debian's smallest
//! system and stand-ins for ROCm's libraries, by the package managers of this machine.

mod built;
mod contents;
mod journey;
mod managers;
mod root;
mod workflows;
