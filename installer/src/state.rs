//! What is at a path: the value that plans compare and that the journal records.

use serde::{Deserialize, Serialize};
use std::{
    fmt, fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
};

/// What is at a path. Owners and the like are not part of it: earlier files are kept by renaming, with all
/// their attributes, and placed files belong to the user who runs the installer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum State {
    /// Nothing.
    Absent,
    /// A directory, whatever its contents.
    Directory,
    /// A symlink.
    Link {
        /// As written in it.
        target: PathBuf,
    },
    /// A regular file.
    File(FileState),
    /// A device, a pipe, a socket.
    Other,
}

/// What distinguishes regular files without reading them, and the digest if it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    /// In bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// The modification time in seconds since 1970, negative before: image layers have no finer resolution.
    pub modified: i64,
    /// BLAKE3, in hexadecimal. BLAKE3 and not SHA-256: the libraries are a gigabyte, and many
    /// machines with an MI50 have no SHA instructions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl State {
    /// From an entry's metadata; the entry is not a symlink.
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

    /// Whether two are equal as far as both are known: digests are compared if both have one.
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

    /// How another state differs, for messages: its kind, or a property of the file.
    #[must_use]
    pub fn difference(&self, now: &Self) -> String {
        let (Self::File(was), Self::File(is)) = (self, now) else {
            return format!("is {now} instead of {self}");
        };
        if was.size != is.size {
            return format!("has {} bytes instead of {}", is.size, was.size);
        }
        if was.digest.as_ref().zip(is.digest.as_ref()).is_some_and(|(was, is)| was != is) {
            return "has different contents".to_owned();
        }
        if was.mode != is.mode {
            return format!("has permissions {:04o} instead of {:04o}", is.mode, was.mode);
        }
        "has a different modification time".to_owned()
    }
}

impl FileState {
    /// From a regular file's metadata.
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
            Self::Link { target } => write!(f, "a symlink to {}", target.display()),
            Self::File(file) => write!(f, "a file of {} bytes", file.size),
            Self::Other => f.write_str("not a file, symlink or directory"),
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
            (file(11, 0o644, 5, None), "has 11 bytes instead of 10"),
            (file(10, 0o600, 5, None), "has permissions 0600 instead of 0644"),
            (file(10, 0o644, 6, None), "has a different modification time"),
            (file(10, 0o644, 6, Some("b")), "has different contents"),
            (State::Absent, "is nothing instead of a file of 10 bytes"),
        ] {
            assert_eq!(placed.difference(&now), said);
        }
    }
}
