//! Which ROCm tree a command is about.

use crate::{
    inspect::layout::{self, Tree},
    journal::{self, STORE},
    present,
    root::Root,
    settings, trust,
};
use anyhow::{Result, bail};
use rocblas_contract::libraries::{BACKEND_SONAME, ROCBLAS};
use std::path::Path;

/// The tree that was named, or the only one there is.
pub fn choose(root: &Root, named: Option<&Path>) -> Result<Tree> {
    let given: Vec<_> = named.map(Path::to_owned).into_iter().collect();
    let mut trees = layout::find(root, &given)?;
    let mut doubted = Vec::new();
    if named.is_none() {
        trees.retain(|tree| is_rocm_7(root, tree));
        trees.retain(|tree| match doubt(root, tree) {
            None => true,
            Some(why) => {
                doubted.push(format!("{} ({why})", tree.lib.display()));
                false
            }
        });
        // One with the shim in it is the one that is meant.
        if trees.iter().any(|tree| has_store(root, tree)) {
            trees.retain(|tree| has_store(root, tree));
        }
    }
    match trees.len() {
        1 => Ok(trees.remove(0)),
        0 if !doubted.is_empty() => bail!(
            "no ROCm 7 tree with rocBLAS that only its owner and root may change. If one of these is \
             meant, name it with --rocm DIR: {}",
            doubted.join(", ")
        ),
        0 => bail!(
            "no ROCm 7 tree with rocBLAS in {}. Name one with --rocm DIR; `installer inspect` says \
             what is here. AMD's plain images lack it: apt-get install rocblas hipblas-dev",
            root.directory().display()
        ),
        _ => {
            let places: Vec<String> =
                trees.iter().map(|tree| format!("--rocm {}", tree.lib.display())).collect();
            bail!("there are several ROCm trees; say which one is meant: {}", places.join(" or "))
        }
    }
}

/// Why a tree is only used by name: another user may have arranged it.
fn doubt(root: &Root, tree: &Tree) -> Option<String> {
    let lib = tree.lib.as_path();
    let store = lib.join(STORE);
    let records = journal::places().map(|place| lib.join(place.path()));
    let paths = [lib.to_owned(), store, settings::path(lib)].into_iter().chain(records);
    let mut parts = paths.filter(|path| root.metadata_of_entry(path).is_ok());
    parts.find_map(|path| match trust::doubt(root, &path) {
        Ok(doubt) => doubt.map(|doubt| format!("{}: {}", doubt.path.display(), doubt.who)),
        Err(e) => Some(format!("{}: {e}", path.display())),
    })
}

fn has_store(root: &Root, tree: &Tree) -> bool {
    root.metadata(&tree.lib.join(STORE)).is_ok()
}

fn is_rocm_7(root: &Root, tree: &Tree) -> bool {
    has_store(root, tree)
        || present::libraries(root, &tree.lib).is_ok_and(|libraries| {
            libraries
                .iter()
                .any(|library| library.name.starts_with(present::SONAME) || library.name == ROCBLAS)
                && !libraries.iter().all(|library| library.name.starts_with(BACKEND_SONAME))
        })
}
