//! Which files may be the backend, in the order to try them, and why.

use crate::{
    config::{self, Settings},
    own,
};
use std::{
    ffi::OsStr,
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

/// A place where a backend was looked for and why there is none, as a sentence's two halves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tried {
    pub(crate) place: String,
    pub(crate) why: String,
}

/// Places in order. A place that was chosen by the user is the only one: falling through to
/// another would run something that was not asked for.
pub(crate) fn places(settings: &Settings) -> Vec<Result<Candidate, Tried>> {
    let directories = own::directories();
    match &settings.backend {
        Some(choice) => vec![chosen(&choice.value, &choice.source, &directories)],
        None => directories.iter().flat_map(|directory| usual(directory)).collect(),
    }
}

fn chosen(value: &OsStr, source: &str, directories: &[PathBuf]) -> Result<Candidate, Tried> {
    let tried = |why: String| Tried { place: format!("{source}={}", value.display()), why };
    if value.is_empty() {
        return Err(tried("is empty: it must be a path or the name of a backend".to_owned()));
    }
    if value.as_bytes().contains(&b'/') {
        return Ok(Candidate { name: file_name(Path::new(value)), path: PathBuf::from(value) });
    }
    let stores: Vec<PathBuf> = directories.iter().map(|d| backends(d)).collect();
    let Some(found) = stores.iter().map(|store| store.join(value)).find(|dir| dir.is_dir()) else {
        let stores: Vec<String> = stores.iter().map(|s| s.display().to_string()).collect();
        return Err(tried(format!(
            "names no backend in {} (a path needs a `/` in it)",
            stores.join(" or ")
        )));
    };
    in_prefix(&found).map_err(|e| tried(format!("{}: {e}", found.display())))
}

fn usual(directory: &Path) -> [Result<Candidate, Tried>; 2] {
    let store = backends(directory);
    let tried = |why: String| Tried { place: store.display().to_string(), why };
    let from_store = match subdirectories(&store) {
        Err(e) => Err(tried(sentence(&e))),
        Ok(names) => match names.as_slice() {
            [] => Err(tried("holds no backend".to_owned())),
            [only] => in_prefix(only).map_err(|e| tried(sentence(&e))),
            several => {
                let names: Vec<String> = several.iter().map(|p| file_name(p)).collect();
                Err(tried(format!(
                    "holds several backends ({}) and none is chosen",
                    names.join(", ")
                )))
            }
        },
    };
    let path = directory.join("librocblas.so.4");
    [from_store, Ok(Candidate { name: file_name(&path), path })]
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

/// The library of a backend in its own prefix, `<prefix>/lib/librocblas.so.N`: the shortest of the
/// names that begin so, which is the one with the SONAME's version alone.
fn in_prefix(prefix: &Path) -> io::Result<Candidate> {
    let lib = prefix.join("lib");
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(&lib)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("librocblas.so.") {
            names.push(name);
        }
    }
    let name = names
        .into_iter()
        .min_by(|a, b| (a.len(), a).cmp(&(b.len(), b)))
        .ok_or_else(|| io::Error::other(format!("no librocblas.so.* in {}", lib.display())))?;
    Ok(Candidate { name: file_name(prefix), path: lib.join(name) })
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// An I/O error as it reads after a path.
pub(crate) fn sentence(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read by this user".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().expect("a parent")).expect("make directories");
        fs::write(path, "").expect("write");
    }

    fn chosen_in(directory: &Path, value: &str) -> Result<Candidate, Tried> {
        chosen(OsStr::new(value), "SOURCE", &[directory.to_owned()])
    }

    #[test]
    fn a_value_with_a_slash_is_a_path_and_one_without_is_a_name() {
        let root = tempfile::tempdir().expect("temporary directory");
        let lib = root.path().join("rocblas-shim/backends/6.3.0/lib");
        touch(&lib.join("librocblas.so.4.3.60300"));
        touch(&lib.join("librocblas.so.4"));
        touch(&lib.join("librocblas.so"));
        assert_eq!(
            chosen_in(root.path(), "6.3.0"),
            Ok(Candidate { name: "6.3.0".to_owned(), path: lib.join("librocblas.so.4") })
        );
        assert_eq!(
            chosen_in(root.path(), "./x/librocblas.so.4").expect("a path").path,
            Path::new("./x/librocblas.so.4")
        );
        let why = chosen_in(root.path(), "6.4").expect_err("no such name").why;
        assert!(why.starts_with("names no backend in "), "{why}");
        assert!(chosen_in(root.path(), "").expect_err("empty").why.starts_with("is empty"));
    }

    #[test]
    fn one_backend_in_the_store_is_the_default_and_two_are_a_question() {
        let root = tempfile::tempdir().expect("temporary directory");
        let why = |place: &Result<Candidate, Tried>| place.clone().expect_err("none").why;
        assert_eq!(why(&usual(root.path())[0]), "does not exist");
        fs::create_dir_all(backends(root.path())).expect("make directories");
        assert_eq!(why(&usual(root.path())[0]), "holds no backend");
        touch(&backends(root.path()).join("6.3.0/lib/librocblas.so.4"));
        let [store, beside] = usual(root.path());
        assert_eq!(store.expect("the only one").name, "6.3.0");
        assert_eq!(beside.expect("a place").path, root.path().join("librocblas.so.4"));
        touch(&backends(root.path()).join("7.0.2/lib/librocblas.so.5"));
        assert_eq!(
            why(&usual(root.path())[0]),
            "holds several backends (6.3.0, 7.0.2) and none is chosen"
        );
    }
}
