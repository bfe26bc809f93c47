//! Tracing: what is recorded, that nothing is lost however a program ends, and that tracing does not affect the
//! program.

mod browser;
mod cancelled;
mod capture_command;
mod captured;
mod checks;
mod compare;
mod control;
mod descriptors;
mod ends;
mod errors;
mod gpu_time;
mod late;
mod live;
mod long;
mod peers;
mod planted;
mod ranges;
mod recorded;
mod replaced;
mod report;
mod serving;
mod settings;
mod stacks;
mod stepped;
mod switched;
mod tools;
mod top;
mod unordered;

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    process::Command,
};
use tests::{
    artefacts,
    run::client,
    scenario::linked_client,
    traces::{Traced, read_only},
    tree::Tree,
};

/// A program in `tests/clients/tracing` that is traced from its start.
struct Program {
    tree: Tree,
    path: std::path::PathBuf,
}

impl Program {
    /// With this library as the backend.
    fn new(source: &str, backend: &std::path::Path) -> Self {
        Self::in_tree(Tree::with_backend(backend), source)
    }

    fn in_tree(tree: Tree, source: &str) -> Self {
        let path = linked_client(&tree, &format!("tracing/{source}"), &[]);
        Self { tree, path }
    }

    /// The directory of its traces.
    fn traces(&self) -> std::path::PathBuf {
        self.tree.root().join("traces")
    }

    fn command(&self) -> Command {
        let mut command = client(&self.tree, &self.path);
        command.env("ROCBLAS_SHIM_TRACE", self.traces());
        command
    }

    /// Its only trace.
    fn traced(&self) -> Traced {
        read_only(&self.traces())
    }
}

/// A client as a set-user-ID program that belongs to root and that others may run, with a tree's shim.
fn set_user_id(tree: &Tree, source: &str) -> std::path::PathBuf {
    let program = tree.root().join("set-uid");
    // The loader ignores LD_LIBRARY_PATH then, too.
    let lib = tree.lib();
    let run_path = format!("-Wl,-rpath,{}", lib.display());
    tests::compile::compile(
        &artefacts::workspace().join("tests/clients/tracing").join(source),
        &program,
        &[&run_path, "-L", lib.to_str().expect("UTF-8"), "-lrocblas"],
    );
    for (path, mode) in [(tree.root(), 0o755), (&lib, 0o755), (&program, 0o4755)] {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("set the mode");
    }
    program
}

/// The program that reads traces.
fn installer() -> Command {
    Command::new(artefacts::installer())
}
