//! Lists the files that may be the backend, in the order to try them.

use super::refusal::Refusal;
use crate::{
    config::{Choice, Settings},
    own,
};
pub(crate) use rocblas_contract::choice::Candidate;
use rocblas_contract::{
    choice::{self, Files, Setting},
    serves::{self, Known},
};
use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

/// A place that was searched for a backend, and why it has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tried {
    pub(crate) place: String,
    pub(crate) refusal: Refusal,
}

impl From<choice::Tried> for Tried {
    fn from(choice::Tried { place, why }: choice::Tried) -> Self {
        Self { place, refusal: why.into() }
    }
}

/// The places in order. The search stops at the first one that contains anything: falling through to
/// the next would run a backend that the user did not choose.
pub(crate) fn places(settings: &Settings) -> Vec<Result<Candidate, Tried>> {
    match &settings.backend {
        Some(choice) => vec![chosen(choice)],
        None if settings.guess => usual(own::directories()),
        None => Vec::new(),
    }
}

/// The file that the user has chosen.
pub(crate) fn chosen(choice: &Choice) -> Result<Candidate, Tried> {
    chosen_in(choice, own::directories())
}

fn chosen_in(choice: &Choice, directories: &[PathBuf]) -> Result<Candidate, Tried> {
    let Choice { value, source, directory } = choice;
    let relative_to = directory.as_deref().unwrap_or(Path::new(""));
    let setting = Setting { value, source, relative_to };
    choice::chosen(&Process, directories, setting).map_err(Tried::from)
}

fn usual(directories: &[PathBuf]) -> Vec<Result<Candidate, Tried>> {
    let places = choice::usual(&Process, directories).into_iter();
    places.map(|place| place.map_err(Tried::from)).collect()
}

/// The recorded facts about the backends in the stores of these directories.
pub(crate) fn known(directories: &[PathBuf]) -> Vec<Known> {
    serves::known(&Process, directories)
}

/// The file system as this process sees it.
struct Process;

impl Files for Process {
    fn names(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn exists(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok()
    }

    fn open(&self, path: &Path) -> io::Result<fs::File> {
        fs::File::open(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rocblas_contract::store::backends;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().expect("a parent")).expect("make directories");
        fs::write(path, "").expect("write");
    }

    fn chosen(root: &Path, value: &str, directory: Option<&Path>) -> Result<Candidate, Tried> {
        let choice = Choice {
            value: value.into(),
            source: "SOURCE".to_owned(),
            directory: directory.map(Path::to_path_buf),
        };
        chosen_in(&choice, &[root.to_owned()])
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
            chosen(root.path(), "6.3.0", None),
            Ok(Candidate { name: "6.3.0".to_owned(), path: lib.join("librocblas.so.4") })
        );
        let relative = "./x/librocblas.so.4";
        let path = |directory| chosen(root.path(), relative, directory).expect("a path").path;
        assert_eq!(path(None), Path::new(relative));
        assert_eq!(path(Some(Path::new("/store"))), Path::new("/store/x/librocblas.so.4"));
        assert!(
            why(&chosen(root.path(), "6.4", None)).starts_with("is not the name of a backend in ")
        );
        assert!(why(&chosen(root.path(), "", None)).starts_with("is empty"));
    }

    #[test]
    fn a_prefix_without_a_library_is_named_and_an_unversioned_one_taken() {
        let root = tempfile::tempdir().expect("temporary directory");
        let prefix = backends(root.path()).join("wheel");
        fs::create_dir_all(&prefix).expect("make a prefix");
        let bare = chosen(root.path(), "wheel", None);
        assert_eq!(
            bare.clone().expect_err("no lib").place,
            prefix.join("lib").display().to_string()
        );
        assert_eq!(why(&bare), "does not exist");
        fs::create_dir(prefix.join("lib")).expect("make lib");
        assert_eq!(why(&chosen(root.path(), "wheel", None)), "contains no librocblas.so.*");
        touch(&prefix.join("lib/librocblas.so"));
        let found = chosen(root.path(), "wheel", None).expect("the unversioned one");
        assert_eq!(found.path, prefix.join("lib/librocblas.so"));
    }

    #[test]
    fn the_search_stops_at_the_first_place_that_contains_anything() {
        let root = tempfile::tempdir().expect("temporary directory");
        let usual = || usual(&[root.path().to_owned(), root.path().join("other")]);
        let [store, library_here, _, _] = usual().try_into().expect("two places per directory");
        assert_eq!(why(&store), "does not exist");
        let library = root.path().join("librocblas.so.4");
        assert_eq!(library_here.expect("a place").path, library);
        touch(&library);
        assert_eq!(usual().len(), 2, "the library next to the shim is tried, and nothing after it");
        fs::create_dir_all(backends(root.path())).expect("make directories");
        let [store] = usual().try_into().expect("the store alone");
        assert_eq!(why(&store), "contains no backend");
        touch(&backends(root.path()).join("6.3.0/lib/librocblas.so.4"));
        assert_eq!(usual()[0].as_ref().expect("the only one").name, "6.3.0");
        touch(&backends(root.path()).join("7.0.2/lib/librocblas.so.5"));
        let [store] = usual().try_into().expect("the store alone");
        assert_eq!(
            why(&store),
            "contains several backends (6.3.0, 7.0.2), and no setting chooses one"
        );
    }
}
