//! Why there is no backend in what was named.

use crate::output::shown;
use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// Why [`super::open`] has no backend to give.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory of the machine.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// What was unpacked could not be written.
    #[error("cannot unpack into {}", path.display())]
    Unwritable {
        /// The file that was to be written, or the directory.
        path: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// An archive that is broken, cut off, or made to do harm.
    #[error("cannot unpack {archive}: {place}: {what}")]
    Damaged {
        /// The archive's file name.
        archive: String,
        /// Where in it.
        place: Place,
        /// What is wrong there.
        what: String,
    },
    /// It can be read, and is no backend.
    #[error("{origin} cannot be a backend: {reason}")]
    NoBackend {
        /// What was named.
        origin: String,
        /// Why, and what to do.
        reason: String,
    },
    /// It could be several backends.
    #[error("{origin} holds several rocBLAS libraries; {cure}: {}", list(found))]
    Several {
        /// What was named.
        origin: String,
        /// How to name one of them.
        cure: &'static str,
        /// The libraries.
        found: Vec<PathBuf>,
    },
}

impl Error {
    pub(super) fn unreadable(path: &Path, source: io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), source }
    }
}

/// A place in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The member's name as it is in the archive, with what a terminal would act on made visible.
    pub member: Option<String>,
    /// Bytes from the beginning of what is being read: of the file itself for the outermost layer of
    /// a package, and of the unpacked data below that.
    pub offset: u64,
    /// What is being read.
    pub layer: Layer,
}

/// What an offset counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The file.
    File,
    /// What the file's decompressed part holds.
    Unpacked,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(member) = &self.member {
            write!(f, "{member}, ")?;
        }
        write!(f, "at byte {}", self.offset)?;
        match self.layer {
            Layer::File => Ok(()),
            Layer::Unpacked => f.write_str(" of what it unpacks to"),
        }
    }
}

/// A reading error inside an archive, in words.
pub(super) fn reading(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            "it ends before this is complete; the download may have broken off".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Names from an archive may hold anything.
pub(super) fn printable(name: &[u8]) -> String {
    const MOST: usize = 200;
    let name = String::from_utf8_lossy(name);
    let mut text: String = name.chars().take(MOST).flat_map(char::escape_debug).collect();
    if name.chars().nth(MOST).is_some() {
        text.push('…');
    }
    text
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| shown(path).to_string()).collect::<Vec<_>>().join(", ")
}
