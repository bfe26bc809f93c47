//! A file in the making, in the directory of the one that it is for: the two have to be on one file system.
//!
//! It is locked until it is in its place. A killed `slim` leaves it behind unlocked, and the next one in that
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

/// How its name begins; the numbers of the process and of the file follow.
const PREFIX: &str = ".rocblas-slim-";

/// A file in the making; it is removed unless it is put into its place.
pub(super) struct New {
    pub(super) directory: Directory,
    name: Option<String>,
    pub(super) file: File,
}

impl New {
    /// In the directory of the file that it is for.
    pub(super) fn beside(root: &Root, target: &Path) -> io::Result<Self> {
        let directory = root.open_directory(target.parent().unwrap_or(Path::new("/")))?;
        // What cannot be tidied up is in nobody's way.
        let _ = remove_left(&directory);
        // A process with the same number in another container may be at work here.
        for number in 0.. {
            let name = format!("{PREFIX}{}-{number}", process::id());
            match directory.create(Name::new(&name).expect("a plain name")) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                other => {
                    let file = other?;
                    let locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
                    // Another one may have found it before it was locked, and removes it. A file system
                    // without locks keeps what a killed process leaves.
                    if locked != Err(Errno::WOULDBLOCK) && file.metadata()?.nlink() > 0 {
                        return Ok(Self { file, directory, name: Some(name) });
                    }
                }
            }
        }
        unreachable!("no directory has that many files")
    }

    /// Replaces what is at the target, in one step. All of it is on disk then.
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

/// Removes what killed processes of this user left in a directory.
fn remove_left(directory: &Directory) -> io::Result<()> {
    for (name, kind) in directory.entries()? {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let numbers = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-'));
        let is_ours = numbers.is_some_and(|(process, file)| is_number(process) && is_number(file));
        let Some(name) = Name::new(&name).filter(|_| is_ours && kind.is_file()) else { continue };
        let file = directory.open(name)?;
        let is_users = file.metadata()?.uid() == rustix::process::geteuid().as_raw();
        let is_free = is_users && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        // One name, and not that of a newer file whose number is the same.
        if is_free && file.metadata()?.nlink() == 1 {
            directory.remove(name)?;
        }
    }
    Ok(())
}
