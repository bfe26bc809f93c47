//! Which backend the shim opens: `shim/src/backend/locate.rs`, replayed on the files of a root without
//! running anything. Only the choice is made here; whether the file is a usable rocBLAS is
//! [`library`]'s to say.

use crate::{elf, journal::STORE, root::Root, settings};
use serde::{Serialize, Serializer};
use std::{
    ffi::OsStr,
    fmt,
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// The environment variable that names a backend.
pub const VARIABLE: &str = "ROCBLAS_SHIM_BACKEND";

/// Larger than any settings that a person writes, in bytes.
const MOST_SETTINGS: u64 = 1 << 20;

/// What decided. Serialised as it is displayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChosenBy {
    /// [`VARIABLE`].
    Environment,
    /// This `shim.toml`.
    Settings(PathBuf),
    /// No setting: it is the only one there is.
    Default,
}

impl fmt::Display for ChosenBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str(VARIABLE),
            Self::Settings(path) => write!(f, "{}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Serialize for ChosenBy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A file that the shim would open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Its name in the store, or the file name where it is not in one.
    pub name: String,
    /// Inside the root.
    pub path: PathBuf,
    /// What decided.
    pub chosen_by: ChosenBy,
}

/// The directories in which the shim looks for its store and settings: that of the path it is loaded
/// by, and that of the file behind it. Both are resolved, and the same one is not listed twice.
#[must_use]
pub fn directories(root: &Root, shim: &Path) -> Vec<PathBuf> {
    let resolved = root.resolve(shim).ok();
    let mut directories = Vec::new();
    for file in [Some(shim.to_owned()), resolved].into_iter().flatten() {
        let directory = file.parent().and_then(|directory| root.resolve(directory).ok());
        directories.extend(directory.filter(|directory| !directories.contains(directory)));
    }
    directories
}

/// Chooses as the shim does. `value` is that of [`VARIABLE`], and `working_directory` what a relative
/// path in it is relative to.
///
/// # Errors
/// A sentence that says why the shim would find none.
pub fn backend(
    root: &Root,
    directories: &[PathBuf],
    value: Option<&OsStr>,
    working_directory: &Path,
) -> Result<Chosen, String> {
    if let Some(value) = value {
        return named(root, directories, value, working_directory, ChosenBy::Environment);
    }
    for path in directories.iter().flat_map(|d| [settings::path(d), d.join("shim.toml")]) {
        let text = match read_up_to(root, &path, MOST_SETTINGS) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => other.map_err(|e| format!("{} cannot be read: {e}", path.display()))?,
        };
        let value = settings::backend(&text);
        let value = value.map_err(|_| format!("{} is not valid TOML", path.display()))?;
        if let Some(value) = value {
            let directory = path.parent().unwrap_or(&path).to_owned();
            let chosen_by = ChosenBy::Settings(path);
            return named(root, directories, OsStr::new(&value), &directory, chosen_by);
        }
        break;
    }
    only(root, directories)
}

/// The backend that a value stands for: with a slash a path, else a name in a store.
fn named(
    root: &Root,
    directories: &[PathBuf],
    value: &OsStr,
    relative_to: &Path,
    chosen_by: ChosenBy,
) -> Result<Chosen, String> {
    if value.is_empty() {
        return Err(format!("{chosen_by} names an empty backend: it must be a path or a name"));
    }
    if value.as_bytes().contains(&b'/') {
        let path = relative_to.join(value);
        return Ok(Chosen { name: file_name(&path), path, chosen_by });
    }
    let mut stores = directories.iter().map(|directory| backends(directory));
    match stores.clone().map(|store| store.join(value)).find(|prefix| is_directory(root, prefix)) {
        Some(prefix) => named_prefix(root, &prefix, chosen_by),
        None => {
            let store = stores.next().unwrap_or_default();
            Err(format!(
                "{chosen_by} names the backend {}, which is not in {}",
                value.display(),
                store.display()
            ))
        }
    }
}

/// The choice without a setting: the only backend of the store, or `librocblas.so.4` beside the shim
/// where there is no store.
fn only(root: &Root, directories: &[PathBuf]) -> Result<Chosen, String> {
    for directory in directories {
        let store = backends(directory);
        let prefixes = match root.names(&store) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let path = directory.join("librocblas.so.4");
                if root.metadata_of_entry(&path).is_err() {
                    continue;
                }
                return Ok(Chosen { name: file_name(&path), path, chosen_by: ChosenBy::Default });
            }
            Err(e) => return Err(format!("{} cannot be read: {e}", store.display())),
            Ok(names) => names.into_iter().map(|name| store.join(name)),
        };
        let prefixes: Vec<PathBuf> = prefixes.filter(|path| is_directory(root, path)).collect();
        return match prefixes.as_slice() {
            [] => Err(format!("{} holds no backend", store.display())),
            [prefix] => named_prefix(root, prefix, ChosenBy::Default),
            several => {
                let names: Vec<String> = several.iter().map(|prefix| file_name(prefix)).collect();
                Err(format!(
                    "{} holds several backends ({}) and none is chosen: run `installer backends use \
                     NAME`",
                    store.display(),
                    names.join(", ")
                ))
            }
        };
    }
    Err("there is no store beside the shim, and no librocblas.so.4".to_owned())
}

fn named_prefix(root: &Root, prefix: &Path, chosen_by: ChosenBy) -> Result<Chosen, String> {
    let path = in_prefix(root, prefix)?;
    Ok(Chosen { name: file_name(prefix), path, chosen_by })
}

/// The library of a backend in its own prefix: the shortest name with a version, which is the one
/// with the SONAME's version alone, or else the one without.
///
/// # Errors
/// A sentence that says why there is none.
pub fn in_prefix(root: &Root, prefix: &Path) -> Result<PathBuf, String> {
    let lib = prefix.join("lib");
    let names = root.names(&lib).map_err(|e| format!("{} cannot be read: {e}", lib.display()))?;
    let names: Vec<String> =
        names.into_iter().map(|name| name.to_string_lossy().into_owned()).collect();
    let versioned = names.iter().filter(|name| name.starts_with("librocblas.so."));
    let shortest = versioned.min_by_key(|name| (name.len(), (*name).clone()));
    let library = shortest.or_else(|| names.iter().find(|name| *name == "librocblas.so"));
    let library = library.ok_or_else(|| format!("{} holds no librocblas.so.*", lib.display()))?;
    Ok(lib.join(library))
}

/// Checks a file as the shim does before it opens it, and returns its summary.
///
/// # Errors
/// A sentence that says why the shim would refuse it.
pub fn library(root: &Root, path: &Path) -> Result<elf::Summary, String> {
    let refusal = |why: &dyn fmt::Display| format!("{} {why}", path.display());
    match root.metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(refusal(&"does not exist")),
        Err(e) => return Err(refusal(&format_args!("cannot be read: {e}"))),
        Ok(metadata) if metadata.is_dir() => {
            return Err(refusal(&"is a directory: name the library in it"));
        }
        Ok(_) => {}
    }
    let file = root.open(path).map_err(|e| refusal(&format_args!("cannot be read: {e}")))?;
    let summary = elf::summary(&file);
    let summary = summary.map_err(|e| refusal(&format_args!("is not a library: {e}")))?;
    if !summary.machine_is_x86_64 {
        return Err(refusal(&format_args!("is for another machine: {}", summary.machine)));
    }
    if summary.shim.is_some() {
        return Err(refusal(&"is a shim itself: it cannot forward to a shim"));
    }
    match &summary.soname {
        Some(soname) if is_rocblas(soname) => Ok(summary),
        Some(soname) => Err(refusal(&format_args!("is not rocBLAS: its SONAME is {soname}"))),
        None => Err(refusal(&"is not rocBLAS: it has no SONAME")),
    }
}

/// Whether a SONAME is rocBLAS's.
#[must_use]
pub fn is_rocblas(soname: &str) -> bool {
    soname == "librocblas.so" || soname.starts_with("librocblas.so.")
}

/// The name of the backend in whose prefix a path is: `6.3.0` of
/// `.../rocblas-shim/backends/6.3.0/lib/librocblas.so.4`.
#[must_use]
pub fn name_in_store(path: &Path) -> Option<String> {
    let names: Vec<&OsStr> = path.iter().collect();
    let store = names.windows(2).rposition(|two| two[0] == STORE && two[1] == "backends")?;
    names.get(store + 2).map(|name| name.to_string_lossy().into_owned())
}

fn backends(directory: &Path) -> PathBuf {
    directory.join(STORE).join("backends")
}

fn is_directory(root: &Root, path: &Path) -> bool {
    root.metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn read_up_to(root: &Root, path: &Path, most: u64) -> io::Result<String> {
    let mut text = String::new();
    root.open(path)?.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        let why = format!("it has more than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
