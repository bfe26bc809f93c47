//! New files, and the one step by which each takes its place.
//!
//! A file is made in the `incoming` directory of the store, which nobody else may enter; contents,
//! permissions and time are set through the descriptor that wrote it; then it is renamed. Whatever
//! is in `incoming` is new and unfinished, never somebody's, so it is emptied by whoever comes next.

use crate::{
    directory::{Directory, Name, Target},
    lib_dir::LibDir,
    place::Place,
    progress::Bar,
    state::{FileState, State},
};
use anyhow::{Context, Result};
use rustix::fs::{Mode, Timespec, Timestamps, UTIME_OMIT, fchmod, futimens};
use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::Path,
};

/// The name of the directory in the store where new files are made.
const INCOMING: &str = "incoming";

/// Permissions of the directories that the installer makes, whatever the umask is: programs of all
/// users load what is in them.
pub const DIRECTORY_MODE: u32 = 0o755;

/// Where new files are made: in the store, so on the file system that they are for.
#[derive(Debug)]
pub struct Incoming {
    store: Directory,
    directory: Directory,
    count: u32,
}

/// A file or link that is ready to take its place.
#[derive(Debug)]
#[must_use = "it is not in its place yet"]
pub struct New {
    directory: Directory,
    name: String,
}

impl Incoming {
    /// Makes the store and an empty directory in it.
    pub fn open(lib: &LibDir) -> Result<Self> {
        let open = || -> io::Result<Self> {
            let (store, _) = lib.directory().make(Place::store().name(), DIRECTORY_MODE)?;
            store.remove_tree(plain(INCOMING))?;
            let (directory, _) = store.make(plain(INCOMING), 0o700)?;
            Ok(Self { store, directory, count: 0 })
        };
        let shown = lib.show(&Place::store());
        open().with_context(|| format!("cannot prepare {shown}/{INCOMING}"))
    }

    /// Removes what an apply that was interrupted left behind.
    pub fn discard(lib: &LibDir) -> io::Result<()> {
        match lib.directory().sub_directory(Place::store().name()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other?.remove_tree(plain(INCOMING)),
        }
    }

    /// An empty directory in it, for what is unpacked.
    pub fn staging(&self) -> io::Result<Directory> {
        Ok(self.directory.make(plain("unpacked"), 0o700)?.0)
    }

    /// Removes the directory and what is in it.
    pub fn close(self) -> io::Result<()> {
        self.store.remove_tree(plain(INCOMING))
    }

    fn fresh(&mut self) -> String {
        self.count += 1;
        self.count.to_string()
    }

    fn create(&mut self, what: impl FnOnce(File) -> io::Result<()>) -> io::Result<New> {
        let name = self.fresh();
        what(self.directory.create(plain(&name))?)?;
        Ok(New { directory: self.directory.clone(), name })
    }

    /// A copy of a file with this size, permissions and time. Returns its digest too.
    pub fn copy(
        &mut self,
        source: File,
        state: &FileState,
        label: &str,
    ) -> io::Result<(New, String)> {
        let mut digest = String::new();
        let new = self.create(|file| {
            duplicate(source, state, &file, label)?;
            digest = self::digest(file, label)?;
            Ok(())
        })?;
        Ok((new, digest))
    }

    /// A file with these bytes.
    pub fn bytes(&mut self, bytes: &[u8], state: &FileState) -> io::Result<New> {
        self.create(|mut file| {
            file.write_all(bytes)?;
            finish(&file, state.mode, state.modified)
        })
    }

    /// A link.
    pub fn link(&mut self, target: &Path) -> io::Result<New> {
        let name = self.fresh();
        self.directory.symlink(target, plain(&name))?;
        Ok(New { directory: self.directory.clone(), name })
    }
}

impl New {
    /// A file that was unpacked into a staging directory, with its permissions and time already.
    pub fn staged(directory: &Directory, name: &str) -> Self {
        Self { directory: directory.clone(), name: name.to_owned() }
    }

    /// A file's contents are on disk when this returns; a link has none.
    pub fn sync(&self) -> io::Result<()> {
        match self.directory.state(plain(&self.name))? {
            State::File(_) => self.directory.open(plain(&self.name))?.sync_all(),
            _ => Ok(()),
        }
    }

    /// Takes its place instead of what is there, which is the installer's or nothing.
    pub fn replace(self, to: &Directory, name: Name<'_>) -> io::Result<()> {
        self.directory.rename(plain(&self.name), to, name, Target::Replaced)
    }

    /// Takes its place, and what is there, which is the user's, is kept: with its inode and all that
    /// hangs on it. At no moment is either name without a file: first the new one lies where the old
    /// one is to be kept, then the two are exchanged.
    pub fn exchange(
        self,
        to: &Directory,
        name: Name<'_>,
        keep: &Directory,
        kept: Name<'_>,
    ) -> io::Result<()> {
        let own = plain(&self.name);
        self.directory.rename(own, keep, kept, Target::Replaced)?;
        match keep.rename(kept, to, name, Target::Exchanged) {
            // A file system without the exchange, such as NFS: a second name does as well.
            Err(e) if cannot_exchange(&e) => {
                keep.rename(kept, &self.directory, own, Target::Free)?;
                to.link(name, keep, kept)?;
                self.directory.rename(own, to, name, Target::Replaced)
            }
            other => other,
        }
    }
}

fn cannot_exchange(error: &io::Error) -> bool {
    let codes = [libc::EINVAL, libc::ENOSYS, libc::EOPNOTSUPP];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

fn plain(name: &str) -> Name<'_> {
    Name::new(name).expect("a name of the installer's own")
}

/// Writes another file's bytes into a new one: shared blocks where the file system has them
/// (reflink), else in the kernel (copy_file_range), else by hand; `std::io::copy` does the latter
/// two. Then sets permissions and time.
pub(crate) fn duplicate(
    mut source: File,
    state: &FileState,
    mut new: &File,
    label: &str,
) -> io::Result<()> {
    if rustix::fs::ioctl_ficlone(new, &source).is_err() {
        let bar = Bar::bytes(&format!("Copying {label}"), state.size);
        // In pieces, for the bar to move.
        let mut copied = 0;
        loop {
            let piece = io::copy(&mut Read::by_ref(&mut source).take(PIECE), &mut new)?;
            bar.advance(piece);
            copied += piece;
            if piece < PIECE {
                break;
            }
        }
        if copied != state.size {
            return Err(io::Error::other(format!(
                "it changed while it was copied: {copied} of {} bytes",
                state.size
            )));
        }
    }
    finish(new, state.mode, state.modified)
}

/// How much is copied between two movements of the bar, in bytes.
const PIECE: u64 = 32 << 20;

/// Sets permissions and the time of modification, in seconds since 1970, negative before.
pub(crate) fn finish(file: &File, mode: u32, modified: i64) -> io::Result<()> {
    fchmod(file, Mode::from_raw_mode(mode))?;
    set_modified(file, modified)
}

/// Sets the time of modification, in seconds since 1970, negative before.
pub(crate) fn set_modified(file: &File, modified: i64) -> io::Result<()> {
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: modified, tv_nsec: 0 },
    };
    Ok(futimens(file, &times)?)
}

/// A library's permissions without set-user-ID bits and the like, readable by all.
#[must_use]
pub fn plain_mode(mode: u32) -> u32 {
    (mode & 0o755) | 0o644
}

/// The BLAKE3 digest of a file from its beginning, in hexadecimal.
pub fn digest(mut file: File, label: &str) -> io::Result<String> {
    file.rewind()?;
    let size = file.metadata()?.len();
    let bar = Bar::bytes(&format!("Reading {label}"), size);
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = match file.read(&mut buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if n == 0 {
            return Ok(hasher.finalize().to_hex().to_string());
        }
        hasher.update(&buffer[..n]);
        bar.advance(n as u64);
    }
}

/// The BLAKE3 digest of the file at a place.
pub fn digest_at(lib: &LibDir, place: &Place) -> io::Result<String> {
    digest(lib.open_file(place)?, place.file_name())
}
