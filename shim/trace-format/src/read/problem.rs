//! Parts of files, and files, that could not be read.

use std::{fmt, io, path::PathBuf};

/// A part of a thread's file without valid records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The thread's file.
    pub file: PathBuf,
    /// The offset in bytes.
    pub offset: u64,
    /// How many bytes were skipped.
    pub bytes: u64,
    /// How many records are missing according to their numbers; `None` if not known.
    pub records: Option<u64>,
    /// How many problems after this one are only counted.
    pub further: u64,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, bytes, records, further } = self;
        write!(f, "{}: ", file.display())?;
        match (bytes, records) {
            (0, Some(n)) => write!(f, "{n} records are missing at offset {offset:#x}")?,
            (0, None) => write!(f, "records may be missing at offset {offset:#x}")?,
            (_, Some(n)) => {
                write!(
                    f,
                    "{bytes} bytes at offset {offset:#x} are damaged: {n} records are missing"
                )?;
            }
            (_, None) => write!(f, "{bytes} bytes at offset {offset:#x} are damaged")?,
        }
        match further {
            0 => Ok(()),
            _ => write!(f, ", and {further} places behind it"),
        }
    }
}

/// Explains why nothing was recorded.
pub const NO_CALLS: &str = "a trace begins with a program's first rocBLAS call, and a program that \
    computes without rocBLAS makes none";

/// A trace or a file of one that cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The system's error.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The error.
        error: io::Error,
    },
    /// There is no such path.
    #[error(
        "{}: No such file or directory: the shim makes it with the first rocBLAS call of a program that \
         records there",
        path.display()
    )]
    Absent {
        /// The path.
        path: PathBuf,
    },
    /// A directory for traces that contains none yet.
    #[error("{} has no trace yet: {NO_CALLS}", path.display())]
    NoCalls {
        /// The directory.
        path: PathBuf,
    },
    /// It is not a trace.
    #[error("{} is no trace: {what}", path.display())]
    Other {
        /// The file or directory.
        path: PathBuf,
        /// The reason.
        what: String,
    },
    /// It was written by a newer program.
    #[error(
        "{} is of version {version}, and this program reads {known}: take a newer installer",
        path.display(),
        known = crate::layout::VERSION
    )]
    Newer {
        /// The file or directory.
        path: PathBuf,
        /// The version in the file.
        version: u32,
    },
}

impl Unreadable {
    pub(super) fn io(path: &std::path::Path, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), error }
    }

    pub(super) fn other(path: &std::path::Path, what: impl Into<String>) -> Self {
        Self::Other { path: path.to_owned(), what: what.into() }
    }
}
