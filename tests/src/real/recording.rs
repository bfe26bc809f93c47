//! The recording HIP runtime as a shared library: cargo builds the static one, and this module performs the last step
//! of linking, with the version script.

use super::root::{directory, lock};
use crate::artefacts::{self, workspace};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// `libamdhip64.so.7`.
pub fn runtime() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build)
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{complaints}");
}

fn build() -> PathBuf {
    // If there are two test processes, one links while the other waits.
    let _lock = lock().expect("lock the directory of this tier");
    let archive = artefacts::recording_hip();
    let target = directory();
    let finished = target.join("libamdhip64.so.7");
    let linked = target.join("libamdhip64.so.7.unfinished");
    run(Command::new("cc")
        .current_dir(workspace().join("tests/standins/recording-hip"))
        .args(["-shared", "-Wl,-soname,libamdhip64.so.7", "-Wl,--version-script=hip.map"])
        // Roots of tests may have no libgcc_s.
        .args([
            "-Wl,--no-undefined-version",
            "-static-libgcc",
            "-Wl,--strip-debug",
            "-Wl,--whole-archive",
        ])
        .arg(archive)
        .args(["-Wl,--no-whole-archive", "-lpthread", "-ldl", "-lm", "-o"])
        .arg(&linked));
    fs::rename(&linked, &finished).expect("give the runtime its name");
    finished
}
