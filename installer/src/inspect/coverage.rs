//! Whether the rocBLAS that a tree's programs use has what a GPU needs, and in which file: code for its
//! target, kernels of the given functions, and Tensile's files for matrix products. If one of the three is
//! missing, programs fail at run time, each with its own message.

use super::{
    kernels::{self, Counts},
    library::{self, Kind, Libraries, Library},
    store,
    tensile::{self, Tensile},
};
use crate::{choice, gpu, hip_archives, root::Root};
use anyhow::{Context, Result};
use offload::Target;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// A requested GPU target.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// As given.
    pub(super) text: String,
    /// The device that it denotes.
    pub(super) device: Target,
}

impl Asked {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let gpu = gpu::parse(text)?;
        let device = Target::device(gpu.target());
        let device = device.with_context(|| format!("{gpu} cannot be a device"))?;
        Ok(Self { text: gpu.to_string(), device })
    }
}

/// What a tree has for a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// The requested target.
    pub target: String,
    /// Whether everything that a GPU needs exists.
    pub covered: bool,
    /// The rocBLAS that programs use: the tree's own, or the shim's backend.
    #[serde(serialize_with = "crate::output::json::optional_path")]
    pub library: Option<PathBuf>,
    /// Whether it has code for the target.
    pub code: bool,
    /// How many kernels it has of each requested function.
    pub kernels: BTreeMap<String, usize>,
    /// Why they could not be counted.
    pub problem: Option<String>,
    /// The file in which Tensile finds its kernels for the target.
    #[serde(serialize_with = "crate::output::json::optional_path")]
    pub tensile: Option<PathBuf>,
    /// All of this in one sentence.
    pub sentence: String,
}

/// The rocBLAS that the programs of a tree use, with its Tensile files.
#[derive(Debug)]
pub(super) struct Serving {
    library: Library,
    tensile: Option<Tensile>,
    /// The HIP runtime of the tree, if it does not read the archives that the library needs.
    unread_by: Option<PathBuf>,
}

impl Serving {
    /// A library as programs of a library directory use it.
    fn new(root: &Root, lib: &Path, library: Library, tensile: Option<Tensile>) -> Self {
        let unread_by = library.split.as_ref().and_then(|_| hip_archives::unread_by(root, lib));
        Self { library, tensile, unread_by }
    }
}

/// Finds the rocBLAS that the programs of a library directory use. The error is the reason why there is none.
pub(super) fn serving(
    root: &Root,
    lib: &Path,
    libraries: &Libraries,
    tensile: Option<&Tensile>,
) -> Result<Serving, String> {
    let library = store::rocblas(lib, libraries).ok_or("there is no rocBLAS")?;
    if library.shim.is_some() {
        return behind_the_shim(root, lib);
    }
    Ok(Serving::new(root, lib, library.clone(), tensile.cloned()))
}

/// A library that was given by its name, `entry` in the directory `lib`. For a shim, its backend is examined.
pub(super) fn named(root: &Root, lib: &Path, entry: &Path) -> Result<Serving, String> {
    let library = library::read(root, entry)
        .map_err(|e| format!("{} cannot be read: {e}", entry.display()))?;
    if library.shim.is_some() {
        return behind_the_shim(root, lib);
    }
    let tensile = match library.kind {
        Kind::Rocblas => tensile::of(root, lib, library.version.as_deref()),
        _ => None,
    };
    Ok(Serving::new(root, lib, library, tensile))
}

fn behind_the_shim(root: &Root, lib: &Path) -> Result<Serving, String> {
    // Without the environment, which differs between processes.
    let chosen = choice::backend(root, &[lib.to_owned()], None, Path::new("/"));
    let path = chosen.map_err(|why| format!("the shim has no backend: {why}"))?.path;
    let backend = library::read(root, &path)
        .map_err(|e| format!("the shim's backend {} cannot be read: {e}", path.display()))?;
    if backend.shim.is_some() {
        return Err(format!("the shim's backend {} is itself a shim", path.display()));
    }
    let beside = backend.path.parent().unwrap_or(Path::new("/"));
    let tensile = tensile::of(root, beside, backend.version.as_deref());
    Ok(Serving::new(root, lib, backend, tensile))
}

/// Whether a program or library other than rocBLAS has code for each target.
pub(super) fn of_object(root: &Root, library: Library, targets: &[Asked]) -> Vec<Coverage> {
    coverage(root, &Ok(Serving { library, tensile: None, unread_by: None }), &[], targets)
}

/// What the rocBLAS in use has for each target.
pub(super) fn coverage(
    root: &Root,
    serving: &Result<Serving, String>,
    functions: &[String],
    targets: &[Asked],
) -> Vec<Coverage> {
    let serving = match serving {
        Ok(serving) => serving,
        Err(why) => return targets.iter().map(|target| uncovered(target, why)).collect(),
    };
    let counted = count(root, &serving.library, functions, targets);
    targets.iter().map(|target| of_target(serving, &counted, functions, target)).collect()
}

/// Kernel counts, as far as they could be determined.
#[derive(Default)]
struct Counted {
    counts: Counts,
    problem: Option<String>,
}

fn count(root: &Root, library: &Library, functions: &[String], targets: &[Asked]) -> Counted {
    // Nothing is read for targets without code.
    let having: Vec<&Asked> = targets.iter().filter(|t| has_code(library, t)).collect();
    if having.is_empty() || functions.is_empty() {
        return Counted::default();
    }
    let name = library.path.file_name().unwrap_or_default().to_string_lossy();
    let devices: Vec<&Target> = having.iter().map(|target| &target.device).collect();
    if let Some(split) = &library.split {
        let (counts, problems) = kernels::count_split(root, split, &devices, functions);
        return Counted { counts, problem: problems.into_iter().next() };
    }
    let file = match root.open(&library.path) {
        Ok(file) => file,
        Err(e) => return Counted { problem: Some(e.to_string()), ..Counted::default() },
    };
    let what = format!("Reading {name}");
    let (counts, problems) = kernels::count(&file, &library.fatbin, &devices, functions, &what);
    Counted { counts, problem: library::in_short(&problems) }
}

fn has_code(library: &Library, target: &Asked) -> bool {
    library.targets.keys().any(|code| library::runs(&target.device, code))
}

fn uncovered(target: &Asked, why: &str) -> Coverage {
    Coverage {
        target: target.text.clone(),
        covered: false,
        library: None,
        code: false,
        kernels: BTreeMap::new(),
        problem: Some(why.to_owned()),
        tensile: None,
        sentence: format!("{} is not covered: {why}.", target.text),
    }
}

fn of_target(
    serving: &Serving,
    counted: &Counted,
    functions: &[String],
    target: &Asked,
) -> Coverage {
    let Serving { library, tensile, unread_by } = serving;
    let code = has_code(library, target);
    let kernels: BTreeMap<String, usize> = if code {
        let of_function = |function| counted.counts.get(&(target.device.clone(), function));
        let counts = functions.iter().cloned();
        counts.map(|f| (f.clone(), of_function(f).copied().unwrap_or(0))).collect()
    } else {
        BTreeMap::new()
    };
    let entry = tensile.as_ref().and_then(|tensile| tensile.entry(target.device.processor()));
    let problem = match &counted.problem {
        Some(why) if code => Some(why.clone()),
        _ => library.problem.clone(),
    };
    let counted = kernels.len() == functions.len() && kernels.values().all(|n| *n > 0);
    let complete = code && counted && problem.is_none() && unread_by.is_none();
    let has_products = entry.is_some() || library.kind != Kind::Rocblas;
    let mut coverage = Coverage {
        target: target.text.clone(),
        covered: complete && has_products,
        library: Some(library.path.clone()),
        code,
        kernels,
        problem,
        tensile: entry,
        sentence: String::new(),
    };
    coverage.sentence = sentence(&coverage, target.device.processor(), library, tensile.as_ref());
    if let Some(runtime) = unread_by {
        coverage.sentence.push_str(&format!(
            " {} does not read archives of GPU code (only ROCm 7.13 and later do).",
            runtime.display()
        ));
    }
    coverage
}

fn sentence(
    coverage: &Coverage,
    processor: &str,
    library: &Library,
    tensile: Option<&Tensile>,
) -> String {
    let file = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut parts = vec![match (coverage.code, &coverage.problem) {
        (true, _) => "has code for it".to_owned(),
        (false, None) => without_code(library, processor),
        (false, Some(_)) => "has no readable code for it".to_owned(),
    }];
    parts.extend(coverage.kernels.iter().map(|(function, count)| match count {
        0 => format!("no kernels of {function}"),
        1 => format!("1 kernel of {function}"),
        _ => format!("{count} kernels of {function}"),
    }));
    parts.extend(match (&coverage.tensile, tensile) {
        (Some(entry), _) => Some(format!("Tensile files ({})", file(entry))),
        (None, Some(tensile)) if tensile.targets.contains_key(processor) => {
            Some(format!("Tensile files in {} without the entry file", tensile.directory.display()))
        }
        (None, Some(tensile)) => {
            Some(format!("no Tensile files in {}", tensile.directory.display()))
        }
        (None, None) if library.kind == Kind::Rocblas => {
            Some("no directory of Tensile files".to_owned())
        }
        (None, None) => None,
    });
    let is = if coverage.covered { "is covered" } else { "is not covered" };
    let parts = in_words(&parts);
    let mut sentence = format!("{} {is}: {} {parts}.", coverage.target, library.path.display());
    if let Some(problem) = &coverage.problem {
        sentence.push_str(&format!(" It could not be read completely: {problem}."));
    }
    sentence
}

/// Where the code of a split library would be, or that there is none.
fn without_code(library: &Library, processor: &str) -> String {
    let Some(split) = &library.split else { return "has no code for it".to_owned() };
    let lib = library.path.parent().unwrap_or(Path::new("/"));
    let places = split.places(lib, processor);
    let is_there = |place: &&PathBuf| split.archives.iter().any(|archive| archive.path == **place);
    let show = |place: &PathBuf| place.display().to_string();
    match places.iter().find(is_there) {
        Some(place) => format!("has no code for it in its archive {}", show(place)),
        None => {
            let places = places.iter().map(show).collect::<Vec<_>>().join(" or ");
            format!("is split: code for {processor} is in {places}, which does not exist")
        }
    }
}

/// "a, b and c".
fn in_words(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests;
