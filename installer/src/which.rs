//! `which`: the rocBLAS, the shim's backend and the HIP runtime that a process has loaded, or that a
//! program would load.

pub mod library;
mod process;
pub mod program;
mod text;

pub use library::Library;
pub use text::text;
pub(crate) use text::{plain, rows};

use crate::root::Root;
use anyhow::Error;
use library::Kind;
use rocblas_contract::variables::{LIBRARY_PATH, PRELOAD};
use serde::{Serialize, Serializer};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The environment variables by which a process finds its libraries and its backend.
const VARIABLES: [&str; 3] = [crate::choice::VARIABLE, LIBRARY_PATH, PRELOAD];

/// What a process or a program uses.
#[derive(Debug, Default, Serialize)]
pub struct Uses {
    /// Every rocBLAS except the backend, in loading order; more than one is rarely intended.
    pub rocblas: Vec<Library>,
    /// The backend of the shim.
    pub backend: Option<Backend>,
    /// Every HIP runtime.
    pub hip: Vec<Library>,
    /// Every hipBLAS.
    pub hipblas: Vec<Library>,
    /// Remarks for the user.
    pub notes: Vec<String>,
}

/// The library that the shim forwards to.
#[derive(Debug, Serialize)]
pub struct Backend {
    /// Its name in the store, if it is in one.
    pub name: Option<String>,
    /// The library.
    #[serde(flatten)]
    pub library: Library,
    /// What selected it, if known: a process may have been started with other settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen_by: Option<crate::choice::ChosenBy>,
}

/// A process or a program.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Subject {
    /// It is running, with the libraries that it has loaded.
    Process {
        /// Its PID.
        pid: u32,
        /// Its program, if known.
        #[serde(serialize_with = "optional_lossy")]
        program: Option<PathBuf>,
        /// Whether paths are those of another mount namespace.
        in_other_namespace: bool,
    },
    /// It would be started with this command's environment.
    Program {
        /// Its file, inside the root.
        #[serde(serialize_with = "lossy")]
        path: PathBuf,
    },
}

/// The result for one target.
#[derive(Debug, Serialize)]
pub struct Found {
    /// What it is.
    #[serde(flatten)]
    pub subject: Subject,
    /// What it uses.
    #[serde(flatten)]
    pub uses: Uses,
    /// The variables in `VARIABLES` that are set.
    pub environment: BTreeMap<&'static str, String>,
}

/// One target.
#[derive(Debug, Serialize)]
pub struct Asked {
    /// As given.
    pub target: String,
    /// The result, or why there is none.
    #[serde(flatten)]
    pub result: Outcome,
}

/// The result, or the reason.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// The target could be read.
    Found(Box<Found>),
    /// It could not be read.
    Failed {
        /// With its causes.
        #[serde(serialize_with = "causes")]
        error: Error,
    },
}

/// JSON requires Unicode; the rest of the name is still useful.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

fn optional_lossy<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.display().to_string()).serialize(serializer)
}

fn causes<S: Serializer>(error: &Error, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(error.chain().map(ToString::to_string))
}

/// Examines each target: a process by its PID, or a program by its name or path.
#[must_use]
pub fn which(root: &Root, targets: &[OsString]) -> Vec<Asked> {
    let environment = program::Environment::current(root);
    let one = |target: &OsString| {
        let pid = target.to_str().and_then(|text| text.parse().ok());
        let found = match pid {
            Some(pid) => process::of(root, pid),
            None => program::named(root, target.as_ref(), &environment),
        };
        let result = match found {
            Ok(found) => Outcome::Found(Box::new(found)),
            Err(error) => Outcome::Failed { error },
        };
        Asked { target: target.to_string_lossy().into_owned(), result }
    };
    targets.iter().map(one).collect()
}

/// 1 if one could not be read, else 3 if one uses no rocBLAS, else 0.
#[must_use]
pub fn exit_code(asked: &[Asked]) -> u8 {
    let code = |one: &Asked| match &one.result {
        Outcome::Failed { .. } => 1,
        Outcome::Found(found) if found.uses.rocblas.is_empty() => 3,
        Outcome::Found(_) => 0,
    };
    let codes: Vec<u8> = asked.iter().map(code).collect();
    [1, 3].into_iter().find(|code| codes.contains(code)).unwrap_or(0)
}

impl Uses {
    /// Classifies libraries. A rocBLAS behind a shim is its backend: see [`Self::split_backend`].
    fn of(libraries: impl IntoIterator<Item = (Kind, Library)>) -> Self {
        let mut uses = Self::default();
        for (kind, library) in libraries {
            match kind {
                Kind::Rocblas => uses.rocblas.push(library),
                Kind::Hip => uses.hip.push(library),
                Kind::Hipblas => uses.hipblas.push(library),
            }
        }
        uses
    }

    /// Notes a library that is loaded twice: neither copy knows the other's handles and streams.
    fn note_several(&mut self) {
        for (what, libraries) in [("rocBLAS", &self.rocblas), ("HIP runtime", &self.hip)] {
            if libraries.len() > 1 {
                self.notes.push(format!("more than one {what} in one process"));
            }
        }
    }

    /// The shim, if it is the rocBLAS in use.
    #[must_use]
    pub fn shim(&self) -> Option<&Library> {
        self.rocblas.iter().find(|library| library.shim.is_some())
    }

    /// In a process with the shim, the backend is the library from a store, or else the only other rocBLAS.
    fn split_backend(&mut self) {
        if self.shim().is_none() {
            return;
        }
        let is_other = |library: &Library| library.shim.is_none();
        let in_store = |library: &Library| crate::choice::name_in_store(&library.path).is_some();
        let position = (self.rocblas.iter().position(|l| is_other(l) && in_store(l)))
            .or_else(|| self.rocblas.iter().position(is_other));
        if let Some(position) = position {
            let library = self.rocblas.remove(position);
            let name = crate::choice::name_in_store(&library.path);
            self.backend = Some(Backend { name, library, chosen_by: None });
        }
    }
}
