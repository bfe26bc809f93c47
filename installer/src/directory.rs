//! An open directory, and operations on the names in it.
//!
//! Every change by the installer goes through here: a descriptor and one plain name. A path would be resolved
//! again at each call, and whoever may rename a directory on the way could redirect the second lookup to a
//! file of their choice. A descriptor stays with its directory, and a [`Name`] cannot climb.

use crate::state::{FileState, State};
use rustix::{
    fs::{
        AtFlags, Dir, FileType, Mode, OFlags, RawDir, RenameFlags, ResolveFlags, linkat, mkdirat,
        openat, openat2, readlinkat, renameat_with, statat, symlinkat, unlinkat,
    },
    io::Errno,
};
use std::{
    ffi::{OsStr, OsString},
    fmt,
    fs::{File, Metadata},
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{
            ffi::{OsStrExt, OsStringExt},
            fs::MetadataExt,
        },
    },
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// One component of a path: not empty, no `/`, neither `.` nor `..`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a>(&'a OsStr);

impl<'a> Name<'a> {
    /// `None` if it is not a single plain component.
    pub fn new(name: &'a (impl AsRef<OsStr> + ?Sized)) -> Option<Self> {
        let name = name.as_ref();
        let is_plain = !name.is_empty()
            && name != "."
            && name != ".."
            && !name.as_bytes().iter().any(|byte| [b'/', 0].contains(byte));
        is_plain.then_some(Self(name))
    }

    /// The last component of a path.
    #[must_use]
    pub fn last_of(path: &'a Path) -> Option<Self> {
        path.file_name().and_then(Self::new)
    }

    /// The name itself.
    #[must_use]
    pub fn as_os_str(self) -> &'a OsStr {
        self.0
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.display())
    }
}

/// What a rename does with an existing file of the new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The new name must be free.
    Free,
    /// The existing file is removed.
    Replaced,
    /// The two names are exchanged atomically.
    Exchanged,
}

/// An open directory. Clones share the descriptor.
#[derive(Clone, Debug)]
pub struct Directory(Arc<OwnedFd>);

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);

impl Directory {
    /// Wraps a descriptor that was opened as a directory.
    pub(crate) fn of(descriptor: OwnedFd) -> Self {
        Self(Arc::new(descriptor))
    }

    /// Opens a directory in this one; a symlink is an error (`ENOTDIR`).
    pub fn sub_directory(&self, name: Name<'_>) -> io::Result<Self> {
        let opened = openat(self, name.0, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
        Ok(Self::of(opened))
    }

    /// Opens a directory below this one. Each component must be a directory on the same file system: a
    /// symlink, a mount point, `..` and an absolute path are errors.
    pub fn below(&self, path: &Path) -> io::Result<Self> {
        if path.as_os_str().is_empty() {
            return Ok(self.clone());
        }
        let resolve = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        match openat2(self, path, DIRECTORY, Mode::empty(), resolve) {
            // Linux before 5.6, or a seccomp filter that does not know the call; and EAGAIN if something on
            // the machine was renamed meanwhile.
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => self.below_by_steps(path),
            other => Ok(Self::of(other?)),
        }
    }

    fn below_by_steps(&self, path: &Path) -> io::Result<Self> {
        let mut directory = self.clone();
        let device = self.metadata()?.dev();
        for component in path.components() {
            let Component::Normal(name) = component else { return Err(Errno::XDEV.into()) };
            let name = Name::new(name).ok_or(Errno::INVAL)?;
            directory = directory.sub_directory(name)?;
            if directory.metadata()?.dev() != device {
                return Err(Errno::XDEV.into());
            }
        }
        Ok(directory)
    }

    /// The directory's metadata.
    pub fn metadata(&self) -> io::Result<Metadata> {
        File::from(self.0.try_clone()?).metadata()
    }

    /// The names in it, sorted.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        Ok(self.entries()?.into_iter().map(|(name, _)| name).collect())
    }

    /// The names in this directory, sorted, with their kinds as listed by the file system:
    /// [`FileType::Unknown`] on some.
    pub fn entries(&self) -> io::Result<Vec<(OsString, FileType)>> {
        // Opens a new descriptor, since the read position belongs to the open file.
        let listing = openat(self, c".", DIRECTORY, Mode::empty())?;
        let mut names = Vec::new();
        let mut entries = Dir::new(listing)?;
        while let Some(entry) = entries.read() {
            let entry = entry?;
            let name = entry.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push((OsString::from_vec(name), entry.file_type()));
            }
        }
        names.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(names)
    }

    /// What is at a name; a symlink is not followed.
    pub fn state(&self, name: Name<'_>) -> io::Result<State> {
        let stat = match statat(self, name.0, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(State::Absent),
            other => other?,
        };
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => State::Link { target: self.read_link(name)? },
            FileType::Directory => State::Directory,
            FileType::RegularFile => State::File(FileState {
                size: u64::try_from(stat.st_size).unwrap_or(0),
                mode: stat.st_mode & 0o7777,
                modified: stat.st_mtime,
                digest: None,
            }),
            _ => State::Other,
        })
    }

    /// The target of a symlink, as written.
    pub fn read_link(&self, name: Name<'_>) -> io::Result<PathBuf> {
        let target = readlinkat(self, name.0, Vec::new())?;
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    /// Opens a regular file for reading. A symlink, pipe or device is an error and does not block.
    pub fn open(&self, name: Name<'_>) -> io::Result<File> {
        // Checked before opening, since opening some devices has side effects.
        let seen =
            openat(self, name.0, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let seen = File::from(seen).metadata()?;
        if !seen.is_file() {
            return Err(not_regular());
        }
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = File::from(openat(self, name.0, flags, Mode::empty())?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
    }

    /// Creates a file that only its owner may open, for reading and writing. The name must be free.
    pub fn create(&self, name: Name<'_>) -> io::Result<File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(self, name.0, flags, Mode::from_raw_mode(0o600))?))
    }

    /// Creates a directory with these permissions, whatever the umask is, or opens an existing one. Returns
    /// it and whether it was created.
    pub fn make(&self, name: Name<'_>, mode: u32) -> io::Result<(Self, bool)> {
        // It must not have more permissions than requested even for an instant.
        let made = match mkdirat(self, name.0, Mode::from_raw_mode(mode & 0o700)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(e) => return Err(e.into()),
        };
        let directory = self.sub_directory(name)?;
        if made {
            rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode))?;
        }
        Ok((directory, made))
    }

    /// Creates a symlink. The name must be free.
    pub fn symlink(&self, target: &Path, name: Name<'_>) -> io::Result<()> {
        Ok(symlinkat(target, self, name.0)?)
    }

    /// Creates a hard link to a file or symlink under a name, which must be free.
    pub fn link(&self, name: Name<'_>, to: &Self, new: Name<'_>) -> io::Result<()> {
        Ok(linkat(self, name.0, to, new.0, AtFlags::empty())?)
    }

    /// Renames, in one step.
    pub fn rename(
        &self,
        name: Name<'_>,
        to: &Self,
        new: Name<'_>,
        target: Target,
    ) -> io::Result<()> {
        let flags = match target {
            Target::Free => RenameFlags::NOREPLACE,
            Target::Replaced => RenameFlags::empty(),
            Target::Exchanged => RenameFlags::EXCHANGE,
        };
        match renameat_with(self, name.0, to, new.0, flags) {
            // NFS and others do not support the flags. Only the installer creates names in its store, and it
            // holds the lock, so checking first is equivalent.
            Err(Errno::INVAL | Errno::NOSYS) if target == Target::Free => {
                if to.state(new)? != State::Absent {
                    return Err(Errno::EXIST.into());
                }
                Ok(rustix::fs::renameat(self, name.0, to, new.0)?)
            }
            other => Ok(other?),
        }
    }

    /// Removes a file or symlink, which may not exist.
    pub fn remove(&self, name: Name<'_>) -> io::Result<()> {
        gone_is_fine(unlinkat(self, name.0, AtFlags::empty()))
    }

    /// Removes a directory if it is empty. Returns whether it was removed or did not exist.
    pub fn remove_directory(&self, name: Name<'_>) -> io::Result<bool> {
        match gone_is_fine(unlinkat(self, name.0, AtFlags::REMOVEDIR)) {
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Removes whatever is at a name, including a directory with its contents.
    pub fn remove_tree(&self, name: Name<'_>) -> io::Result<()> {
        match unlinkat(self, name.0, AtFlags::empty()) {
            Err(Errno::NOENT) => return Ok(()),
            // Linux returns EISDIR, POSIX specifies EPERM.
            Err(Errno::ISDIR | Errno::PERM) => {}
            other => return Ok(other?),
        }
        let directory = match self.sub_directory(name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        directory.remove_contents()?;
        gone_is_fine(unlinkat(self, name.0, AtFlags::REMOVEDIR))
    }

    /// Removes everything in it.
    pub fn remove_contents(&self) -> io::Result<()> {
        for name in self.names()? {
            self.remove_tree(Name::new(&name).ok_or(Errno::INVAL)?)?;
        }
        Ok(())
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> io::Result<bool> {
        let listing = openat(self, c".", DIRECTORY, Mode::empty())?;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut entries = RawDir::new(listing, &mut buffer);
        while let Some(entry) = entries.next() {
            if ![&b"."[..], b".."].contains(&entry?.file_name().to_bytes()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Syncs everything written to its file system so far, names and contents: the barrier between what a
    /// switch depends on and the switch.
    pub fn sync_file_system(&self) -> io::Result<()> {
        match rustix::fs::syncfs(self) {
            // A seccomp filter that does not know the call.
            Err(Errno::NOSYS | Errno::OPNOTSUPP) => {
                rustix::fs::sync();
                Ok(())
            }
            other => Ok(other?),
        }
    }

    /// Syncs the names in it.
    pub fn sync(&self) -> io::Result<()> {
        match rustix::fs::fsync(self) {
            // Some network and FUSE file systems have nothing to sync for a directory.
            Err(Errno::INVAL | Errno::NOTSUP | Errno::NOSYS) => Ok(()),
            other => Ok(other?),
        }
    }
}

fn gone_is_fine(result: rustix::io::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => Ok(other?),
    }
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")
}

#[cfg(test)]
mod tests;
