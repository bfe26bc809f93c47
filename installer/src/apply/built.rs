//! The programs that were built for a tree, and the trap that many fell into: patched before
//! llama.cpp was compiled, with the failure hidden, they are there and empty.

use crate::{elf, root::Root};
use anyhow::{Context, Result, bail};
use std::{
    io,
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

/// Those that were named, or else llama.cpp's in the usual places.
pub(crate) fn find(root: &Root, named: &[PathBuf]) -> Result<Built> {
    let mut files = Vec::new();
    for path in named {
        let metadata = root.metadata(path).with_context(|| {
            format!("--built {}: build the programs first, or leave --built out", path.display())
        })?;
        if metadata.is_dir() {
            let before = files.len();
            for file in entries(root, path)? {
                if is_program_or_library(root, &file)? {
                    files.push(file);
                }
            }
            if files.len() == before {
                bail!("--built {}: there is no program in it; did the build fail?", path.display());
            }
        } else {
            check(root, path)?;
            files.push(path.clone());
        }
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

fn entries(root: &Root, directory: &Path) -> Result<Vec<PathBuf>> {
    let names = root.names(directory);
    let names = names.with_context(|| format!("cannot read {}", directory.display()))?;
    Ok(names.into_iter().map(|name| directory.join(name)).collect())
}

/// Leaves scripts and the like aside; an empty file is an error.
fn is_program_or_library(root: &Root, path: &Path) -> Result<bool> {
    let Ok(metadata) = root.metadata(path) else { return Ok(false) };
    if !metadata.is_file() {
        return Ok(false);
    }
    match check(root, path) {
        Ok(()) => Ok(true),
        Err(e) if metadata.len() == 0 => Err(e),
        Err(_) => Ok(false),
    }
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
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("librocblas.so"))
    };
    if built.named && !objects.iter().flatten().any(is_rocblas) {
        let names: Vec<String> =
            built.files.iter().map(|file| file.display().to_string()).collect();
        return Err(anyhow::Error::new(io::Error::other(format!(
            "none of these uses rocBLAS: {}. Was llama.cpp built with -DGGML_HIP=ON?",
            names.join(", ")
        ))));
    }
    Ok(())
}
