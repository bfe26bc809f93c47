//! What is written about the backends in a store, as the shim reads it.

use crate::{choice, root::Root, root::read_text};
use rocblas_contract::{
    serves::{Identity, Known, MOST, SERVES, Serves},
    store,
};
use std::{fs::File, path::Path};

/// Of all backends that something is known of, by name.
pub(crate) fn all(root: &Root, lib: &Path) -> Vec<Known> {
    let directory = store::backends(lib);
    let mut names = root.names(&directory).unwrap_or_default();
    names.sort();
    let known = names.into_iter().filter_map(|name| {
        let prefix = directory.join(&name);
        let serves = written(root, &prefix)?;
        let library = root.open(&choice::in_prefix(root, &prefix).ok()?).ok()?;
        let is_stale = Identity::of(&library).ok()? != serves.library;
        Some(Known { name: name.into_string().ok()?, serves, is_stale })
    });
    known.collect()
}

/// What is written in a backend's prefix, if it is of this library.
pub(crate) fn of(root: &Root, prefix: &Path, library: &File) -> Option<Serves> {
    let serves = written(root, prefix)?;
    (Identity::of(library).ok()? == serves.library).then_some(serves)
}

fn written(root: &Root, prefix: &Path) -> Option<Serves> {
    let file = root.open(&prefix.join(SERVES)).ok()?;
    Serves::parse(&read_text(file, MOST).ok()?)
}
