//! Which backend the shim would open, by the shim's own rules (`rocblas_contract::choice`), applied to the
//! files of a root without running anything. This only makes the choice; [`library`] checks whether the file
//! is a usable rocBLAS.

use crate::{elf, root::Root, settings};
use rocblas_contract::{
    choice::{self, Candidate, Files, Setting},
    libraries::BACKEND_SONAME,
    sentences, store,
};
use serde::{Serialize, Serializer};
use std::{
    ffi::{OsStr, OsString},
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

pub use rocblas_contract::{
    choice::name_in_store, libraries::is_rocblas, variables::BACKEND as VARIABLE,
};

/// Larger than any settings that a person writes, in bytes.
const MOST_SETTINGS: u64 = 1 << 20;

/// What selected the backend. Serialised as displayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChosenBy {
    /// [`VARIABLE`].
    Environment,
    /// This `shim.toml`.
    Settings(PathBuf),
    /// No setting: it is the only backend.
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

/// The file that the shim would open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Its name in the store, or its file name if it is outside the store.
    pub name: String,
    /// Inside the root.
    pub path: PathBuf,
    /// What selected it.
    pub chosen_by: ChosenBy,
}

/// The directories in which the shim searches for its store and settings: that of the path by which it is
/// loaded, and that of the file itself. Both are resolved; duplicates are listed once.
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

/// Chooses as the shim does. `value` is that of [`VARIABLE`]; a relative path in it is resolved against
/// `working_directory`.
///
/// # Errors
/// Why the shim would find none, as a sentence.
pub fn backend(
    root: &Root,
    directories: &[PathBuf],
    value: Option<&OsStr>,
    working_directory: &Path,
) -> Result<Chosen, String> {
    if let Some(value) = value {
        return named(root, directories, value, working_directory, ChosenBy::Environment);
    }
    for path in directories.iter().flat_map(|directory| store::settings_files(directory)) {
        let text = match read_up_to(root, &path, MOST_SETTINGS) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => {
                other.map_err(|e| format!("{}: {}", path.display(), choice::unreadable(&e)))?
            }
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

/// The backend of a rule in `[route]` of the `shim.toml` in that directory.
///
/// # Errors
/// Why there is none, as a sentence.
pub fn of_rule(
    root: &Root,
    directories: &[PathBuf],
    value: &str,
    settings: &Path,
) -> Result<Chosen, String> {
    let by = ChosenBy::Settings(settings.to_owned());
    let directory = settings.parent().unwrap_or(settings);
    named(root, directories, OsStr::new(value), directory, by)
}

fn named(
    root: &Root,
    directories: &[PathBuf],
    value: &OsStr,
    relative_to: &Path,
    chosen_by: ChosenBy,
) -> Result<Chosen, String> {
    let source = chosen_by.to_string();
    let setting = Setting { value, source: &source, relative_to };
    match choice::chosen(root, directories, setting) {
        Ok(Candidate { name, path }) => Ok(Chosen { name, path, chosen_by }),
        Err(tried) => Err(tried.to_string()),
    }
}

/// The choice without a setting. The shim tries each place; here, the first existing file is the result.
fn only(root: &Root, directories: &[PathBuf]) -> Result<Chosen, String> {
    let mut tried = Vec::new();
    for place in choice::usual(root, directories) {
        match place {
            Ok(Candidate { name, path }) if root.exists(&path) => {
                return Ok(Chosen { name, path, chosen_by: ChosenBy::Default });
            }
            Ok(Candidate { path, .. }) => {
                tried.push(format!("{}: {}", path.display(), sentences::absent()));
            }
            Err(place) => tried.push(place.to_string()),
        }
    }
    Err(tried.join("; "))
}

impl Files for Root {
    fn names(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        self.names(directory)
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.metadata(path).is_ok_and(|metadata| metadata.is_dir())
    }

    fn exists(&self, path: &Path) -> bool {
        self.metadata_of_entry(path).is_ok()
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        self.open(path)
    }
}

/// The library of a backend in its own prefix.
///
/// # Errors
/// Why there is none, as a sentence.
pub fn in_prefix(root: &Root, prefix: &Path) -> Result<PathBuf, String> {
    let found = choice::in_prefix(root, prefix);
    found.map(|candidate| candidate.path).map_err(|tried| tried.to_string())
}

/// Checks a file as the shim does before it opens it, and returns its summary.
///
/// # Errors
/// Why the shim would reject the file, as a sentence.
pub fn library(root: &Root, path: &Path) -> Result<elf::Summary, String> {
    let refusal = |why: &dyn fmt::Display| format!("{} {why}", path.display());
    let unreadable = |e| refusal(&choice::unreadable(&e));
    if root.metadata(path).map_err(unreadable)?.is_dir() {
        let example = path.join(BACKEND_SONAME);
        return Err(refusal(&sentences::directory(example.display())));
    }
    let file = root.open(path).map_err(unreadable)?;
    let summary = elf::summary(&file);
    let summary = summary.map_err(|e| refusal(&format_args!("is not a library: {e}")))?;
    if !summary.machine_is_x86_64 {
        return Err(refusal(&sentences::other_machine(&summary.machine)));
    }
    if summary.shim.is_some() {
        return Err(refusal(&sentences::is_shim()));
    }
    match &summary.soname {
        Some(soname) if is_rocblas(soname) => Ok(summary),
        Some(soname) => Err(refusal(&sentences::other_soname(soname))),
        None => Err(refusal(&sentences::no_soname())),
    }
}

fn read_up_to(root: &Root, path: &Path, most: u64) -> io::Result<String> {
    let mut text = String::new();
    root.open(path)?.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most {
        let why = format!("it is larger than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
