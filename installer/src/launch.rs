//! A program that is to be started with a backend that was named: what `run` and `compare` check before
//! anything is started, and the command that starts it.

use crate::{
    backends,
    choice::{self, VARIABLE},
    program::{self, NotFound},
    root::Root,
    tree,
    which::program::{Environment, Foretold},
};
use anyhow::{Context, Error, Result, anyhow, bail};
use rocblas_contract::variables::{ROUTE, TRACE};
use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

/// What the kept stock library may be called whatever its release is.
const STOCK: &str = "stock";

/// Why a program was not started.
#[derive(Debug)]
pub struct Failure {
    /// What to say.
    pub error: Error,
    /// As shells and env(1) have it: 127 where there is no such program, 126 where it cannot be
    /// started. 1 where the command refuses to start it.
    pub code: u8,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, code: 1 }
    }
}

/// A program that reads the variable by which a backend is chosen.
#[derive(Debug)]
pub(crate) struct Program {
    /// Where it is.
    path: PathBuf,
    /// The words that it is given, its own name first.
    words: Vec<OsString>,
    foretold: Foretold,
}

/// A backend that the shim in a program accepts.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    /// The value of the variable.
    value: OsString,
    /// The library's file, without symlinks.
    pub(crate) library: PathBuf,
}

impl Program {
    /// Finds the program of a command line, and refuses one that would not notice the variable.
    pub(crate) fn find(root: &Root, words: Vec<OsString>) -> Result<Self, Failure> {
        if !root.is_system() {
            return Err(anyhow!(
                "a program of {} cannot be started from outside: run this command inside, with chroot \
                 or in the container",
                root.directory().display()
            )
            .into());
        }
        let name = words.first().map(Path::new).unwrap_or(Path::new(""));
        let path = program::find_to_start(root, name)
            .map_err(|e: NotFound| Failure { error: e.into(), code: 127 })?;
        let foretold = crate::which::program::of(root, &path, &Environment::current(root));
        check_reads_variable(&path, &foretold)?;
        Ok(Self { path, words, foretold })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The words of its command line.
    pub(crate) fn words(&self) -> &[OsString] {
        &self.words
    }

    /// The backend of this name, or at this path if there is a slash in it.
    pub(crate) fn backend(
        &self,
        root: &Root,
        rocm: Option<&Path>,
        value: &OsStr,
    ) -> Result<Backend> {
        backend(root, rocm, value, &self.foretold)
    }

    /// The command that starts it with this backend, and with a trace if there is a place for one.
    pub(crate) fn command(&self, backend: &Backend, trace: Option<&Path>) -> Result<Command> {
        let mut command = Command::new(&self.path);
        let (name, arguments) = self.words.split_first().context("no program is named")?;
        command.arg0(name).args(arguments).env(VARIABLE, &backend.value);
        // It would give GPUs other backends all the same.
        command.env_remove(ROUTE);
        if let Some(place) = trace {
            command.env(TRACE, trace_place(place)?);
        }
        Ok(command)
    }

    /// Why it did not start.
    pub(crate) fn not_started(&self, error: io::Error) -> Failure {
        let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
        let error = Error::new(error).context(format!("cannot start {}", self.path.display()));
        Failure { error, code }
    }
}

/// Refuses a program that would not notice the variable.
fn check_reads_variable(path: &Path, foretold: &Foretold) -> Result<()> {
    if foretold.secure {
        bail!(
            "{} is set-user-ID or set-group-ID, so the shim in it ignores {VARIABLE}: make the \
             backend the one of all programs with `installer backends use NAME`",
            path.display()
        );
    }
    if let (None, Some(rocblas)) = (foretold.uses.shim(), foretold.uses.rocblas.first()) {
        bail!(
            "{} would load {}, which is not the shim and ignores {VARIABLE}: place the shim there \
             with `installer apply`, or take that directory out of LD_LIBRARY_PATH",
            path.display(),
            rocblas.path.display()
        );
    }
    Ok(())
}

/// A backend that the shim will accept.
fn backend(
    root: &Root,
    rocm: Option<&Path>,
    value: &OsStr,
    foretold: &Foretold,
) -> Result<Backend> {
    if value.as_bytes().contains(&b'/') {
        // The program may change its directory before it calls rocBLAS.
        let path = std::path::absolute(value).context("cannot tell the current directory")?;
        choice::library(root, &path).map_err(|why| anyhow!("--backend: {why}"))?;
        return Ok(Backend { library: resolved(root, &path), value: path.into_os_string() });
    }
    // The store of the shim that the program links, or, if it opens rocBLAS while it runs, that of
    // the tree.
    let (lib, directories) = match foretold.uses.shim() {
        Some(shim) => {
            let directories = choice::directories(root, shim.found.as_ref().unwrap_or(&shim.path));
            let lib = directories.first().cloned().unwrap_or_else(|| PathBuf::from("/"));
            (lib, directories)
        }
        None => {
            let lib = tree::choose(root, rocm).context("no store to look the name up in")?.lib;
            (lib.clone(), vec![lib])
        }
    };
    let name = match stock(root, &lib, value) {
        Some(name) => name.into(),
        None => value.to_owned(),
    };
    let chosen = choice::backend(root, &directories, Some(&name), Path::new("/"));
    let usable = chosen.and_then(|chosen| {
        choice::library(root, &chosen.path)?;
        Ok(chosen.path)
    });
    match usable {
        Ok(path) => Ok(Backend { library: resolved(root, &path), value: name }),
        Err(why) => bail!("{}", no_backend(root, &lib, value, &why)),
    }
}

/// The file behind symlinks.
fn resolved(root: &Root, path: &Path) -> PathBuf {
    root.resolve(path).unwrap_or_else(|_| path.to_owned())
}

/// The name in the store of the kept stock library, if it is asked for as such.
fn stock(root: &Root, lib: &Path, value: &OsStr) -> Option<String> {
    let listed = backends::list(root, lib).ok().filter(|_| value == STOCK)?;
    if listed.iter().any(|backend| backend.name == STOCK) {
        return None;
    }
    listed.into_iter().find(|backend| backend.is_stock).map(|backend| backend.name)
}

fn no_backend(root: &Root, lib: &Path, value: &OsStr, why: &str) -> String {
    let listed = backends::list(root, lib).unwrap_or_default();
    let names: Vec<&str> = listed.iter().map(|backend| backend.name.as_str()).collect();
    let others = match names.as_slice() {
        [] => "the store is empty; `installer apply --backend PATH` places one".to_owned(),
        names => format!("the store has {}; a path needs a `/` in it", names.join(", ")),
    };
    match names.iter().any(|name| OsStr::new(name) == value) {
        true => format!("backend {} cannot be used: {why}", value.display()),
        false => format!("there is no backend {} in {}: {others}", value.display(), lib.display()),
    }
}

/// Words of the shim's stay as they are; a directory is named whole, since the program may change its
/// own.
fn trace_place(place: &Path) -> Result<PathBuf> {
    if place == Path::new("stderr") || place == Path::new("off") {
        return Ok(place.to_owned());
    }
    std::path::absolute(place).with_context(|| format!("--trace {}", place.display()))
}
