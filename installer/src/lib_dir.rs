//! The library directory of a tree, opened once for a whole command: places are resolved relative to its
//! descriptor, so that all changes are in this directory whatever happens to its path.

use crate::{
    directory::{Directory, Name},
    place::{Place, STORE},
    root::{MOST_TEXT, Root, read_text},
    state::State,
};
use anyhow::{Context, Result, bail};
use std::{
    fs::File,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// An open library directory.
#[derive(Clone, Debug)]
pub struct LibDir {
    root: Root,
    path: PathBuf,
    directory: Directory,
}

impl LibDir {
    /// Opens the library directory at a path inside a root. A store that is a symlink or on another file
    /// system is refused: files could not be renamed between the two.
    pub fn open(root: &Root, path: &Path) -> Result<Self> {
        let directory = root.open_directory(path);
        let directory = directory.with_context(|| format!("cannot open {}", path.display()))?;
        let lib = Self { root: root.clone(), path: path.to_owned(), directory };
        lib.check_store()?;
        Ok(lib)
    }

    fn check_store(&self) -> Result<()> {
        let store = Place::store();
        let shown = self.show(&store);
        match self.state(&store).with_context(|| format!("cannot stat {shown}"))? {
            State::Absent => return Ok(()),
            State::Directory => {}
            State::Link { target } => bail!(
                "{shown} is a symlink to {}. The store must be a directory of its own: \
                 remove the symlink, or move what it points to here",
                target.display()
            ),
            other => bail!("{shown} is {other}, not the installer's directory; move it away"),
        }
        let device = |directory: &Directory| directory.metadata().map(|metadata| metadata.dev());
        let store = self.directory.sub_directory(store.name());
        let same = store.and_then(|store| Ok(device(&store)? == device(&self.directory)?));
        if !same.with_context(|| format!("cannot open {shown}"))? {
            bail!(
                "{shown} is on a file system other than that of {}: files cannot be renamed between them, \
                 so nothing could be restored atomically. Unmount it",
                self.path.display()
            );
        }
        Ok(())
    }

    /// The root that contains it.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Its path inside the root.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its descriptor.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// A place's path inside the root, to be read as a program would, following symlinks.
    #[must_use]
    pub fn inside(&self, place: &Place) -> PathBuf {
        self.path.join(place.path())
    }

    /// A place's path inside the root, for messages.
    #[must_use]
    pub fn show(&self, place: &Place) -> String {
        self.inside(place).display().to_string()
    }

    /// The directory of a place. Symlinks on the way are not followed.
    pub fn parent(&self, place: &Place) -> io::Result<Directory> {
        match place.parent() {
            None => Ok(self.directory.clone()),
            Some(parent) => self.directory.below(parent.path()),
        }
    }

    /// What is at a place.
    pub fn state(&self, place: &Place) -> io::Result<State> {
        match self.parent(place) {
            // There is nothing below a file either.
            Err(e)
                if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                Ok(State::Absent)
            }
            other => other?.state(place.name()),
        }
    }

    /// Opens the regular file at a place; a symlink is not followed.
    pub fn open_file(&self, place: &Place) -> io::Result<File> {
        self.parent(place)?.open(place.name())
    }

    /// The text of the file at a place, if it has at most [`MOST_TEXT`] bytes.
    pub fn read_text(&self, place: &Place) -> io::Result<String> {
        read_text(self.open_file(place)?, MOST_TEXT)
    }

    /// The names in the directory at a place; none if it does not exist.
    pub fn names(&self, place: &Place) -> io::Result<Vec<String>> {
        match self.directory.below(place.path()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => {
                let names = other?.names()?.into_iter();
                Ok(names.filter_map(|name| name.into_string().ok()).collect())
            }
        }
    }

    /// Whether there is a store, even of an interrupted apply.
    #[must_use]
    pub fn has_store(&self) -> bool {
        Name::new(STORE)
            .is_some_and(|store| matches!(self.directory.state(store), Ok(State::Directory)))
    }
}
