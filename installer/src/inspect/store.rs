//! The shim's store in the library directory: the backends in it.

use super::{
    library::{self, Libraries, Library},
    tensile::{self, Tensile},
};
use crate::root::Root;
use rocblas_contract::{
    choice::library_among,
    libraries::{ROCBLAS, version_of},
    store,
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A backend in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Backend {
    /// Its directory's name in `backends`.
    pub name: String,
    /// Its library directory, resolved, inside the root.
    #[serde(serialize_with = "crate::output::json::path")]
    pub lib: PathBuf,
    /// The libraries in it.
    pub libraries: Libraries,
    /// The Tensile files that it would use.
    pub tensile: Option<Tensile>,
}

impl Backend {
    /// Its rocBLAS: the one with the shortest versioned name, or else the one without a version.
    #[must_use]
    pub fn rocblas(&self) -> Option<&Library> {
        let names = || names(&self.lib, &self.libraries);
        let chosen = library_among(names().map(|(name, _)| name))?;
        names().find(|(name, _)| *name == chosen).map(|(_, library)| library)
    }
}

/// The backends in the store of a library directory. An unreadable one is skipped; if it is the selected one,
/// the choice reports why.
#[must_use]
pub fn backends(root: &Root, lib: &Path) -> Vec<Backend> {
    let directory = store::backends(lib);
    let names = root.names(&directory).unwrap_or_default();
    let backend = |name: String| {
        let lib = root.resolve(&directory.join(&name).join(store::LIB)).ok()?;
        let libraries = library::of(root, &lib).ok()?;
        let mut backend = Backend { name, lib, libraries, tensile: None };
        let version = backend.rocblas().and_then(|library| library.version.as_deref());
        backend.tensile = tensile::of(root, &backend.lib, version);
        Some(backend)
    };
    names.into_iter().filter_map(|name| backend(name.into_string().ok()?)).collect()
}

/// The rocBLAS of a library directory, as programs load it: the target of the name with the highest SONAME
/// version only (`librocblas.so.5`), else that of `librocblas.so`, else any.
#[must_use]
pub fn rocblas<'a>(lib: &Path, libraries: &'a Libraries) -> Option<&'a Library> {
    let rank = |name: &str| match version_of(name, ROCBLAS)? {
        "" => Some((1, 0)),
        version => match version.parse::<u32>() {
            Ok(version) => Some((2, version)),
            Err(_) => Some((0, 0)),
        },
    };
    let ranked = names(lib, libraries).filter_map(|(name, library)| Some((rank(name)?, library)));
    ranked.max_by_key(|(rank, _)| *rank).map(|(_, library)| library)
}

/// The names in a library directory, symlinks and files, that resolve to a library.
fn names<'a>(lib: &Path, libraries: &'a Libraries) -> impl Iterator<Item = (&'a str, &'a Library)> {
    let paths = libraries.files.iter().flat_map(|library| {
        let links = library.links.iter().map(|link| &link.path);
        links.chain([&library.path]).map(move |path| (path, library))
    });
    paths.filter_map(move |(path, library)| Some((path.strip_prefix(lib).ok()?.to_str()?, library)))
}

#[cfg(test)]
mod tests;
