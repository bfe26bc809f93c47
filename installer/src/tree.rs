//! Which ROCm tree a command is about.

use crate::{
    inspect::layout::{self, Tree},
    journal::STORE,
    present,
    root::Root,
};
use anyhow::{Result, bail};
use std::path::Path;

/// The tree that was named, or the only one there is.
pub fn choose(root: &Root, named: Option<&Path>) -> Result<Tree> {
    let given: Vec<_> = named.map(Path::to_owned).into_iter().collect();
    let mut trees = layout::find(root, &given)?;
    if named.is_none() {
        trees.retain(|tree| is_rocm_7(root, tree));
        // One with the shim in it is the one that is meant.
        if trees.iter().any(|tree| has_store(root, tree)) {
            trees.retain(|tree| has_store(root, tree));
        }
    }
    match trees.len() {
        1 => Ok(trees.remove(0)),
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

fn has_store(root: &Root, tree: &Tree) -> bool {
    root.metadata(&tree.lib.join(STORE)).is_ok()
}

fn is_rocm_7(root: &Root, tree: &Tree) -> bool {
    has_store(root, tree)
        || present::libraries(root, &tree.lib).is_ok_and(|libraries| {
            libraries.iter().any(|library| {
                library.name.starts_with(present::SONAME) || library.name == "librocblas.so"
            }) && !libraries.iter().all(|library| library.name.starts_with("librocblas.so.4"))
        })
}
