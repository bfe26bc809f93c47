//! A temporary directory laid out like a ROCm tree: `lib/` with the shim in front, and a store of backends
//! next to it.

use crate::artefacts;
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// A tree; its files are removed when it is dropped.
#[derive(Debug)]
pub struct Tree {
    root: TempDir,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// An empty tree with a `lib` directory.
    #[must_use]
    pub fn new() -> Self {
        let root = tempfile::Builder::new().prefix("rocm-7.0.2-").tempdir().expect("make a tree");
        fs::create_dir(root.path().join("lib")).expect("make lib");
        Self { root }
    }

    /// A tree with the shim and no backend.
    #[must_use]
    pub fn with_shim() -> Self {
        let tree = Self::new();
        tree.place_shim();
        tree
    }

    /// A tree with the shim, and that library as its only backend, under the name `only`.
    #[must_use]
    pub fn with_backend(library: &Path) -> Self {
        let tree = Self::with_shim();
        tree.add_backend("only", library);
        tree
    }

    /// The top.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Keeps the files, for inspection, and returns their directory.
    #[must_use]
    pub fn keep(self) -> PathBuf {
        self.root.keep()
    }

    /// The directory of libraries.
    #[must_use]
    pub fn lib(&self) -> PathBuf {
        self.root.path().join("lib")
    }

    /// The path of the store's settings.
    #[must_use]
    pub fn settings(&self) -> PathBuf {
        self.lib().join("rocblas-shim/shim.toml")
    }

    /// Copies the shim into the tree under the name that ldconfig prefers, with the symlinks that the loader and the
    /// linker follow.
    pub fn place_shim(&self) {
        self.place(artefacts::shim(), "librocblas.so.5.99.0");
        for link in ["librocblas.so.5", "librocblas.so"] {
            let link = self.lib().join(link);
            if link.symlink_metadata().is_ok() {
                fs::remove_file(&link).expect("remove a link");
            }
            symlink("librocblas.so.5.99.0", link).expect("link to the shim");
        }
    }

    /// Copies a file into `lib`.
    pub fn place(&self, file: &Path, name: &str) -> PathBuf {
        let place = self.lib().join(name);
        fs::copy(file, &place).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        place
    }

    /// Copies a library into the store, in its own prefix. Returns its path.
    pub fn add_backend(&self, name: &str, library: &Path) -> PathBuf {
        let lib = self.lib().join("rocblas-shim/backends").join(name).join("lib");
        fs::create_dir_all(&lib).expect("make a prefix");
        let place = lib.join("librocblas.so.4");
        fs::copy(library, &place).unwrap_or_else(|e| panic!("{}: {e}", library.display()));
        place
    }

    /// Writes `shim.toml`.
    pub fn write_settings(&self, text: &str) {
        let file = self.settings();
        fs::create_dir_all(file.parent().expect("in the store")).expect("make the store");
        fs::write(file, text).expect("write settings");
    }
}
