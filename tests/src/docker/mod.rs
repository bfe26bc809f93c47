//! A real Docker engine: images built from the project's own Dockerfiles on bases that are made here,
//! because none can be pulled everywhere.

mod bases;
mod engine;
mod rocm;
pub mod tools;

pub use bases::{PREFIX, SHIM, runtime, rust};
pub use engine::{Build, Container, Engine, engine};
pub use rocm::{LLAMA, ROCBLAS_6_VERSION, Rocm, rocm};
