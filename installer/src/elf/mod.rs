//! Reads arbitrary ELF files, and writes one kind of library.
//!
//! A rocBLAS has up to a gigabyte, so a file is never read whole or mapped (if a mapped file shrinks,
//! accesses raise SIGBUS): the relevant parts are read from where the headers say they are. The parsers are
//! goblin's; before one is given a part, its position and size are checked against the file's length, so
//! nothing that a file claims makes this allocate excessively, loop or panic.
//!
//! Like the loader, this uses the program headers and the dynamic section; section headers are used only for
//! `.hip_fatbin`, which nothing else names, and for its replacement in a split library.

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
