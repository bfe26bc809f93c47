//! A backend: a rocBLAS that the shim opens itself and forwards to.
//!
//! [`locate`] lists the files to try, [`inspect`] refuses what is not a rocBLAS before the loader
//! sees it, [`open`] loads it, [`adapt`] makes its references to itself and to `getenv` what they
//! should be, [`resolve`] fills a table with its functions. [`generation`] is which rocBLAS it is, [`hip`] is the runtime it uses,
//! [`kernels`] whether it has any for the machine's GPUs.

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

/// An open backend. Never closed: clients may call into it until the process is gone.
#[derive(Debug)]
pub(crate) struct Backend {
    /// Its place among [`crate::backends`].
    pub(crate) slot: Slot,
    /// Its name in the store, or its file name when it was given by path.
    pub(crate) name: String,
    /// The file, as it was opened.
    pub(crate) path: PathBuf,
    /// For clients, as C strings.
    pub(crate) texts: Texts,
    /// Where its dynamic section is: no other library's is there.
    pub(crate) dynamic: usize,
    /// Device and inode of the file.
    pub(crate) identity: Option<(u64, u64)>,
    /// Every export's function; the cold entry where there is none.
    pub(crate) table: Box<Table>,
    /// Indices of the exports that neither it nor a promise of ours supplies.
    pub(crate) missing: Vec<u16>,
    /// The words of its exported data, in the order of [`crate::exports::data`]; `None` where it
    /// lacks one.
    pub(crate) data: Vec<Option<Vec<usize>>>,
    /// The promises of 5.0.2 that are kept for it, and what they work with.
    pub(crate) compat: Compat,
    /// Its references to itself and to `getenv`, as they should be.
    pub(crate) bindings: adapt::Bindings,
    /// What it is told of the environment.
    pub(crate) environment: environment::View,
    /// How long the parts of opening it took.
    pub(crate) took: Took,
}

/// What clients are told of a backend.
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

/// Device and inode of a file, whatever its name.
pub(crate) fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

impl Backend {
    /// Whether it was opened from the file that has this path now.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        self.identity.is_some() && self.identity == identity(path)
    }
}

/// Start-up by parts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Took {
    pub(crate) open: Duration,
    pub(crate) adapt: Duration,
    pub(crate) resolve: Duration,
}
