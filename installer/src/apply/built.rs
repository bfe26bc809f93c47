//! The programs that were built for a tree, and a common trap: llama.cpp was compiled in a patched image, the
//! build failed silently, and its programs are empty files.

use crate::{
    elf::{self, Kind},
    inspect::library,
    root::Root,
};
use anyhow::{Context, Error, Result, bail};
use offload::Target;
use rocblas_contract::libraries::ROCBLAS;
use std::{
    collections::VecDeque,
    fs::Metadata,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Where llama.cpp's programs usually are, in images and in manual installations.
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
    /// Whether they were named, so that at least one must use rocBLAS.
    pub(crate) named: bool,
}

/// What a named path contains.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) files: Vec<PathBuf>,
    /// Why a file in it is not a program although it should be one.
    pub(crate) faults: Vec<Error>,
}

/// The named programs, or llama.cpp's in the usual places. The error is the first fault.
pub(crate) fn find(root: &Root, named: &[PathBuf]) -> Result<Built> {
    let mut files = Vec::new();
    for path in named {
        root.metadata(path).with_context(|| {
            format!("--built {}: build the programs first, or omit --built", path.display())
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

/// How many directories below a `bin` are searched at most, and how deep: build systems for several
/// configurations have `bin/Release`.
const MOST_DIRECTORIES: usize = 256;
const MOST_LEVELS: usize = 3;

/// The program or library at a path; for a directory, those in it, or if there are none, those in its `bin`
/// and below, where CMake builds programs. Nothing else is searched: a build's other files are not installed.
pub(crate) fn look_in(root: &Root, path: &Path) -> Found {
    match root.metadata(path) {
        Err(e) => {
            let e = Error::new(e).context(format!("{}: build it first", path.display()));
            return Found { faults: vec![e], ..Found::default() };
        }
        Ok(metadata) if !metadata.is_dir() => {
            return match check(root, path) {
                Ok(_) => Found { files: vec![path.to_owned()], ..Found::default() },
                Err(e) => Found { faults: vec![e], ..Found::default() },
            };
        }
        Ok(_) => {}
    }
    let mut found = Found::default();
    match entries(root, path) {
        Ok(files) => files.into_iter().for_each(|file| found.add(root, file)),
        Err(e) => found.faults.push(e),
    }
    if found.files.is_empty() && found.faults.is_empty() {
        // Most directories of programs have no `bin`.
        in_and_below(root, path.join("bin")).into_iter().for_each(|file| found.add(root, file));
    }
    if !found.files.is_empty() || !found.faults.is_empty() {
        return found;
    }
    let fault = format!("{} contains no program; did the build fail?", path.display());
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

/// The files in a directory and its subdirectories. A symlink to a directory is not followed.
fn in_and_below(root: &Root, top: PathBuf) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = VecDeque::from([(top, 0)]);
    let mut read = 0;
    while let Some((directory, level)) = directories.pop_front() {
        read += 1;
        for entry in entries(root, &directory).unwrap_or_default() {
            let is_directory = root.metadata_of_entry(&entry).is_ok_and(|m| m.is_dir());
            if !is_directory {
                files.push(entry);
            } else if level < MOST_LEVELS && read + directories.len() < MOST_DIRECTORIES {
                directories.push_back((entry, level + 1));
            }
        }
    }
    files
}

/// Warnings about programs whose own GPU code is for other GPUs, one for each program and GPU. A file without
/// GPU code has it in a library that it loads.
pub(crate) fn without_code(root: &Root, built: &Built, gpus: &[String]) -> Vec<String> {
    let of_file = |path: &PathBuf| {
        let targets = library::targets_of(&root.open(path).ok()?).ok()?;
        let lacking = move |gpu: &String| {
            let device = Target::device(gpu)?;
            let is_for = |code: &String| library::runs(&device, code);
            let has = targets.keys().cloned().collect::<Vec<_>>().join(", ");
            (!has.is_empty() && !targets.keys().any(is_for)).then(|| {
                format!(
                    "{} has GPU code for {has} but none for {gpu}: its own kernels fail there, whichever \
                     rocBLAS it loads. Build it for that GPU too (llama.cpp: -DGPU_TARGETS={gpu}, in older \
                     versions -DAMDGPU_TARGETS={gpu})",
                    path.display()
                )
            })
        };
        Some(gpus.iter().filter_map(lacking).collect::<Vec<_>>())
    };
    built.files.iter().filter_map(of_file).flatten().collect()
}

/// Whether a file of a directory is judged. Scripts, object files and the like are skipped; a file that
/// should be a program but is empty or truncated is an error.
fn is_program_or_library(root: &Root, path: &Path) -> Result<bool> {
    let Ok(metadata) = root.metadata(path) else { return Ok(false) };
    let should = should_be_program(path, &metadata);
    if !metadata.is_file() || (metadata.len() == 0 && !should) {
        return Ok(false);
    }
    match check(root, path) {
        Ok(kind) => Ok(matches!(kind, Kind::Executable | Kind::Shared)),
        Err(e) if should && is_damaged(&e, metadata.len()) => Err(e),
        Err(_) => Ok(false),
    }
}

/// Whether an empty or broken file is what a failed build or copy left of a program or library, and not a
/// `.lock`, debug information or another file that is intentionally so.
fn should_be_program(path: &Path, metadata: &Metadata) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_aside = name.starts_with('.') || name.ends_with(".debug");
    let is_executable = metadata.permissions().mode() & 0o111 != 0;
    !is_aside && (is_executable || name.starts_with("llama-") || name.contains(".so"))
}

/// Whether a file that could not be parsed as a program is a damaged one, and not something else, such as a
/// script.
fn is_damaged(error: &Error, size: u64) -> bool {
    let malformed = error.downcast_ref::<elf::Malformed>();
    size == 0 || malformed.is_some_and(|malformed| !matches!(malformed.what, elf::Fault::NotElf))
}

fn check(root: &Root, path: &Path) -> Result<Kind> {
    let file = root.open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    if size == 0 {
        bail!(
            "{} is empty: the build that should have created it failed, and the failure was hidden (a `;` \
             or `|| true` in a Dockerfile's RUN does that). Build it again; you may build before \
             or after apply",
            path.display()
        );
    }
    elf::summary(&file).map(|summary| summary.kind).with_context(|| {
        format!("{} is not a program that the loader can start; build it again", path.display())
    })
}

/// Whether any of these objects is a rocBLAS; otherwise an error that none was found.
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
