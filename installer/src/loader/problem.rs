//! The loader's errors, in sentences that name the file and the fix.

use rocblas_contract::libraries::{Renamed, renamed};
use serde::Serialize;
use std::path::PathBuf;

/// Something that the loader would reject, or that would fail at the first call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "problem", rename_all = "kebab-case")]
pub enum Problem {
    /// No directory that the loader searches contains a file of that name.
    #[error(
        "{} needs {name}, which is not in {}: {}",
        needed_by.display(),
        list(looked_in),
        cure(name)
    )]
    MissingLibrary {
        /// The needed name.
        name: String,
        /// The file that needs it.
        #[serde(serialize_with = "crate::output::json::path")]
        needed_by: PathBuf,
        /// The directories, or the path if the name is one.
        #[serde(serialize_with = "crate::output::json::paths")]
        looked_in: Vec<PathBuf>,
    },
    /// The only files of that name are for another machine.
    #[error(
        "{} needs {name}, but {} is for another machine ({machine}): install the x86-64 library",
        needed_by.display(),
        path.display()
    )]
    WrongArchitecture {
        /// The needed name.
        name: String,
        /// The file that needs it.
        #[serde(serialize_with = "crate::output::json::path")]
        needed_by: PathBuf,
        /// The file found.
        #[serde(serialize_with = "crate::output::json::path")]
        path: PathBuf,
        /// The machine it is for.
        machine: String,
    },
    /// A file that cannot be loaded.
    #[error(
        "{} cannot be loaded: at offset {offset:#x}: {what}; reinstall it",
        path.display()
    )]
    Malformed {
        /// The file.
        #[serde(serialize_with = "crate::output::json::path")]
        path: PathBuf,
        /// Bytes from its beginning.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// A file that exists but cannot be read.
    #[error("{} cannot be read: {why}", path.display())]
    Unreadable {
        /// The file.
        #[serde(serialize_with = "crate::output::json::path")]
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// A library does not define a version node that another needs from it.
    #[error(
        "version '{version}' not found in {}, but {} needs it: install the release of that library \
         that it was built with, or a newer one",
        library.display(),
        needed_by.display()
    )]
    MissingVersion {
        /// The node.
        version: String,
        /// The file that should define it.
        #[serde(serialize_with = "crate::output::json::path")]
        library: PathBuf,
        /// The file that needs it.
        #[serde(serialize_with = "crate::output::json::path")]
        needed_by: PathBuf,
    },
    /// The same for glibc and libstdc++, which are the distribution's.
    #[error(
        "{} was built on a newer system: it needs {wanted}, but {} has {}: use a build for this \
         distribution, or a newer distribution",
        needed_by.display(),
        library.display(),
        had.as_deref().unwrap_or("none of that kind")
    )]
    TooOld {
        /// The node that is needed.
        wanted: String,
        /// The newest of its kind.
        had: Option<String>,
        /// The file that should define it.
        #[serde(serialize_with = "crate::output::json::path")]
        library: PathBuf,
        /// The file that needs it.
        #[serde(serialize_with = "crate::output::json::path")]
        needed_by: PathBuf,
    },
    /// A library without version nodes although some are needed; the loader warns about that, and binds.
    #[error(
        "{} has no version information, but {} needs some: it is not the library it was built \
         with",
        library.display(),
        needed_by.display()
    )]
    NoVersions {
        /// The file that should define them.
        #[serde(serialize_with = "crate::output::json::path")]
        library: PathBuf,
        /// The file that needs them.
        #[serde(serialize_with = "crate::output::json::path")]
        needed_by: PathBuf,
    },
    /// No loaded file defines a symbol.
    #[error(
        "symbol {} not found, but {} needs it{}: a library that it needs is from another release",
        versioned(symbol, version.as_deref()),
        needed_by.display(),
        if *only_called { " at its first call" } else { "" }
    )]
    MissingSymbol {
        /// Its name, mangled.
        symbol: String,
        /// The version with which it is needed.
        version: Option<String>,
        /// Whether it fails only when it is called.
        only_called: bool,
        /// The file that needs it.
        #[serde(serialize_with = "crate::output::json::path")]
        needed_by: PathBuf,
    },
    /// Streams and pointers of one are invalid in the other.
    #[error(
        "two HIP runtimes would be loaded, {} and {}: make both names point to one file",
        first.display(),
        second.display()
    )]
    TwoHipRuntimes {
        /// The one loaded first.
        #[serde(serialize_with = "crate::output::json::path")]
        first: PathBuf,
        /// The other.
        #[serde(serialize_with = "crate::output::json::path")]
        second: PathBuf,
    },
}

fn list(directories: &[PathBuf]) -> String {
    let names: Vec<String> = directories.iter().map(|d| d.display().to_string()).collect();
    names.join(", ")
}

fn versioned(symbol: &str, version: Option<&str>) -> String {
    version.map_or_else(|| symbol.to_owned(), |version| format!("{symbol}@{version}"))
}

fn cure(name: &str) -> String {
    let Some(Renamed { new, .. }) = renamed(name) else {
        return "install it, or name its directory in a file in /etc/ld.so.conf.d and run ldconfig"
            .to_owned();
    };
    format!("ROCm 7 has {new} instead, and `installer apply` provides it under this name")
}
