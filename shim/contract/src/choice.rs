//! Chooses the backend that the shim opens, from a setting or from the contents of the store.
//!
//! The shim passes the files that its process sees, the installer those below a root. Both read the
//! settings themselves. Whether a file is a usable rocBLAS is checked afterwards.

use crate::{libraries, sentences, store};
use std::{
    ffi::{OsStr, OsString},
    fmt,
    fs::File,
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// The files to choose from.
pub trait Files {
    /// The names in a directory, in any order.
    ///
    /// # Errors
    /// Those of reading the directory.
    fn names(&self, directory: &Path) -> io::Result<Vec<OsString>>;

    /// Whether a path is a directory, or a symlink to one.
    fn is_directory(&self, path: &Path) -> bool;

    /// Whether a path exists, even if it is a dangling symlink.
    fn exists(&self, path: &Path) -> bool;

    /// Opens a file for reading.
    ///
    /// # Errors
    /// Those of opening it.
    fn open(&self, path: &Path) -> io::Result<File>;
}

/// A backend that a user chose.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// A name in the store, or a path.
    pub value: &'a OsStr,
    /// Where it was set, for messages.
    pub source: &'a str,
    /// The base of a relative path.
    pub relative_to: &'a Path,
}

/// A file to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name in the store, or its file name if it is not in the store.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

/// A place that was searched, and why it has no backend.
#[derive(Debug)]
pub struct Tried {
    /// A path, or a setting.
    pub place: String,
    /// The reason.
    pub why: Why,
}

/// Why a place has no backend.
#[derive(Debug)]
pub enum Why {
    /// It cannot be read.
    Io(io::Error),
    /// Another reason: one of [`sentences`].
    Sentence(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => f.write_str(&unreadable(error)),
            Self::Sentence(sentence) => f.write_str(sentence),
        }
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.why)
    }
}

/// The text for a file that cannot be read.
#[must_use]
pub fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => sentences::absent(),
        io::ErrorKind::PermissionDenied => sentences::forbidden(),
        _ => sentences::unreadable(error),
    }
}

fn io(place: &Path, error: io::Error) -> Tried {
    Tried { place: place.display().to_string(), why: Why::Io(error) }
}

fn sentence(place: impl fmt::Display, sentence: String) -> Tried {
    Tried { place: place.to_string(), why: Why::Sentence(sentence) }
}

/// The backend that a setting chooses, for a shim in these directories: a value with a slash is a path, any
/// other value is a name in the store.
///
/// # Errors
/// Why there is none.
pub fn chosen(
    files: &impl Files,
    directories: &[PathBuf],
    setting: Setting<'_>,
) -> Result<Candidate, Tried> {
    let Setting { value, source, relative_to } = setting;
    let place = format_args!("{source}={}", value.display()).to_string();
    if value.is_empty() {
        return Err(sentence(place, sentences::empty_setting()));
    }
    if value.as_bytes().contains(&b'/') {
        let path = relative_to.join(value);
        return Ok(Candidate { name: file_name(&path), path });
    }
    let stores: Vec<PathBuf> = directories.iter().map(|d| store::backends(d)).collect();
    let mut prefixes = stores.iter().map(|store| store.join(value));
    match prefixes.find(|prefix| files.is_directory(prefix)) {
        Some(prefix) => in_prefix(files, &prefix),
        None => {
            let stores: Vec<String> = stores.iter().map(|s| s.display().to_string()).collect();
            Err(sentence(place, sentences::not_in_store(stores.join(" or "))))
        }
    }
}

/// The choice without a setting: the only backend in the store, or, if there is no store, `librocblas.so.4`
/// next to the shim. Returns the places in order, up to the first that contains anything: falling through to
/// the next would run a backend that the user did not choose.
pub fn usual(files: &impl Files, directories: &[PathBuf]) -> Vec<Result<Candidate, Tried>> {
    let mut places = Vec::new();
    for directory in directories {
        let store = store::backends(directory);
        match files.names(&store) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let path = directory.join(libraries::BACKEND_SONAME);
                let exists = files.exists(&path);
                places.push(Err(io(&store, e)));
                places.push(Ok(Candidate { name: file_name(&path), path }));
                if !exists {
                    continue;
                }
            }
            Err(e) => places.push(Err(io(&store, e))),
            Ok(names) => places.push(only(files, &store, names)),
        }
        break;
    }
    places
}

fn only(files: &impl Files, store: &Path, names: Vec<OsString>) -> Result<Candidate, Tried> {
    let prefixes = names.into_iter().map(|name| store.join(name));
    let mut prefixes: Vec<PathBuf> = prefixes.filter(|path| files.is_directory(path)).collect();
    prefixes.sort();
    match prefixes.as_slice() {
        [] => Err(sentence(store.display(), sentences::no_backends())),
        [only] => in_prefix(files, only),
        several => {
            let names: Vec<String> = several.iter().map(|prefix| file_name(prefix)).collect();
            Err(sentence(store.display(), sentences::several_backends(names.join(", "))))
        }
    }
}

/// The library of a backend in its own prefix.
///
/// # Errors
/// Why there is none.
pub fn in_prefix(files: &impl Files, prefix: &Path) -> Result<Candidate, Tried> {
    let lib = prefix.join(store::LIB);
    let names = files.names(&lib).map_err(|e| io(&lib, e))?;
    let names: Vec<String> =
        names.into_iter().map(|name| name.to_string_lossy().into_owned()).collect();
    let name = library_among(names.iter().map(String::as_str));
    let name = name.ok_or_else(|| sentence(lib.display(), sentences::no_library()))?;
    Ok(Candidate { name: file_name(prefix), path: lib.join(name) })
}

/// The name of the rocBLAS among these: the shortest one with a version, which has only the SONAME's
/// version, or else the one without a version.
pub fn library_among<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let names = names.filter(|name| libraries::is_rocblas(name));
    names.min_by_key(|name| (*name == libraries::ROCBLAS, name.len(), *name))
}

/// The name of the backend whose prefix contains a path: `6.3.0` for
/// `.../rocblas-shim/backends/6.3.0/lib/librocblas.so.4`.
#[must_use]
pub fn name_in_store(path: &Path) -> Option<String> {
    let names: Vec<&OsStr> = path.iter().collect();
    let is_store = |two: &[&OsStr]| two[0] == store::STORE && two[1] == store::BACKENDS;
    let at = names.windows(2).rposition(is_store)?;
    names.get(at + 2).map(|name| name.to_string_lossy().into_owned())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
