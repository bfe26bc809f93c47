//! Runs a call one instruction at a time, with something done at each of the shim's assembly:
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
    /// With the null backend in its store, unless that is opened later.
    pub tree: Tree,
    program: PathBuf,
    backend: PathBuf,
    second: Option<PathBuf>,
}

impl Stepped {
    /// Compiles both.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn new() -> Self {
        let tree = Tree::with_shim();
        let backend = tree.root().join("null.so");
        let backend = library(&standins().join("null_backend.c"), &backend, "librocblas.so.4", &[]);
        let flags = ["-fnon-call-exceptions", "-fasynchronous-unwind-tables", "-Wl,-z,now"];
        let program = linked_client(&tree, "tracing/stepped.cpp", &flags);
        Self { tree, program, backend, second: None }
    }

    /// With a second backend, whose the handle is.
    #[must_use]
    pub fn routed(self) -> Self {
        let second = self.tree.place(&self.backend, "second.so");
        Self { second: Some(second), ..self }
    }

    /// Where traces are.
    #[must_use]
    pub fn traces(&self) -> PathBuf {
        self.tree.root().join("traces")
    }

    /// Runs it with these arguments, in a trace with these options if there are any. Returns at how
    /// many instructions the call was interrupted, and how many ordinary calls followed.
    ///
    /// # Panics
    /// When it fails.
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
