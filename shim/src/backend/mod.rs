//! A backend: a rocBLAS that the shim opens itself and forwards to.
//!
//! [`locate`] lists the files to try, [`inspect`] refuses what is not a rocBLAS before the loader
//! sees it, [`open`] loads it, [`adapt`] makes its references to itself and to `getenv` what they
//! should be, [`resolve`] fills a table with its functions.

pub(crate) mod adapt;
pub(crate) mod environment;
pub(crate) mod inspect;
pub(crate) mod locate;
pub(crate) mod open;
pub(crate) mod refusal;
pub(crate) mod resolve;

use crate::table::Table;
use std::{path::PathBuf, time::Duration};

/// An open backend. Never closed: clients may call into it until the process is gone.
#[derive(Debug)]
pub(crate) struct Backend {
    /// Its name in the store, or its file name when it was given by path.
    pub(crate) name: String,
    /// The file, as it was opened.
    pub(crate) path: PathBuf,
    /// Every export's function; the cold entry where the backend lacks it.
    pub(crate) table: Box<Table>,
    /// Indices of the exports it lacks.
    pub(crate) missing: Vec<u16>,
    /// The bytes of its exported data, in the order of [`crate::exports::data`]; `None` where it
    /// lacks one.
    pub(crate) data: Vec<Option<Vec<u8>>>,
    /// What it is told of the environment.
    pub(crate) environment: environment::View,
    /// How long the parts of opening it took.
    pub(crate) took: Took,
}

/// Start-up by parts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Took {
    pub(crate) open: Duration,
    pub(crate) adapt: Duration,
    pub(crate) resolve: Duration,
}
