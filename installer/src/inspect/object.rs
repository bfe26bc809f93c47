//! A program or library other than ROCm's: the GPU code in it, and which of ROCm's libraries it would load.
//! PyPI's ROCm plug-ins have search paths of up to sixty directories, of which the first that has a library
//! decides.

use super::{
    coverage::{self, Asked, Coverage},
    library::{self, Kind, Library},
};
use crate::{
    elf,
    root::Root,
    which::{
        Uses,
        program::{self, Environment, Foretold},
    },
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The result for it.
#[derive(Debug, Serialize)]
pub struct Object {
    /// Whether it is a program.
    pub program: bool,
    /// The file's properties.
    pub file: Library,
    /// Whether it has its own kernels for each target.
    pub coverage: Vec<Coverage>,
    /// What it would load.
    #[serde(flatten)]
    pub uses: Uses,
    /// Why it would not load, one sentence each, with the fix.
    pub problems: Vec<String>,
}

/// The resolved path, inside the root, if it is a program or library other than ROCm's.
pub(super) fn place(root: &Root, given: &Path) -> Option<PathBuf> {
    let given = super::layout::absolute(root, given).ok()?;
    let file = root.open(&given).ok()?;
    let summary = elf::summary(&file).ok()?;
    let name = given.file_name().and_then(|name| name.to_str());
    let is_of_rocm = |name: &str| Kind::of(name).is_some();
    let known = name.into_iter().chain(summary.soname.as_deref()).any(is_of_rocm);
    let is_loaded = matches!(summary.kind, elf::Kind::Shared | elf::Kind::Executable);
    (is_loaded && !known).then_some(given)
}

/// Examines it. Its kernels are not counted: they are not rocBLAS's.
pub(super) fn of(root: &Root, path: &Path, asked: &[Asked]) -> std::io::Result<Object> {
    let file = library::read_as(root, Kind::Other, path)?;
    let kind = root.open(path).ok().and_then(|file| elf::summary(&file).ok()).map(|s| s.kind);
    let coverage = match file.fatbin.is_empty() {
        // Its GPU code is in libraries that it loads.
        true => Vec::new(),
        false => coverage::of_object(root, file.clone(), asked),
    };
    let Foretold { uses, problems, no_backend, .. } =
        program::of(root, path, &Environment::current(root));
    let mut problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    problems.extend(no_backend.map(|why| format!("the shim would find no backend: {why}")));
    let program = kind == Some(elf::Kind::Executable);
    Ok(Object { program, file, coverage, uses, problems })
}
