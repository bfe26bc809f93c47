//! What is wrong with an ELF file, and where.

use std::io;

/// A file that is no ELF file, or a broken one.
#[derive(Debug, thiserror::Error)]
#[error("at offset {offset:#x}: {what}")]
pub struct Malformed {
    /// Bytes from the file's beginning.
    pub offset: u64,
    /// What is wrong there.
    pub what: Fault,
}

/// What is wrong at a place of an ELF file.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It does not begin as every ELF file does.
    #[error("this is not an ELF file")]
    NotElf,
    /// The file is shorter than its headers say, as a download that broke off.
    #[error("{0} end beyond the file")]
    Truncated(&'static str),
    /// More of something than any real file has.
    #[error("{count} {what} are claimed")]
    Excessive {
        /// What there would be too much of.
        what: &'static str,
        /// How much.
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
    /// This fault at that offset.
    pub(super) fn at(self, offset: u64) -> Malformed {
        Malformed { offset, what: self }
    }
}
