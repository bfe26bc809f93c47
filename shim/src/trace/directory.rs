//! The directory of a trace and the files in it.
//!
//! Files are reopened by name (see `file`), and may have been replaced meanwhile: by a copy, which would
//! grow instead of the mapped file, or by a symlink to an unrelated file. So a file is identified by its
//! device and inode, a symlink as the last component is not followed, and a new file is created only in
//! the directory that the trace created.

use super::descriptor::{Descriptor, FileId};
use std::{
    ffi::CString,
    fmt, fs, io,
    os::{
        fd::{FromRawFd, OwnedFd, RawFd},
        unix::{
            ffi::OsStrExt,
            fs::{DirBuilderExt, OpenOptionsExt},
        },
    },
    path::{Path, PathBuf},
};

/// Why a file of a trace could not be opened or written.
#[derive(Debug)]
pub(super) enum Error {
    /// Another file or directory has its name.
    Replaced {
        path: PathBuf,
        /// `file` or `directory`.
        kind: &'static str,
    },
    /// The system's error.
    System(io::Error),
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replaced { path, kind } => {
                write!(f, "{} was replaced by another {kind}", path.display())
            }
            Self::System(error) => error.fmt(f),
        }
    }
}

/// A directory that a trace has created.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    id: FileId,
}

impl Directory {
    /// Creates one in `parent`, which is created too if it is missing.
    pub(super) fn create(parent: &Path) -> io::Result<Self> {
        let path = make_directory(parent)?;
        let id = open_directory(&path)?.file();
        Ok(Self { path, id })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn open(&self) -> Result<Descriptor, Error> {
        compare(open_directory(&self.path), self.id, &self.path, "directory")
    }

    /// Creates a file for a thread. The name must not exist.
    pub(super) fn create_file(&self, name: &str) -> Result<Descriptor, Error> {
        Ok(create_in(&self.open()?, &c_name(name)?)?)
    }

    /// Removes a file.
    pub(super) fn remove(&self, name: &str) -> Result<(), Error> {
        Ok(remove_in(&self.open()?, &c_name(name)?)?)
    }

    /// Writes a file atomically, so that no reader sees a part of it.
    pub(super) fn write_whole(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let directory = self.open()?;
        let unfinished = Path::new(name).with_extension("unfinished");
        let (name, unfinished) = (c_name(name)?, c_name(unfinished)?);
        let file = match create_in(&directory, &unfinished) {
            // Not overwritten: it may be anything, even a symlink.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                remove_in(&directory, &unfinished)?;
                create_in(&directory, &unfinished)?
            }
            created => created?,
        };
        let placed = file.write_all_at(bytes, 0).and_then(|()| {
            let number = directory.number()?;
            // SAFETY: an open directory and C strings.
            succeeded(unsafe { libc::renameat(number, unfinished.as_ptr(), number, name.as_ptr()) })
        });
        if placed.is_err() {
            // Half a file on a full disk is of no use to anybody.
            let _ = remove_in(&directory, &unfinished);
        }
        Ok(placed?)
    }
}

/// Reopens a file for writing, if the name still refers to it.
pub(super) fn reopen(path: &Path, file: FileId) -> Result<Descriptor, Error> {
    let mut options = fs::OpenOptions::new();
    // Without O_NONBLOCK, opening a pipe of that name would wait for a reader.
    options.read(true).write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    compare(options.open(path).and_then(Descriptor::new), file, path, "file")
}

fn open_directory(path: &Path) -> io::Result<Descriptor> {
    let mut options = fs::OpenOptions::new();
    options.read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW);
    Descriptor::new(options.open(path)?)
}

fn compare(
    opened: io::Result<Descriptor>,
    expected: FileId,
    path: &Path,
    kind: &'static str,
) -> Result<Descriptor, Error> {
    let replaced = || Error::Replaced { path: path.to_owned(), kind };
    match opened {
        Ok(opened) if opened.file() == expected => Ok(opened),
        Ok(_) => Err(replaced()),
        Err(e) => Err(match e.raw_os_error() {
            // A symlink; a symlink or a file instead of a directory; a directory; a socket or a device.
            Some(libc::ELOOP | libc::ENOTDIR | libc::EISDIR | libc::ENXIO) => replaced(),
            _ => e.into(),
        }),
    }
}

fn c_name(name: impl AsRef<Path>) -> io::Result<CString> {
    Ok(CString::new(name.as_ref().as_os_str().as_bytes())?)
}

fn create_in(directory: &Descriptor, name: &CString) -> io::Result<Descriptor> {
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let mode: libc::c_uint = 0o666;
    // SAFETY: an open directory and a C string.
    let number = unsafe { libc::openat(directory.number()?, name.as_ptr(), flags, mode) };
    succeeded(number)?;
    // SAFETY: just opened, and not owned elsewhere.
    Descriptor::new(unsafe { OwnedFd::from_raw_fd(number) })
}

fn remove_in(directory: &Descriptor, name: &CString) -> io::Result<()> {
    // SAFETY: an open directory and a C string.
    succeeded(unsafe { libc::unlinkat(directory.number()?, name.as_ptr(), 0) })
}

fn succeeded(result: RawFd) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Creates a directory for this process, `PROGRAM-PID`, with a number appended if that exists already.
fn make_directory(parent: &Path) -> io::Result<PathBuf> {
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o777);
    builder.recursive(true).create(parent)?;
    builder.recursive(false);
    let program = fs::read_link("/proc/self/exe").unwrap_or_default();
    let program = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // The kernel appends this if the program's file was replaced while it ran.
    let program = program.trim_end_matches(" (deleted)");
    let stem = format!("{program}-{}", std::process::id());
    let path = |number: u64| {
        parent.join(if number == 1 { stem.clone() } else { format!("{stem}.{number}") })
    };
    let mut number = first_free_number(|number| path(number).symlink_metadata().is_ok());
    loop {
        let directory = path(number);
        match builder.create(&directory) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => number += 1,
            other => return other.map(|()| directory),
        }
    }
}

/// The first number after those that are taken, counted from 1. It takes a few steps even if thousands are taken. If
/// there are gaps, returns one of the free numbers.
fn first_free_number(is_taken: impl Fn(u64) -> bool) -> u64 {
    let mut free = 1;
    while is_taken(free) {
        free *= 2;
    }
    let mut taken = free / 2;
    while free - taken > 1 {
        let middle = u64::midpoint(taken, free);
        *(if is_taken(middle) { &mut taken } else { &mut free }) = middle;
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_number_is_found_in_a_few_steps() {
        for taken in 0..70 {
            assert_eq!(first_free_number(|number| number <= taken), taken + 1);
        }
        let asked = core::cell::Cell::new(0);
        let free = first_free_number(|number| {
            asked.set(asked.get() + 1);
            number <= 100_000
        });
        assert_eq!(free, 100_001);
        assert!(asked.get() < 40, "{asked:?}");
        assert_eq!(first_free_number(|number| number == 1 || number == 3), 2);
    }
}
