//! A tree with a C backend of chosen traits and a C client linked against its shim.

use crate::{
    artefacts::{standins, workspace},
    compile::{compile, library},
    tree::Tree,
};
use std::path::{Path, PathBuf};

/// Compiles `standins/c/backend.c` with its traits switched on (`-DMORTAL`).
#[must_use]
pub fn c_backend(tree: &Tree, name: &str, traits: &[&str]) -> PathBuf {
    c_backend_with_soname(tree, name, "librocblas.so.4", traits)
}

/// As [`c_backend`], under another SONAME.
#[must_use]
pub fn c_backend_with_soname(tree: &Tree, name: &str, soname: &str, traits: &[&str]) -> PathBuf {
    library(&standins().join("backend.c"), &tree.root().join(name), soname, traits)
}

/// Compiles `standins/c/backend.cpp`.
#[must_use]
pub fn cxx_backend(tree: &Tree) -> PathBuf {
    let output = tree.root().join("cxx-backend.so");
    library(&standins().join("backend.cpp"), &output, "librocblas.so.4", &[])
}

/// Compiles a client of `tests/clients` and links it with the tree's `-lrocblas`.
#[must_use]
pub fn linked_client(tree: &Tree, source: &str, arguments: &[&str]) -> PathBuf {
    let source = workspace().join("tests/clients").join(source);
    let output = tree.root().join(Path::new(source.file_stem().expect("a name")));
    let lib = tree.lib();
    let own = ["-L", lib.to_str().expect("UTF-8"), "-lrocblas", "-ldl"];
    compile(&source, &output, &[arguments, &own].concat())
}
