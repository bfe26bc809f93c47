//! Files and directories with an attribute (chattr(1)) that prevents changes by anyone, including root: the
//! kernel's error is the same as for missing permissions.

use crate::{lib_dir::LibDir, place::Place};
use rustix::fs::{IFlags, ioctl_getflags};
use std::{fmt, os::fd::AsFd};

/// What has the attribute, by its path inside the root.
#[derive(Debug)]
pub(crate) struct Immutable(String);

impl fmt::Display for Immutable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{0} is immutable, even for root: run `chattr -ia {0}` to allow changes", self.0)
    }
}

impl Immutable {
    /// Whether an open file or directory has it. A file system without such attributes has no such file.
    pub(crate) fn of(file: impl AsFd, shown: impl fmt::Display) -> Option<Self> {
        let flags = ioctl_getflags(file).ok()?;
        flags.intersects(IFlags::IMMUTABLE | IFlags::APPEND).then(|| Self(shown.to_string()))
    }

    /// The first of these places, or of their parent directories, that has it.
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
