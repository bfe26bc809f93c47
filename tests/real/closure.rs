//! Compares the installer's prediction for AMD's own libraries with what the loader does.

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
use tests::{
    real::debian::{BACKEND, Debian, LIBRARIES},
    run::run,
};

/// The function of ROCm 7's rocBLAS that rocSOLVER imports and 6.4 lacks.
const MISSING: &str = "_Z32rocblas_internal_get_device_propP15_rocblas_handle";

/// Operations of these tests on a machine.
struct Machine(Debian);

impl Machine {
    fn new() -> Option<Self> {
        Debian::new().map(Self)
    }

    fn lib(&self, name: &str) -> PathBuf {
        self.0.lib(name)
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.lib(name)).expect("remove a library");
    }

    fn relink(&self, name: &str, target: &str) {
        self.remove(name);
        symlink(target, self.lib(name)).expect("link");
    }

    fn check(&self, path: &str, how: How) -> Closure {
        let inside = Inside::new(self.0.directory()).expect("a root");
        check(&inside, &Start { path: Path::new(LIBRARIES).join(path), how }, &[])
    }

    fn library(&self, name: &str) -> Closure {
        self.check(name, How::Program)
    }

    /// Puts the shim in place of ROCm 7's rocBLAS, and 6.4's into the store. Returns its path, relative to the
    /// directory of libraries.
    fn place_shim(&self) -> String {
        self.0.apply();
        let prefix = format!("rocblas-shim/backends/{BACKEND}/lib");
        let directory = fs::read_dir(self.lib(&prefix)).expect("the backend's prefix");
        let names = directory.map(|entry| entry.expect("an entry").file_name());
        let mut names = names.filter_map(|name| name.into_string().ok());
        let file = names.find(|name| name.starts_with("librocblas.so.4."));
        format!("{prefix}/{}", file.expect("the backend's library"))
    }

    fn backend(&self, path: &str) -> Closure {
        self.check(path, How::Backend { shim: Path::new(LIBRARIES).join("librocblas.so.5") })
    }

    /// The file of each library by its name, as the root's own loader lists them.
    fn listed(&self, name: &str) -> BTreeMap<String, PathBuf> {
        let mut loader = Command::new(self.0.root().loader());
        loader.args(["--inhibit-cache", "--library-path"]).arg(self.lib("")).arg("--list");
        let ended = run(loader.arg(self.lib(name))).success();
        let lines = ended.stdout.lines().filter_map(|line| line.trim().split_once(" => "));
        lines
            .filter_map(|(name, rest)| Some((name, rest.split_once(" (")?.0)))
            .filter(|(name, _)| !is_loader(name))
            .map(|(name, path)| {
                let path = Path::new(path).canonicalize().expect("a file");
                let inside = path.strip_prefix(self.0.directory()).expect("in the tree");
                (name.to_owned(), Path::new("/").join(inside))
            })
            .collect()
    }
}

/// The loader's own library, which is loaded already and whose path differs between the two.
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
    let clients = machine.library("libhipblas.so.3");
    assert_eq!(foretold(&clients), machine.listed("libhipblas.so.3"));
    assert_eq!(clients.problems, []);
    let opened = machine.backend(&backend);
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
    machine.remove("libamdhip64.so.6");
    let problems = machine.backend(&backend).problems;
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
    let file = File::open(machine.lib(&backend)).expect("the backend");
    let needed = elf::summary(&file).expect("an ELF file").versions_needed;
    let mut versions = needed["libamdhip64.so.6"].clone();
    // A symlink; writing through it would change the runtime itself.
    machine.remove("libamdhip64.so.6");
    let write = |versions: &[String]| {
        let description = Stub {
            soname: "libamdhip64.so.6".to_owned(),
            needed: vec!["libamdhip64.so.7".to_owned()],
            runpath: Some("$ORIGIN".to_owned()),
            versions: versions.to_vec(),
        };
        let bytes = stub(&description).expect("a stub");
        fs::write(machine.lib("libamdhip64.so.6"), bytes).expect("write a stub");
        machine.backend(&backend).problems
    };
    assert_eq!(write(&versions), []);
    let left_out = versions.pop().expect("a version");
    let problems = write(&versions);
    let [Problem::MissingVersion { version, library, .. }] = problems.as_slice() else {
        panic!("{problems:?}")
    };
    assert_eq!((version, library), (&left_out, &Path::new(LIBRARIES).join("libamdhip64.so.6")));
}
