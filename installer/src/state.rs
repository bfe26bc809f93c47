//! What is at a path: the value that plans compare and that the journal keeps.

use crate::root::Root;
use serde::{Deserialize, Serialize};
use std::{
    fmt, fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// What is at a path. Owners are not part of it: what is kept is kept by its inode, and what is
/// placed belongs to whoever runs the installer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum State {
    /// Nothing.
    Absent,
    /// A directory, whatever is in it.
    Directory,
    /// A symbolic link.
    Link {
        /// As written in it.
        target: PathBuf,
    },
    /// A regular file.
    File(FileState),
    /// A device, a pipe, a socket.
    Other,
}

/// What tells one regular file from another without reading it, and its digest once it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    /// In bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Time of the last change, in seconds since 1970: image layers keep no more.
    pub modified: i64,
    /// BLAKE3, in hexadecimal. BLAKE3 and not SHA-256: the libraries are a gigabyte, and many
    /// machines with an MI50 have no SHA instructions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl State {
    /// What is at a path inside; a link is not followed.
    pub fn of(root: &Root, inside: &Path) -> io::Result<Self> {
        let path = match root.find_entry(inside) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::Absent),
            other => other?,
        };
        Self::on_machine(&path)
    }

    /// What is at a path of the machine.
    pub fn on_machine(path: &Path) -> io::Result<Self> {
        let metadata = match path.symlink_metadata() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::Absent),
            other => other?,
        };
        Ok(if metadata.is_symlink() {
            Self::Link { target: fs::read_link(path)? }
        } else if metadata.is_dir() {
            Self::Directory
        } else if metadata.is_file() {
            Self::File(FileState::of(&metadata))
        } else {
            Self::Other
        })
    }

    /// Whether two are the same as far as both know: a digest counts where both have one.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(a), Self::File(b)) => {
                let digests = a.digest.as_ref().zip(b.digest.as_ref());
                (a.size, a.mode, a.modified) == (b.size, b.mode, b.modified)
                    && digests.is_none_or(|(a, b)| a == b)
            }
            _ => self == other,
        }
    }
}

impl FileState {
    /// Of a regular file's metadata.
    #[must_use]
    pub fn of(metadata: &fs::Metadata) -> Self {
        Self {
            size: metadata.len(),
            mode: metadata.permissions().mode() & 0o7777,
            modified: metadata.mtime(),
            digest: None,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("nothing"),
            Self::Directory => f.write_str("a directory"),
            Self::Link { target } => write!(f, "a link to {}", target.display()),
            Self::File(file) => write!(f, "a file of {} bytes", file.size),
            Self::Other => f.write_str("neither file, link nor directory"),
        }
    }
}
