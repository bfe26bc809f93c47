//! Reading ELF files of which nothing is known, and writing one kind of library.
//!
//! A rocBLAS is up to a gigabyte, so a file is never read whole nor mapped (a file that shrinks
//! under a map kills with SIGBUS): the parts that matter are read where the headers say they are.
//! The parsers are goblin's; before one sees a part, its place and size are checked against the
//! file's length, so no claim of a file makes this allocate, loop or panic.
//!
//! Like the loader, this goes by the program headers and the dynamic section; section headers are
//! only asked for `.hip_fatbin`, which nothing else names, and what a split library has in its place.

mod dynamic;
mod hashed;
mod image;
mod malformed;
pub mod stub;
pub mod summary;
pub mod symbols;
#[cfg(test)]
pub(crate) mod testing;
mod versions;

pub use malformed::{Fault, Malformed};
pub use stub::{Stub, stub};
pub use summary::{Kind, Summary, summary};
pub use symbols::{Symbols, symbols};
pub use versions::NeededVersion;
