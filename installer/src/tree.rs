//! Selects the ROCm tree for a command.

use crate::{
    inspect::layout::{self, Tree},
    journal::{self, STORE},
    output::{self, quoted},
    present::{self, What},
    root::Root,
    settings, trust,
};
use anyhow::{Error, Result, anyhow, bail};
use rocblas_contract::libraries::{BACKEND_SONAME, ROCBLAS};
use std::path::Path;

/// The named tree, or the only one.
pub fn choose(root: &Root, named: Option<&Path>) -> Result<Tree> {
    if let Some(named) = named {
        let mut trees = layout::find(root, &[named.to_owned()])?;
        return match trees.len() {
            1 => Ok(trees.remove(0)),
            _ => Err(several(&trees)),
        };
    }
    // A tree that has the shim is selected without searching further.
    let usual = Candidates::of(root, layout::usual_trees(root));
    let mut candidates = match usual.trees.iter().any(|tree| has_store(root, tree)) {
        true => usual,
        false => Candidates::of(root, layout::find(root, &[])?),
    };
    let is_applied = candidates.trees.iter().any(|tree| has_store(root, tree));
    if is_applied {
        candidates.trees.retain(|tree| has_store(root, tree));
    }
    let Candidates { mut trees, refused } = candidates;
    match trees.len() {
        1 => {
            if !is_applied && !refused.is_empty() {
                output::notice(&format!(
                    "using {}; to select another tree, pass --rocm DIR. A program \
                     that loads one of these does not use it: {}",
                    trees[0].lib.display(),
                    refused.join(", ")
                ));
            }
            Ok(trees.remove(0))
        }
        0 if !refused.is_empty() => bail!(
            "no ROCm 7 tree with rocBLAS that only its owner and root may change. To use one of these, \
             name it with --rocm DIR: {}",
            refused.join(", ")
        ),
        0 => bail!(
            "no ROCm 7 tree with rocBLAS in {}. Name one with --rocm DIR, which may be a Python \
             environment; `installer inspect` lists the trees. AMD's plain images lack rocBLAS: apt-get \
             install rocblas hipblas-dev",
            root.directory().display()
        ),
        _ => Err(several(&trees)),
    }
}

fn several(trees: &[Tree]) -> Error {
    let places: Vec<String> =
        trees.iter().map(|tree| format!("--rocm {}", quoted(&tree.lib))).collect();
    anyhow!(
        "there are several ROCm trees; name the one that the program loads with --rocm DIR \
         (`installer which PROGRAM`): {}",
        places.join(" or ")
    )
}

/// The trees that may be selected without being named, and why others may not.
struct Candidates {
    trees: Vec<Tree>,
    refused: Vec<String>,
}

impl Candidates {
    fn of(root: &Root, mut trees: Vec<Tree>) -> Self {
        let mut refused = Vec::new();
        trees.retain(|tree| is_rocm_7(root, tree));
        trees.retain(|tree| {
            let why = match tree.layout.immutable() {
                Some(_) => Some("it is read-only by its layout".to_owned()),
                None => doubt(root, tree),
            };
            refused.extend(why.iter().map(|why| format!("{} ({why})", tree.lib.display())));
            why.is_none()
        });
        Self { trees, refused }
    }
}

/// Why a tree is used only if named: another user may have created or changed it.
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

/// Whether programs that need ROCm 7's rocBLAS load it from here. The name without a version, which wheels have
/// and a development package adds, counts for what it points to: that of ROCm 6 is there too.
fn is_rocm_7(root: &Root, tree: &Tree) -> bool {
    let is_6 = |what: &What| match what {
        What::Link(target) => target
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(BACKEND_SONAME.as_bytes())),
        What::Rocblas(soname) => soname == BACKEND_SONAME,
        _ => false,
    };
    has_store(root, tree)
        || present::libraries(root, &tree.lib).is_ok_and(|libraries| {
            libraries.iter().any(|library| {
                library.name.starts_with(present::SONAME)
                    || (library.name == ROCBLAS && !is_6(&library.what))
            })
        })
}
