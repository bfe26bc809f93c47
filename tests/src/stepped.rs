//! Runs a call one instruction at a time, with an action at each instruction of the shim's assembly:
//! `tests/clients/tracing/stepped.cpp`.

use crate::{
    artefacts::standins,
    assembly,
    compile::library,
    run::{client, run},
    scenario::linked_client,
    tree::Tree,
};
use std::path::{Path, PathBuf};

/// The client, and a tree with the null backend.
pub struct Stepped {
    /// The tree. It has the null backend in its store, unless that is opened later.
    pub tree: Tree,
    program: PathBuf,
    backend: PathBuf,
    second: Option<PathBuf>,
}

impl Stepped {
    /// Compiles both.
    ///
    /// # Panics
    /// If that fails.
    #[must_use]
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// The same, with a HIP runtime in the backend, whose last error a trace reads.
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    pub fn with_hip() -> Self {
        Self::with(&["-DHAS_HIP"])
    }

    fn with(flags: &[&str]) -> Self {
        let tree = Tree::with_shim();
        let backend = tree.root().join("null.so");
        let source = standins().join("null_backend.c");
        let backend = library(&source, &backend, "librocblas.so.4", flags);
        let flags = ["-fnon-call-exceptions", "-fasynchronous-unwind-tables", "-Wl,-z,now"];
        let program = linked_client(&tree, "tracing/stepped.cpp", &flags);
        Self { tree, program, backend, second: None }
    }

    /// The same, with a second backend that owns the handle.
    #[must_use]
    pub fn routed(self) -> Self {
        let second = self.tree.place(&self.backend, "second.so");
        Self { second: Some(second), ..self }
    }

    /// The directory of traces.
    #[must_use]
    pub fn traces(&self) -> PathBuf {
        self.tree.root().join("traces")
    }

    /// Runs it with these arguments, with a trace if options are given. Returns the number of instructions at
    /// which the call was interrupted, and the number of ordinary calls that followed.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn run(&self, arguments: &[&str], trace: Option<&str>) -> (usize, usize) {
        let mut command = client(&self.tree, &self.program);
        let (variable, ranges) = assembly::variable();
        command.args(arguments).env(variable, ranges).env("ROCBLAS_SHIM_COMPAT", "-all");
        command.env("ROCBLAS_SHIM_LISTEN", "off");
        let opens_later = arguments.contains(&"processes");
        let backend: &Path = &self.backend;
        command.env(if opens_later { "BACKEND_LATER" } else { "ROCBLAS_SHIM_BACKEND" }, backend);
        command.envs(self.second.iter().map(|second| ("SECOND_BACKEND", second)));
        if let Some(options) = trace {
            command.env("ROCBLAS_SHIM_TRACE", self.traces());
            command.env("ROCBLAS_SHIM_TRACE_OPTIONS", options);
        }
        let ended = run(&mut command).success();
        let numbers = ended.stdout.split_whitespace().map(|n| n.parse().expect("a number"));
        let [interruptions, ordinary] = numbers.collect::<Vec<usize>>()[..] else {
            panic!("{ended:?}")
        };
        (interruptions, ordinary)
    }
}

impl Default for Stepped {
    fn default() -> Self {
        Self::new()
    }
}
