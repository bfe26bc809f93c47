//! Which files may be the backend, in the order to try them, and why.

use super::refusal::Refusal;
use crate::{
    config::{self, Choice, Settings},
    own,
};
use std::{
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// A file to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

/// A place where a backend was looked for, and why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tried {
    pub(crate) place: String,
    pub(crate) refusal: Refusal,
}

/// Says of a place why there is no backend.
fn tried(place: impl ToString, refusal: impl Into<Refusal>) -> Tried {
    Tried { place: place.to_string(), refusal: refusal.into() }
}

/// Places in order. The first one that holds anything is the last one looked at: falling through to
/// another would run something that was not asked for.
pub(crate) fn places(settings: &Settings) -> Vec<Result<Candidate, Tried>> {
    let directories = own::directories();
    match &settings.backend {
        Some(choice) => vec![chosen(choice, directories)],
        None if settings.guess => usual(directories),
        None => Vec::new(),
    }
}

fn chosen(choice: &Choice, directories: &[PathBuf]) -> Result<Candidate, Tried> {
    let Choice { value, source, directory } = choice;
    let place = || format!("{source}={}", value.display());
    if value.is_empty() {
        return Err(tried(place(), "is empty: it must be a path or the name of a backend"));
    }
    if value.as_bytes().contains(&b'/') {
        let path = directory.as_deref().unwrap_or(Path::new("")).join(value);
        return Ok(Candidate { name: file_name(&path), path });
    }
    let stores: Vec<PathBuf> = directories.iter().map(|d| backends(d)).collect();
    let found = stores.iter().map(|store| store.join(value)).find(|prefix| prefix.is_dir());
    found.map_or_else(
        || {
            let stores: Vec<String> = stores.iter().map(|s| s.display().to_string()).collect();
            let stores = stores.join(" or ");
            Err(tried(place(), format!("names no backend in {stores} (a path needs a `/` in it)")))
        },
        |prefix| in_prefix(&prefix),
    )
}

/// The only backend of the store beside the shim, or where there is no store, `librocblas.so.4`
/// beside the shim.
fn usual(directories: &[PathBuf]) -> Vec<Result<Candidate, Tried>> {
    let mut places = Vec::new();
    for directory in directories {
        let store = backends(directory);
        match subdirectories(&store) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let path = directory.join("librocblas.so.4");
                let absent = fs::symlink_metadata(&path).is_err();
                places.push(Err(tried(store.display(), e)));
                places.push(Ok(Candidate { name: file_name(&path), path }));
                if absent {
                    continue;
                }
            }
            Err(e) => places.push(Err(tried(store.display(), e))),
            Ok(prefixes) => places.push(match prefixes.as_slice() {
                [] => Err(tried(store.display(), "holds no backend")),
                [only] => in_prefix(only),
                several => {
                    let names: Vec<String> = several.iter().map(|p| file_name(p)).collect();
                    let names = names.join(", ");
                    let why = format!("holds several backends ({names}) and none is chosen");
                    Err(tried(store.display(), why))
                }
            }),
        }
        break;
    }
    places
}

fn backends(directory: &Path) -> PathBuf {
    directory.join(config::STORE).join("backends")
}

fn subdirectories(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The library of a backend in its own prefix, `<prefix>/lib/librocblas.so.N`: the shortest name
/// with a version, which is the one with the SONAME's version alone, or else the one without.
fn in_prefix(prefix: &Path) -> Result<Candidate, Tried> {
    let lib = prefix.join("lib");
    let list = || {
        let mut names: Vec<String> = Vec::new();
        for entry in fs::read_dir(&lib)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    };
    let names = list().map_err(|e: io::Error| tried(lib.display(), e))?;
    let named = |prefix: &str| {
        let names = names.iter().filter(|name| name.starts_with(prefix));
        names.min_by_key(|name| (name.len(), (*name).clone()))
    };
    let name = named("librocblas.so.").or_else(|| names.iter().find(|n| *n == "librocblas.so"));
    let name = name.ok_or_else(|| tried(lib.display(), "holds no librocblas.so.*"))?;
    Ok(Candidate { name: file_name(prefix), path: lib.join(name) })
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().expect("a parent")).expect("make directories");
        fs::write(path, "").expect("write");
    }

    fn chosen_in(root: &Path, value: &str, directory: Option<&Path>) -> Result<Candidate, Tried> {
        let choice = Choice {
            value: value.into(),
            source: "SOURCE".to_owned(),
            directory: directory.map(Path::to_path_buf),
        };
        chosen(&choice, &[root.to_owned()])
    }

    #[track_caller]
    fn why(place: &Result<Candidate, Tried>) -> &str {
        &place.as_ref().expect_err("no candidate").refusal.why
    }

    #[test]
    fn a_value_with_a_slash_is_a_path_and_one_without_is_a_name() {
        let root = tempfile::tempdir().expect("temporary directory");
        let lib = root.path().join("rocblas-shim/backends/6.3.0/lib");
        touch(&lib.join("librocblas.so.4.3.60300"));
        touch(&lib.join("librocblas.so.4"));
        touch(&lib.join("librocblas.so"));
        assert_eq!(
            chosen_in(root.path(), "6.3.0", None),
            Ok(Candidate { name: "6.3.0".to_owned(), path: lib.join("librocblas.so.4") })
        );
        let relative = "./x/librocblas.so.4";
        let path = |directory| chosen_in(root.path(), relative, directory).expect("a path").path;
        assert_eq!(path(None), Path::new(relative));
        assert_eq!(path(Some(Path::new("/store"))), Path::new("/store/x/librocblas.so.4"));
        assert!(why(&chosen_in(root.path(), "6.4", None)).starts_with("names no backend in "));
        assert!(why(&chosen_in(root.path(), "", None)).starts_with("is empty"));
    }

    #[test]
    fn a_prefix_without_a_library_is_named_and_an_unversioned_one_taken() {
        let root = tempfile::tempdir().expect("temporary directory");
        let prefix = backends(root.path()).join("wheel");
        fs::create_dir_all(&prefix).expect("make a prefix");
        let bare = chosen_in(root.path(), "wheel", None);
        assert_eq!(
            bare.clone().expect_err("no lib").place,
            prefix.join("lib").display().to_string()
        );
        assert_eq!(why(&bare), "does not exist");
        fs::create_dir(prefix.join("lib")).expect("make lib");
        assert_eq!(why(&chosen_in(root.path(), "wheel", None)), "holds no librocblas.so.*");
        touch(&prefix.join("lib/librocblas.so"));
        let found = chosen_in(root.path(), "wheel", None).expect("the unversioned one");
        assert_eq!(found.path, prefix.join("lib/librocblas.so"));
    }

    #[test]
    fn the_first_place_that_holds_anything_is_the_last_one_looked_at() {
        let root = tempfile::tempdir().expect("temporary directory");
        let usual = || usual(&[root.path().to_owned(), root.path().join("other")]);
        let [store, beside, _, _] = usual().try_into().expect("two places in each directory");
        assert_eq!(why(&store), "does not exist");
        let library = root.path().join("librocblas.so.4");
        assert_eq!(beside.expect("a place").path, library);
        touch(&library);
        assert_eq!(usual().len(), 2, "what is beside the shim is tried, and nothing after it");
        fs::create_dir_all(backends(root.path())).expect("make directories");
        let [store] = usual().try_into().expect("the store alone");
        assert_eq!(why(&store), "holds no backend");
        touch(&backends(root.path()).join("6.3.0/lib/librocblas.so.4"));
        assert_eq!(usual()[0].as_ref().expect("the only one").name, "6.3.0");
        touch(&backends(root.path()).join("7.0.2/lib/librocblas.so.5"));
        let [store] = usual().try_into().expect("the store alone");
        assert_eq!(why(&store), "holds several backends (6.3.0, 7.0.2) and none is chosen");
    }
}
