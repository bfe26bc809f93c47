//! The fault of an ELF file, and its position.

use std::io;

/// A file that is not an ELF file, or a malformed one.
#[derive(Debug, thiserror::Error)]
#[error("at offset {offset:#x}: {what}")]
pub struct Malformed {
    /// Bytes from the file's beginning.
    pub offset: u64,
    /// What is wrong there.
    pub what: Fault,
}

/// A fault at a position of an ELF file.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It lacks the magic number of ELF files.
    #[error("this is not an ELF file")]
    NotElf,
    /// The file is shorter than its headers say, like an interrupted download.
    #[error("{0} end beyond the file")]
    Truncated(&'static str),
    /// More of something than any real file has.
    #[error("it claims {count} {what}")]
    Excessive {
        /// The things counted.
        what: &'static str,
        /// Their number.
        count: u64,
    },
    /// Something contradicts the format or the rest of the file.
    #[error("{0}")]
    Invalid(String),
    /// The file cannot be read there.
    #[error("{0}")]
    Unreadable(io::Error),
}

impl Fault {
    /// This fault, at that offset.
    pub(super) fn at(self, offset: u64) -> Malformed {
        Malformed { offset, what: self }
    }
}
