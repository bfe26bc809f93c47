//! Copies files under the names by which they are found, including symlinks and directories on the way, and
//! omits what a base system has. The kernels of other GPUs can be removed from files with GPU code.

use crate::{
    directory::{Directory, Name},
    files::{self, DIRECTORY_MODE},
    root::{self, Root},
    slim::{self, Outcome},
    state::{FileState, State},
};
use anyhow::{Context, Result};
use offload::slim::Size;
use rustix::{
    fs::{AtFlags, Gid, Mode, Uid, chownat, fchmod, fchown},
    io::Errno,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, Metadata},
    io::{self, Seek, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Permission bits that make a program run as its owner or group.
const SET_ID: u32 = 0o6000;

/// Selects the files that are copied without the kernels of other GPUs.
pub(super) struct Slim {
    /// The GPUs whose kernels are kept.
    pub(super) gpus: Vec<String>,
    /// Files that are copied whole, by their resolved paths.
    pub(super) whole: BTreeSet<PathBuf>,
}

/// A copy in progress.
pub(super) struct Copy<'a> {
    root: &'a Root,
    base: Option<&'a Root>,
    into: Directory,
    slim: Option<Slim>,
    done: BTreeSet<PathBuf>,
    /// Directories whose contents were copied.
    listed: BTreeSet<PathBuf>,
    /// Files that were copied, by their resolved paths.
    pub(super) files: BTreeSet<PathBuf>,
    /// In bytes.
    pub(super) bytes: u64,
    /// Names that the base already has.
    pub(super) left: BTreeSet<PathBuf>,
    /// Pipes, sockets and devices, which are not copied.
    pub(super) skipped: BTreeSet<PathBuf>,
    /// Files that were reduced, by their resolved paths.
    pub(super) reduced: BTreeMap<PathBuf, Reduced>,
    /// Why files with kernels were not reduced, by their resolved paths.
    pub(super) refused: BTreeMap<PathBuf, String>,
}

/// A file that was copied without some kernels.
#[derive(Clone, Debug, Serialize)]
pub struct Reduced {
    /// The GPUs whose kernels were kept.
    pub gpus: Vec<String>,
    /// The file's size.
    pub size: Size,
    /// The BLAKE3 digests of the original and of the copy.
    #[serde(skip)]
    pub(super) digests: [String; 2],
}

impl<'a> Copy<'a> {
    /// Creates a copy in an empty directory.
    pub(super) fn new(
        root: &'a Root,
        base: Option<&'a Root>,
        into: Directory,
        slim: Option<Slim>,
    ) -> Self {
        let none = BTreeSet::new;
        Self {
            root,
            base,
            into,
            slim,
            done: none(),
            listed: none(),
            files: none(),
            bytes: 0,
            left: none(),
            skipped: none(),
            reduced: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }

    /// Replaces the copy of a file with these bytes.
    pub(super) fn replace(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let replace = || -> io::Result<()> {
            let entry = self.root.resolve(path)?;
            let (parent, name) = self.at(&entry)?;
            let before = parent.open(name)?.metadata()?;
            parent.remove(name)?;
            let mut new = parent.create(name)?;
            new.write_all(bytes)?;
            let owned = kept(fchown(&new, Some(uid(&before)), Some(gid(&before))))?;
            files::finish(&new, permissions(&before, owned), before.mtime())
        };
        replace().with_context(|| format!("cannot write the copy of {}", path.display()))
    }

    /// Copies what a path inside points to, under that path. For a directory, only the directory itself.
    pub(super) fn add(&mut self, path: &Path) -> Result<()> {
        self.walk(path).with_context(|| format!("cannot copy {}", path.display()))
    }

    /// Copies a directory with everything in it that is `wanted`, including the targets of symlinks.
    pub(super) fn add_all(&mut self, path: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<()> {
        self.add(path)?;
        let resolved = self.root.resolve(path)?;
        if !self.root.metadata(&resolved)?.is_dir() || !self.listed.insert(resolved.clone()) {
            return Ok(());
        }
        for name in self.root.names(&resolved)? {
            let entry = resolved.join(name);
            // A broken symlink is not copied.
            if wanted(&entry) && self.root.metadata(&entry).is_ok() {
                self.add_all(&entry, wanted)?;
            }
        }
        Ok(())
    }

    /// Follows each component in turn, as [`Root::resolve`] does.
    fn walk(&mut self, path: &Path) -> Result<()> {
        // Apply the root's own rules first, including its limit for symlinks.
        self.root.resolve(path)?;
        let mut resolved = PathBuf::from("/");
        let mut rest = root::reversed(path);
        while let Some(name) = rest.pop() {
            if name == ".." {
                resolved.pop();
                continue;
            }
            let entry = resolved.join(name);
            match self.root.state(&entry)? {
                State::Directory => {
                    self.directory(&entry)?;
                    resolved = entry;
                }
                State::Link { target } => {
                    if rest.is_empty() && self.is_left(&entry) {
                        return Ok(());
                    }
                    self.link(&entry, &target)?;
                    if target.is_absolute() {
                        resolved = PathBuf::from("/");
                    }
                    rest.extend(root::reversed(&target));
                }
                State::File(_) if self.is_left(&entry) => {}
                State::File(_) => self.file(&entry)?,
                State::Absent => return Err(io::Error::from(io::ErrorKind::NotFound).into()),
                State::Other => {
                    self.skipped.insert(entry);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whether the base has a name, even as a symlink or as another version of the file.
    fn is_left(&mut self, entry: &Path) -> bool {
        let has = self.base.is_some_and(|base| base.metadata(entry).is_ok());
        if has {
            self.left.insert(entry.to_owned());
        }
        has
    }

    fn directory(&mut self, entry: &Path) -> io::Result<()> {
        if !self.done.insert(entry.to_owned()) {
            return Ok(());
        }
        let (parent, name) = self.at(entry)?;
        let (copy, _) = parent.make(name, DIRECTORY_MODE)?;
        let metadata = self.root.metadata_of_entry(entry)?;
        let owned = kept(fchown(&copy, Some(uid(&metadata)), Some(gid(&metadata))))?;
        Ok(fchmod(&copy, Mode::from_raw_mode(permissions(&metadata, owned)))?)
    }

    fn link(&mut self, entry: &Path, target: &Path) -> io::Result<()> {
        // `/lib` and the like, which point to the same directory in the base.
        let in_base = self.base.is_some_and(|base| base.metadata_of_entry(entry).is_ok());
        if in_base || !self.done.insert(entry.to_owned()) {
            return Ok(());
        }
        let (parent, name) = self.at(entry)?;
        parent.symlink(target, name)?;
        let metadata = self.root.metadata_of_entry(entry)?;
        let (uid, gid) = (Some(uid(&metadata)), Some(gid(&metadata)));
        kept(chownat(&parent, name.as_os_str(), uid, gid, AtFlags::SYMLINK_NOFOLLOW)).map(drop)
    }

    /// Keeps the original's time, by which the journal recognises placed files.
    fn file(&mut self, entry: &Path) -> Result<()> {
        if !self.done.insert(entry.to_owned()) {
            return Ok(());
        }
        let source = self.root.open(entry)?;
        let metadata = source.metadata()?;
        let mut state = FileState::of(&metadata);
        let label = entry.file_name().unwrap_or_default().to_string_lossy();
        let (parent, name) = self.at(entry)?;
        let new = parent.create(name)?;
        // The owner first: changing it clears the set-user-ID and set-group-ID bits.
        let owned = kept(fchown(&new, Some(uid(&metadata)), Some(gid(&metadata))))?;
        state.mode = permissions(&metadata, owned);
        match self.reduce(entry, &source, &new)? {
            Some(size) => {
                state.size = size;
                files::finish(&new, state.mode, state.modified)?;
            }
            None => files::duplicate(source, &state, &new, &label)?,
        }
        self.bytes += state.size;
        self.files.insert(entry.to_owned());
        Ok(())
    }

    /// Writes the copy without the kernels of other GPUs and returns its size; `None` if the file must be
    /// copied plainly, and nothing was written.
    fn reduce(&mut self, entry: &Path, source: &File, new: &File) -> Result<Option<u64>> {
        let Some(slim) = self.slim.as_ref().filter(|slim| !slim.whole.contains(entry)) else {
            return Ok(None);
        };
        match slim::reduce(source, &slim.gpus, new)? {
            Outcome::Reduced { gpus, size, digest } => {
                let own = files::digest(new.try_clone()?, "the copy")?;
                let digests = [digest, own];
                self.reduced.insert(entry.to_owned(), Reduced { gpus, size, digests });
                return Ok(Some(size.after));
            }
            Outcome::Refused(why) => drop(self.refused.insert(entry.to_owned(), why)),
            Outcome::Whole => {}
        }
        // Remove what was written before the file turned out to contain nothing to remove.
        new.set_len(0)?;
        let (mut source, mut new) = (source, new);
        source.rewind()?;
        new.rewind()?;
        Ok(None)
    }

    /// The directory of the copy for an entry, and its name there.
    fn at<'b>(&self, entry: &'b Path) -> io::Result<(Directory, Name<'b>)> {
        let relative = entry.strip_prefix("/").unwrap_or(entry);
        let parent = self.into.below(relative.parent().unwrap_or(Path::new("")))?;
        Ok((parent, Name::last_of(entry).ok_or(Errno::INVAL)?))
    }
}

fn uid(metadata: &Metadata) -> Uid {
    Uid::from_raw(metadata.uid())
}

fn gid(metadata: &Metadata) -> Gid {
    Gid::from_raw(metadata.gid())
}

/// Whether the owner could be set, which requires the superuser.
fn kept(result: rustix::io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(Errno::PERM | Errno::INVAL | Errno::NOTSUP) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// A set-user-ID program keeps that bit only if its owner is kept.
fn permissions(metadata: &Metadata, owned: bool) -> u32 {
    let mode = metadata.permissions().mode() & 0o7777;
    if owned { mode } else { mode & !SET_ID }
}
