//! Everything that a program or a backend loads into a process, and the problems with it.

use super::{
    binding::Binder,
    directories::INTERPRETER,
    environment::Environment,
    objects::Objects,
    problem::Problem,
    search::{Miss, Search},
};
use crate::{elf::Kind, root::Root};
use rocblas_contract::libraries::{HIP as ANY_HIP, HIP_7 as HIP};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What is loaded first.
#[derive(Clone, Debug)]
pub struct Start {
    /// A file, inside the root, by the path passed to the loader.
    pub path: PathBuf,
    /// How it is loaded.
    pub how: How,
}

/// How an object is loaded.
#[derive(Clone, Debug)]
pub enum How {
    /// As when a program is started; a library as one that a program links.
    Program,
    /// As the shim opens its backend: in a process that has loaded the shim and the HIP runtime, the shim
    /// first loads the backend's dependencies, ignoring failures. That makes libraries and symlinks next to
    /// the shim known by those names. Then it opens the backend with `RTLD_LAZY`.
    Backend {
        /// The shim, inside the root, by the path through which programs find it.
        shim: PathBuf,
    },
}

/// The resulting set of objects.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Closure {
    /// In loading order, beginning with the start object (or the shim).
    pub objects: Vec<Loaded>,
    /// Everything that the loader would reject, collected.
    pub problems: Vec<Problem>,
    /// What it would accept although something may fail later.
    pub remarks: Vec<Problem>,
}

/// A loaded file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loaded {
    /// The file behind all symlinks, inside the root.
    #[serde(serialize_with = "crate::output::json::path")]
    pub path: PathBuf,
    /// The path by which the loader found it, inside the root.
    #[serde(serialize_with = "crate::output::json::path")]
    pub found: PathBuf,
    /// The name by which it was first needed.
    pub name: String,
    /// The file that needed it, if any.
    #[serde(serialize_with = "crate::output::json::optional_path")]
    pub needed_by: Option<PathBuf>,
}

/// Predicts what the loader does. `library_path` is the value of `LD_LIBRARY_PATH`.
#[must_use]
pub fn check(root: &Root, start: &Start, library_path: &[PathBuf]) -> Closure {
    check_in(root, start, &Environment { library_path: library_path.to_vec(), preload: Vec::new() })
}

/// Like [`check`], with everything in a process's environment that affects the loader.
#[must_use]
pub fn check_in(root: &Root, start: &Start, environment: &Environment) -> Closure {
    let (search, bad_cache) = Search::new(root, &environment.library_path);
    let mut binder = Binder::new(&search);
    let mut objects = Objects::new(&search);
    let started = match &start.how {
        How::Program => run(&search, &mut objects, &mut binder, &start.path, &environment.preload),
        How::Backend { shim } => open(&search, &mut objects, &mut binder, &start.path, shim),
    };
    let mut closure =
        Closure { objects: loaded(&objects), problems: binder.problems, remarks: binder.remarks };
    closure.problems.extend(started.err());
    closure.problems.extend(second_hip_runtime(&objects));
    closure.remarks.extend(bad_cache);
    closure
}

/// A program with its loader, which is loaded before anything needs it.
fn run(
    search: &Search<'_>,
    objects: &mut Objects<'_>,
    binder: &mut Binder<'_>,
    path: &Path,
    preload: &[String],
) -> Result<(), Problem> {
    let found = search.open(path).map_err(|miss| not_opened(miss, path))?;
    let is_program = found.summary.kind == Kind::Executable;
    let interpreter = found.summary.interpreter.clone();
    let program = objects.start(found, is_program);
    match interpreter {
        Some(interpreter) => {
            objects.load(&interpreter, program)?;
        }
        None if is_program => {} // It is statically linked.
        // What a program that links the library would load.
        None => {
            let _ = objects.load(INTERPRETER, program);
        }
    }
    let mut first = vec![program];
    for name in preload {
        match objects.load(name, program) {
            Ok(object) if first.contains(&object) => {}
            Ok(object) => first.push(object),
            // The loader prints a warning and continues.
            Err(problem) => binder.remarks.push(problem),
        }
    }
    let (scope, missing) = objects.load_needed(&first);
    binder.bind(objects, &scope, &scope, missing);
    Ok(())
}

fn open(
    search: &Search<'_>,
    objects: &mut Objects<'_>,
    binder: &mut Binder<'_>,
    path: &Path,
    shim: &Path,
) -> Result<(), Problem> {
    let found = search.open(shim).map_err(|miss| not_opened(miss, shim))?;
    let backend = search.open(path).map_err(|miss| not_opened(miss, path))?;
    let shim = objects.start(found, false);
    // The client has loaded the loader; its own search finds the shim's directory too.
    let _ = objects.load(INTERPRETER, shim);
    let mut clients = vec![shim];
    clients.extend(objects.load(HIP, shim).ok());
    let (global, missing) = objects.load_needed(&clients);
    binder.bind(objects, &global, &global, missing);

    for name in &backend.summary.needed {
        let before = objects.clone();
        let mut attempt = Binder::new(search);
        match objects.load(name, shim) {
            Ok(object) => dlopen(objects, &mut attempt, &global, object, before.all().len()),
            Err(problem) => attempt.problems.push(problem),
        }
        if attempt.problems.is_empty() {
            binder.remarks.append(&mut attempt.remarks);
        } else {
            *objects = before;
        }
    }
    let before = objects.all().len();
    let backend = objects.load(&path.to_string_lossy(), shim)?;
    dlopen(objects, binder, &global, backend, before);
    Ok(())
}

/// Loads and binds what an object needs; objects from index `new` on have not been bound.
fn dlopen(
    objects: &mut Objects<'_>,
    binder: &mut Binder<'_>,
    global: &[usize],
    object: usize,
    new: usize,
) {
    let (own, missing) = objects.load_needed(&[object]);
    let scope: Vec<usize> = global.iter().chain(&own).copied().collect();
    let unbound: Vec<usize> = own.into_iter().filter(|object| *object >= new).collect();
    binder.bind(objects, &unbound, &scope, missing);
}

fn not_opened(miss: Miss, path: &Path) -> Problem {
    let path = path.to_owned();
    match miss {
        Miss::Absent(_) => {
            Problem::Unreadable { path, why: "there is no such file, or no permission".to_owned() }
        }
        Miss::Foreign { machine, .. } => {
            let what = format!("it is for another machine ({machine})");
            Problem::Malformed { path, offset: 0, what }
        }
        Miss::Refused(problem) => problem,
    }
}

fn loaded(objects: &Objects<'_>) -> Vec<Loaded> {
    let all = objects.all();
    all.iter()
        .map(|object| Loaded {
            path: object.found.resolved.clone(),
            found: object.found.path.clone(),
            name: object.name().to_owned(),
            needed_by: object.loader.map(|loader| all[loader].found.resolved.clone()),
        })
        .collect()
}

/// A stub is not one: it has no code.
fn second_hip_runtime(objects: &Objects<'_>) -> Option<Problem> {
    let mut runtimes = objects.all().iter().map(|object| &object.found).filter(|found| {
        found.summary.has_code
            && found.summary.soname.as_ref().is_some_and(|soname| soname.starts_with(ANY_HIP))
    });
    let (first, second) = (runtimes.next()?, runtimes.next()?);
    Some(Problem::TwoHipRuntimes { first: first.resolved.clone(), second: second.resolved.clone() })
}

#[cfg(test)]
mod tests;
