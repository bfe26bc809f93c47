//! Starts a program with a given backend: what `run` and `compare` check before they start anything, and the
//! command that starts the program.

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
    env,
    ffi::{OsStr, OsString},
    io,
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

/// The name that always refers to the kept stock library, whatever its release.
const STOCK: &str = "stock";

/// Why a program was not started.
#[derive(Debug)]
pub struct Failure {
    /// The message.
    pub error: Error,
    /// The exit code, as in shells and env(1): 127 if the program is not found, 126 if it cannot be started,
    /// 1 if the command refuses to start it.
    pub code: u8,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, code: 1 }
    }
}

/// A program that respects the environment variable that selects a backend.
#[derive(Debug)]
pub(crate) struct Program {
    /// The program's path.
    path: PathBuf,
    /// The arguments, starting with the program's own name.
    words: Vec<OsString>,
    foretold: Foretold,
}

/// A backend that the program's shim accepts.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    /// The value for the variable.
    value: OsString,
    /// The library's file, without symlinks.
    pub(crate) library: PathBuf,
}

/// The backends that are available to a program.
#[derive(Debug)]
pub(crate) struct Installed {
    /// The directory with the store.
    pub(crate) lib: PathBuf,
    /// The one that the program uses by default: its name in the store, or its path if it is not in the
    /// store.
    pub(crate) in_use: OsString,
    /// The other backends of the store.
    pub(crate) others: Vec<OsString>,
}

impl Program {
    /// Finds the program of a command line. Rejects a program that would ignore the variable.
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

    /// The program's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The arguments.
    pub(crate) fn words(&self) -> &[OsString] {
        &self.words
    }

    /// The backend with this name, or at this path if it contains a slash.
    pub(crate) fn backend(
        &self,
        root: &Root,
        rocm: Option<&Path>,
        value: &OsStr,
    ) -> Result<Backend> {
        backend(root, rocm, value, Some(&self.foretold))
    }

    /// The backend that the program uses by default, and the others of its store.
    pub(crate) fn installed(&self, root: &Root, rocm: Option<&Path>) -> Result<Installed> {
        let (lib, directories) = store_of(root, rocm, Some(&self.foretold))?;
        let working_directory = env::current_dir().context("cannot tell the current directory")?;
        let value = env::var_os(VARIABLE).filter(|value| !value.is_empty());
        let chosen = choice::backend(root, &directories, value.as_deref(), &working_directory);
        let chosen = chosen
            .map_err(|why| anyhow!("no backend is in use, so name two with --backend: {why}"))?;
        let listed = backends::list(root, &lib).unwrap_or_default();
        let is_listed = listed.iter().any(|backend| backend.name == chosen.name);
        let in_use = if is_listed { chosen.name.clone().into() } else { chosen.path.into() };
        let others = listed.into_iter().map(|backend| backend.name);
        let others = others.filter(|name| *name != chosen.name).map(OsString::from).collect();
        Ok(Installed { lib, in_use, others })
    }

    /// The command that starts the program with this backend, and with a trace if one is requested.
    pub(crate) fn command(&self, backend: &Backend, trace: Option<&Path>) -> Result<Command> {
        let mut command = Command::new(&self.path);
        let (name, arguments) = self.words.split_first().context("no program is named")?;
        command.arg0(name).args(arguments).env(VARIABLE, &backend.value);
        // A route would still assign other backends to some GPUs.
        command.env_remove(ROUTE);
        if let Some(place) = trace {
            command.env(TRACE, trace_place(place)?);
        }
        Ok(command)
    }

    /// The reason why the program could not be started.
    pub(crate) fn not_started(&self, error: io::Error) -> Failure {
        let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
        let error = Error::new(error).context(format!("cannot start {}", self.path.display()));
        Failure { error, code }
    }
}

/// Rejects a program that would ignore the variable.
fn check_reads_variable(path: &Path, foretold: &Foretold) -> Result<()> {
    if foretold.secure {
        bail!(
            "{} is set-user-ID or set-group-ID, so its shim ignores {VARIABLE}: select the \
             backend for all programs with `installer backends use NAME`",
            path.display()
        );
    }
    if let (None, Some(rocblas)) = (foretold.uses.shim(), foretold.uses.rocblas.first()) {
        bail!(
            "{} would load {}, which is not the shim and ignores {VARIABLE}: install the shim there \
             with `installer apply`, or remove that directory from LD_LIBRARY_PATH",
            path.display(),
            rocblas.path.display()
        );
    }
    Ok(())
}

/// A backend that the shim accepts: from the store of the program's shim, or otherwise from that of the
/// library directory.
pub(crate) fn backend(
    root: &Root,
    rocm: Option<&Path>,
    value: &OsStr,
    foretold: Option<&Foretold>,
) -> Result<Backend> {
    if value.as_bytes().contains(&b'/') {
        // The program may change its working directory before it calls rocBLAS.
        let path = std::path::absolute(value).context("cannot determine the current directory")?;
        choice::library(root, &path).map_err(|why| anyhow!("--backend: {why}"))?;
        return Ok(Backend { library: resolved(root, &path), value: path.into_os_string() });
    }
    let (lib, directories) = store_of(root, rocm, foretold)?;
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

/// The directory with the store, and those in which the shim searches for one. They belong to the shim that
/// the program links or, if the program opens rocBLAS while it runs, to that of the library directory.
fn store_of(
    root: &Root,
    rocm: Option<&Path>,
    foretold: Option<&Foretold>,
) -> Result<(PathBuf, Vec<PathBuf>)> {
    Ok(match foretold.and_then(|foretold| foretold.uses.shim()) {
        Some(shim) => {
            let directories = choice::directories(root, shim.found.as_ref().unwrap_or(&shim.path));
            let lib = directories.first().cloned().unwrap_or_else(|| PathBuf::from("/"));
            (lib, directories)
        }
        None => {
            let lib = tree::choose(root, rocm).context("no store to look the name up in")?.lib;
            (lib.clone(), vec![lib])
        }
    })
}

/// The file that a path refers to, with symlinks resolved.
fn resolved(root: &Root, path: &Path) -> PathBuf {
    root.resolve(path).unwrap_or_else(|_| path.to_owned())
}

/// The store name of the kept stock library, if the backend is that library.
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
        [] => "the store is empty; `installer apply --backend PATH` adds one".to_owned(),
        names => format!("the store has {}; a path must contain a `/`", names.join(", ")),
    };
    match names.iter().any(|name| OsStr::new(name) == value) {
        true => format!("backend {} cannot be used: {why}", value.display()),
        false => format!("there is no backend {} in {}: {others}", value.display(), lib.display()),
    }
}

/// Special words that the shim understands are passed unchanged. A directory is made absolute, since the
/// program may change its working directory.
fn trace_place(place: &Path) -> Result<PathBuf> {
    if place == Path::new("stderr") || place == Path::new("off") {
        return Ok(place.to_owned());
    }
    std::path::absolute(place).with_context(|| format!("--trace {}", place.display()))
}
