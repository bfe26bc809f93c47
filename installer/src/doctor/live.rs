//! The live check: a child process opens the shim as a program would and asks it which backend it uses.
//! Everything that can fail at load time fails there, with the loader's own message.

use super::{
    child::{self, End},
    shared_object::{SharedObject, text},
};
use crate::{peers, root::Root};
use serde::{Deserialize, Serialize};
use std::{
    ffi::{CStr, c_char},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Longer than it takes to read a library of a gigabyte from a slow disk.
const LIMIT: Duration = Duration::from_secs(120);

/// The result of opening the shim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "live", rename_all = "snake_case")]
pub enum Live {
    /// It was not tried.
    NotDone {
        /// Why.
        why: String,
    },
    /// The shim was opened.
    Opened {
        /// What it reported.
        #[serde(flatten)]
        answer: Answer,
        /// What it and the libraries in the process printed to stderr.
        stderr: String,
    },
    /// The loader rejected a file.
    NotLoaded {
        /// The file.
        #[serde(serialize_with = "crate::output::json::path")]
        file: PathBuf,
        /// The loader's message.
        error: String,
        /// What else was printed.
        stderr: String,
    },
    /// The file was loaded but is not a shim.
    NoShim {
        /// The file.
        #[serde(serialize_with = "crate::output::json::path")]
        file: PathBuf,
    },
    /// The process returned no result.
    Died {
        /// How it ended.
        end: End,
        /// Its last output.
        stderr: String,
    },
}

/// What the shim reports about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Its version.
    pub shim: String,
    /// The backend's name in the store; empty if there is none.
    pub backend: String,
    /// Its file.
    pub path: String,
    /// The result of its `rocblas_get_version_string`.
    pub version: String,
    /// The promises of ROCm 7 that the shim keeps for it, separated by commas.
    pub compat: String,
    /// What the exported functions jump to: "direct" if all is well.
    pub mode: String,
    /// The functions that neither the backend nor the shim has.
    pub missing: Vec<String>,
    /// Why there is no backend.
    pub error: String,
}

/// What the child prints.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Opened(Answer),
    NotLoaded {
        #[serde(serialize_with = "crate::output::json::path")]
        file: PathBuf,
        error: String,
    },
    NoShim {
        #[serde(serialize_with = "crate::output::json::path")]
        file: PathBuf,
    },
}

/// Opens the shim at a path of the machine in a child process. Only for the running system: a library of
/// another root would be loaded with this system's loader and libraries.
///
/// The error is the one of starting the child.
pub fn check(root: &Root, shim: &Path) -> io::Result<Live> {
    if !root.is_system() {
        let why = format!(
            "{} is not the running system; run `installer doctor` inside it",
            root.directory().display()
        );
        return Ok(Live::NotDone { why });
    }
    let ended = child::run::<Said>(&["live-check".as_ref(), shim.as_os_str()], LIMIT)?;
    let stderr = ended.stderr;
    Ok(match (ended.answer, ended.end) {
        (Some(Said::Opened(answer)), End::Code(0)) => Live::Opened { answer, stderr },
        (Some(Said::NotLoaded { file, error }), End::Code(0)) => {
            Live::NotLoaded { file, error, stderr }
        }
        (Some(Said::NoShim { file }), End::Code(0)) => Live::NoShim { file },
        // It may also crash after printing the result, while the process exits.
        (_, end) => Live::Died { end, stderr },
    })
}

/// The child's part.
pub fn respond(shim: &Path) -> io::Result<()> {
    child::leave_no_core();
    child::print_result(&look(shim))
}

fn look(shim: &Path) -> Said {
    let not_loaded = |file: &Path, error| Said::NotLoaded { file: file.to_owned(), error };
    // A ROCm program has loaded its HIP runtime by the time it loads rocBLAS.
    if let Some(hip) = peers::hip_of(shim)
        && let Err(error) = SharedObject::open(&hip)
    {
        return not_loaded(&hip, error);
    }
    match SharedObject::open(shim) {
        Err(error) => not_loaded(shim, error),
        Ok(library) => match ask(&library) {
            Some(answer) => Said::Opened(answer),
            None => Said::NoShim { file: shim.to_owned() },
        },
    }
}

type Text = unsafe extern "C" fn() -> *const c_char;

/// Everything that `rocblas_shim.h` reports; `None` for a library that is not a shim.
pub(crate) fn ask(library: &SharedObject) -> Option<Answer> {
    let text_of = |name: &CStr| {
        // SAFETY: the header's type for all functions that are looked up here.
        let function = unsafe { library.function::<Text>(name) }?;
        // SAFETY: may be called at any time; the string is valid until the process ends.
        Some(unsafe { text(function()) })
    };
    let shim = text_of(c"rocblas_shim_version")?;
    let of_backend = |name| text_of(name).unwrap_or_default();
    Some(Answer {
        shim,
        // The first of these opens the backend.
        backend: of_backend(c"rocblas_shim_backend_name"),
        path: of_backend(c"rocblas_shim_backend_path"),
        version: of_backend(c"rocblas_shim_backend_version"),
        compat: of_backend(c"rocblas_shim_compat"),
        missing: missing(library),
        mode: of_backend(c"rocblas_shim_mode"),
        error: of_backend(c"rocblas_shim_error"),
    })
}

fn missing(library: &SharedObject) -> Vec<String> {
    type Count = unsafe extern "C" fn() -> usize;
    type Name = unsafe extern "C" fn(usize) -> *const c_char;
    // SAFETY: the header's types.
    let functions = unsafe {
        let count = library.function::<Count>(c"rocblas_shim_missing_count");
        count.zip(library.function::<Name>(c"rocblas_shim_missing_name"))
    };
    let Some((count, name)) = functions else { return Vec::new() };
    // SAFETY: may be called at any time, with any position.
    unsafe { (0..count()).map(|position| text(name(position))).collect() }
}
