//! Copies files under the names that lead to them, links and directories on the way included, and
//! leaves to a base system what it has.

use crate::{
    directory::{Directory, Name},
    files::{self, DIRECTORY_MODE},
    root::{self, Root},
    state::{FileState, State},
};
use anyhow::{Context, Result};
use rustix::{
    fs::{AtFlags, Gid, Mode, Uid, chownat, fchmod, fchown},
    io::Errno,
};
use std::{
    collections::BTreeSet,
    fs::Metadata,
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Bits that make a program run as its owner or group.
const SET_ID: u32 = 0o6000;

/// A copy in the making.
pub(super) struct Copy<'a> {
    root: &'a Root,
    base: Option<&'a Root>,
    into: Directory,
    done: BTreeSet<PathBuf>,
    /// Directories whose contents were copied.
    listed: BTreeSet<PathBuf>,
    /// Files that were copied, by their resolved paths.
    pub(super) files: BTreeSet<PathBuf>,
    /// In bytes.
    pub(super) bytes: u64,
    /// Names that were left to the base.
    pub(super) left: BTreeSet<PathBuf>,
    /// Pipes, sockets and devices, which are not copied.
    pub(super) skipped: BTreeSet<PathBuf>,
}

impl<'a> Copy<'a> {
    /// Into an empty directory.
    pub(super) fn new(root: &'a Root, base: Option<&'a Root>, into: Directory) -> Self {
        let none = BTreeSet::new;
        Self {
            root,
            base,
            into,
            done: none(),
            listed: none(),
            files: none(),
            bytes: 0,
            left: none(),
            skipped: none(),
        }
    }

    /// Copies what a path inside leads to, under that path. Of a directory only the directory.
    pub(super) fn add(&mut self, path: &Path) -> Result<()> {
        self.walk(path).with_context(|| format!("cannot copy {}", path.display()))
    }

    /// Copies a directory with all that is in it and `wanted`, a link's target too.
    pub(super) fn add_all(&mut self, path: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<()> {
        self.add(path)?;
        let resolved = self.root.resolve(path)?;
        if !self.root.metadata(&resolved)?.is_dir() || !self.listed.insert(resolved.clone()) {
            return Ok(());
        }
        for name in self.root.names(&resolved)? {
            let entry = resolved.join(name);
            // A link that leads nowhere is left behind.
            if wanted(&entry) && self.root.metadata(&entry).is_ok() {
                self.add_all(&entry, wanted)?;
            }
        }
        Ok(())
    }

    /// Each component in turn, as [`Root::resolve`] goes.
    fn walk(&mut self, path: &Path) -> io::Result<()> {
        // The root's own rules first, with its limit for links.
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
                State::Absent => return Err(io::ErrorKind::NotFound.into()),
                State::Other => {
                    self.skipped.insert(entry);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Whether the base has a name, be it a link or a file of another version.
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
        // `/lib` and the like, which lead to the same in the base.
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

    /// With the time of the original, by which the journal knows placed files.
    fn file(&mut self, entry: &Path) -> io::Result<()> {
        if !self.done.insert(entry.to_owned()) {
            return Ok(());
        }
        let source = self.root.open(entry)?;
        let metadata = source.metadata()?;
        let mut state = FileState::of(&metadata);
        let label = entry.file_name().unwrap_or_default().to_string_lossy();
        let (parent, name) = self.at(entry)?;
        let new = parent.create(name)?;
        // The owner first: changing it takes the bits away that make a program run as its owner.
        let owned = kept(fchown(&new, Some(uid(&metadata)), Some(gid(&metadata))))?;
        state.mode = permissions(&metadata, owned);
        files::duplicate(source, &state, &new, &label)?;
        self.bytes += state.size;
        self.files.insert(entry.to_owned());
        Ok(())
    }

    /// The directory of the copy that an entry goes to, and its name there.
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

/// Whether an owner could be given: only the superuser may.
fn kept(result: rustix::io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(Errno::PERM | Errno::INVAL | Errno::NOTSUP) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// A program that runs as its owner does so only while it has that owner.
fn permissions(metadata: &Metadata, owned: bool) -> u32 {
    let mode = metadata.permissions().mode() & 0o7777;
    if owned { mode } else { mode & !SET_ID }
}
