//! The packages of two revisions, built once.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};
use tests::{artefacts, kept, run::run_within};

/// Longer than compressing takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

/// A command that packages the binaries of the tests.
pub(crate) fn packager(revision: u32, output: &Path) -> Command {
    let binaries = artefacts::installer().parent().expect("a directory");
    let mut command = Command::new(artefacts::packager());
    command.current_dir(artefacts::workspace()).args(["--allow-dirty", "--binaries"]);
    command.arg(binaries).arg("--revision").arg(revision.to_string());
    command.arg("--output").arg(output);
    command
}

/// The directory with the packages of a revision.
pub(crate) fn built(revision: u32) -> &'static Path {
    static BUILT: [OnceLock<PathBuf>; 2] = [OnceLock::new(), OnceLock::new()];
    let index = usize::try_from(revision).expect("small") - 1;
    BUILT[index].get_or_init(|| {
        let output = kept::directory();
        run_within(&mut packager(revision, &output), LIMIT).success();
        output
    })
}

/// The file of a revision with this ending.
pub(crate) fn package(revision: u32, ending: &str) -> PathBuf {
    let entries = fs::read_dir(built(revision)).expect("packages");
    let mut paths = entries.map(|entry| entry.expect("read").path());
    let found = paths.find(|path| path.to_string_lossy().ends_with(ending));
    found.unwrap_or_else(|| panic!("no {ending}"))
}
