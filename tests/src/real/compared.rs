//! Compares runs of a program directly on a library and through the shim: its output, and its calls of the
//! HIP runtime.

use super::{Rocm, Root, log};
use crate::{
    artefacts::workspace,
    compile::library,
    run::{Ended, run_within},
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Longer than a run through all functions takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

/// The results of a run.
#[derive(Debug)]
pub struct Seen {
    /// The program's output.
    pub printed: Vec<String>,
    /// The calls of the HIP runtime.
    pub hip: Vec<String>,
    /// How it ended, with its error output.
    pub ended: Ended,
}

impl Seen {
    /// Runs a tree's program, which must succeed.
    #[track_caller]
    pub fn of(
        rocm: &Rocm,
        program: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let (mut command, log) = rocm.command(program);
        command.args(arguments).envs(environment.iter().copied());
        let ended = run_within(&mut command, LIMIT).success();
        let printed = ended.stdout.lines().map(str::to_owned).collect();
        Self { printed, hip: log.lines(), ended }
    }

    /// The line that begins with a name and a colon.
    #[must_use]
    pub fn line(&self, name: &str) -> &str {
        let found = self.printed.iter().find_map(|l| l.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// The number of launched kernels.
    #[must_use]
    pub fn launches(&self) -> usize {
        self.hip.iter().filter(|line| line.starts_with("launch ")).count()
    }

    /// The calls of the HIP runtime from the line `call NAME` to the next such line.
    #[must_use]
    pub fn hip_of(&self, name: &str) -> Vec<String> {
        let mark = format!("call {name}");
        let after = self.hip.iter().skip_while(|line| **line != mark).skip(1);
        after.take_while(|line| !line.starts_with("call ")).cloned().collect()
    }

    /// Omits the output and the HIP calls of these calls.
    #[must_use]
    pub fn without(mut self, calls: &[&str]) -> Self {
        self.printed.retain(|line| !calls.iter().any(|name| line.split(": ").next() == Some(name)));
        let mut left_out = false;
        self.hip.retain(|line| {
            if let Some(name) = line.strip_prefix("call ") {
                left_out = calls.contains(&name);
            }
            !left_out
        });
        self
    }
}

/// Panics with the first differences unless both printed the same output and made the same calls of the HIP
/// runtime.
#[track_caller]
pub fn assert_same(direct: &Seen, shim: &Seen, what: &str) {
    let printed = log::difference(&direct.printed, &shim.printed);
    assert!(
        printed.is_empty(),
        "{what}: direct | through the shim: {printed:#?}\n{:?}",
        shim.ended
    );
    let hip = log::difference(&direct.hip, &shim.hip);
    assert!(hip.is_empty(), "{what}: HIP calls, direct | through the shim: {hip:#?}");
}

/// A library to preload so that rocSOLVER loads with 6.4 and no shim.
#[must_use]
pub fn device_properties(rocm: &Rocm) -> PathBuf {
    let source = workspace().join("tests/clients/real/device_properties.c");
    library(&source, &rocm.tree().root().join("preloaded.so"), "preloaded.so", &[])
}

/// Two trees: one with 6.4 under the name of 7's library, and one with the shim in front of it.
#[must_use]
pub fn both(root: &'static Root) -> (Rocm, Rocm) {
    let direct = Rocm::without_shim(root, &root.library("librocblas.so.4"));
    (direct, Rocm::shim_before(root, "librocblas.so.4"))
}
