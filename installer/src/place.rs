//! A place: a path relative to a tree's library directory, as recorded in the journal.
//!
//! A journal lists files to remove, and it may have come with a tree from anywhere. An absolute path or one
//! that climbs therefore cannot be a [`Place`], even when read from JSON; and since places are relative, a
//! tree can be moved and still be reverted.

use crate::directory::Name;
use rocblas_contract::store::BACKENDS;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    path::{Component, Path},
};

pub use rocblas_contract::store::STORE;

/// A path of plain components below the library directory, in UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Place(String);

/// A path that is not a valid place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a plain path below the library directory, so it is not followed")]
pub struct Stray(pub String);

impl Place {
    /// The place at a relative path. The error names the path.
    pub fn new(path: &Path) -> Result<Self, Stray> {
        let stray = || Stray(path.to_string_lossy().into_owned());
        let text = path.to_str().ok_or_else(stray)?;
        let is_plain = |component| matches!(component, Component::Normal(_));
        if text.is_empty() || text.contains('\0') || !path.components().all(is_plain) {
            return Err(stray());
        }
        let names: Vec<&str> = path.iter().filter_map(|name| name.to_str()).collect();
        Ok(Self(names.join("/")))
    }

    /// A place in the store.
    pub fn in_store(path: impl AsRef<Path>) -> Result<Self, Stray> {
        Self::new(&Path::new(STORE).join(path))
    }

    /// The directory in the store that contains a prefix for each backend.
    #[must_use]
    pub fn backends() -> Self {
        Self([STORE, BACKENDS].join("/"))
    }

    /// The store itself.
    #[must_use]
    pub fn store() -> Self {
        Self(STORE.to_owned())
    }

    /// A place below this one.
    pub fn join(&self, path: impl AsRef<Path>) -> Result<Self, Stray> {
        Self::new(&self.path().join(path))
    }

    /// Another name in the same directory.
    pub fn beside(&self, name: &str) -> Result<Self, Stray> {
        Self::new(&self.path().with_file_name(name))
    }

    /// The path, relative to the library directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directory that contains it; `None` for a name directly in the library directory.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// The last component.
    #[must_use]
    pub fn name(&self) -> Name<'_> {
        Name::new(self.file_name()).expect("components were checked")
    }

    /// The last component, as text.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// Whether it is this place or one below it.
    #[must_use]
    pub fn starts_with(&self, above: &Self) -> bool {
        self.path().starts_with(above.path())
    }

    /// Whether it is in the store.
    #[must_use]
    pub fn is_in_store(&self) -> bool {
        self.path().starts_with(STORE)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Place {
    type Error = Stray;

    fn try_from(text: String) -> Result<Self, Stray> {
        Self::new(Path::new(&text))
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_elsewhere_is_no_place() {
        for stray in ["", "/", "/etc/passwd", "..", "../x", "a/../x", "a/..", ".", "a\0b"] {
            assert!(Place::new(Path::new(stray)).is_err(), "{stray:?}");
            let json = serde_json::to_string(stray).expect("JSON");
            assert!(serde_json::from_str::<Place>(&json).is_err(), "{stray:?}");
        }
    }

    #[test]
    fn places_have_one_spelling() {
        let place = Place::new(Path::new("a//b/./c/")).expect("plain");
        assert_eq!(place.as_str(), "a/b/c");
        assert_eq!(place.file_name(), "c");
        assert_eq!(place.parent().expect("in a directory").as_str(), "a/b");
        assert!(Place::new(Path::new("c")).expect("plain").parent().is_none());
        assert!(place.join("../x").is_err());
        assert_eq!(place.beside("d").expect("plain").as_str(), "a/b/d");
        assert!(Place::in_store("backends").expect("plain").is_in_store());
        assert!(!Place::new(Path::new("rocblas-shim2/x")).expect("plain").is_in_store());
    }
}
