//! The rules, on trees of empty files. That the shim itself chooses
//! the same is tested in `tests/installer/which.rs`.

use super::*;
use std::{fs, os::unix::fs::symlink};

struct Tree {
    directory: tempfile::TempDir,
    root: Root,
}

impl Tree {
    /// With files at these paths, empty or with the text behind `=`.
    fn new(files: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for file in files {
            let (path, text) = file.split_once('=').unwrap_or((file, ""));
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
            fs::write(path, text).expect("a file");
        }
        let root = Root::new(directory.path()).expect("a root");
        Self { directory, root }
    }

    fn choose(&self, value: Option<&str>) -> Result<Chosen, String> {
        let directories = directories(&self.root, Path::new("/lib/librocblas.so.5"));
        backend(&self.root, &directories, value.map(OsStr::new), Path::new("/work"))
    }

    #[track_caller]
    fn path(&self, value: Option<&str>) -> String {
        self.choose(value).expect("a choice").path.display().to_string()
    }
}

const SHIM: &str = "lib/librocblas.so.5";
const OLD: &str = "lib/rocblas-shim/backends/6.3.0/lib/librocblas.so.4";
const NEW: &str = "lib/rocblas-shim/backends/7.0.2/lib/librocblas.so.5";

#[test]
fn the_environment_wins_over_the_settings() {
    let tree = Tree::new(&[SHIM, OLD, NEW, "lib/rocblas-shim/shim.toml=backend = \"6.3.0\""]);
    let chosen = tree.choose(None).expect("a choice");
    assert_eq!(chosen.name, "6.3.0");
    let settings = ChosenBy::Settings("/lib/rocblas-shim/shim.toml".into());
    assert_eq!(chosen.chosen_by, settings);
    let chosen = tree.choose(Some("7.0.2")).expect("a choice");
    assert_eq!((chosen.name.as_str(), &chosen.chosen_by), ("7.0.2", &ChosenBy::Environment));
    assert_eq!(tree.path(Some("./x.so")), "/work/./x.so");
    assert!(
        tree.choose(Some("8"))
            .expect_err("no such name")
            .contains("=8: is not the name of a backend in")
    );
    assert!(tree.choose(Some("")).is_err());
}

#[test]
fn a_relative_path_in_the_settings_is_relative_to_their_file() {
    let tree = Tree::new(&[SHIM, "lib/shim.toml=backend = \"old/librocblas.so.4\""]);
    assert_eq!(tree.path(None), "/lib/old/librocblas.so.4");
}

#[test]
fn without_a_setting_the_only_backend_is_chosen() {
    assert_eq!(Tree::new(&[SHIM, OLD]).path(None), format!("/{OLD}"));
    let several = Tree::new(&[SHIM, OLD, NEW]).choose(None).expect_err("none is chosen");
    assert!(several.contains("6.3.0, 7.0.2"), "{several}");
    assert_eq!(Tree::new(&[SHIM, "lib/librocblas.so.4"]).path(None), "/lib/librocblas.so.4");
    assert!(Tree::new(&[SHIM]).choose(None).is_err());
    let empty = Tree::new(&[SHIM, "lib/librocblas.so.4", "lib/rocblas-shim/backends/file"]);
    assert!(empty.choose(None).expect_err("an empty store").contains("contains no backend"));
}

#[test]
fn settings_that_cannot_be_understood_choose_nothing() {
    for text in ["backend = [", "backend = \u{1}"] {
        let file = format!("lib/rocblas-shim/shim.toml={text}");
        let refused = Tree::new(&[SHIM, OLD, &file]).choose(None).expect_err("no TOML");
        assert!(refused.contains("is not valid TOML"), "{refused}");
    }
    let tree = Tree::new(&[SHIM, OLD]);
    let settings = File::create(tree.directory.path().join("lib/rocblas-shim/shim.toml"));
    settings.and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    assert!(tree.choose(None).expect_err("too large").contains("cannot be read"));
}

#[test]
fn the_directory_behind_a_link_to_the_shim_counts_too() {
    let tree = Tree::new(&["real/librocblas.so.5.99.0", "lib/x"]);
    let link = tree.directory.path().join(SHIM);
    symlink("/real/librocblas.so.5.99.0", link).expect("a link");
    let store = tree.directory.path().join("real/rocblas-shim/backends/6.3.0/lib");
    fs::create_dir_all(&store).expect("directories");
    fs::write(store.join("librocblas.so.4.3.60300"), "").expect("a file");
    let path = "/real/rocblas-shim/backends/6.3.0/lib/librocblas.so.4.3.60300";
    assert_eq!(tree.path(None), path);
    assert_eq!(name_in_store(Path::new(path)).as_deref(), Some("6.3.0"));
    assert_eq!(name_in_store(Path::new("/opt/rocm/lib/librocblas.so.5")), None);
}
