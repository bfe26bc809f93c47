//! A real Docker engine: images built from the project's own Dockerfiles on base images that are created here,
//! because a registry is not available everywhere.

mod bases;
mod engine;
mod rocm;
pub mod tools;

pub use bases::{PREFIX, SHIM, clean_root, runtime, rust};
pub use engine::{Build, Container, Engine, engine};
pub use rocm::{LLAMA, ROCBLAS_6_VERSION, Rocm, rocm};
