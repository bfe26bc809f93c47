//! What could not be read: of a file, or the file itself.

use std::{fmt, io, path::PathBuf};

/// A part of a thread's file that holds no record that could be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The thread's file.
    pub file: PathBuf,
    /// Where, in bytes from its start.
    pub offset: u64,
    /// How many bytes were passed over.
    pub bytes: u64,
    /// How many records are missing by their numbers; `None`: not known.
    pub records: Option<u64>,
    /// How many problems behind this one are only counted.
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

/// What it means that nothing was recorded.
pub const NO_CALLS: &str = "a trace begins with a program's first rocBLAS call, and a program that \
    computes without rocBLAS makes none";

/// A trace or a file of one that cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The system's error.
    #[error("{}: {error}", path.display())]
    Io {
        /// What was to be read.
        path: PathBuf,
        /// Why it was not.
        error: io::Error,
    },
    /// There is no such path.
    #[error(
        "{}: No such file or directory: the shim makes it with the first rocBLAS call of a program that \
         records there",
        path.display()
    )]
    Absent {
        /// What was to be read.
        path: PathBuf,
    },
    /// A directory in which traces are to be made, and none has been.
    #[error("{} has no trace yet: {NO_CALLS}", path.display())]
    NoCalls {
        /// The directory.
        path: PathBuf,
    },
    /// It is something else.
    #[error("{} is no trace: {what}", path.display())]
    Other {
        /// What was to be read.
        path: PathBuf,
        /// By what that is known.
        what: String,
    },
    /// It is a newer program's.
    #[error(
        "{} is of version {version}, and this program reads {known}: take a newer installer",
        path.display(),
        known = crate::layout::VERSION
    )]
    Newer {
        /// What was to be read.
        path: PathBuf,
        /// The version that it says.
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
