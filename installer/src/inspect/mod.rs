//! Lists ROCm trees, the libraries in them, and the GPUs that these have code for. This shows whether a
//! gfx906 is covered, and by which file, before anything runs.
//!
//! Everything is read from the files themselves, beginning with their headers: a few pages of a library of a
//! gigabyte, unless kernels are counted. An unreadable file is part of the result, and the inspection
//! continues.
//!
//! | file | concern |
//! |---|---|
//! | `layout.rs`, `search.rs` | where the trees are |
//! | `library.rs` | the library files and the links to them |
//! | `lm_studio.rs` | on which GPUs LM Studio uses a tree |
//! | `object.rs` | other programs and libraries |
//! | `split.rs` | the archives of libraries whose GPU code was split off |
//! | `owner.rs` | the packages they belong to |
//! | `tensile.rs` | Tensile's files, by GPU target |
//! | `store.rs` | the shim's backends, and the one it would open |
//! | `kernels.rs` | kernels by name |
//! | `coverage.rs` | the combined result for one GPU target |
//! | `machine.rs` | the GPUs of this machine |
//! | `text.rs` | prints the result |

pub mod coverage;
pub mod kernels;
pub mod layout;
pub mod library;
pub mod lm_studio;
pub mod machine;
pub mod object;
pub mod owner;
mod reading;
mod search;
pub mod split;
pub mod store;
pub mod tensile;
#[cfg(test)]
mod testing;
mod text;

pub use text::text;

use crate::{gpu::Gpu, peers, root::Root};
use anyhow::{Context, Result};
use coverage::{Asked, Coverage};
use layout::Tree;
use library::Libraries;
use lm_studio::Engine;
use machine::Machine;
use object::Object;
use owner::Owner;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};
use store::Backend;
use tensile::Tensile;

/// The function whose kernels are counted by default: TRSM fails on GPUs that rocBLAS dropped, since its
/// kernels are in the library itself.
pub const DEFAULT_FUNCTION: &str = "trsm";

/// The result.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// This machine's GPUs.
    pub machine: Machine,
    /// The trees, in the order of the searched places or of the given paths.
    pub trees: Vec<Found>,
    /// The given programs and libraries other than ROCm's.
    pub objects: Vec<Object>,
}

/// The result for a tree.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// Its paths and layout.
    #[serde(flatten)]
    pub tree: Tree,
    /// Its libraries.
    pub libraries: Libraries,
    /// The Tensile files of its own rocBLAS.
    pub tensile: Option<Tensile>,
    /// The backends in the shim's store.
    pub backends: Vec<Backend>,
    /// For each target, whether the rocBLAS that programs use, or a library that was given by name, has what
    /// it needs.
    pub coverage: Vec<Coverage>,
    /// The engines of LM Studio that use it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub engines: Vec<Engine>,
    /// Why the tree could not be read.
    pub problem: Option<String>,
}

/// Examines the trees at the given paths, or by default those in the usual places.
///
/// Kernels are counted for `functions` (by default [`DEFAULT_FUNCTION`]) and `targets` (by default those of
/// this machine's GPUs). A path to neither a program nor a ROCm library, and a name that is not a target, are
/// errors.
pub fn inspect(
    root: &Root,
    given: &[PathBuf],
    functions: &[String],
    gpus: &[Gpu],
) -> Result<Inspection> {
    let machine = machine::this();
    let targets: Vec<String> = gpus.iter().map(ToString::to_string).collect();
    inspect_for(root, given, functions, &targets, machine)
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
    let is_object = |path: &PathBuf| object::place(root, path);
    let objects: Vec<PathBuf> = given.iter().filter_map(is_object).collect();
    let others: Vec<PathBuf> =
        given.iter().filter(|path| is_object(path).is_none()).cloned().collect();
    let subjects = match (objects.as_slice(), others.as_slice()) {
        ([_, ..], []) => Vec::new(),
        _ => subjects(root, &others)?,
    };
    let subjects = subjects.into_iter();
    let mut trees: Vec<Found> =
        subjects.map(|subject| found(root, subject, &functions, &asked)).collect();
    own(root, &mut trees);
    let object = |path: &PathBuf| {
        object::of(root, path, &asked).with_context(|| format!("cannot read {}", path.display()))
    };
    let objects = objects.iter().map(object).collect::<Result<Vec<_>>>()?;
    Ok(Inspection { machine, trees, objects })
}

/// A tree, and what is examined in it.
struct Subject {
    tree: Tree,
    /// The rocBLAS that programs use.
    served: bool,
    /// Libraries that were given by name, inside the root.
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
    let all = layout::find(root, given)?;
    let served = match (given, directories.as_slice()) {
        ([_, ..], []) => Vec::new(),
        ([], _) => all.clone(),
        (_, directories) => layout::find(root, directories)?,
    };
    let subject = |tree: Tree| {
        let named = named.iter().filter(|path| path.parent() == Some(&tree.lib));
        let named = named.cloned().collect();
        Subject { served: served.contains(&tree), tree, named }
    };
    Ok(all.into_iter().map(subject).collect())
}

fn found(root: &Root, subject: Subject, functions: &[String], asked: &[Asked]) -> Found {
    let Subject { tree, served, named } = subject;
    let (libraries, problem) = match library::of(root, &tree.lib) {
        Ok(libraries) => (libraries, None),
        Err(e) => (Libraries::default(), Some(format!("{e:#}"))),
    };
    let libraries = with_hip(root, &tree.lib, libraries);
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
    let engines = lm_studio::engines(root, &tree);
    Found { tree, libraries, tensile, backends, coverage, engines, problem }
}

/// Adds the HIP runtime that the tree's rocBLAS loads, which may be in another directory.
fn with_hip(root: &Root, lib: &Path, mut libraries: Libraries) -> Libraries {
    if let Some(hip) = peers::Peers::of(root, lib).hip()
        && libraries.files.iter().all(|file| file.path != hip.path)
        && let Ok(found) = library::read(root, &hip.path)
    {
        libraries.files.push(found);
    }
    libraries
}

/// Fills in the owners of all trees at once, since the databases are long.
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
