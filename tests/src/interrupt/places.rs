//! Resolves the paths and descriptors of another process's system call to files as seen by this process.

use super::{observer::Spot, tracee::Tracee};
use std::{
    fs,
    path::{Component, Path, PathBuf},
};

/// A file that a call changes.
pub(super) struct Place {
    /// Relative to the watched directory if it is below it.
    pub(super) path: PathBuf,
    /// Whether it is below the watched directory.
    pub(super) is_below: bool,
}

/// Resolves the arguments of one process's call.
pub(super) struct Places<'a> {
    pub(super) tracee: &'a Tracee,
    /// The directory that is watched, without links.
    pub(super) below: &'a Path,
}

impl Places<'_> {
    /// The file or directory behind a descriptor; `None` for pipes, sockets, devices and such.
    pub(super) fn opened(&self, descriptor: i32) -> Option<Place> {
        let link = self.tracee.proc().join(format!("fd/{descriptor}"));
        let kind = fs::metadata(&link).ok()?.file_type();
        if !kind.is_file() && !kind.is_dir() {
            return None;
        }
        // For an unlinked file this is `/path (deleted)`: it still identifies it, and writes to it use space.
        Some(self.place(fs::read_link(link).ok()?, None))
    }

    /// The link in `/proc` for a descriptor.
    pub(super) fn descriptor(&self, descriptor: i32) -> PathBuf {
        self.tracee.proc().join(format!("fd/{descriptor}"))
    }

    /// The directory and the name in it to which the path at an address of the process refers.
    pub(super) fn spot(&self, directory: i32, address: u64) -> Option<Spot> {
        let name = if address == 0 { PathBuf::new() } else { self.tracee.path(address)? };
        if name.as_os_str().is_empty() {
            return Some(Spot::Opened(self.descriptor(directory)));
        }
        let path = if let Ok(inside) = name.strip_prefix("/") {
            self.tracee.proc().join("root").join(inside)
        } else if directory == libc::AT_FDCWD {
            self.tracee.proc().join("cwd").join(&name)
        } else {
            self.descriptor(directory).join(&name)
        };
        let (directory, name) = path.parent().zip(path.file_name())?;
        Some(Spot::Entry { directory: directory.to_owned(), name: name.to_owned() })
    }

    /// The file named by the path at an address of the process, relative to a directory.
    pub(super) fn named(&self, directory: i32, address: u64) -> Option<Place> {
        let name = if address == 0 { PathBuf::new() } else { self.tracee.path(address)? };
        if name.as_os_str().is_empty() {
            return self.opened(directory);
        }
        let proc = self.tracee.proc();
        let own = name.strip_prefix("/proc/self").ok().map(|below| proc.join(below));
        let path = if let Some(own) = own {
            // The process names a descriptor by a path.
            own
        } else if let Ok(inside) = name.strip_prefix("/") {
            // Resolved in the process's root, which may differ.
            fs::read_link(proc.join("root")).ok()?.join(inside)
        } else if directory == libc::AT_FDCWD {
            fs::read_link(proc.join("cwd")).ok()?.join(&name)
        } else {
            fs::read_link(proc.join(format!("fd/{directory}"))).ok()?.join(&name)
        };
        // Resolves the symlinks of all but the last component, which may be about to be created or removed.
        let resolved = path
            .parent()
            .zip(path.file_name())
            .and_then(|(parent, name)| parent.canonicalize().ok().map(|parent| parent.join(name)));
        Some(self.place(without_dots(&path), resolved))
    }

    /// A file is below the watched directory if its path is, or if its resolved path is.
    fn place(&self, path: PathBuf, resolved: Option<PathBuf>) -> Place {
        let relative = |name: &Path| name.strip_prefix(self.below).ok().map(Path::to_owned);
        match relative(&path).or_else(|| relative(resolved.as_deref()?)) {
            Some(path) => Place { path, is_below: true },
            None => Place { path, is_below: false },
        }
    }
}

/// Removes `.` and `..` lexically.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}
