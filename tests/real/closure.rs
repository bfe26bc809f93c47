//! What the installer foretells of AMD's own libraries, against what the loader does with them.

use installer::{
    elf::{self, Stub, stub},
    loader::{Closure, How, Problem, Start, check},
    root::Root as Inside,
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;
use tests::{
    artefacts,
    real::{Root, root},
    run::run,
};

const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";

/// The function of ROCm 7's rocBLAS that rocSOLVER imports and 6.4 does not have.
const MISSING: &str = "_Z32rocblas_internal_get_device_propP15_rocblas_handle";

/// The root's libraries in a tree that a test may change, laid out as Debian's.
struct Machine {
    directory: TempDir,
    root: &'static Root,
}

impl Machine {
    fn new() -> Option<Self> {
        let root = root()?;
        // Beside the root, because links to one file are on one file system.
        let lib = root.lib().canonicalize().expect("the root's libraries");
        let beside = lib.ancestors().nth(4).expect("below target/real");
        let directory = tempfile::tempdir_in(beside).expect("make a directory");
        let lib = directory.path().join(&LIBRARIES[1..]);
        fs::create_dir_all(&lib).expect("make a directory");
        symlink("usr/lib", directory.path().join("lib")).expect("link");
        symlink(&LIBRARIES[1..], directory.path().join("lib64")).expect("link");
        for entry in fs::read_dir(root.lib()).expect("the root's libraries") {
            let from = entry.expect("an entry").path();
            let to = lib.join(from.file_name().expect("a name"));
            if from.is_symlink() {
                symlink(fs::read_link(&from).expect("a link"), to).expect("link");
            } else if from.is_file() {
                fs::hard_link(from, to).expect("link");
            }
        }
        Some(Self { directory, root })
    }

    fn lib(&self, name: &str) -> PathBuf {
        self.directory.path().join(&LIBRARIES[1..]).join(name)
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.lib(name)).expect("remove a library");
    }

    fn relink(&self, name: &str, target: &str) {
        self.remove(name);
        symlink(target, self.lib(name)).expect("link");
    }

    fn check(&self, path: &str, how: How) -> Closure {
        let inside = Inside::new(self.directory.path()).expect("a root");
        check(&inside, &Start { path: Path::new(LIBRARIES).join(path), how }, &[])
    }

    fn library(&self, name: &str) -> Closure {
        self.check(name, How::Program)
    }

    /// The shim in the place of ROCm 7's rocBLAS, and 6.4's in the store. Answers where.
    fn place_shim(&self) -> &'static str {
        self.remove("librocblas.so.5");
        fs::copy(artefacts::shim(), self.lib("librocblas.so.5.99.0")).expect("copy the shim");
        symlink("librocblas.so.5.99.0", self.lib("librocblas.so.5")).expect("link");
        let prefix = "rocblas-shim/backends/6.4.4/lib";
        fs::create_dir_all(self.lib(prefix)).expect("make a prefix");
        let backend = "rocblas-shim/backends/6.4.4/lib/librocblas.so.4";
        let file = self.root.library("librocblas.so.4");
        fs::hard_link(file, self.lib(backend)).expect("link");
        backend
    }

    fn backend(&self, path: &str) -> Closure {
        self.check(path, How::Backend { shim: Path::new(LIBRARIES).join("librocblas.so.5") })
    }

    /// Name and file, as the root's own loader lists them.
    fn listed(&self, name: &str) -> BTreeMap<String, PathBuf> {
        let libraries = self.directory.path().join(&LIBRARIES[1..]);
        let mut loader = Command::new(self.root.loader());
        loader.args(["--inhibit-cache", "--library-path"]).arg(&libraries).arg("--list");
        let ended = run(loader.arg(self.lib(name))).success();
        let lines = ended.stdout.lines().filter_map(|line| line.trim().split_once(" => "));
        lines
            .filter_map(|(name, rest)| Some((name, rest.split_once(" (")?.0)))
            .filter(|(name, _)| !is_loader(name))
            .map(|(name, path)| {
                let path = Path::new(path).canonicalize().expect("a file");
                let inside = path.strip_prefix(self.directory.path()).expect("in the tree");
                (name.to_owned(), Path::new("/").join(inside))
            })
            .collect()
    }
}

/// Which is loaded already, under a path that each of the two has another of.
fn is_loader(name: &str) -> bool {
    name.contains("ld-linux")
}

fn foretold(closure: &Closure) -> BTreeMap<String, PathBuf> {
    let others = closure.objects.iter().skip(1).filter(|object| !is_loader(&object.name));
    others.map(|object| (object.name.clone(), object.path.clone())).collect()
}

#[test]
fn amds_libraries_load_what_the_loader_lists() {
    let Some(machine) = Machine::new() else { return };
    for name in ["libhipblas.so.3", "librocsolver.so.0", "librocblas.so.5", "libamdhip64.so.7"] {
        let closure = machine.library(name);
        assert_eq!(foretold(&closure), machine.listed(name), "{name}");
        assert_eq!(closure.problems, [], "{name}");
        assert_eq!(closure.remarks, [], "{name}");
    }
}

#[test]
fn clients_load_with_the_shim_and_the_shim_with_its_backend() {
    let Some(machine) = Machine::new() else { return };
    let backend = machine.place_shim();
    symlink("libamdhip64.so.7", machine.lib("libamdhip64.so.6")).expect("link");
    let clients = machine.library("libhipblas.so.3");
    assert_eq!(foretold(&clients), machine.listed("libhipblas.so.3"));
    assert_eq!(clients.problems, []);
    let opened = machine.backend(backend);
    assert_eq!(opened.problems, []);
    assert_eq!(opened.remarks, []);
    let runtimes = opened.objects.iter().filter(|object| object.name.starts_with("libamdhip64"));
    assert_eq!(runtimes.count(), 1);
}

#[test]
fn a_library_that_was_removed_is_missed() {
    let Some(machine) = Machine::new() else { return };
    machine.remove("librocsolver.so.0");
    let problems = machine.library("libhipblas.so.3").problems;
    let [Problem::MissingLibrary { name, needed_by, looked_in }] = problems.as_slice() else {
        panic!("{problems:?}")
    };
    assert_eq!(name, "librocsolver.so.0");
    let needed_by = needed_by.to_string_lossy();
    assert!(needed_by.starts_with(&format!("{LIBRARIES}/libhipblas.so.3")), "{needed_by}");
    assert!(looked_in.contains(&PathBuf::from(LIBRARIES)), "{looked_in:?}");

    let backend = machine.place_shim();
    let problems = machine.backend(backend).problems;
    let [Problem::MissingLibrary { name, .. }] = problems.as_slice() else {
        panic!("{problems:?}")
    };
    assert_eq!(name, "libamdhip64.so.6");
}

#[test]
fn a_bare_link_to_6_4_lacks_a_function() {
    let Some(machine) = Machine::new() else { return };
    symlink("libamdhip64.so.7", machine.lib("libamdhip64.so.6")).expect("link");
    machine.relink("librocblas.so.5", "librocblas.so.4");
    let closure = machine.library("libhipblas.so.3");
    let lacking: Vec<&str> = closure
        .problems
        .iter()
        .chain(&closure.remarks)
        .map(|problem| match problem {
            Problem::MissingSymbol { symbol, .. } => symbol.as_str(),
            other => panic!("{other}"),
        })
        .collect();
    assert!(lacking.contains(&MISSING), "{lacking:?}");
}

#[test]
fn a_version_that_a_runtime_lacks_is_missed() {
    let Some(machine) = Machine::new() else { return };
    let backend = machine.place_shim();
    let file = File::open(machine.lib(backend)).expect("the backend");
    let needed = elf::summary(&file).expect("an ELF file").versions_needed;
    let mut versions = needed["libamdhip64.so.6"].clone();
    let write = |versions: &[String]| {
        let description = Stub {
            soname: "libamdhip64.so.6".to_owned(),
            needed: vec!["libamdhip64.so.7".to_owned()],
            runpath: Some("$ORIGIN".to_owned()),
            versions: versions.to_vec(),
        };
        let bytes = stub(&description).expect("a stub");
        fs::write(machine.lib("libamdhip64.so.6"), bytes).expect("write a stub");
        machine.backend(backend).problems
    };
    assert_eq!(write(&versions), []);
    let left_out = versions.pop().expect("a version");
    let problems = write(&versions);
    let [Problem::MissingVersion { version, library, .. }] = problems.as_slice() else {
        panic!("{problems:?}")
    };
    assert_eq!((version, library), (&left_out, &Path::new(LIBRARIES).join("libamdhip64.so.6")));
}
