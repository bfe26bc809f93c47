//! `run`: a program with another backend of the shim, for this once. The program takes this process's
//! place, so that signals, descriptors and the exit code are its own.

use crate::{
    launch::{Failure, Program},
    root::Root,
};
use std::{
    convert::Infallible,
    ffi::OsString,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// A name in the store, or a path if there is a slash in it.
    pub backend: OsString,
    /// Where to trace to, or `stderr`.
    pub trace: Option<PathBuf>,
    /// The program, a path or a name that is looked for in `PATH`, and what it is given.
    pub command: Vec<OsString>,
}

/// Starts the program in the place of this process. Returns only if that fails.
pub fn run(root: &Root, rocm: Option<&Path>, request: Request) -> Result<Infallible, Failure> {
    let program = Program::find(root, request.command)?;
    let backend = program.backend(root, rocm, &request.backend)?;
    let mut command = program.command(&backend, request.trace.as_deref())?;
    Err(program.not_started(command.exec()))
}
