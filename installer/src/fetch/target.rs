//! The files of a download: `FILE`, which appears complete and verified or not at all, `FILE.part`, which
//! grows and survives an interruption, and `FILE.part.json`, which describes the part.
//!
//! The directory may be writable by others, such as /tmp, and the user may be root. It is therefore opened
//! once, all names are relative to it, no symlink is followed, and a part is resumed only if it is a regular
//! file of this user without further hard links.

use super::{client::Validator, digest::Sha256};
use anyhow::{Context, Result, bail};
use rustix::{
    fs::{
        AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat, fdatasync, flock,
        fstat, fstatvfs, fsync, ftruncate, linkat, open, openat, renameat_with, statat, unlinkat,
    },
    io::Errno,
    process::geteuid,
};
use serde::{Deserialize, Serialize};
use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::fs::FileExt},
    path::{Path, PathBuf},
};

/// Larger than any such description.
const MOST_NOTE: u64 = 1 << 14;

/// Where a download goes.
#[derive(Debug)]
pub(super) struct Target {
    directory: OwnedFd,
    /// The path, for messages.
    path: PathBuf,
    name: OsString,
}

/// Describes a part. It is written before the part's first byte; a part without it is not resumed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Note {
    pub(super) url: String,
    /// Of the whole file.
    pub(super) sha256: Sha256,
    /// Of the whole file, if the server sent it.
    pub(super) size: Option<u64>,
    pub(super) validator: Option<Validator>,
}

impl Target {
    /// A file named `file` in a directory (by default the current one), or a file with another name.
    pub(super) fn open(output: Option<&Path>, file: &str) -> Result<Self> {
        let path = match output {
            None => PathBuf::from(file),
            Some(output) if output.is_dir() => output.join(file),
            Some(output) => output.to_owned(),
        };
        let ends_as_directory = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        let name = path.file_name().filter(|_| !ends_as_directory);
        let Some(name) = name.map(OsStr::to_owned) else {
            bail!("--output {}: there is no such directory", path.display());
        };
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = open(directory, flags, Mode::empty())
            .with_context(|| format!("cannot open the directory {}", directory.display()))?;
        Ok(Self { directory, path, name })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn part_name(&self) -> OsString {
        let mut name = self.name.clone();
        name.push(".part");
        name
    }

    fn note_name(&self) -> OsString {
        let mut name = self.part_name();
        name.push(".json");
        name
    }

    pub(super) fn part_path(&self) -> PathBuf {
        self.path.with_file_name(self.part_name())
    }

    /// The file, if there is one of that name.
    pub(super) fn existing(&self) -> Result<Option<File>> {
        let shown = || self.path.display();
        // O_NONBLOCK: opening a pipe must not wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let stat = match statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            other => other.with_context(|| format!("cannot stat {}", shown()))?,
        };
        if !is_regular(&stat) {
            bail!("refusing to replace {}: it is {}", shown(), kind(&stat));
        }
        let file = openat(&self.directory, &self.name, flags, Mode::empty())
            .with_context(|| format!("cannot read {}", shown()))?;
        let stat = fstat(&file).with_context(|| format!("cannot stat {}", shown()))?;
        if !is_regular(&stat) {
            bail!("refusing to replace {}: it is {}", shown(), kind(&stat));
        }
        Ok(Some(File::from(file)))
    }

    /// The part of an interrupted download, or an empty one; locked against a second download.
    pub(super) fn part(&self) -> Result<Part<'_>> {
        let shown = self.part_path();
        let name = self.part_name();
        let look = || statat(&self.directory, &name, AtFlags::SYMLINK_NOFOLLOW);
        let cannot = |what: &str| format!("cannot {what} {}", shown.display());
        match look() {
            Err(Errno::NOENT) => {}
            Err(e) => return Err(e).with_context(|| cannot("look at")),
            Ok(stat) => usable(&shown, &stat)?,
        }
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o644);
        let file = openat(&self.directory, &name, flags, mode).with_context(|| cannot("write"))?;
        let stat = fstat(&file).with_context(|| cannot("look at"))?;
        usable(&shown, &stat)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {
                bail!("another `installer fetch` is writing {}", shown.display())
            }
            other => other.with_context(|| cannot("lock"))?,
        }
        // Another download may have finished in between: then this is its complete file.
        let now = look().ok().filter(|now| (now.st_dev, now.st_ino) == (stat.st_dev, stat.st_ino));
        if now.is_none() {
            bail!("{} was replaced meanwhile; run the command again", shown.display());
        }
        let length = u64::try_from(stat.st_size).unwrap_or_default();
        let note = if length > 0 { self.note() } else { None };
        Ok(Part { target: self, file: File::from(file), length, resumed_at: length, note })
    }

    /// Removes the description left by a download that was killed just before it would have done so.
    pub(super) fn tidy(&self) -> io::Result<()> {
        let part = statat(&self.directory, self.part_name(), AtFlags::SYMLINK_NOFOLLOW);
        if matches!(part, Err(Errno::NOENT)) && self.note().is_some() {
            self.remove(&self.note_name())?;
        }
        Ok(())
    }

    fn note(&self) -> Option<Note> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&self.directory, self.note_name(), flags, Mode::empty()).ok()?;
        usable(Path::new(""), &fstat(&file).ok()?).ok()?;
        let mut text = String::new();
        File::from(file).take(MOST_NOTE).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    fn write_note(&self, note: &Note) -> io::Result<()> {
        self.remove(&self.note_name())?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o644);
        let file = openat(&self.directory, self.note_name(), flags, mode)?;
        File::from(file).write_all(&serde_json::to_vec(note)?)
    }

    fn remove(&self, name: &OsStr) -> io::Result<()> {
        match unlinkat(&self.directory, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// The space that is available to this user there.
    pub(super) fn free(&self) -> io::Result<u64> {
        let free = fstatvfs(&self.directory)?;
        Ok(free.f_bavail.saturating_mul(free.f_frsize))
    }
}

/// A file that is being downloaded.
#[derive(Debug)]
pub(super) struct Part<'a> {
    target: &'a Target,
    file: File,
    length: u64,
    resumed_at: u64,
    note: Option<Note>,
}

impl Part<'_> {
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Its length when it was opened, or 0 if it was emptied since.
    pub(super) fn resumed_at(&self) -> u64 {
        self.resumed_at
    }

    pub(super) fn note(&self) -> Option<&Note> {
        self.note.as_ref()
    }

    /// Empties it, for the file in the description.
    pub(super) fn restart(&mut self, note: Note) -> Result<()> {
        let shown = self.target.part_path();
        self.length = 0;
        self.resumed_at = 0;
        self.note = None;
        ftruncate(&self.file, 0).with_context(|| format!("cannot empty {}", shown.display()))?;
        let written = self.target.write_note(&note);
        written.with_context(|| format!("cannot write {}.json", shown.display()))?;
        self.note = Some(note);
        Ok(())
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all_at(bytes, self.length);
        written.with_context(|| format!("cannot write {}", self.target.part_path().display()))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Syncs it and returns its digest.
    pub(super) fn digest(&self) -> Result<Sha256> {
        let shown = self.target.part_path();
        fdatasync(&self.file).with_context(|| format!("cannot write {}", shown.display()))?;
        Sha256::of(&self.file).with_context(|| format!("cannot read {}", shown.display()))
    }

    /// Renames it, unless the name has been taken meanwhile.
    pub(super) fn publish(self) -> Result<()> {
        let Target { directory, path, name } = self.target;
        let part = self.target.part_name();
        let renamed = match renameat_with(directory, &part, directory, name, RenameFlags::NOREPLACE)
        {
            // Not every file system has that flag; a hard link never replaces a file.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                linkat(directory, &part, directory, name, AtFlags::empty())
                    .and_then(|()| unlinkat(directory, &part, AtFlags::empty()))
            }
            other => other,
        };
        match renamed {
            Err(Errno::EXIST) => bail!(
                "{} appeared during the download and is not replaced. The download is in {}",
                path.display(),
                self.target.part_path().display()
            ),
            other => other.with_context(|| format!("cannot create {}", path.display()))?,
        }
        let synced = fsync(directory);
        synced.with_context(|| format!("cannot write the directory of {}", path.display()))?;
        self.remove_note()
    }

    /// Removes it.
    pub(super) fn discard(self) -> Result<()> {
        let removed = self.target.remove(&self.target.part_name());
        removed.with_context(|| format!("cannot remove {}", self.target.part_path().display()))?;
        self.remove_note()
    }

    fn remove_note(&self) -> Result<()> {
        let shown = self.target.part_path();
        let removed = self.target.remove(&self.target.note_name());
        removed.with_context(|| format!("cannot remove {}.json", shown.display()))
    }
}

/// Checks that this user may resume an existing file.
fn usable(shown: &Path, stat: &Stat) -> Result<()> {
    let why = if !is_regular(stat) {
        kind(stat).to_owned()
    } else if stat.st_uid != geteuid().as_raw() {
        format!("a file of another user (UID {})", stat.st_uid)
    } else if stat.st_nlink != 1 {
        format!("a file with {} names (hard links)", stat.st_nlink)
    } else {
        return Ok(());
    };
    bail!(
        "refusing to write to {}: it is {why}. Remove it or choose another --output",
        shown.display()
    )
}

fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode).is_file()
}

fn kind(stat: &Stat) -> &'static str {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => "a file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a pipe",
        _ => "a device or socket",
    }
}
