//! A temporary file in the directory of its destination, so that both are on one file system.
//!
//! It is locked until it is renamed. A killed `slim` leaves it behind unlocked, and the next run in that
//! directory removes it.

use crate::{
    directory::{Directory, Name, Target},
    root::Root,
};
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use std::{fs::File, io, os::unix::fs::MetadataExt, path::Path, process};

/// The prefix of its name, followed by the process's number and the file's number.
const PREFIX: &str = ".rocblas-slim-";

/// A temporary file, which is removed unless it is renamed to its destination.
pub(super) struct New {
    pub(super) directory: Directory,
    name: Option<String>,
    pub(super) file: File,
}

impl New {
    /// Creates the file in the directory of its destination.
    pub(super) fn beside(root: &Root, target: &Path) -> io::Result<Self> {
        let directory = root.open_directory(target.parent().unwrap_or(Path::new("/")))?;
        // Failure to clean up is harmless.
        let _ = remove_left(&directory);
        // A process with the same PID in another container may be working here.
        for number in 0.. {
            let name = format!("{PREFIX}{}-{number}", process::id());
            match directory.create(Name::new(&name).expect("a plain name")) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                other => {
                    let file = other?;
                    let locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
                    // Another process may have found the file before it was locked, and may remove it. On a
                    // file system without locks, the files of killed processes are left behind.
                    if locked != Err(Errno::WOULDBLOCK) && file.metadata()?.nlink() > 0 {
                        return Ok(Self { file, directory, name: Some(name) });
                    }
                }
            }
        }
        unreachable!("no directory has that many files")
    }

    /// Syncs the file to disk and atomically replaces the target with it.
    pub(super) fn put(mut self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        let own = self.name.take().expect("it is not in its place yet");
        let (own, name) = (Name::new(&own).expect("a plain name"), Name::last_of(target));
        let name = name.ok_or(io::ErrorKind::InvalidInput)?;
        let renamed = self.directory.rename(own, &self.directory, name, Target::Replaced);
        if renamed.is_err() {
            let _ = self.directory.remove(own);
        }
        renamed?;
        self.directory.sync()
    }
}

impl Drop for New {
    fn drop(&mut self) {
        if let Some(name) = self.name.as_deref().and_then(Name::new) {
            let _ = self.directory.remove(name);
        }
    }
}

/// Removes files that killed processes of this user left behind in a directory.
fn remove_left(directory: &Directory) -> io::Result<()> {
    for (name, kind) in directory.entries()? {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let numbers = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-'));
        let is_ours = numbers.is_some_and(|(process, file)| is_number(process) && is_number(file));
        let Some(name) = Name::new(&name).filter(|_| is_ours && kind.is_file()) else { continue };
        let file = directory.open(name)?;
        let is_users = file.metadata()?.uid() == rustix::process::geteuid().as_raw();
        let is_free = is_users && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        // Removes only this file, not a newer one with the same name.
        if is_free && file.metadata()?.nlink() == 1 {
            directory.remove(name)?;
        }
    }
    Ok(())
}
