//! `run`: starts one program with another backend of the shim. The program replaces this process, so that
//! signals, descriptors and the exit code are the program's own.

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

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// A name in the store, or a path, which contains a slash.
    pub backend: OsString,
    /// Where to write the trace, or `stderr`.
    pub trace: Option<PathBuf>,
    /// The program, as a path or a name in `PATH`, and its arguments.
    pub command: Vec<OsString>,
}

/// Replaces this process by the program. Returns only if that fails.
pub fn run(root: &Root, rocm: Option<&Path>, request: Request) -> Result<Infallible, Failure> {
    let program = Program::find(root, request.command)?;
    let backend = program.backend(root, rocm, &request.backend)?;
    let mut command = program.command(&backend, request.trace.as_deref())?;
    Err(program.not_started(command.exec()))
}
