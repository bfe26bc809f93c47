//! What is here: ROCm trees, the libraries in them, and which GPUs those have code for. It answers
//! "is my gfx906 covered, and by which file?" before anything runs.
//!
//! Everything is read from the files themselves, with their headers first: of a library of a
//! gigabyte a few pages, unless kernels are to be counted. A file that cannot be read is part of the
//! answer and not the end of it.
//!
//! | file | what it finds out |
//! |---|---|
//! | `layout.rs` | where the trees are |
//! | `library.rs` | the library files and the links to them |
//! | `owner.rs` | which packages they are from |
//! | `tensile.rs` | Tensile's files by GPU target |
//! | `store.rs` | the shim's backends, and which one it would open |
//! | `kernels.rs` | kernels by name |
//! | `coverage.rs` | all of that for one GPU target |
//! | `machine.rs` | the GPUs of this machine |
//! | `text.rs` | the words for it |

pub mod coverage;
pub mod kernels;
pub mod layout;
pub mod library;
pub mod machine;
pub mod owner;
mod reading;
pub mod store;
pub mod tensile;
#[cfg(test)]
mod testing;
mod text;

pub use text::text;

use crate::root::Root;
use anyhow::Result;
use coverage::{Asked, Coverage};
use layout::Tree;
use library::Libraries;
use machine::Machine;
use owner::Owner;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use store::Backend;
use tensile::Tensile;

/// The function whose kernels are counted unless others are named: TRSM is what rocBLAS dropped
/// GPUs with, as its kernels are in the library itself.
pub const DEFAULT_FUNCTION: &str = "trsm";

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// This machine's GPUs.
    pub machine: Machine,
    /// The trees, in the order of the places looked at or of the paths given.
    pub trees: Vec<Found>,
}

/// What was found in a tree.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// Where it is.
    #[serde(flatten)]
    pub tree: Tree,
    /// Its libraries.
    pub libraries: Libraries,
    /// The Tensile files of its own rocBLAS.
    pub tensile: Option<Tensile>,
    /// The backends in the shim's store.
    pub backends: Vec<Backend>,
    /// For each target, whether the rocBLAS that programs get, or a library that was given by its
    /// name, has what it needs.
    pub coverage: Vec<Coverage>,
    /// Why the tree could not be read.
    pub problem: Option<String>,
}

/// Looks at the trees at the given paths, or where none is given at those in the usual places.
///
/// Kernels are counted for `functions` (none: [`DEFAULT_FUNCTION`]) and `targets` (none: those of
/// this machine's GPUs). A path without a ROCm library or a name that is no target is an error.
pub fn inspect(
    root: &Root,
    given: &[PathBuf],
    functions: &[String],
    targets: &[String],
) -> Result<Inspection> {
    let machine = machine::this();
    inspect_for(root, given, functions, targets, machine)
}

fn inspect_for(
    root: &Root,
    given: &[PathBuf],
    functions: &[String],
    targets: &[String],
    machine: Machine,
) -> Result<Inspection> {
    let functions = match functions {
        [] => vec![DEFAULT_FUNCTION.to_owned()],
        named => named.to_vec(),
    };
    let mut names: BTreeSet<String> = targets.iter().cloned().collect();
    if names.is_empty() {
        names.extend(machine.gpus.iter().map(|gpu| gpu.target.clone()));
    }
    let asked = names.iter().map(|name| Asked::parse(name)).collect::<Result<Vec<_>>>()?;
    let mut trees: Vec<Found> = subjects(root, given)?
        .into_iter()
        .map(|subject| found(root, subject, &functions, &asked))
        .collect();
    own(root, &mut trees);
    Ok(Inspection { machine, trees })
}

/// A tree, and what of it is asked about.
struct Subject {
    tree: Tree,
    /// The rocBLAS that programs get.
    served: bool,
    /// Libraries that were given by their names, inside the root.
    named: Vec<PathBuf>,
}

fn subjects(root: &Root, given: &[PathBuf]) -> Result<Vec<Subject>> {
    let mut named = Vec::new();
    let mut directories = Vec::new();
    for path in given {
        match layout::library(root, path) {
            Some(library) => named.push(library),
            None => directories.push(path.clone()),
        }
    }
    let served = match (given, directories.as_slice()) {
        ([_, ..], []) => Vec::new(),
        (_, directories) => layout::find(root, directories)?,
    };
    let subject = |tree: Tree| {
        let named = named.iter().filter(|path| path.parent() == Some(&tree.lib));
        let named = named.cloned().collect();
        Subject { served: served.contains(&tree), tree, named }
    };
    Ok(layout::find(root, given)?.into_iter().map(subject).collect())
}

fn found(root: &Root, subject: Subject, functions: &[String], asked: &[Asked]) -> Found {
    let Subject { tree, served, named } = subject;
    let (libraries, problem) = match library::of(root, &tree.lib) {
        Ok(libraries) => (libraries, None),
        Err(e) => (Libraries::default(), Some(format!("{e:#}"))),
    };
    let own = store::rocblas(&tree.lib, &libraries);
    let tensile = tensile::of(root, &tree.lib, own.and_then(|own| own.version.as_deref()));
    let backends = store::backends(root, &tree.lib);
    let mut coverage = Vec::new();
    let mut cover = |serving| coverage.extend(coverage::coverage(root, &serving, functions, asked));
    if served {
        cover(coverage::serving(root, &tree.lib, &libraries, tensile.as_ref()));
    }
    for library in &named {
        cover(coverage::named(root, &tree.lib, library));
    }
    Found { tree, libraries, tensile, backends, coverage, problem }
}

/// Fills in the owners, of all trees at once: the databases are long.
fn own(root: &Root, trees: &mut [Found]) {
    let mut places: Vec<(&Path, &mut Option<Owner>)> = Vec::new();
    for tree in trees {
        let stored = tree.backends.iter_mut().map(|backend| &mut backend.libraries);
        for library in stored.chain([&mut tree.libraries]).flat_map(|all| &mut all.files) {
            places.push((&library.path, &mut library.owner));
            places.extend(library.links.iter_mut().map(|l| (l.path.as_path(), &mut l.owner)));
        }
    }
    let paths: BTreeSet<PathBuf> = places.iter().map(|(path, _)| path.to_path_buf()).collect();
    let owners: BTreeMap<PathBuf, Owner> = owner::owners(root, &paths, Path::new("rpm"));
    for (path, owner) in places {
        *owner = owners.get(path).cloned();
    }
}
