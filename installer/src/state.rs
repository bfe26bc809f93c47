//! What is at a path: the value that plans compare and that the journal keeps.

use serde::{Deserialize, Serialize};
use std::{
    fmt, fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
};

/// What is at a path. Owners and the like are not part of it: what was there before is kept by
/// renaming it, with all that it has, and what is placed belongs to whoever runs the installer.
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
    /// Time of the last change, in seconds since 1970, negative before: image layers keep no more.
    pub modified: i64,
    /// BLAKE3, in hexadecimal. BLAKE3 and not SHA-256: the libraries are a gigabyte, and many
    /// machines with an MI50 have no SHA instructions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl State {
    /// Of an entry's metadata, which is not a link's.
    #[must_use]
    pub fn of(metadata: &fs::Metadata) -> Self {
        if metadata.is_dir() {
            Self::Directory
        } else if metadata.is_file() {
            Self::File(FileState::of(metadata))
        } else {
            Self::Other
        }
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

    /// What is different in another, for people: what it is, or which property of the file.
    #[must_use]
    pub fn difference(&self, now: &Self) -> String {
        let (Self::File(was), Self::File(is)) = (self, now) else {
            return format!("is {now} and not {self}");
        };
        if was.size != is.size {
            return format!("has {} bytes and not {}", is.size, was.size);
        }
        if was.digest.as_ref().zip(is.digest.as_ref()).is_some_and(|(was, is)| was != is) {
            return "does not have the contents that were placed".to_owned();
        }
        if was.mode != is.mode {
            return format!("has permissions {:04o} and not {:04o}", is.mode, was.mode);
        }
        "has another time of modification than it was placed with".to_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_the_property() {
        let file = |size, mode, modified, digest: Option<&str>| {
            State::File(FileState { size, mode, modified, digest: digest.map(str::to_owned) })
        };
        let placed = file(10, 0o644, 5, Some("a"));
        for (now, said) in [
            (file(11, 0o644, 5, None), "has 11 bytes and not 10"),
            (file(10, 0o600, 5, None), "has permissions 0600 and not 0644"),
            (file(10, 0o644, 6, None), "has another time of modification than it was placed with"),
            (file(10, 0o644, 6, Some("b")), "does not have the contents that were placed"),
            (State::Absent, "is nothing and not a file of 10 bytes"),
        ] {
            assert_eq!(placed.difference(&now), said);
        }
    }
}
