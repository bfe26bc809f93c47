//! Copies files under the names that lead to them, links and directories on the way included, and
//! leaves to a base system what it has.

use crate::{
    files,
    progress::Bar,
    root::{self, Root},
    state::{FileState, State},
};
use anyhow::{Context, Result};
use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

/// A directory that is being filled with parts of a root.
#[derive(Debug)]
pub(super) struct Copy<'a> {
    root: &'a Root,
    base: Option<&'a Root>,
    into: &'a Path,
    done: BTreeSet<PathBuf>,
    /// Directories whose contents were copied.
    listed: BTreeSet<PathBuf>,
    /// Files that were copied, by their resolved paths.
    pub(super) files: BTreeSet<PathBuf>,
    /// In bytes.
    pub(super) bytes: u64,
    /// Names that were left to the base.
    pub(super) left: BTreeSet<PathBuf>,
}

impl<'a> Copy<'a> {
    /// Into a directory of the machine, which exists.
    pub(super) fn new(root: &'a Root, base: Option<&'a Root>, into: &'a Path) -> Self {
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
            match State::of(self.root, &entry)? {
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
                State::Other => return Err(io::Error::other("neither file, link nor directory")),
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
        let copy = self.at(entry);
        fs::create_dir(&copy)?;
        let mode = self.root.metadata(entry)?.permissions().mode();
        fs::set_permissions(copy, Permissions::from_mode(mode & 0o7777))
    }

    fn link(&mut self, entry: &Path, target: &Path) -> io::Result<()> {
        // `/lib` and the like, which lead to the same in the base.
        let in_base = self.base.is_some_and(|base| base.metadata_of_entry(entry).is_ok());
        if in_base || !self.done.insert(entry.to_owned()) {
            return Ok(());
        }
        symlink(target, self.at(entry))
    }

    /// With the time of the original, by which the journal knows placed files.
    fn file(&mut self, entry: &Path) -> io::Result<()> {
        if !self.done.insert(entry.to_owned()) {
            return Ok(());
        }
        let source = self.root.open(entry)?;
        let state = FileState::of(&source.metadata()?);
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        let bar = Bar::bytes(&format!("Copying {name}"), state.size);
        files::duplicate(source, &state, &self.at(entry))?;
        bar.advance(state.size);
        self.bytes += state.size;
        self.files.insert(entry.to_owned());
        Ok(())
    }

    fn at(&self, entry: &Path) -> PathBuf {
        self.into.join(entry.strip_prefix("/").unwrap_or(entry))
    }
}
