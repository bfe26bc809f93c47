//! A backend in files of the machine: a library with what is beside it, or a directory that holds
//! one. These are the user's own files, so links are followed.

use super::{
    Content, Error, Kept, Source, SourceFile,
    candidate::{Candidate, choose},
    part::{self, Gpus},
    release,
};
use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use walkdir::WalkDir;

/// Where a tree, or a package that was unpacked, has its libraries.
const PLACES: [&str; 8] = [
    "",
    "lib",
    "lib64",
    "lib/x86_64-linux-gnu",
    "usr/lib",
    "usr/lib64",
    "usr/lib/x86_64-linux-gnu",
    "usr/local/lib",
];

/// The backend whose library is the only one in a directory.
pub(super) fn open(path: &Path, gpus: &Gpus) -> Result<Source, Error> {
    let mut seen = BTreeSet::new();
    let mut candidates = Vec::new();
    for place in places(path)? {
        for candidate in libraries(&place)? {
            if seen.insert(candidate.from.clone()) {
                candidates.push(candidate);
            }
        }
    }
    let origin = path.display().to_string();
    let backend = choose(&origin, candidates, "give the file of one of them instead")?;
    source(&origin, backend.candidate, backend.soname, None, gpus)
}

/// The backend that is a file.
pub(super) fn file(path: &Path, gpus: &Gpus) -> Result<Source, Error> {
    let origin = path.display().to_string();
    let candidate = candidate(path).map_err(|e| Error::unreadable(path, e))?;
    let backend = choose(&origin, vec![candidate], "")?;
    source(&origin, backend.candidate, backend.soname, path.parent(), gpus)
}

/// The directories of a tree that may hold its libraries.
fn places(top: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut places: Vec<PathBuf> = PLACES.iter().map(|place| top.join(place)).collect();
    // From 7.14 on a release is a directory in /opt/rocm.
    let mut trees = directories(top, "core-")?;
    for tree in directories(&top.join("opt"), "rocm")? {
        trees.extend(directories(&tree, "core-")?);
        trees.push(tree);
    }
    places.extend(trees.iter().flat_map(|tree| [tree.join("lib"), tree.join("lib64")]));
    Ok(places)
}

/// The sub-directories whose names begin so. No links: in a tree that was unpacked somewhere,
/// /opt/rocm leads to this machine's.
fn directories(parent: &Path, prefix: &str) -> Result<Vec<PathBuf>, Error> {
    let wanted = entries(parent)?.into_iter().filter(|entry| {
        entry.file_type().is_ok_and(|kind| kind.is_dir())
            && entry.file_name().to_string_lossy().starts_with(prefix)
    });
    Ok(wanted.map(|entry| entry.path()).collect())
}

/// The files in a directory that have a library's name, by where their links lead.
fn libraries(lib: &Path) -> Result<Vec<Candidate>, Error> {
    let paths = entries(lib)?.into_iter().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| part::is_library(path)).collect();
    paths.sort();
    // A link to nothing is no library.
    Ok(paths.iter().filter_map(|path| candidate(path).ok()).collect())
}

fn candidate(path: &Path) -> io::Result<Candidate> {
    let from = path.canonicalize()?;
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = if part::is_library(&from) { name(&from) } else { name(path) };
    Ok(Candidate { lib: from.parent().unwrap_or(&from).to_owned(), name, from })
}

/// What is in a directory; nothing if it is none.
fn entries(directory: &Path) -> Result<Vec<fs::DirEntry>, Error> {
    match fs::read_dir(directory).and_then(Iterator::collect) {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        other => other.map_err(|e| Error::unreadable(directory, e)),
    }
}

/// A library with its Tensile files. Where they are not beside it but beside the link by which it
/// was named, rocBLAS finds them there.
fn source(
    origin: &str,
    candidate: Candidate,
    soname: String,
    named_in: Option<&Path>,
    gpus: &Gpus,
) -> Result<Source, Error> {
    let Candidate { lib, name, from } = candidate;
    let mut files = kernels(&lib, &soname, gpus)?;
    if let Some(other) = named_in.filter(|_| files.is_empty()) {
        files = kernels(other, &soname, gpus)?;
    }
    let tree_version = || {
        let text = fs::read_to_string(lib.parent()?.join(".info/version")).ok()?;
        release::of_package(&text)
    };
    let version =
        release::of_library(&name).or_else(|| release::of_path(&lib)).or_else(tree_version);
    let content = content(&from)?;
    Ok(Source::new(origin, soname, &name, content, files, Kept::InPlace, version))
}

/// The Tensile files beside a library, `to` being relative to its directory.
fn kernels(lib: &Path, soname: &str, gpus: &Gpus) -> Result<Vec<SourceFile>, Error> {
    let top = lib.join("rocblas");
    if !top.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in WalkDir::new(&top).follow_links(true).max_depth(8).sort_by_file_name() {
        let entry = entry.map_err(|e| {
            let path = e.path().unwrap_or(&top).to_owned();
            Error::unreadable(&path, e.into())
        })?;
        let Ok(to) = entry.path().strip_prefix(lib) else { continue };
        let wanted = entry.file_type().is_file()
            && part::lib_of(to, gpus).is_some_and(|lib| lib.as_os_str().is_empty())
            && part::is_of(soname, to);
        if wanted {
            files.push(SourceFile { to: to.to_owned(), content: content(entry.path())? });
        }
    }
    Ok(files)
}

fn content(path: &Path) -> Result<Content, Error> {
    let metadata = path.metadata().map_err(|e| Error::unreadable(path, e))?;
    let mode = metadata.permissions().mode() & 0o755;
    Ok(Content::File { from: path.to_owned(), size: metadata.len(), mode })
}
