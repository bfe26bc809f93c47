//! Everything that can be wrong with a backend: a message with the reason and the fix, an error status from every
//! function, never a crash, a hang or a silent success.

use std::{fs, path::Path};
use tests::{
    artefacts,
    compile::library,
    run::{Ended, client, run},
    scenario::{c_backend, linked_client},
    tree::Tree,
};

const INTERNAL_ERROR: &str = "6";
const NOT_IMPLEMENTED: &str = "2";

struct Scenario {
    tree: Tree,
    program: std::path::PathBuf,
}

impl Scenario {
    fn new() -> Self {
        let tree = Tree::with_shim();
        let program = linked_client(&tree, "status.c", &[]);
        Self { tree, program }
    }

    fn run(&self, environment: &[(&str, &str)]) -> Ended {
        run(client(&self.tree, &self.program).envs(environment.iter().copied()))
    }

    fn run_with(&self, backend: &Path) -> Ended {
        self.run(&[("ROCBLAS_SHIM_BACKEND", backend.to_str().expect("UTF-8"))])
    }
}

fn line<'a>(ended: &'a Ended, key: &str) -> &'a str {
    ended
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .unwrap_or_else(|| panic!("no {key} in {ended:?}"))
}

/// Every status function returns an error, all others a value of the right type, and the message is printed once.
#[track_caller]
fn assert_refused(ended: &Ended, sentence: &str) {
    assert!(ended.status.success(), "{ended:?}");
    for call in ["create_handle", "sgemm", "dgemm", "dgemm again"] {
        assert_eq!(line(ended, call), INTERNAL_ERROR, "{call}: {ended:?}");
    }
    assert_eq!(line(ended, "status_to_string"), "rocblas_status_not_implemented");
    assert_eq!((line(ended, "malloc_success"), line(ended, "pointer_mode")), ("0", "0"));
    assert_eq!(line(ended, "mode"), "failed");
    assert_eq!((line(ended, "backend"), line(ended, "path")), ("", ""));
    assert!(line(ended, "error").starts_with("no usable rocBLAS backend"), "{ended:?}");
    assert_eq!(ended.stderr.matches("rocblas-shim: error: ").count(), 1, "{ended:?}");
    assert!(ended.stderr.contains(sentence), "`{sentence}` is not in {ended:?}");
    assert!(ended.stderr.contains("to choose a backend, set ROCBLAS_SHIM_BACKEND="), "{ended:?}");
}

#[test]
fn no_backend_names_every_place_that_was_tried() {
    let scenario = Scenario::new();
    let ended = scenario.run(&[]);
    let lib = scenario.tree.lib();
    let lib = lib.display();
    assert_refused(&ended, &format!("tried {lib}/rocblas-shim/backends: does not exist"));
    assert_refused(&ended, &format!("tried {lib}/librocblas.so.4: does not exist"));
}

#[test]
fn an_empty_value_is_not_taken_for_the_program_itself() {
    // dlopen("") would return the main program, and dlsym the shim's own stubs.
    let ended = Scenario::new().run(&[("ROCBLAS_SHIM_BACKEND", "")]);
    assert_refused(&ended, "tried ROCBLAS_SHIM_BACKEND=: is empty: it must be a path or the name");
}

#[test]
fn a_name_that_is_not_in_the_store_says_where_it_looked() {
    let ended = Scenario::new().run(&[("ROCBLAS_SHIM_BACKEND", "6.3.0")]);
    assert_refused(&ended, "tried ROCBLAS_SHIM_BACKEND=6.3.0: is not the name of a backend in");
}

#[test]
fn files_that_are_no_libraries_are_told_apart() {
    let scenario = Scenario::new();
    let root = scenario.tree.root().to_owned();
    let refused = |name: &str, bytes: &[u8], sentence: &str| {
        let file = root.join(name);
        fs::write(&file, bytes).expect("write");
        assert_refused(&scenario.run_with(&file), sentence);
    };
    let probe = fs::read(artefacts::probe()).expect("read the probe");
    let mut other_machine = probe.clone();
    other_machine[18] = 183;
    refused("empty.so", b"", "empty.so: is empty");
    refused("text.so", b"INPUT(-lrocblas)\n", "text.so: is a text file");
    refused("binary.so", &[0x1f, 0x8b, 8, 0], "binary.so: is not an ELF file");
    refused("arm.so", &other_machine, "arm.so: is an ELF file for AARCH64");
    refused("half.so", &probe[..probe.len() / 2], "half.so: is truncated");
    refused("start.so", &probe[..64], "start.so: is truncated");
    assert_refused(&scenario.run_with(&root), "is a directory: name the library in it");
    assert_refused(&scenario.run_with(&root.join("absent.so")), "absent.so: does not exist");
}

#[test]
fn libraries_that_are_no_rocblas_are_refused_before_they_are_loaded() {
    let scenario = Scenario::new();
    let root = scenario.tree.root().to_owned();
    let source = artefacts::standins().join("backend.c");
    // Its constructor would sleep for longer than the test waits.
    let other = library(&source, &root.join("other.so"), "libfoo.so.1", &["-DSLEEP_MS=600000"]);
    assert_refused(&scenario.run_with(&other), "other.so: is not rocBLAS: its SONAME is libfoo");
    assert_refused(
        &scenario.run_with(&scenario.program),
        "status: is not rocBLAS: it has no SONAME",
    );
}

#[test]
fn a_shim_is_no_backend_for_a_shim() {
    let scenario = Scenario::new();
    let itself = scenario.tree.lib().join("librocblas.so.5");
    assert_refused(&scenario.run_with(&itself), "is a shim, this one or another");
    let copy = scenario.tree.root().join("copy.so");
    fs::copy(artefacts::shim(), &copy).expect("copy the shim");
    assert_refused(&scenario.run_with(&copy), "is a shim, this one or another");
    scenario.tree.add_backend("only", artefacts::shim());
    assert_refused(&scenario.run(&[]), "is a shim, this one or another");
}

#[test]
fn a_backend_whose_functions_are_the_shims_is_refused() {
    // It needs librocblas.so.5, which in this process is the shim: looking up a function that the backend
    // lacks returns one of the shim's stubs.
    let scenario = Scenario::new();
    let lib = scenario.tree.lib();
    let backend = c_backend(
        &scenario.tree,
        "loops.so",
        &["-L", lib.to_str().expect("UTF-8"), "-Wl,--no-as-needed", "-lrocblas"],
    );
    assert_refused(&scenario.run_with(&backend), "would call the shim back: its rocblas_");
    // A call from its constructor to one of these does not loop either.
    let backend = c_backend(
        &scenario.tree,
        "circles.so",
        &["-DCALLS_MISSING", "-L", lib.to_str().expect("UTF-8"), "-Wl,--no-as-needed", "-lrocblas"],
    );
    assert_refused(&scenario.run_with(&backend), "would call the shim back: its rocblas_");
}

#[test]
fn what_the_loader_cannot_satisfy_is_said_in_its_words() {
    let scenario = Scenario::new();
    let root = scenario.tree.root().to_owned();
    let needed = library(
        &artefacts::workspace().join("tests/clients/interposer.c"),
        &root.join("libneeded.so"),
        "libneeded.so.9",
        &["-fno-builtin"],
    );
    let backend = c_backend(
        &scenario.tree,
        "needy.so",
        &["-Wl,--no-as-needed", needed.to_str().expect("UTF-8")],
    );
    assert_refused(&scenario.run_with(&backend), "cannot be loaded: libneeded.so.9: cannot open");
}

#[test]
fn missing_functions_answer_not_implemented_and_are_listed() {
    let scenario = Scenario::new();
    let backend = c_backend(&scenario.tree, "few.so", &[]);
    let ended = scenario.run_with(&backend);
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(line(&ended, "create_handle"), "0");
    assert_eq!(line(&ended, "dgemm"), NOT_IMPLEMENTED);
    assert_eq!(line(&ended, "dgemm again"), NOT_IMPLEMENTED);
    assert_eq!(line(&ended, "status_to_string"), "rocblas_status_not_implemented");
    assert_eq!(line(&ended, "mode"), "direct");
    assert_eq!(line(&ended, "backend"), "few.so");
    assert_eq!(line(&ended, "path"), backend.display().to_string());
    assert_eq!(line(&ended, "backend_version"), "4.3.0.pliable");
    assert_eq!(line(&ended, "first missing"), "rocblas_abort");
    assert_eq!(line(&ended, "past the end"), "0");
    assert_eq!(line(&ended, "error"), "");
    let missing: usize = line(&ended, "missing").parse().expect("a number");
    let face = tests::elf::face(&backend);
    let there = rocblas_abi::exports().iter().filter(|f| face.exports.contains(f.name)).count();
    // Promises supply the version and the commit hash (one of these four is the backend's), rocSOLVER's data,
    // syrk_ex, and functions after 5.2.
    assert_eq!(missing, rocblas_abi::EXPORTS - there - 3 - 2 - 1 - 11);
    let message = format!(
        "rocblas-shim: error: rocblas_dgemm is missing from backend few.so ({}): the call returns \
         rocblas_status_not_implemented",
        backend.display()
    );
    assert_eq!(ended.stderr.matches(&message).count(), 1, "once for two calls: {ended:?}");
}

#[test]
fn missing_cxx_functions_answer_something_of_their_type() {
    if tests::compile::cxx().is_none() {
        return tests::skip::skip("typed results of C++ functions", "no C++ compiler");
    }
    let scenario = Scenario::new();
    let program = linked_client(&scenario.tree, "typed_answers.cpp", &[]);
    let answers = |status: &str| {
        format!(
            "string 47\nshared_ptr 1 0\nreference 1\nargument 1\nsize 0\npointer 1\n\
             status {status}\nbool 0\n"
        )
    };
    let ended = run(&mut client(&scenario.tree, &program)).success();
    assert_eq!(ended.stdout, answers(INTERNAL_ERROR), "no backend");
    scenario.tree.add_backend("only", &c_backend(&scenario.tree, "few.so", &[]));
    let ended = run(&mut client(&scenario.tree, &program)).success();
    assert_eq!(ended.stdout, answers(NOT_IMPLEMENTED), "a backend without them");
}

#[test]
fn on_error_abort_stops_at_the_call() {
    let scenario = Scenario::new();
    let ended = scenario.run(&[("ROCBLAS_SHIM_ON_ERROR", "abort")]);
    assert_eq!(ended.signal(), Some(libc::SIGABRT), "{ended:?}");
    assert!(ended.stderr.contains("no usable rocBLAS backend"), "{ended:?}");
    let backend = c_backend(&scenario.tree, "few.so", &[]);
    let backend = backend.to_str().expect("UTF-8");
    let ended =
        scenario.run(&[("ROCBLAS_SHIM_ON_ERROR", "abort"), ("ROCBLAS_SHIM_BACKEND", backend)]);
    assert_eq!(ended.signal(), Some(libc::SIGABRT), "{ended:?}");
    assert!(ended.stderr.contains("rocblas_dgemm is missing from backend few.so"), "{ended:?}");
}

#[test]
fn settings_choose_the_backend_and_the_environment_wins() {
    let scenario = Scenario::new();
    let few = c_backend(&scenario.tree, "few.so", &[]);
    scenario.tree.add_backend("a", &few);
    let b = scenario.tree.add_backend("b", &few);
    assert_refused(
        &scenario.run(&[]),
        "contains several backends (a, b), and no setting chooses one",
    );
    scenario.tree.write_settings("backend = \"b\"\n");
    let ended = scenario.run(&[]);
    assert_eq!(line(&ended, "backend"), "b");
    assert_eq!(line(&ended, "path"), b.display().to_string());
    let ended = scenario.run(&[("ROCBLAS_SHIM_BACKEND", "a")]);
    assert_eq!(line(&ended, "backend"), "a");
    scenario.tree.write_settings("backend = \"c\"\n");
    assert_refused(&scenario.run(&[]), "shim.toml=c: is not the name of a backend in");
    scenario.tree.write_settings("backend = b\n");
    let ended = scenario.run(&[("ROCBLAS_SHIM_BACKEND", "absent")]);
    assert_refused(&ended, "setting ignored: ");
    assert_refused(&ended, "shim.toml:1: ");
}

#[test]
fn settings_that_cannot_be_understood_keep_a_backend_from_being_guessed() {
    let scenario = Scenario::new();
    scenario.tree.add_backend("only", &c_backend(&scenario.tree, "few.so", &[]));
    assert_eq!(line(&scenario.run(&[]), "backend"), "only");
    let guess = "no backend was tried, because the ignored setting may name one";
    for text in [b"backend = \n".as_slice(), b"# \xff\nbackend = 'only'\n"] {
        fs::write(scenario.tree.settings(), text).expect("write");
        assert_refused(&scenario.run(&[]), guess);
    }
    fs::remove_file(scenario.tree.settings()).expect("remove");
    fs::create_dir(scenario.tree.settings()).expect("make a directory");
    assert_refused(&scenario.run(&[]), guess);
    let chosen = scenario.run(&[("ROCBLAS_SHIM_BACKEND", "only")]);
    assert_eq!(line(&chosen, "backend"), "only", "the environment still decides");
}

#[test]
fn a_relative_path_in_the_settings_is_relative_to_them() {
    let scenario = Scenario::new();
    let few = c_backend(&scenario.tree, "few.so", &[]);
    let beside = scenario.tree.lib().join("rocblas-shim/few.so");
    scenario.tree.write_settings("backend = './few.so'\n");
    fs::copy(few, &beside).expect("copy");
    let mut command = client(&scenario.tree, &scenario.program);
    let ended = run(command.current_dir("/"));
    assert_eq!(Path::new(line(&ended, "path")), beside);
}

#[test]
fn a_message_that_cannot_be_written_is_lost_and_nothing_else() {
    let scenario = Scenario::new();
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").expect("open /dev/full");
    let status = client(&scenario.tree, &scenario.program)
        .stderr(full())
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.expect("run the client").success(), "no backend");
    let few = c_backend(&scenario.tree, "few.so", &[]);
    let status = client(&scenario.tree, &scenario.program)
        .env("ROCBLAS_SHIM_BACKEND", few)
        .stderr(full())
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.expect("run the client").success(), "missing functions");
}

#[test]
fn being_out_of_file_descriptors_settles_nothing() {
    let scenario = Scenario::new();
    let backend = c_backend(&scenario.tree, "few.so", &[]);
    let program = linked_client(&scenario.tree, "descriptors.c", &[]);
    let mut command = client(&scenario.tree, &program);
    let ended = run(command.env("BACKEND_LATER", backend)).success();
    assert_eq!(ended.stdout, "without=6\nwith=77\n", "{ended:?}");
    assert!(ended.stderr.contains("Too many open files"), "{ended:?}");
}

#[test]
fn settings_may_lie_beside_the_shim_itself() {
    let scenario = Scenario::new();
    let few = c_backend(&scenario.tree, "few.so", &[]);
    let text = format!("backend = \"{}\"\n", few.display());
    fs::write(scenario.tree.lib().join("shim.toml"), text).expect("write");
    assert_eq!(line(&scenario.run(&[]), "backend"), "few.so");
}

#[test]
fn log_levels_say_more_on_request_and_a_wrong_one_is_named() {
    let scenario = Scenario::new();
    scenario.tree.add_backend("only", &c_backend(&scenario.tree, "few.so", &[]));
    let ended = scenario.run(&[("ROCBLAS_SHIM_LOG", "info")]);
    assert!(ended.stderr.contains("rocblas-shim: info: backend only ("), "{ended:?}");
    let ended = scenario.run(&[("ROCBLAS_SHIM_LOG", "off")]);
    assert_eq!(ended.stderr, "");
    let ended = scenario.run(&[("ROCBLAS_SHIM_LOG", "loud")]);
    assert!(ended.stderr.contains("ROCBLAS_SHIM_LOG: `loud` is not one of: off, "), "{ended:?}");
}
