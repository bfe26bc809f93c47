//! The file system that a command works on: the machine's own, or another directory (`--root`), seen as a
//! process would see it that has this directory as its root.
//!
//! A root is a descriptor. Paths passed to it are paths *inside*: absolute, with `/` being the root. The
//! kernel resolves them with `RESOLVE_IN_ROOT`, or this module does step by step if the kernel lacks that, so
//! that a symlink that is absolute or climbs with `..` stays inside, as under `chroot`: an image's `/opt/rocm
//! -> /etc/alternatives/rocm` means the image's own, and a hostile symlink cannot escape, even if somebody
//! exchanges directories meanwhile. No function returns a path of the machine for a path inside.

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

/// As many symlinks as the kernel follows before it returns ELOOP (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Larger than any text that the installer reads whole, in bytes: settings, journals, lists of packages'
/// files (the largest known has 6 MB), CMake packages.
pub const MOST_TEXT: u64 = 64 << 20;

/// A file system, identified by the directory that is its `/`. Clones share the descriptor.
#[derive(Clone, Debug)]
pub struct Root {
    descriptor: Arc<OwnedFd>,
    is_system: bool,
    /// For messages.
    shown: PathBuf,
}

impl Root {
    /// A root at a directory of the machine. Fails if that directory cannot be opened.
    pub fn new(directory: &Path) -> io::Result<Self> {
        let shown = directory.canonicalize()?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // Do not compare canonical paths: that of `/proc/PID/root` is `/`, which may be another directory.
        let descriptor = open_at_path(directory, flags, Mode::empty())?;
        let (own, system) = (rustix::fs::fstat(&descriptor)?, rustix::fs::stat("/")?);
        let is_system = (own.st_dev, own.st_ino) == (system.st_dev, system.st_ino);
        Ok(Self { descriptor: Arc::new(descriptor), is_system, shown })
    }

    /// The machine itself, in which `--backend`, `--shim` and `--into` are paths.
    pub fn machine() -> io::Result<Self> {
        Self::new(Path::new("/"))
    }

    /// Whether this is the running system's own root.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.is_system
    }

    /// The directory of the machine by which it was named, for messages. Do not join it with paths inside,
    /// and do not pass it to other programs, which get [`Self::inherited`].
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.shown
    }

    /// A path by which a child process finds this very directory, whatever happens to its name; and the
    /// descriptor that the child inherits for that, which must be kept until the child ends.
    pub fn inherited(&self) -> io::Result<(OwnedFd, PathBuf)> {
        inherited(self)
    }

    /// Resolves a path inside, following all symlinks. A missing file is an error, except that the last
    /// component may be missing (but not the target of a symlink).
    pub fn resolve(&self, inside: &Path) -> io::Result<PathBuf> {
        self.walk(inside, true)
    }

    /// Like [`Self::resolve`], but does not follow a symlink in the last component.
    pub fn resolve_entry(&self, inside: &Path) -> io::Result<PathBuf> {
        self.walk(inside, false)
    }

    /// Opens a directory, to list it or to change its contents.
    pub fn open_directory(&self, inside: &Path) -> io::Result<Directory> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOCTTY;
        Ok(Directory::of(self.look_up(inside, flags)?))
    }

    /// Opens a regular file for reading; a pipe or device is an error and does not block.
    pub fn open(&self, inside: &Path) -> io::Result<File> {
        // Checked before opening, since opening some devices has side effects.
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

    /// The target of a symlink, as written.
    pub fn read_link(&self, inside: &Path) -> io::Result<PathBuf> {
        target(&self.look_up(inside, OFlags::PATH | OFlags::NOFOLLOW)?)
    }

    /// What is at a path; a symlink is not followed.
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

    /// The metadata of the entry itself.
    pub fn metadata_of_entry(&self, inside: &Path) -> io::Result<Metadata> {
        File::from(self.look_up(inside, OFlags::PATH | OFlags::NOFOLLOW)?).metadata()
    }

    /// The metadata of the file that a path resolves to.
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
        // `/` alone is the root; the kernel rejects an empty path.
        let path = if inside.as_os_str().is_empty() { Path::new("/") } else { inside };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        match openat2(&self.descriptor, path, flags, Mode::empty(), resolve) {
            // Linux before 5.6, or a seccomp filter that does not know the call; and EAGAIN if something on
            // the machine was renamed while the kernel resolved `..`.
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => {
                steps::look_up(self.as_fd(), path, flags)
            }
            other => Ok(other?),
        }
    }

    fn walk(&self, inside: &Path, follow_last: bool) -> io::Result<PathBuf> {
        let mut resolved = PathBuf::from("/");
        let mut links = 0;
        // Whether the path's own last component was a symlink, whose target must exist.
        let mut beyond_last = false;
        // The remaining components, in reverse.
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
                // A missing parent would be an error of its own, but the entry exists.
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

/// A path by which a child process finds the directory behind a descriptor; and the duplicate that the child
/// inherits for that, which has no `O_CLOEXEC`.
pub fn inherited(directory: &impl AsFd) -> io::Result<(OwnedFd, PathBuf)> {
    let duplicate = rustix::io::dup(directory)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", duplicate.as_raw_fd()));
    Ok((duplicate, path))
}

/// The target of the symlink behind a descriptor.
fn target(link: &OwnedFd) -> io::Result<PathBuf> {
    let target = readlinkat(link, c"", Vec::new())?;
    Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")
}

/// The text of a file of limited size. A sparse file may have any size.
pub fn read_text(file: File, most: u64) -> io::Result<String> {
    let mut text = String::new();
    file.take(most.saturating_add(1)).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        let what = format!("it is larger than {most} bytes");
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

/// The components of a path, including `..`, the last one first.
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
