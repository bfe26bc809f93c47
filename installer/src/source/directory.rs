//! A backend in files of a root: a library with what is beside it, or a directory that holds one.
//! Links are followed, as seen from inside that root: of the machine these are the user's own files,
//! and an image's links lead nowhere else.

use super::{
    Content, Error, Source, SourceFile,
    candidate::{Candidate, choose},
    part::{self, Gpus},
    release,
};
use crate::{files, plan::Contents, root::Root};
use rocblas_contract::kpack;
use std::{
    collections::BTreeSet,
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

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

/// How deep Tensile files may be below `rocblas`: the deepest known are at 3.
const DEEPEST: usize = 8;

/// More files than any Tensile library has.
const MOST_FILES: usize = 100_000;

/// The backend whose library is the only one in a directory.
pub(super) fn open(root: &Root, path: &Path, gpus: &Gpus) -> Result<Source, Error> {
    let mut seen = BTreeSet::new();
    let mut candidates = Vec::new();
    for place in places(root, path)? {
        for (resolved, candidate) in libraries(root, &place)? {
            if seen.insert(resolved) {
                candidates.push(candidate);
            }
        }
    }
    let origin = path.display().to_string();
    let backend = choose(&origin, candidates, "give the file of one of them instead")?;
    source(root, &origin, backend.candidate, backend.soname, None, gpus)
}

/// The backend that is a file.
pub(super) fn file(root: &Root, path: &Path, gpus: &Gpus) -> Result<Source, Error> {
    let origin = path.display().to_string();
    let (_, candidate) = candidate(root, path).map_err(|e| Error::unreadable(path, e))?;
    let backend = choose(&origin, vec![candidate], "")?;
    source(root, &origin, backend.candidate, backend.soname, path.parent(), gpus)
}

/// The directories of a tree that may hold its libraries.
fn places(root: &Root, top: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut places: Vec<PathBuf> = PLACES.iter().map(|place| top.join(place)).collect();
    // From 7.14 on a release is a directory in /opt/rocm.
    let mut trees = directories(root, top, "core-")?;
    for tree in directories(root, &top.join("opt"), "rocm")? {
        trees.extend(directories(root, &tree, "core-")?);
        trees.push(tree);
    }
    places.extend(trees.iter().flat_map(|tree| [tree.join("lib"), tree.join("lib64")]));
    Ok(places)
}

/// The sub-directories whose names begin so. No links: in a tree that was unpacked somewhere,
/// /opt/rocm leads to this machine's.
fn directories(root: &Root, parent: &Path, prefix: &str) -> Result<Vec<PathBuf>, Error> {
    let wanted = entries(root, parent)?.into_iter().filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(prefix) && root.metadata_of_entry(path).is_ok_and(|m| m.is_dir())
    });
    Ok(wanted.collect())
}

/// The files in a directory that have a library's name, by where their links lead.
fn libraries(root: &Root, lib: &Path) -> Result<Vec<(PathBuf, Candidate)>, Error> {
    let paths = entries(root, lib)?.into_iter().filter(|path| part::is_library(path));
    // A link to nothing is no library.
    Ok(paths.filter_map(|path| candidate(root, &path).ok()).collect())
}

/// A candidate, and the path of its file without links.
fn candidate(root: &Root, path: &Path) -> io::Result<(PathBuf, Candidate)> {
    let resolved = root.resolve(path)?;
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = if part::is_library(&resolved) { name(&resolved) } else { name(path) };
    let lib = resolved.parent().unwrap_or(&resolved).to_owned();
    let from = Contents::In(root.clone(), resolved.clone());
    // A link to nothing is no library.
    root.metadata(&resolved)?;
    Ok((resolved, Candidate { lib, name, from }))
}

/// What is in a directory, sorted; nothing if it is none.
fn entries(root: &Root, directory: &Path) -> Result<Vec<PathBuf>, Error> {
    match root.names(directory) {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(e) => Err(Error::unreadable(directory, e)),
        Ok(names) => Ok(names.into_iter().map(|name| directory.join(name)).collect()),
    }
}

/// A library with its Tensile files. Where they are not beside it but beside the link by which it
/// was named, rocBLAS finds them there.
fn source(
    root: &Root,
    origin: &str,
    candidate: Candidate,
    soname: String,
    named_in: Option<&Path>,
    gpus: &Gpus,
) -> Result<Source, Error> {
    let Candidate { lib, name, from } = candidate;
    let Contents::In(_, path) = &from else {
        return Err(Error::NoBackend {
            origin: origin.to_owned(),
            reason: "it was not found".into(),
        });
    };
    let content = content(root, path)?;
    let mut files = kernels(root, &lib, &soname, gpus)?;
    if let Some(other) = named_in.filter(|_| files.is_empty()) {
        files = kernels(root, other, &soname, gpus)?;
    }
    let tree_version = || {
        let text = root.read_to_string(&lib.parent()?.join(".info/version")).ok()?;
        release::of_package(&text)
    };
    let version =
        release::of_library(&name).or_else(|| release::of_path(&lib)).or_else(tree_version);
    let archives = archives(root, &lib, gpus)?;
    Source::new(origin, soname, &name, content, files, version).with_archives(archives)
}

/// The archives of GPU code of the prefix that a library is in.
fn archives(root: &Root, lib: &Path, gpus: &Gpus) -> Result<Vec<SourceFile>, Error> {
    let Some(prefix) = lib.parent() else { return Ok(Vec::new()) };
    let directory = prefix.join(kpack::DIRECTORY);
    let mut archives = Vec::new();
    for path in entries(root, &directory)? {
        let to = Path::new(kpack::DIRECTORY).join(path.file_name().unwrap_or_default());
        // A link to nothing is none, as for libraries.
        let is_file = root.metadata(&path).is_ok_and(|metadata| metadata.is_file());
        if is_file && part::is_archive(&to, gpus) {
            archives.push(SourceFile { to, content: content(root, &path)? });
        }
    }
    Ok(archives)
}

/// The Tensile files beside a library, `to` being relative to its directory.
fn kernels(root: &Root, lib: &Path, soname: &str, gpus: &Gpus) -> Result<Vec<SourceFile>, Error> {
    let top = lib.join("rocblas");
    let mut walk = Walk { root, lib, soname, gpus, looked_at: 0, files: Vec::new() };
    if root.metadata(&top).is_ok_and(|metadata| metadata.is_dir()) {
        walk.directory(&top, DEEPEST)?;
    }
    Ok(walk.files)
}

/// A walk through the directories of Tensile files.
struct Walk<'a> {
    root: &'a Root,
    lib: &'a Path,
    soname: &'a str,
    gpus: &'a Gpus,
    looked_at: usize,
    files: Vec<SourceFile>,
}

impl Walk<'_> {
    fn directory(&mut self, directory: &Path, deeper: usize) -> Result<(), Error> {
        for path in entries(self.root, directory)? {
            self.looked_at += 1;
            let metadata = self.root.metadata(&path).map_err(|e| Error::unreadable(&path, e))?;
            if metadata.is_dir() {
                if deeper == 0 || self.looked_at > MOST_FILES {
                    let e = io::Error::other("its directories are nested or linked without end");
                    return Err(Error::unreadable(&path, e));
                }
                self.directory(&path, deeper - 1)?;
                continue;
            }
            let Ok(to) = path.strip_prefix(self.lib) else { continue };
            let wanted = metadata.is_file()
                && part::lib_of(to, self.gpus).is_some_and(|lib| lib.as_os_str().is_empty())
                && part::is_of(self.soname, to);
            if wanted {
                let content = content(self.root, &path)?;
                self.files.push(SourceFile { to: to.to_owned(), content });
            }
        }
        Ok(())
    }
}

fn content(root: &Root, path: &Path) -> Result<Content, Error> {
    let metadata = root.metadata(path).map_err(|e| Error::unreadable(path, e))?;
    Ok(Content::File {
        from: Contents::In(root.clone(), path.to_owned()),
        size: metadata.len(),
        mode: files::plain_mode(metadata.permissions().mode()),
        modified: metadata.mtime(),
    })
}
