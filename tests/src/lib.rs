//! Code that the integration tests and the demo share: building the shim, the stand-in libraries and C
//! clients, laying out trees, and running a program with a time limit and capturing its output.
//!
//! Loading is global to a process, so every scenario runs its own client.

pub mod amd_tree;
pub mod artefacts;
pub mod assembly;
pub mod captures;
pub mod compile;
pub mod confined;
pub mod consistency;
pub mod docker;
pub mod dpkg;
pub mod elf;
pub mod ext4;
mod heartbeat;
pub mod interrupt;
pub mod kept;
pub mod long_trace;
pub mod program;
pub mod real;
pub mod run;
pub mod scenario;
pub mod scratch;
pub mod skip;
pub mod small_tree;
pub mod snapshot;
pub mod soak;
pub mod stepped;
pub mod terminal;
pub mod traces;
pub mod tree;
pub mod valid;
pub mod words;
