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

use crate::{compat::Compat, table::Table};
use std::{path::PathBuf, time::Duration};

/// An open backend. Never closed: clients may call into it until the process is gone.
#[derive(Debug)]
pub(crate) struct Backend {
    /// Its name in the store, or its file name when it was given by path.
    pub(crate) name: String,
    /// The file, as it was opened.
    pub(crate) path: PathBuf,
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

/// Start-up by parts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Took {
    pub(crate) open: Duration,
    pub(crate) adapt: Duration,
    pub(crate) resolve: Duration,
}
