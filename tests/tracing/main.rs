//! Tracing: what is recorded, that nothing is lost however a program ends, and that a program does not
//! notice.

mod browser;
mod cancelled;
mod captured;
mod compare;
mod control;
mod descriptors;
mod ends;
mod late;
mod live;
mod long;
mod peers;
mod recorded;
mod replaced;
mod report;
mod serving;
mod settings;
mod stepped;
mod switched;
mod tools;

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

/// A program of `tests/clients/tracing`, to be traced from its start.
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

    /// Where its traces go.
    fn traces(&self) -> std::path::PathBuf {
        self.tree.root().join("traces")
    }

    fn command(&self) -> Command {
        let mut command = client(&self.tree, &self.path);
        command.env("ROCBLAS_SHIM_TRACE", self.traces());
        command
    }

    /// The only trace that there is.
    fn traced(&self) -> Traced {
        read_only(&self.traces())
    }
}

/// A client as a set-user-ID program of root's that others may run, on a tree's shim.
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
