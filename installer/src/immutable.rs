//! Files and directories with an attribute (chattr(1)) by which nobody may change them, root included: the
//! kernel's answer is the same as for missing rights.

use crate::{lib_dir::LibDir, place::Place};
use rustix::fs::{IFlags, ioctl_getflags};
use std::{fmt, os::fd::AsFd};

/// What has the attribute, by its path inside the root.
#[derive(Debug)]
pub(crate) struct Immutable(String);

impl fmt::Display for Immutable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{0} is immutable for everybody: `chattr -ia {0}` lets it be changed", self.0)
    }
}

impl Immutable {
    /// Whether an open file or directory is it. A file system without such attributes has none that is.
    pub(crate) fn of(file: impl AsFd, shown: impl fmt::Display) -> Option<Self> {
        let flags = ioctl_getflags(file).ok()?;
        flags.intersects(IFlags::IMMUTABLE | IFlags::APPEND).then(|| Self(shown.to_string()))
    }

    /// The first of these places that is it, or of the directories that they are in.
    pub(crate) fn among(lib: &LibDir, places: &[&Place]) -> Option<Self> {
        places.iter().find_map(|place| {
            let file = lib.open_file(place).ok();
            let directory = lib.parent(place).ok();
            let shown = || match place.parent() {
                Some(parent) => lib.show(&parent),
                None => crate::output::shown(lib.path()).to_string(),
            };
            let file = file.and_then(|file| Self::of(file, lib.show(place)));
            file.or_else(|| Self::of(directory?, shown()))
        })
    }
}
