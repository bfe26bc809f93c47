//! Which backend a new handle gets: the one that was asked for at run time, or the first.

use crate::{backend::Backend, backends};

/// The backend for a handle that is made now by this thread. The error has been said.
pub(crate) fn for_new_handle() -> Result<&'static Backend, NoBackend> {
    backends::in_use().or_else(backends::first).ok_or(NoBackend)
}

/// There is none to be had.
#[derive(Debug)]
pub(crate) struct NoBackend;
