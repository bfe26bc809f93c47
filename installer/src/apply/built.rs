//! The programs that were built for a tree, and the trap that many fell into: patched before
//! llama.cpp was compiled, with the failure hidden, they are there and empty.

use crate::{elf, root::Root};
use anyhow::{Context, Error, Result, bail};
use rocblas_contract::libraries::ROCBLAS;
use std::{
    fs::Metadata,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Where llama.cpp's programs usually are, in images and by hand.
pub(crate) const PROGRAM_DIRECTORIES: &[&str] = &[
    "/app",
    "/usr/local/bin",
    "/opt/llama.cpp/build/bin",
    "/llama.cpp/build/bin",
    "/root/llama.cpp/build/bin",
    "/workspace/llama.cpp/build/bin",
];

/// The programs and libraries to check, inside the root.
#[derive(Debug, Default)]
pub(crate) struct Built {
    pub(crate) files: Vec<PathBuf>,
    /// Whether they were named, so that one of them has to use rocBLAS.
    pub(crate) named: bool,
}

/// What a path that was named has.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) files: Vec<PathBuf>,
    /// Why something in it is no program, though it should be one.
    pub(crate) faults: Vec<Error>,
}

/// Those that were named, or else llama.cpp's in the usual places. The error is the first fault.
pub(crate) fn find(root: &Root, named: &[PathBuf]) -> Result<Built> {
    let mut files = Vec::new();
    for path in named {
        root.metadata(path).with_context(|| {
            format!("--built {}: build the programs first, or leave --built out", path.display())
        })?;
        let Found { files: found, faults } = look_in(root, path);
        if let Some(fault) = faults.into_iter().next() {
            return Err(fault);
        }
        files.extend(found);
    }
    if named.is_empty() {
        for directory in PROGRAM_DIRECTORIES.iter().map(Path::new) {
            for file in entries(root, directory).unwrap_or_default() {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                if name.starts_with("llama-") && is_program_or_library(root, &file)? {
                    files.push(file);
                }
            }
        }
    }
    Ok(Built { files, named: !named.is_empty() })
}

/// The program or library at a path; of a directory, those that are in it, or else those in its `bin`,
/// where CMake builds programs. Nothing below is looked at: what a build leaves there is not
/// installed.
pub(crate) fn look_in(root: &Root, path: &Path) -> Found {
    match root.metadata(path) {
        Err(e) => {
            let e = Error::new(e).context(format!("{}: build it first", path.display()));
            return Found { faults: vec![e], ..Found::default() };
        }
        Ok(metadata) if !metadata.is_dir() => {
            return match check(root, path) {
                Ok(()) => Found { files: vec![path.to_owned()], ..Found::default() },
                Err(e) => Found { faults: vec![e], ..Found::default() },
            };
        }
        Ok(_) => {}
    }
    let mut found = Found::default();
    for directory in [path.to_owned(), path.join("bin")] {
        match entries(root, &directory) {
            Ok(files) => files.into_iter().for_each(|file| found.add(root, file)),
            Err(e) if directory == path => found.faults.push(e),
            Err(_) => {} // Most directories of programs have no `bin`.
        }
        if !found.files.is_empty() || !found.faults.is_empty() {
            return found;
        }
    }
    let fault = format!("{}: there is no program in it; did the build fail?", path.display());
    found.faults.push(Error::msg(fault));
    found
}

impl Found {
    /// Adds a file of a directory if it is a program or a library.
    fn add(&mut self, root: &Root, file: PathBuf) {
        match is_program_or_library(root, &file) {
            Ok(true) => self.files.push(file),
            Ok(false) => {}
            Err(e) => self.faults.push(e),
        }
    }
}

fn entries(root: &Root, directory: &Path) -> Result<Vec<PathBuf>> {
    let names = root.names(directory);
    let names = names.with_context(|| format!("cannot read {}", directory.display()))?;
    Ok(names.into_iter().map(|name| directory.join(name)).collect())
}

/// Leaves scripts and the like aside; an empty file that should be a program is an error.
fn is_program_or_library(root: &Root, path: &Path) -> Result<bool> {
    let Ok(metadata) = root.metadata(path) else { return Ok(false) };
    if !metadata.is_file() || (metadata.len() == 0 && !should_be_program(path, &metadata)) {
        return Ok(false);
    }
    match check(root, path) {
        Ok(()) => Ok(true),
        Err(e) if metadata.len() == 0 => Err(e),
        Err(_) => Ok(false),
    }
}

/// Whether an empty file is what a failed build left of a program or library, and not a `.lock` or
/// another file that is empty on purpose.
fn should_be_program(path: &Path, metadata: &Metadata) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_hidden = name.starts_with('.');
    let is_executable = metadata.permissions().mode() & 0o111 != 0;
    !is_hidden && (is_executable || name.starts_with("llama-") || name.contains(".so"))
}

fn check(root: &Root, path: &Path) -> Result<()> {
    let file = root.open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    if size == 0 {
        bail!(
            "{} is empty: the build that should have made it failed, and that was hidden (a `;` \
             or `|| true` in a Dockerfile's RUN does that). Build it again; building works before \
             and after apply",
            path.display()
        );
    }
    elf::summary(&file).map(drop).with_context(|| {
        format!("{} is no program that the loader can start; build it again", path.display())
    })
}

/// Whether any of these objects is a rocBLAS; the error says that none was reached.
pub(crate) fn uses_rocblas(objects: &[Vec<PathBuf>], built: &Built) -> Result<()> {
    let is_rocblas = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(ROCBLAS))
    };
    if built.named && !objects.iter().flatten().any(is_rocblas) {
        let names: Vec<String> =
            built.files.iter().map(|file| file.display().to_string()).collect();
        return Err(Error::new(io::Error::other(format!(
            "none of these uses rocBLAS: {}. Was llama.cpp built with -DGGML_HIP=ON?",
            names.join(", ")
        ))));
    }
    Ok(())
}
