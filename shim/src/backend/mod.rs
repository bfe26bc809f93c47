//! A backend: a rocBLAS that the shim opens itself and forwards to.
//!
//! [`locate`] lists the files to try, [`inspect`] refuses a file that is not a rocBLAS before the loader
//! maps it, [`open`] loads it, [`adapt`] binds its references to itself and to `getenv`, [`resolve`] fills
//! a table with its functions. [`generation`] is its version, [`hip`] the HIP runtime that it uses, and
//! [`kernels`] checks whether it has kernels for a GPU.

pub(crate) mod adapt;
pub(crate) mod environment;
pub(crate) mod generation;
pub(crate) mod hip;
pub(crate) mod inspect;
pub(crate) mod kernels;
pub(crate) mod locate;
pub(crate) mod needs;
pub(crate) mod open;
pub(crate) mod refusal;
pub(crate) mod resolve;

use crate::{
    backends::Slot,
    compat::{Compat, Promises},
    table::Table,
};
use std::{
    ffi::CString,
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// An open backend. Never closed: clients may call into it until the process ends.
#[derive(Debug)]
pub(crate) struct Backend {
    /// Its slot in [`crate::backends`].
    pub(crate) slot: Slot,
    /// Its name in the store, or its file name if it was given by path.
    pub(crate) name: String,
    /// The path by which it was opened.
    pub(crate) path: PathBuf,
    /// C strings that the `rocblas_shim_*` functions return.
    pub(crate) texts: Texts,
    /// The address of its dynamic section, which identifies the library in this process.
    pub(crate) dynamic: usize,
    /// Device and inode of the file.
    pub(crate) identity: Option<(u64, u64)>,
    /// The function of every export; the cold entry if it has none.
    pub(crate) table: Box<Table>,
    /// Indices of the exports that neither the backend nor a promise supplies.
    pub(crate) missing: Vec<u16>,
    /// The words of its exported data, in the order of [`crate::exports::data`]; `None` for a symbol
    /// that it lacks.
    pub(crate) data: Vec<Option<Vec<usize>>>,
    /// The promises of 5.0.2 that are kept for it, and their state.
    pub(crate) compat: Compat,
    /// The required values of its references to itself and to `getenv`.
    pub(crate) bindings: adapt::Bindings,
    /// The environment that it sees.
    pub(crate) environment: environment::View,
    /// How long each part of opening it took.
    pub(crate) took: Took,
}

/// Descriptions of a backend for clients.
#[derive(Debug)]
pub(crate) struct Texts {
    pub(crate) name: CString,
    pub(crate) path: CString,
    /// The promises that are kept for it.
    pub(crate) promises: CString,
}

impl Texts {
    pub(crate) fn of(name: &str, path: &Path, promises: Promises) -> Self {
        let text = |bytes: &[u8]| CString::new(bytes).unwrap_or_default();
        Self {
            name: text(name.as_bytes()),
            path: text(path.as_os_str().as_bytes()),
            promises: text(promises.names().join(",").as_bytes()),
        }
    }
}

/// Device and inode of a file.
pub(crate) fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

impl Backend {
    /// Whether it was opened from the file that is at this path now.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        self.identity.is_some() && self.identity == identity(path)
    }
}

/// The duration of each part of start-up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Took {
    pub(crate) open: Duration,
    pub(crate) adapt: Duration,
    pub(crate) resolve: Duration,
}
