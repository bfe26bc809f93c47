//! Checks the rules on directories of empty files.

use super::*;
use std::fs;

struct Real;

impl Files for Real {
    fn names(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn exists(&self, path: &Path) -> bool {
        path.symlink_metadata().is_ok()
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        File::open(path)
    }
}

struct Tree(tempfile::TempDir);

impl Tree {
    fn new(files: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for file in files {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
            fs::write(path, "").expect("a file");
        }
        Self(directory)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn chosen(&self, value: &str) -> Result<Candidate, Tried> {
        let setting = Setting { value: value.as_ref(), source: "S", relative_to: Path::new("/x") };
        chosen(&Real, &[self.at("lib")], setting)
    }

    fn usual(&self) -> Vec<Result<PathBuf, String>> {
        let places = usual(&Real, &[self.at("lib"), self.at("real")]).into_iter();
        places.map(|place| place.map(|c| c.path).map_err(|tried| tried.why.to_string())).collect()
    }
}

const OLD: &str = "lib/rocblas-shim/backends/6.3.0/lib/librocblas.so.4";
const NEW: &str = "lib/rocblas-shim/backends/7.0.2/lib/librocblas.so.5";

#[test]
fn a_name_is_a_backend_in_the_store_and_a_slash_makes_a_path() {
    let longer = format!("{OLD}.3.60300");
    let tree = Tree::new(&[OLD, &longer, "lib/rocblas-shim/backends/6.3.0/lib/librocblas.so"]);
    let found = tree.chosen("6.3.0").expect("a backend");
    assert_eq!(found, Candidate { name: "6.3.0".to_owned(), path: tree.at(OLD) });
    let path = tree.chosen("y/librocblas.so.4").expect("a path").path;
    assert_eq!(path, Path::new("/x/y/librocblas.so.4"));
    assert_eq!(tree.chosen("/y/z").expect("a path").path, Path::new("/y/z"));
    let stores = tree.at("lib/rocblas-shim/backends").display().to_string();
    assert_eq!(
        tree.chosen("8").expect_err("no such name").to_string(),
        format!("S=8: is not the name of a backend in {stores} (a path must contain a `/`)")
    );
    assert!(tree.chosen("").expect_err("nothing").to_string().starts_with("S=: is empty: "));
}

#[test]
fn a_prefix_without_a_rocblas_is_no_backend() {
    let tree = Tree::new(&["lib/rocblas-shim/backends/a/lib/librocblaslt.so.1"]);
    assert!(
        tree.chosen("a").expect_err("none").to_string().ends_with("contains no librocblas.so.*")
    );
    let tree = Tree::new(&["lib/rocblas-shim/backends/a/x"]);
    assert!(tree.chosen("a").expect_err("none").to_string().ends_with("lib: does not exist"));
    let wheel = Tree::new(&["lib/rocblas-shim/backends/a/lib/librocblas.so"]);
    assert!(wheel.chosen("a").expect("a backend").path.ends_with("a/lib/librocblas.so"));
}

#[test]
fn without_a_setting_the_only_backend_is_chosen() {
    assert_eq!(Tree::new(&[OLD]).usual().len(), 1);
    let tree = Tree::new(&[OLD, "lib/rocblas-shim/backends/file", "lib/librocblas.so.4"]);
    assert_eq!(tree.usual(), [Ok(tree.at(OLD))]);
    let several = "contains several backends (6.3.0, 7.0.2), and no setting chooses one";
    assert_eq!(Tree::new(&[OLD, NEW]).usual(), [Err(several.to_owned())]);
    let empty = Tree::new(&["lib/rocblas-shim/backends/file", "real/librocblas.so.4"]);
    assert_eq!(empty.usual(), [Err("contains no backend".to_owned())]);
}

#[test]
fn without_a_store_the_library_next_to_the_shim_is_chosen() {
    let absent = || Err("does not exist".to_owned());
    let tree = Tree::new(&["lib/librocblas.so.4", "real/librocblas.so.4"]);
    assert_eq!(tree.usual(), [absent(), Ok(tree.at("lib/librocblas.so.4"))]);
    // There is nothing in the first directory, so the second one is searched as well.
    let tree = Tree::new(&["lib/x", "real/librocblas.so.4"]);
    let candidates = ["lib", "real"].map(|d| Ok(tree.at(d).join("librocblas.so.4")));
    let [first, second] = candidates;
    assert_eq!(tree.usual(), [absent(), first, absent(), second]);
}

#[test]
fn the_backends_name_is_taken_from_a_path_in_the_store() {
    assert_eq!(name_in_store(Path::new(NEW)).as_deref(), Some("7.0.2"));
    assert_eq!(name_in_store(Path::new("/opt/rocm/lib/librocblas.so.5")), None);
    assert_eq!(name_in_store(Path::new("/x/rocblas-shim/backends")), None);
}
