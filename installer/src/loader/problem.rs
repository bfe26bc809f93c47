//! What the loader would complain of, in sentences that name the file and the cure.

use rocblas_contract::libraries::{Renamed, renamed};
use serde::Serialize;
use std::path::PathBuf;

/// Something that the loader would refuse, or that would fail at the first call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "problem", rename_all = "kebab-case")]
pub enum Problem {
    /// No file of that name is where the loader looks.
    #[error(
        "{} needs {name}, which is not in {}: {}",
        needed_by.display(),
        list(looked_in),
        cure(name)
    )]
    MissingLibrary {
        /// The name asked for.
        name: String,
        /// The file that asks.
        #[serde(serialize_with = "crate::output::json::path")]
        needed_by: PathBuf,
        /// The directories, or the path if the name is one.
        #[serde(serialize_with = "crate::output::json::paths")]
        looked_in: Vec<PathBuf>,
    },
    /// The only files of that name are for another machine.
    #[error(
        "{} needs {name}, and {} is for another machine ({machine}): install the x86-64 library",
        needed_by.display(),
        path.display()
    )]
    WrongArchitecture {
        /// The name asked for.
        name: String,
        /// The file that asks.
        #[serde(serialize_with = "crate::output::json::path")]
        needed_by: PathBuf,
        /// The file found.
        #[serde(serialize_with = "crate::output::json::path")]
        path: PathBuf,
        /// What it is for.
        machine: String,
    },
    /// A file that cannot be loaded.
    #[error(
        "{} cannot be loaded: at offset {offset:#x}: {what}; install it anew",
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
    /// A file that is there and cannot be read.
    #[error("{} cannot be read: {why}", path.display())]
    Unreadable {
        /// The file.
        #[serde(serialize_with = "crate::output::json::path")]
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// A library does not define a version node that another needs of it.
    #[error(
        "version '{version}' not found in {}, and {} needs it: install the release of that library \
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
        "{} was built on a newer system: it needs {wanted}, and {} has {}: take a build for this \
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
    /// A library has lost its version nodes; the loader warns of that, and binds.
    #[error(
        "{} has no version information, of which {} needs some: it is not the library it was built \
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
        "symbol {} not found, and {} needs it{}: a library that it needs is of another release",
        versioned(symbol, version.as_deref()),
        needed_by.display(),
        if *only_called { " at its first call" } else { "" }
    )]
    MissingSymbol {
        /// Its name, mangled.
        symbol: String,
        /// The version that it is asked for with.
        version: Option<String>,
        /// Whether all goes well until it is called.
        only_called: bool,
        /// The file that needs it.
        #[serde(serialize_with = "crate::output::json::path")]
        needed_by: PathBuf,
    },
    /// Streams and pointers of one mean nothing to the other.
    #[error(
        "two HIP runtimes would be loaded, {} and {}: let both names lead to one file",
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
    format!("ROCm 7 has {new} for it, and `installer apply` makes the one lead to the other")
}
