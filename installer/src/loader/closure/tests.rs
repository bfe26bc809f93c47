//! Against the real loader: on this machine's programs, and on small libraries made for the purpose.

use super::*;
use crate::elf::{
    Stub, stub,
    testing::{cc, library, run, versioned},
};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    process::{Command, Output},
};

/// A directory with libraries, which is seen from the machine's own root.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn check(&self, name: &str, how: How, library_path: &[&str]) -> Closure {
        let library_path: Vec<PathBuf> = library_path.iter().map(|d| self.at(d)).collect();
        check(&system(), &Start { path: self.at(name), how }, &library_path)
    }

    fn program(&self, name: &str) -> Closure {
        self.check(name, How::Program, &[])
    }
}

fn system() -> Root {
    Root::new(Path::new("/")).expect("a root")
}

/// Name and file, without the loader itself, which is listed by another name.
type Files = BTreeMap<String, PathBuf>;

fn foretold(closure: &Closure) -> Files {
    let others = closure.objects.iter().skip(1).filter(|object| !object.name.starts_with('/'));
    others.map(|object| (object.name.clone(), object.path.clone())).collect()
}

/// `NAME => PATH (ADDRESS)`, by line.
fn listed(output: &Output) -> Files {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.trim().split_once(" => ")?;
            let (path, _) = rest.split_once(" (")?;
            Some((name.to_owned(), Path::new(path).canonicalize().ok()?))
        })
        .filter(|(name, _)| !name.starts_with('/'))
        .collect()
}

fn list(file: &Path) -> Output {
    let mut loader = Command::new(INTERPRETER);
    loader.arg("--list").arg(file).env_remove("LD_LIBRARY_PATH").output().expect("started")
}

#[test]
fn this_machines_programs_load_what_the_loader_lists() {
    let mut compared = 0;
    let programs = ["/bin/bash", "/usr/bin/gdb", "/usr/bin/git", "/usr/bin/cc", "/usr/bin/ld"];
    let this = std::env::current_exe().expect("this test");
    for program in programs.iter().map(Path::new).chain([this.as_path()]) {
        if !program.exists() {
            continue;
        }
        let closure = check(&system(), &Start { path: program.to_owned(), how: How::Program }, &[]);
        assert_eq!(foretold(&closure), listed(&list(program)), "{}", program.display());
        assert_eq!(closure.problems, [], "{}", program.display());
        assert_eq!(closure.remarks, [], "{}", program.display());
        compared += 1;
    }
    assert!(compared >= 2, "bash and this test at least");
}

/// `program` needs `libone.so.1`, which needs `libtwo.so.1`, by this search path.
fn two_steps(tree: &Tree, runpath: bool, path: &str) {
    fs::create_dir_all(tree.at("deep")).expect("a directory");
    library(&tree.at("deep"), "libtwo.so.1", "int two(void) { return 2; }", &[]);
    let one = "int two(void); int one(void) { return two(); }";
    library(tree.path(), "libone.so.1", one, &["deep/libtwo.so.1"]);
    let program = "int one(void); int main(void) { return one() != 2; }";
    let path = format!("-Wl,-rpath,{path}");
    let tags = if runpath { "-Wl,--enable-new-dtags" } else { "-Wl,--disable-new-dtags" };
    let beyond = "-Wl,--allow-shlib-undefined";
    cc(tree.path(), "program", program, &["libone.so.1", tags, &path, beyond]);
}

#[test]
fn an_rpath_is_for_libraries_further_on_and_a_runpath_is_not() {
    let tree = Tree::new();
    two_steps(&tree, false, "$ORIGIN:${ORIGIN}/deep");
    let closure = tree.program("program");
    assert_eq!(closure.problems, []);
    assert_eq!(foretold(&closure), listed(&list(&tree.at("program"))));
    run(&mut Command::new(tree.at("program")));

    two_steps(&tree, true, "$ORIGIN:$ORIGIN/deep");
    let closure = tree.program("program");
    let [Problem::MissingLibrary { name, needed_by, looked_in }] = closure.problems.as_slice()
    else {
        panic!("{:?}", closure.problems)
    };
    assert_eq!((name.as_str(), needed_by), ("libtwo.so.1", &tree.at("libone.so.1")));
    assert!(!looked_in.contains(&tree.at("deep")), "{looked_in:?}");
    assert!(!list(&tree.at("program")).status.success(), "the loader agrees");
    assert_eq!(tree.check("program", How::Program, &["deep"]).problems, []);
}

#[test]
fn a_file_of_another_architecture_is_passed_over() {
    let tree = Tree::new();
    two_steps(&tree, false, "$ORIGIN:$ORIGIN/deep");
    let mut bytes = fs::read(tree.at("deep/libtwo.so.1")).expect("readable");
    // e_machine: AArch64.
    bytes[18] = 183;
    fs::write(tree.at("libtwo.so.1"), &bytes).expect("written");
    assert_eq!(tree.program("program").problems, []);
    run(&mut Command::new(tree.at("program")));
    fs::remove_file(tree.at("deep/libtwo.so.1")).expect("removed");
    let problems = tree.program("program").problems;
    let [Problem::WrongArchitecture { path, machine, .. }] = problems.as_slice() else {
        panic!("{problems:?}")
    };
    assert_eq!(path, &tree.at("libtwo.so.1"));
    assert!(machine.starts_with("AARCH64"), "{machine}");
}

#[test]
fn a_damaged_library_is_named() {
    let tree = Tree::new();
    two_steps(&tree, false, "$ORIGIN:$ORIGIN/deep");
    fs::write(tree.at("libtwo.so.1"), "<html>not found</html>").expect("written");
    let problems = tree.program("program").problems;
    let [Problem::Malformed { path, offset: 0, what }] = problems.as_slice() else {
        panic!("{problems:?}")
    };
    assert_eq!((path, what.as_str()), (&tree.at("libtwo.so.1"), "this is not an ELF file"));
    assert!(!list(&tree.at("program")).status.success(), "the loader agrees");
}

#[test]
fn preferred_directories_of_the_processor_are_preferred() {
    let tree = Tree::new();
    two_steps(&tree, false, "$ORIGIN:$ORIGIN/deep");
    for level in ["x86-64-v2", "x86-64-v3", "x86-64-v4"] {
        let preferred = tree.at("glibc-hwcaps").join(level);
        fs::create_dir_all(&preferred).expect("directories");
        fs::copy(tree.at("deep/libtwo.so.1"), preferred.join("libtwo.so.1")).expect("copied");
    }
    assert_eq!(foretold(&tree.program("program")), listed(&list(&tree.at("program"))));
}

/// A program that calls `called` and refers to the variable `data`, both of `libfoo.so.1`.
fn two_symbols(tree: &Tree, library_now: &str, arguments: &[&str]) -> Vec<Problem> {
    let both = "int called(void) { return 0; } int data;";
    library(tree.path(), "libfoo.so.1", both, &[]);
    let client = "int called(void); extern int data; int *p = &data;\
        int weak(void) __attribute__((weak)); int ask(void) { return called() + (weak ? 1 : 0); }";
    let mut all = vec!["libfoo.so.1", "-Wl,-rpath,$ORIGIN"];
    all.extend(arguments);
    library(tree.path(), "client.so", client, &all);
    library(tree.path(), "libfoo.so.1", library_now, &[]);
    let closure = tree.program("client.so");
    assert!(closure.remarks.iter().all(|r| matches!(r, Problem::MissingSymbol { .. })));
    closure.problems.into_iter().chain(closure.remarks).collect()
}

#[test]
fn missing_symbols_are_problems_when_they_would_stop_the_loader() {
    let tree = Tree::new();
    let lazy = ["-Wl,-z,lazy"];
    let names = |problems: Vec<Problem>| -> Vec<(String, bool)> {
        let all = problems.into_iter().map(|problem| match problem {
            Problem::MissingSymbol { symbol, only_called, .. } => (symbol, only_called),
            other => panic!("{other}"),
        });
        all.collect()
    };
    assert_eq!(names(two_symbols(&tree, "int called(void) { return 0; } int data;", &lazy)), []);
    let called = |only_called| vec![("called".to_owned(), only_called)];
    assert_eq!(names(two_symbols(&tree, "int data;", &lazy)), called(true));
    assert_eq!(names(two_symbols(&tree, "int data;", &["-Wl,-z,now"])), called(false));
    let data = vec![("data".to_owned(), false)];
    assert_eq!(names(two_symbols(&tree, "int called(void) { return 0; }", &lazy)), data);
    // Without section headers too: e_shoff, and e_shnum with e_shstrndx.
    let mut bytes = fs::read(tree.at("client.so")).expect("readable");
    bytes[40..48].fill(0);
    bytes[60..64].fill(0);
    fs::write(tree.at("client.so"), bytes).expect("written");
    assert_eq!(names(tree.program("client.so").problems), data);
}

#[test]
fn missing_versions_are_problems_and_a_too_old_libc_one_of_its_own() {
    let tree = Tree::new();
    let source = "int foo(void) { return 1; }";
    for (node, had, before) in
        [("foo_6.0", "foo_4.2", "foo_1"), ("GLIBCXX_3.4.40", "GLIBCXX_3.4.10", "GLIBCXX_3.4.9")]
    {
        let script = format!("{before} {{ }}; {had} {{ }}; {node} {{ global: foo; }};");
        versioned(tree.path(), "libfoo.so.1", source, &script);
        let client = "int foo(void); int ask(void) { return foo(); }";
        library(tree.path(), "client.so", client, &["libfoo.so.1", "-Wl,-rpath,$ORIGIN"]);
        assert_eq!(tree.program("client.so").problems, []);
        let script = format!("{before} {{ }}; {had} {{ global: foo; }};");
        versioned(tree.path(), "libfoo.so.1", source, &script);
        let library = tree.at("libfoo.so.1");
        let needed_by = tree.at("client.so");
        let expected = if node.starts_with("foo") {
            Problem::MissingVersion { version: node.to_owned(), library, needed_by }
        } else {
            let had = Some(had.to_owned());
            Problem::TooOld { wanted: node.to_owned(), had, library, needed_by }
        };
        let closure = tree.program("client.so");
        assert_eq!(closure.problems, [expected]);
        assert_eq!(closure.remarks, [], "what is of that version is not missed as well");
        let output = list(&tree.at("client.so"));
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(complaint.contains(&format!("version `{node}' not found")), "{complaint}");
    }
    library(tree.path(), "libfoo.so.1", source, &[]);
    let closure = tree.program("client.so");
    assert_eq!(closure.problems, []);
    assert!(matches!(closure.remarks.as_slice(), [Problem::NoVersions { .. }]));
}

/// A shim beside ROCm 7's HIP, and a backend in its store that needs ROCm 6's.
fn shim_and_backend() -> (Tree, PathBuf) {
    let tree = Tree::new();
    let hip = |soname| {
        let nodes = "hip_4.2 { global: hipGetDevice; };";
        versioned(tree.path(), soname, "int hipGetDevice(void) { return 0; }", nodes);
    };
    hip("libamdhip64.so.6");
    fs::create_dir_all(tree.at("store")).expect("a directory");
    let backend = "int hipGetDevice(void); int sgemm(void) { return hipGetDevice(); }";
    library(&tree.at("store"), "librocblas.so.4", backend, &["../libamdhip64.so.6"]);
    fs::remove_file(tree.at("libamdhip64.so.6")).expect("removed");
    hip("libamdhip64.so.7");
    // As the shim: by bare names first, then by the path.
    let shim = "#include <dlfcn.h>\n\
        int start(const char *path) { dlopen(\"libamdhip64.so.6\", RTLD_LAZY);\
        return !dlopen(path, RTLD_LAZY); }";
    library(tree.path(), "librocblas.so.5", shim, &["-Wl,-rpath,$ORIGIN", "-ldl"]);
    let client = "int start(const char *); int hipGetDevice(void);\
        int main(int n, char **v) { return start(v[1]) + hipGetDevice(); }";
    let arguments = ["librocblas.so.5", "libamdhip64.so.7", "-Wl,-rpath,$ORIGIN"];
    cc(tree.path(), "client", client, &arguments);
    let backend = tree.at("store/librocblas.so.4");
    (tree, backend)
}

#[test]
fn a_backend_finds_its_hip_through_a_link_or_a_stub_beside_the_shim() {
    let (tree, backend) = shim_and_backend();
    let check = || {
        let how = How::Backend { shim: tree.at("librocblas.so.5") };
        let loads = Command::new(tree.at("client")).arg(&backend).status().expect("started");
        (tree.check("store/librocblas.so.4", how, &[]), loads.success())
    };
    let (closure, loads) = check();
    let [Problem::MissingLibrary { name, .. }] = closure.problems.as_slice() else {
        panic!("{:?}", closure.problems)
    };
    assert!(!loads && name == "libamdhip64.so.6", "{name}");
    let sentence = closure.problems[0].to_string();
    assert!(sentence.contains("ROCm 7 has libamdhip64.so.7 instead"), "{sentence}");

    let compatible = tree.at("libamdhip64.so.6");
    symlink("libamdhip64.so.7", &compatible).expect("a link");
    let (closure, loads) = check();
    assert_eq!((closure.problems.as_slice(), loads), ([].as_slice(), true));
    let runtimes = closure.objects.iter().filter(|o| o.path == tree.at("libamdhip64.so.7"));
    assert_eq!(runtimes.count(), 1);

    fs::remove_file(&compatible).expect("removed");
    let mut description = Stub {
        soname: "libamdhip64.so.6".to_owned(),
        needed: vec!["libamdhip64.so.7".to_owned()],
        runpath: Some("$ORIGIN".to_owned()),
        versions: vec!["hip_4.2".to_owned()],
    };
    fs::write(&compatible, stub(&description).expect("a stub")).expect("written");
    let (closure, loads) = check();
    assert_eq!((closure.problems.as_slice(), loads), ([].as_slice(), true));

    description.versions = vec!["hip_5.1".to_owned()];
    fs::write(&compatible, stub(&description).expect("a stub")).expect("written");
    let (closure, loads) = check();
    assert!(!loads);
    assert!(
        matches!(closure.problems.as_slice(), [Problem::MissingVersion { version, .. }]
            if version == "hip_4.2"),
        "{:?}",
        closure.problems
    );
}

#[test]
fn a_second_runtime_with_code_is_a_problem() {
    let (tree, _) = shim_and_backend();
    let source = "int hipGetDevice(void) { return 1; }";
    let nodes = "hip_4.2 { global: hipGetDevice; };";
    versioned(tree.path(), "libamdhip64.so.6", source, nodes);
    let how = How::Backend { shim: tree.at("librocblas.so.5") };
    let closure = tree.check("store/librocblas.so.4", how, &[]);
    let (first, second) = (tree.at("libamdhip64.so.7"), tree.at("libamdhip64.so.6"));
    assert_eq!(closure.problems, [Problem::TwoHipRuntimes { first, second }]);
}

#[test]
fn a_library_that_the_shim_cannot_open_is_as_if_it_had_not_been_asked_for() {
    let (tree, backend) = shim_and_backend();
    symlink("libamdhip64.so.7", tree.at("libamdhip64.so.6")).expect("a link");
    let store = tree.at("store");
    library(&store, "libgone.so.1", "int gone;", &[]);
    library(&store, "libhipblaslt.so.0", "int matmul(void) { return 0; }", &[]);
    let source = "int hipGetDevice(void), matmul(void);\
        int sgemm(void) { return hipGetDevice() + matmul(); }";
    let needed = ["../libamdhip64.so.7", "libhipblaslt.so.0", "-Wl,-rpath,$ORIGIN"];
    library(&store, "librocblas.so.4", source, &needed);
    // Beside the shim is another of that name, which needs what is not there.
    let broken = ["store/libgone.so.1", "-Wl,--no-as-needed"];
    library(tree.path(), "libhipblaslt.so.0", "extern int gone; int *p = &gone;", &broken);
    fs::remove_file(store.join("libgone.so.1")).expect("removed");
    let shim = "#include <dlfcn.h>\n\
        int start(const char *path) { if (dlopen(\"libhipblaslt.so.0\", RTLD_LAZY)) return 1;\
        return !dlopen(path, RTLD_LAZY); }";
    library(tree.path(), "librocblas.so.5", shim, &["-Wl,-rpath,$ORIGIN", "-ldl"]);
    run(Command::new(tree.at("client")).arg(&backend));
    let how = How::Backend { shim: tree.at("librocblas.so.5") };
    let closure = tree.check("store/librocblas.so.4", how, &[]);
    assert_eq!(closure.problems, []);
    let used = closure.objects.iter().find(|object| object.name == "libhipblaslt.so.0");
    assert_eq!(used.map(|object| &object.path), Some(&store.join("libhipblaslt.so.0")));
}

#[test]
fn a_static_program_loads_nothing() {
    let tree = Tree::new();
    let arguments = ["-static-pie", "-nostdlib", "-Wl,-e,main"];
    cc(tree.path(), "program", "int main(void) { return 0; }", &arguments);
    let closure = tree.program("program");
    assert_eq!((closure.problems, closure.objects.len()), (vec![], 1));
}
