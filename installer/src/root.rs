//! The file system that a command works on: the machine's own, or a tree that is to become one
//! (`--root`), seen as a process inside of it would see it.
//!
//! A root is a descriptor. Paths given to it are paths *inside*: absolute, `/` being the root. They
//! are looked up by the kernel with `RESOLVE_IN_ROOT`, or step by step where it lacks that, so that
//! a link that is absolute or climbs with `..` stays inside as under `chroot`: an image's `/opt/rocm
//! -> /etc/alternatives/rocm` means the image's own, and a hostile one leads nowhere else, not even
//! if somebody exchanges directories meanwhile. There is no function that returns a path of the
//! machine for one inside.

mod steps;

use crate::{directory::Directory, state::State};
use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, open as open_at_path, openat2, readlinkat},
    io::Errno,
};
use std::{
    ffi::{OsStr, OsString},
    fs::{File, Metadata},
    io::{self, Read},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStringExt, fs::OpenOptionsExt},
    },
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// As many links as the kernel follows before it says ELOOP (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Larger than any text that the installer reads whole, in bytes: settings, journals, lists of
/// packages' files (the largest seen has 6 MB), CMake packages.
pub const MOST_TEXT: u64 = 64 << 20;

/// A file system, by the directory that is its `/`. Clones share the descriptor.
#[derive(Clone, Debug)]
pub struct Root {
    descriptor: Arc<OwnedFd>,
    is_system: bool,
    /// For people.
    shown: PathBuf,
}

impl Root {
    /// A root at a directory of the machine. The error is the one of finding that directory.
    pub fn new(directory: &Path) -> io::Result<Self> {
        let shown = directory.canonicalize()?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // Not by the canonical path: that of `/proc/PID/root` is `/`, which may be another.
        let descriptor = open_at_path(directory, flags, Mode::empty())?;
        let (own, system) = (rustix::fs::fstat(&descriptor)?, rustix::fs::stat("/")?);
        let is_system = (own.st_dev, own.st_ino) == (system.st_dev, system.st_ino);
        Ok(Self { descriptor: Arc::new(descriptor), is_system, shown })
    }

    /// The machine itself: what `--backend`, `--shim` and `--into` are paths of.
    pub fn machine() -> io::Result<Self> {
        Self::new(Path::new("/"))
    }

    /// Whether this is the running system's own root.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.is_system
    }

    /// The directory of the machine that it was named by, for messages. Not to be joined with paths
    /// inside, and not for other programs, which take [`Self::inherited`].
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.shown
    }

    /// A path by which a program that is started finds this very directory, whatever becomes of its
    /// name; and the descriptor that it inherits for that, to be held until it has ended.
    pub fn inherited(&self) -> io::Result<(OwnedFd, PathBuf)> {
        inherited(self)
    }

    /// Where a path leads, inside, with every link followed. What does not exist is an error, but
    /// for the last component, which may be absent (not: a link to something absent).
    pub fn resolve(&self, inside: &Path) -> io::Result<PathBuf> {
        self.walk(inside, true)
    }

    /// As [`Self::resolve`], but a link in the last component is what is meant.
    pub fn resolve_entry(&self, inside: &Path) -> io::Result<PathBuf> {
        self.walk(inside, false)
    }

    /// Opens a directory, to list it or to change what is in it.
    pub fn open_directory(&self, inside: &Path) -> io::Result<Directory> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOCTTY;
        Ok(Directory::of(self.look_up(inside, flags)?))
    }

    /// Opens a regular file for reading; a pipe or device is an error and is not waited for.
    pub fn open(&self, inside: &Path) -> io::Result<File> {
        // Looked at before it is opened: opening alone makes some devices act.
        if !self.metadata(inside)?.is_file() {
            return Err(not_regular());
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = File::from(self.look_up(inside, flags)?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
    }

    /// The text of a file of at most [`MOST_TEXT`] bytes.
    pub fn read_to_string(&self, inside: &Path) -> io::Result<String> {
        read_text(self.open(inside)?, MOST_TEXT)
    }

    /// The target of a link, as written.
    pub fn read_link(&self, inside: &Path) -> io::Result<PathBuf> {
        target(&self.look_up(inside, OFlags::PATH | OFlags::NOFOLLOW)?)
    }

    /// What is at a path; a link is not followed.
    pub fn state(&self, inside: &Path) -> io::Result<State> {
        let entry = match self.look_up(inside, OFlags::PATH | OFlags::NOFOLLOW) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(State::Absent),
            other => File::from(other?),
        };
        let metadata = entry.metadata()?;
        if metadata.is_symlink() {
            return Ok(State::Link { target: target(&entry.into())? });
        }
        Ok(State::of(&metadata))
    }

    /// What is known of the entry itself.
    pub fn metadata_of_entry(&self, inside: &Path) -> io::Result<Metadata> {
        File::from(self.look_up(inside, OFlags::PATH | OFlags::NOFOLLOW)?).metadata()
    }

    /// What is known of what a path leads to.
    pub fn metadata(&self, inside: &Path) -> io::Result<Metadata> {
        File::from(self.look_up(inside, OFlags::PATH)?).metadata()
    }

    /// The names in a directory, sorted.
    pub fn names(&self, inside: &Path) -> io::Result<Vec<OsString>> {
        self.open_directory(inside)?.names()
    }

    /// The kernel's lookup below this root.
    fn look_up(&self, inside: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        // `/` alone is the root; the kernel takes an empty path for a mistake.
        let path = if inside.as_os_str().is_empty() { Path::new("/") } else { inside };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        match openat2(&self.descriptor, path, flags, Mode::empty(), resolve) {
            // Linux before 5.6, or a seccomp filter that does not know the call; and EAGAIN where
            // something was renamed on the machine while the kernel went through `..`.
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => {
                steps::look_up(self.as_fd(), path, flags)
            }
            other => Ok(other?),
        }
    }

    fn walk(&self, inside: &Path, follow_last: bool) -> io::Result<PathBuf> {
        let mut resolved = PathBuf::from("/");
        let mut links = 0;
        // Whether the path's own last component was a link, whose target has to be there.
        let mut beyond_last = false;
        // What is still to be walked, in reverse.
        let mut rest: Vec<OsString> = reversed(inside);
        while let Some(name) = rest.pop() {
            if name == ".." {
                resolved.pop();
                continue;
            }
            let entry = resolved.join(&name);
            let state = self.state(&entry)?;
            let last = rest.is_empty();
            if state == State::Absent {
                // A parent that is gone would be an error of its own: the entry is.
                if last && !beyond_last {
                    return Ok(entry);
                }
                return Err(io::ErrorKind::NotFound.into());
            }
            let State::Link { target } = state else {
                if !last && state != State::Directory {
                    return Err(io::ErrorKind::NotADirectory.into());
                }
                resolved = entry;
                continue;
            };
            if last && !follow_last {
                resolved = entry;
                continue;
            }
            links += 1;
            beyond_last |= last;
            if links > MAX_LINKS {
                return Err(Errno::LOOP.into());
            }
            if target.is_absolute() {
                resolved = PathBuf::from("/");
            }
            rest.extend(reversed(&target));
        }
        Ok(resolved)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// A path by which a program that is started finds the directory behind a descriptor; and the
/// duplicate that it inherits for that, which has no `O_CLOEXEC`.
pub fn inherited(directory: &impl AsFd) -> io::Result<(OwnedFd, PathBuf)> {
    let duplicate = rustix::io::dup(directory)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", duplicate.as_raw_fd()));
    Ok((duplicate, path))
}

/// The target of the link behind a descriptor.
fn target(link: &OwnedFd) -> io::Result<PathBuf> {
    let target = readlinkat(link, c"", Vec::new())?;
    Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")
}

/// The text of a file that has at most so many bytes. A sparse file has any size for nothing.
pub fn read_text(file: File, most: u64) -> io::Result<String> {
    let mut text = String::new();
    file.take(most.saturating_add(1)).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        let what = format!("it has more than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(text)
}

/// Opens a regular file of the machine for reading.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let seen = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    if !File::from(seen).metadata()?.is_file() {
        return Err(not_regular());
    }
    // O_NONBLOCK: opening a pipe must not wait for a writer.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

/// The components of a path, the last one first, `..` among them.
pub(crate) fn reversed(path: &Path) -> Vec<OsString> {
    let mut names: Vec<OsString> = path
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsStr::new("..").to_owned()),
            _ => None,
        })
        .collect();
    names.reverse();
    names
}

#[cfg(test)]
mod tests;
