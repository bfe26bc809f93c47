//! The libraries that a tree's rocBLAS needs, above all the HIP runtime, found as the loader finds them for
//! it: through its DT_RPATH or DT_RUNPATH, next to it, then in the system directories.
//!
//! AMD's wheels have rocBLAS in `_rocm_sdk_libraries/lib` and the HIP runtime in `_rocm_sdk_core/lib`; only
//! rocBLAS's own search path connects them. The shim has a different one, so `apply` places a symlink to each
//! such library next to the shim, whose DT_RUNPATH names that directory: the shim loads a backend's
//! dependencies before it opens the backend, and the loader recognises the file behind the symlink. A symlink
//! in the backend's directory would be needed for each backend, and one of AMD's backends without `$ORIGIN`
//! in its search path would not find it.

use crate::{
    elf::{self, Summary},
    loader::Lookup,
    root::Root,
};
use rocblas_contract::{
    libraries::{HIP_RUNTIME, HIPBLAS, ROCBLAS, ROCSOLVER, Renamed, SONAME, version_of},
    store::{self, LIB, RUNPATH},
};
use std::path::{Path, PathBuf};

/// Finds the libraries that the rocBLAS of a library directory needs.
#[derive(Debug)]
pub struct Peers<'a> {
    root: &'a Root,
    lib: PathBuf,
    needed: Vec<String>,
    stock: Lookup<'a>,
    shim: Lookup<'a>,
}

/// A library, as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The file behind all symlinks, inside the root.
    pub path: PathBuf,
    /// The target of a symlink to it from the library directory. It is relative if the search path is, so
    /// that a Python environment can be moved.
    pub target: PathBuf,
}

impl<'a> Peers<'a> {
    /// Those of a library directory, which is resolved first.
    #[must_use]
    pub fn of(root: &'a Root, lib: &Path) -> Self {
        let beside = [lib.to_owned()];
        let asking = asking(root, lib);
        let (rpath, runpath) = match &asking {
            Some(summary) => (summary.rpath.as_slice(), summary.runpath.as_slice()),
            None => (&[][..], &[][..]),
        };
        let stock = Lookup::new(root, lib, (rpath, runpath), &beside);
        let of_shim: Vec<String> = RUNPATH.split(':').map(str::to_owned).collect();
        let shim = Lookup::new(root, lib, (&[], &of_shim), &[]);
        let needed = asking.map(|summary| summary.needed).unwrap_or_default();
        Self { root, lib: lib.to_owned(), needed, stock, shim }
    }

    /// The library that the stock rocBLAS loads by a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Peer> {
        let found = self.stock.find(name)?;
        let path = self.root.resolve(&found).ok()?;
        let leads_away = |target: &PathBuf| target.components().count() > 1;
        // The symlink that `apply` placed would be found first.
        let target = match self.root.read_link(&found).ok().filter(leads_away) {
            Some(target) if found.parent() == Some(&self.lib) => target,
            _ => found.strip_prefix(&self.lib).map(Path::to_owned).unwrap_or(found),
        };
        Some(Peer { path, target })
    }

    /// The names that the stock rocBLAS needs; none if no file of the tree shows them.
    #[must_use]
    pub fn needed(&self) -> &[String] {
        &self.needed
    }

    /// Whether the shim, and so a backend, finds a library by a name.
    #[must_use]
    pub fn shim_finds(&self, name: &str) -> bool {
        self.shim.find(name).is_some()
    }

    /// The libraries that the stock rocBLAS loads for one that ROCm 7 renamed: by the name that it needs,
    /// then by ROCm 7's name and the name without a version.
    pub fn of_renamed(&self, library: Renamed) -> impl Iterator<Item = Peer> {
        let Renamed { name: stem, new, .. } = library;
        let needed = self.needed.iter().map(String::as_str);
        let needed = needed.filter(move |name| version_of(name, stem).is_some());
        needed.chain([new, stem]).filter_map(|name| self.find(name))
    }

    /// The HIP runtime of the tree.
    #[must_use]
    pub fn hip(&self) -> Option<Peer> {
        self.of_renamed(HIP_RUNTIME).next().or_else(|| self.find(HIP_RUNTIME.old))
    }
}

/// The HIP runtime that programs load together with a rocBLAS, which is a file of the machine.
#[must_use]
pub fn hip_of(rocblas: &Path) -> Option<PathBuf> {
    let root = Root::machine().ok()?;
    let lib = root.resolve(std::path::absolute(rocblas).ok()?.parent()?).ok()?;
    Peers::of(&root, &lib).hip().map(|hip| hip.path)
}

/// The file that shows where a tree's libraries are: its rocBLAS, which is in the store once the shim is in
/// its place; if it was deleted, hipBLAS or rocSOLVER, which are built with the same search path.
fn asking(root: &Root, lib: &Path) -> Option<Summary> {
    let kept = store::backends(lib);
    let kept = root.names(&kept).unwrap_or_default().into_iter().map(|name| {
        let prefix = kept.join(name).join(LIB);
        [SONAME, ROCBLAS].map(|name| prefix.join(name))
    });
    let in_place = [SONAME, ROCBLAS].map(|name| lib.join(name));
    let rocblas = in_place.into_iter().chain(kept.flatten());
    // In PyTorch's wheels, the SONAME may lack a version.
    let is_stock = |summary: &Summary| {
        summary.shim.is_none() && matches!(summary.soname.as_deref(), Some(SONAME | ROCBLAS))
    };
    let others = root.names(lib).unwrap_or_default().into_iter().filter(|name| {
        let name = name.to_string_lossy();
        [HIPBLAS, ROCSOLVER].iter().any(|stem| version_of(&name, stem).is_some())
    });
    let summary = |path: PathBuf| root.open(&path).ok().and_then(|file| elf::summary(&file).ok());
    rocblas
        .filter_map(summary)
        .find(is_stock)
        .or_else(|| others.filter_map(|name| summary(lib.join(name))).next())
}

#[cfg(test)]
mod tests;
