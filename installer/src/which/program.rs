//! Predicts what a program would load, with the model of the loader and the shim's rules.

use super::{Backend, Found, Subject, Uses, VARIABLES, library, library::Library};
use crate::{
    choice, elf,
    loader::{self, How, Problem, Start},
    program,
    root::Root,
};
use anyhow::{Context, Result, bail};
use rocblas_contract::variables::{LIBRARY_PATH, PRELOAD};
use rustix::process::{getegid, geteuid};
use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The environment that a program would be started with.
#[derive(Clone, Debug)]
pub struct Environment {
    variables: BTreeMap<&'static str, OsString>,
    /// Its working directory.
    directory: PathBuf,
}

impl Environment {
    /// This process's own. A program in another root starts in its `/`.
    #[must_use]
    pub fn current(root: &Root) -> Self {
        let variables = VARIABLES.iter().filter_map(|name| Some((*name, env::var_os(name)?)));
        let directory = if root.is_system() { env::current_dir().ok() } else { None };
        Self {
            variables: variables.collect(),
            directory: directory.unwrap_or_else(|| PathBuf::from("/")),
        }
    }

    /// Without variables: what a program gets from any shell.
    #[must_use]
    pub fn empty() -> Self {
        Self { variables: BTreeMap::new(), directory: PathBuf::from("/") }
    }

    fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(name).map(OsString::as_os_str)
    }

    fn loaders(&self, root: &Root) -> loader::Environment {
        let (path, preload) = (self.get(LIBRARY_PATH), self.get(PRELOAD));
        loader::Environment::of(root, path, preload, &self.directory)
    }
}

/// What a program would load.
#[derive(Debug)]
pub struct Foretold {
    /// What it would use.
    pub uses: Uses,
    /// Why it, or the backend of its shim, would not load.
    pub problems: Vec<Problem>,
    /// Why the shim would find no backend.
    pub no_backend: Option<String>,
    /// Whether it would get more privileges than its caller, and so ignore the environment.
    pub secure: bool,
}

/// A program by its name or path.
pub(super) fn named(root: &Root, name: &Path, environment: &Environment) -> Result<Found> {
    let path = program::find(root, name)?;
    check_kind(root, &path)?;
    let foretold = of(root, &path, environment);
    let mut uses = foretold.uses;
    let problems = foretold.problems.iter().map(|problem| format!("would not load: {problem}"));
    uses.notes.splice(0..0, problems);
    uses.notes.extend(foretold.no_backend.map(|why| format!("no backend: {why}")));
    if uses.rocblas.is_empty() && foretold.problems.is_empty() {
        uses.notes.push(
            "it does not link rocBLAS. Libraries that it opens at run time are not found this way: name \
             them (such as libggml-hip.so), or the PID of the process"
                .to_owned(),
        );
    }
    let variables = environment.variables.iter();
    let environment =
        variables.map(|(name, value)| (*name, value.to_string_lossy().into_owned())).collect();
    Ok(Found { subject: Subject::Program { path }, uses, environment })
}

/// Refuses files that the loader does not start.
fn check_kind(root: &Root, path: &Path) -> Result<()> {
    let metadata = root.metadata(path)?;
    if metadata.is_dir() {
        bail!(
            "{} is a directory: name a program, or check everything in it with `installer check`",
            path.display()
        );
    }
    let mut file = root.open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut start = [0; 2];
    if file.read_exact(&mut start).is_ok() && start == *b"#!" {
        bail!(
            "{} is a script: name the program that it starts, or the PID of the process",
            path.display()
        );
    }
    elf::summary(&file)
        .map(drop)
        .with_context(|| format!("{} is not a program that the loader can start", path.display()))
}

/// What a program or library would load. Unreadable files are among the problems.
#[must_use]
pub fn of(root: &Root, path: &Path, environment: &Environment) -> Foretold {
    let secure = is_secure(root, path);
    let ignored;
    let environment = if secure {
        ignored = Environment { variables: BTreeMap::new(), ..environment.clone() };
        &ignored
    } else {
        environment
    };
    let start = Start { path: path.to_owned(), how: How::Program };
    let loaders = environment.loaders(root);
    let closure = loader::check_in(root, &start, &loaders);
    // A named library may itself be a rocBLAS.
    let libraries = closure.objects.iter().filter_map(|object| {
        let file = root.open(&object.path).ok()?;
        let (kind, library) = library::read(&object.path, &file)?;
        let found = Some(object.found.clone()).filter(|found| *found != object.path);
        Some((kind, Library { found, ..library }))
    });
    let mut foretold = Foretold {
        uses: Uses::of(libraries),
        problems: closure.problems,
        no_backend: None,
        secure,
    };
    if secure {
        foretold.uses.notes.push(
            "it is set-user-ID or set-group-ID: the loader and the shim ignore the environment"
                .to_owned(),
        );
    }
    foretold.uses.note_several();
    add_backend(root, &mut foretold, environment, &loaders);
    foretold
}

/// Adds what the shim would open, if the rocBLAS is the shim.
fn add_backend(
    root: &Root,
    foretold: &mut Foretold,
    environment: &Environment,
    loaders: &loader::Environment,
) {
    let value = environment.get(choice::VARIABLE);
    let Some(shim) = foretold.uses.shim() else {
        if let (Some(value), [rocblas, ..]) = (value, foretold.uses.rocblas.as_slice()) {
            let note = no_effect(value, &rocblas.path);
            foretold.uses.notes.push(note);
        }
        return;
    };
    let shim = shim.found.clone().unwrap_or_else(|| shim.path.clone());
    let directories = choice::directories(root, &shim);
    let chosen = choice::backend(root, &directories, value, &environment.directory);
    let usable = chosen.and_then(|chosen| {
        choice::library(root, &chosen.path)?;
        Ok(chosen)
    });
    match usable {
        Err(why) => foretold.no_backend = Some(why),
        Ok(chosen) => {
            let start = Start { path: chosen.path.clone(), how: How::Backend { shim } };
            let problems = loader::check_in(root, &start, loaders).problems;
            let new = problems.into_iter().filter(|problem| !foretold.problems.contains(problem));
            let new: Vec<Problem> = new.collect();
            foretold.problems.extend(new);
            foretold.uses.backend = backend(root, chosen);
        }
    }
}

fn backend(root: &Root, chosen: choice::Chosen) -> Option<Backend> {
    let path = root.resolve(&chosen.path).ok()?;
    let (_, library) = library::read(&path, &root.open(&path).ok()?)?;
    let found = Some(chosen.path).filter(|found| *found != path);
    Some(Backend {
        name: Some(chosen.name),
        library: Library { found, ..library },
        chosen_by: Some(chosen.chosen_by),
    })
}

/// The variable is set, but nothing reads it.
pub(super) fn no_effect(value: &OsStr, rocblas: &Path) -> String {
    format!(
        "{}={} has no effect: {} is not the shim",
        choice::VARIABLE,
        value.display(),
        rocblas.display()
    )
}

/// Whether the kernel would set `AT_SECURE` for a program from this file, started by this user.
fn is_secure(root: &Root, path: &Path) -> bool {
    root.metadata(path).is_ok_and(|metadata| {
        let (mode, user, group) = (metadata.mode(), metadata.uid(), metadata.gid());
        // Without the group's right to execute, the bit means mandatory locking.
        let set_group = mode & 0o2010 == 0o2010;
        (mode & 0o4000 != 0 && user != geteuid().as_raw())
            || (set_group && group != getegid().as_raw())
    })
}
