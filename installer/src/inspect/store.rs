//! The shim's store beside the libraries: the backends in it, and which one the shim would open.
//! The rules are those of the shim itself, without its environment variables, which are a
//! process's own.

use super::{
    library::{self, Libraries, Library},
    reading::text_up_to,
    tensile::{self, Tensile},
};
use crate::{journal::STORE, root::Root, settings};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Larger than any settings that a person writes, in bytes.
const MOST_SETTINGS: u64 = 1 << 20;

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
    /// Its rocBLAS: the one with the shortest name that has a version, or else the one without.
    #[must_use]
    pub fn rocblas(&self) -> Option<&Library> {
        let shortest = names(&self.lib, &self.libraries)
            .filter(|(name, _)| name.starts_with("librocblas.so"))
            .min_by_key(|(name, _)| (*name == "librocblas.so", name.len(), *name));
        shortest.map(|(_, library)| library)
    }
}

/// What the shim would open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// A library, inside the root.
    Library(PathBuf),
    /// None, and why.
    None(String),
}

/// The backends in the store of a library directory. One that cannot be read is left out; the
/// choice says why if it is the chosen one.
#[must_use]
pub fn backends(root: &Root, lib: &Path) -> Vec<Backend> {
    let directory = lib.join(STORE).join("backends");
    let names = root.names(&directory).unwrap_or_default();
    let backend = |name: String| {
        let lib = root.resolve(&directory.join(&name).join("lib")).ok()?;
        let libraries = library::of(root, &lib).ok()?;
        let mut backend = Backend { name, lib, libraries, tensile: None };
        let version = backend.rocblas().and_then(|library| library.version.as_deref());
        backend.tensile = tensile::of(root, &backend.lib, version);
        Some(backend)
    };
    names.into_iter().filter_map(|name| backend(name.into_string().ok()?)).collect()
}

/// What the shim in a library directory would open, by its settings and its store.
#[must_use]
pub fn choice(root: &Root, lib: &Path, backends: &[Backend]) -> Choice {
    let store = lib.join(STORE);
    let named = |name: &str| match backends.iter().find(|backend| backend.name == name) {
        Some(backend) => rocblas_path(backend),
        None => Choice::None(format!("its settings name the backend {name}, which is not there")),
    };
    for directory in [&store, lib] {
        let path = directory.join("shim.toml");
        let Ok(text) = text_up_to(root, &path, MOST_SETTINGS) else { continue };
        return match settings::backend(&text) {
            Err(_) => Choice::None(format!("{} is no TOML", path.display())),
            Ok(Some(value)) if value.contains('/') => Choice::Library(directory.join(value)),
            Ok(Some(name)) => named(&name),
            Ok(None) => usual(root, lib, backends),
        };
    }
    usual(root, lib, backends)
}

/// The choice where the settings make none.
fn usual(root: &Root, lib: &Path, backends: &[Backend]) -> Choice {
    let beside = lib.join("librocblas.so.4");
    match backends {
        [only] => rocblas_path(only),
        [] if root.metadata(&lib.join(STORE).join("backends")).is_ok() => {
            Choice::None("its store holds no backend".to_owned())
        }
        [] if root.metadata(&beside).is_ok() => Choice::Library(beside),
        [] => Choice::None("it has no store, and no librocblas.so.4 is beside it".to_owned()),
        several => {
            let names: Vec<&str> = several.iter().map(|backend| backend.name.as_str()).collect();
            let names = names.join(", ");
            Choice::None(format!("its store holds several backends ({names}), none chosen"))
        }
    }
}

fn rocblas_path(backend: &Backend) -> Choice {
    match backend.rocblas() {
        Some(library) => Choice::Library(library.path.clone()),
        None => Choice::None(format!("{} has no librocblas.so.*", backend.lib.display())),
    }
}

/// The rocBLAS that a library directory stands for, as programs ask for it: the one behind the name
/// with the highest SONAME version alone (`librocblas.so.5`), else the one behind `librocblas.so`,
/// else any.
#[must_use]
pub fn rocblas<'a>(lib: &Path, libraries: &'a Libraries) -> Option<&'a Library> {
    let rank = |name: &str| match name.strip_prefix("librocblas.so")? {
        "" => Some((1, 0)),
        rest => match rest.strip_prefix('.')?.parse::<u32>() {
            Ok(version) => Some((2, version)),
            Err(_) => Some((0, 0)),
        },
    };
    let ranked = names(lib, libraries).filter_map(|(name, library)| Some((rank(name)?, library)));
    ranked.max_by_key(|(rank, _)| *rank).map(|(_, library)| library)
}

/// The names in a library directory, links' and files', that lead to a library.
fn names<'a>(lib: &Path, libraries: &'a Libraries) -> impl Iterator<Item = (&'a str, &'a Library)> {
    let paths = libraries.files.iter().flat_map(|library| {
        let links = library.links.iter().map(|link| &link.path);
        links.chain([&library.path]).map(move |path| (path, library))
    });
    paths.filter_map(move |(path, library)| Some((path.strip_prefix(lib).ok()?.to_str()?, library)))
}

#[cfg(test)]
mod tests;
