//! A trace of very many calls: the cost of recording it, and of summarising it.

use crate::{
    artefacts::standins,
    compile::library,
    run::{Ended, client, run_within},
    scenario::linked_client,
    tree::Tree,
};
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// A trace of four threads that called sgemm again and again.
pub struct LongTrace {
    tree: Tree,
    calls: u64,
    /// The program of `bin/peak_memory.rs`.
    peak_memory: &'static str,
    /// The cost of the traced program.
    pub recorded: Taken,
}

/// The cost of a program.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Its duration.
    pub time: Duration,
    /// The peak memory, in kilobytes.
    pub memory: u64,
}

/// Runs a command under `peak_memory`.
fn measured(command: &mut Command) -> (Ended, Taken) {
    let begun = Instant::now();
    let ended = run_within(command, Duration::from_secs(300)).silent_success();
    let time = begun.elapsed();
    let memory = ended.stdout.lines().last().and_then(|line| line.parse().ok());
    let memory = memory.unwrap_or_else(|| panic!("{ended:?}"));
    (ended, Taken { time, memory })
}

impl LongTrace {
    /// Records a trace of that many calls.
    #[must_use]
    pub fn of(calls: u64, peak_memory: &'static str) -> Self {
        let tree = Tree::with_shim();
        let null = tree.root().join("null.so");
        let null = library(&standins().join("null_backend.c"), &null, "librocblas.so.4", &["-O2"]);
        tree.add_backend("null", &null);
        let program = linked_client(&tree, "tracing/repeats.c", &["-O2"]);
        let mut command = client(&tree, peak_memory.as_ref());
        command.env("ROCBLAS_SHIM_TRACE", tree.root().join("traces"));
        let (_, recorded) = measured(command.arg(program).arg(calls.to_string()));
        Self { tree, calls, peak_memory, recorded }
    }

    /// Its directory.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.tree.root().join("traces")
    }

    /// Summarises it with an installer.
    ///
    /// # Panics
    /// When a call is missing from the summary.
    #[must_use]
    pub fn summarised(&self, installer: &Path) -> Taken {
        let mut command = Command::new(self.peak_memory);
        command.arg(installer).args(["trace", "summary"]).arg(self.directory());
        let (ended, taken) = measured(&mut command);
        let calls = format!("\n{} calls of 1 function in 4 threads over ", self.calls);
        assert!(ended.stdout.contains(&calls), "{ended:?}");
        taken
    }
}
