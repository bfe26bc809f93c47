//! A library whose GPU code was split off: which archives its marker names, which exist, and what they
//! contain. Only the header and the table of an archive are read, whatever its size.

use super::library;
use crate::root::Root;
use offload::{
    Malformed, ReadAt, Target,
    kpack::{Archive, Object, Reference},
};
use rocblas_contract::kpack;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

/// The properties of a split library's code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Split {
    /// The marker.
    #[serde(flatten)]
    pub reference: Reference,
    /// The existing archives.
    pub archives: Vec<Found>,
}

/// An archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Where it is, resolved, inside the root.
    #[serde(serialize_with = "crate::output::json::path")]
    pub path: PathBuf,
    /// The file's length in bytes.
    pub bytes: u64,
    /// The library's code in it, for each target.
    pub targets: BTreeMap<String, Code>,
    /// Why it could not be read.
    pub problem: Option<String>,
}

/// Code for one target in an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Code {
    /// The number of code objects, one per translation unit.
    pub objects: usize,
    /// Their total size, decompressed.
    pub bytes: u64,
}

/// More archives than any tree has targets.
const MOST_ARCHIVES: usize = 256;

impl Split {
    /// Finds the archives of a library in `lib`, a directory without symlinks, as the runtime does.
    pub(crate) fn of(root: &Root, lib: &Path, reference: Reference) -> Self {
        let mut paths: Vec<PathBuf> =
            reference.search_paths.iter().flat_map(|path| matching(root, lib, path)).collect();
        paths.sort();
        paths.dedup();
        let found = |path| archive(root, path, &reference.kernel_name);
        let archives = paths.into_iter().take(MOST_ARCHIVES).map(found).collect();
        Self { reference, archives }
    }

    /// The number of code objects for each target.
    pub(super) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (target, code) in self.archives.iter().flat_map(|archive| &archive.targets) {
            *counts.entry(target.clone()).or_default() += code.objects;
        }
        counts
    }

    /// The archives in which the runtime would search for a processor's code, existing or not.
    pub(super) fn places(&self, lib: &Path, processor: &str) -> Vec<PathBuf> {
        let place = |path: &String| plain(&lib.join(kpack::archive(path, processor)));
        self.reference.search_paths.iter().map(place).collect()
    }

    /// The problems of archives, one clause each.
    pub(super) fn problems(&self) -> Vec<String> {
        let problem =
            |found: &Found| Some(format!("{}: {}", found.path.display(), found.problem.as_ref()?));
        self.archives.iter().filter_map(problem).collect()
    }

    /// Calls `each` with the targets and the kernels of every code object that a device may run.
    pub(super) fn kernels(
        &self,
        root: &Root,
        devices: &[&Target],
        mut each: impl FnMut(&Target, &[String]),
    ) -> Vec<String> {
        let runs = |target: &str| {
            Target::parse(target).filter(|code| devices.iter().any(|device| device.runs(code)))
        };
        let mut problems = Vec::new();
        for found in self.archives.iter().filter(|f| f.targets.keys().any(|t| runs(t).is_some())) {
            let read = || -> Result<Vec<(Target, Vec<String>)>, String> {
                let file = root.open(&found.path).map_err(|e| e.to_string())?;
                let malformed = |e: Malformed| e.to_string();
                let archive = Archive::read(&file, found.bytes).map_err(malformed)?;
                let objects = archive.objects(&self.reference.kernel_name);
                let (targets, objects): (Vec<Target>, Vec<&Object>) =
                    objects.filter_map(|(target, object)| Some((runs(target)?, object))).unzip();
                let kernels = archive.kernels(&file, &objects).map_err(malformed)?;
                Ok(targets.into_iter().zip(kernels).collect())
            };
            match read() {
                Ok(all) => all.iter().for_each(|(target, kernels)| each(target, kernels)),
                Err(why) => problems.push(format!("{}: {why}", found.path.display())),
            }
        }
        problems
    }
}

/// The files of a search path for any target.
fn matching(root: &Root, lib: &Path, path: &str) -> Vec<PathBuf> {
    let Some((before, after)) = path.split_once(kpack::PLACEHOLDER) else {
        return root.resolve(&lib.join(path)).into_iter().collect();
    };
    let (directory, start) = before.rsplit_once('/').unwrap_or((".", before));
    // The splitter inserts the target into the file name once.
    if after.contains('/') || after.contains(kpack::PLACEHOLDER) {
        return Vec::new();
    }
    let directory = lib.join(directory);
    let names = root.names(&directory).unwrap_or_default();
    let wanted = names.iter().filter(|name| {
        let rest = name.to_str().and_then(|name| name.strip_prefix(start));
        rest.and_then(|rest| rest.strip_suffix(after)).is_some_and(|t| Target::parse(t).is_some())
    });
    wanted.filter_map(|name| root.resolve(&directory.join(name)).ok()).collect()
}

fn archive(root: &Root, path: PathBuf, kernel_name: &str) -> Found {
    let mut found = Found { path, bytes: 0, targets: BTreeMap::new(), problem: None };
    let read = root.open(&found.path).and_then(|file| Ok((file.metadata()?.len(), file)));
    match read {
        Err(e) => found.problem = Some(e.to_string()),
        Ok((bytes, file)) => {
            found.bytes = bytes;
            match table(&file, bytes, kernel_name) {
                Ok(targets) => found.targets = targets,
                Err(malformed) => found.problem = library::in_short(&[malformed]),
            }
        }
    }
    found
}

/// What an archive contains for a library.
fn table<R: ReadAt + ?Sized>(
    reader: &R,
    length: u64,
    kernel_name: &str,
) -> Result<BTreeMap<String, Code>, Malformed> {
    let archive = Archive::read(reader, length)?;
    let mut targets: BTreeMap<String, Code> = BTreeMap::new();
    for (target, object) in archive.objects(kernel_name) {
        let code = targets.entry(target.to_owned()).or_default();
        code.objects += 1;
        code.bytes = code.bytes.saturating_add(object.size);
    }
    Ok(targets)
}

/// A path without `.` and `..`, for messages.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}
