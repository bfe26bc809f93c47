//! New files, and the atomic step that puts each into its place.
//!
//! A file is created in the store's `incoming` directory, which only the owner can enter; contents,
//! permissions and time are set through the descriptor that wrote it; then it is renamed. Everything in
//! `incoming` is new and unfinished, never a user's file, so the next run empties it.

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

/// The name of the directory in the store where new files are created.
const INCOMING: &str = "incoming";

/// Permissions of the directories that the installer creates, whatever the umask is: programs of all users
/// load files from them.
pub const DIRECTORY_MODE: u32 = 0o755;

/// Where new files are created: in the store, so on the file system of their places.
#[derive(Debug)]
pub struct Incoming {
    store: Directory,
    directory: Directory,
    count: u32,
}

/// A file or symlink that is ready to be renamed into its place.
#[derive(Debug)]
#[must_use = "it is not in its place yet"]
pub struct New {
    directory: Directory,
    name: String,
}

impl Incoming {
    /// Creates the store and an empty directory in it.
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

    /// Removes what an interrupted apply left behind.
    pub fn discard(lib: &LibDir) -> io::Result<()> {
        match lib.directory().sub_directory(Place::store().name()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other?.remove_tree(plain(INCOMING)),
        }
    }

    /// An empty directory in it, for unpacking.
    pub fn staging(&self) -> io::Result<Directory> {
        Ok(self.directory.make(plain("unpacked"), 0o700)?.0)
    }

    /// Removes the directory and its contents.
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

    /// A symlink.
    pub fn link(&mut self, target: &Path) -> io::Result<New> {
        let name = self.fresh();
        self.directory.symlink(target, plain(&name))?;
        Ok(New { directory: self.directory.clone(), name })
    }
}

impl New {
    /// A file that was unpacked into a staging directory, with its permissions and time set.
    pub fn staged(directory: &Directory, name: &str) -> Self {
        Self { directory: directory.clone(), name: name.to_owned() }
    }

    /// Syncs a file's contents; a symlink has none.
    pub fn sync(&self) -> io::Result<()> {
        match self.directory.state(plain(&self.name))? {
            State::File(_) => self.directory.open(plain(&self.name))?.sync_all(),
            _ => Ok(()),
        }
    }

    /// Replaces what is at the place, which is the installer's or nothing.
    pub fn replace(self, to: &Directory, name: Name<'_>) -> io::Result<()> {
        self.directory.rename(plain(&self.name), to, name, Target::Replaced)
    }

    /// Takes the place of a file of the user's, which is kept, with its inode and everything attached to it.
    /// Neither name is ever without a file: first the new file is put where the old one will be kept, then
    /// the two are exchanged.
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
            // A file system without the exchange, such as NFS: a hard link is equivalent.
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

/// Copies another file's bytes into a new one: as shared blocks if the file system supports them (reflink),
/// else in the kernel (copy_file_range), else through a buffer; `std::io::copy` does the latter two. Then
/// sets permissions and time.
pub(crate) fn duplicate(
    mut source: File,
    state: &FileState,
    mut new: &File,
    label: &str,
) -> io::Result<()> {
    if rustix::fs::ioctl_ficlone(new, &source).is_err() {
        let bar = Bar::bytes(&format!("Copying {label}"), state.size);
        // In pieces, so that the progress bar moves.
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
                "the file changed while it was copied: {copied} of {} bytes",
                state.size
            )));
        }
    }
    finish(new, state.mode, state.modified)
}

/// How much is copied between two updates of the progress bar, in bytes.
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

/// The BLAKE3 digest of a whole file, in hexadecimal.
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
