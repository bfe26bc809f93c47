//! The directory of a tree's libraries, opened once for a whole command: places are looked up below
//! its descriptor, so that what is changed is in this very directory whatever becomes of its path.

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

/// An open directory of libraries.
#[derive(Clone, Debug)]
pub struct LibDir {
    root: Root,
    path: PathBuf,
    directory: Directory,
}

impl LibDir {
    /// Opens the directory at a path inside a root, and refuses a store in it that is a link or on
    /// another file system: nothing could be renamed between the two.
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
        match self.state(&store).with_context(|| format!("cannot look at {shown}"))? {
            State::Absent => return Ok(()),
            State::Directory => {}
            State::Link { target } => bail!(
                "{shown} is a symbolic link, to {}. The store must be a directory of its own: \
                 remove the link, or move what it points to here",
                target.display()
            ),
            other => bail!("{shown} is {other} and not the installer's directory; move it away"),
        }
        let device = |directory: &Directory| directory.metadata().map(|metadata| metadata.dev());
        let store = self.directory.sub_directory(store.name());
        let same = store.and_then(|store| Ok(device(&store)? == device(&self.directory)?));
        if !same.with_context(|| format!("cannot open {shown}"))? {
            bail!(
                "{shown} is on another file system than {}: files cannot be renamed between them, \
                 so nothing could be put back in one step. Unmount it",
                self.path.display()
            );
        }
        Ok(())
    }

    /// The root that it is in.
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

    /// A place's path inside the root, to read by as any program would, links followed.
    #[must_use]
    pub fn inside(&self, place: &Place) -> PathBuf {
        self.path.join(place.path())
    }

    /// A place's path inside the root, for people.
    #[must_use]
    pub fn show(&self, place: &Place) -> String {
        self.inside(place).display().to_string()
    }

    /// The directory that a place is in. No link is followed on the way.
    pub fn parent(&self, place: &Place) -> io::Result<Directory> {
        match place.parent() {
            None => Ok(self.directory.clone()),
            Some(parent) => self.directory.below(parent.path()),
        }
    }

    /// What is at a place.
    pub fn state(&self, place: &Place) -> io::Result<State> {
        match self.parent(place) {
            // Below a file there is nothing either.
            Err(e)
                if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                Ok(State::Absent)
            }
            other => other?.state(place.name()),
        }
    }

    /// Opens the regular file at a place; a link is not followed.
    pub fn open_file(&self, place: &Place) -> io::Result<File> {
        self.parent(place)?.open(place.name())
    }

    /// The text of the file at a place, if it has at most [`MOST_TEXT`] bytes.
    pub fn read_text(&self, place: &Place) -> io::Result<String> {
        read_text(self.open_file(place)?, MOST_TEXT)
    }

    /// The names in the directory at a place; none if it is not there.
    pub fn names(&self, place: &Place) -> io::Result<Vec<String>> {
        match self.directory.below(place.path()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => {
                let names = other?.names()?.into_iter();
                Ok(names.filter_map(|name| name.into_string().ok()).collect())
            }
        }
    }

    /// Whether there is a store, be it of an apply that was interrupted.
    #[must_use]
    pub fn has_store(&self) -> bool {
        Name::new(STORE)
            .is_some_and(|store| matches!(self.directory.state(store), Ok(State::Directory)))
    }
}
