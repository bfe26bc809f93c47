//! The clients alone: their command lines, and their verdict on a library that fails.

use std::{os::unix::fs::symlink, path::Path};
use tests::{
    artefacts,
    compile::library,
    elf,
    run::{Ended, client, run},
    tree::Tree,
};

const CLIENTS: [&str; 2] = [env!("CARGO_BIN_EXE_solve_tri"), env!("CARGO_BIN_EXE_gemm")];
const SOLVE_TRI: &str = CLIENTS[0];
const GEMM: &str = CLIENTS[1];
const FAILURE: &str = "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98\n";

/// A tree with that library as `librocblas.so.5` and no shim.
fn tree_of(library: &Path) -> Tree {
    let tree = Tree::new();
    tree.place(library, "librocblas.so.5.0.70002");
    symlink("librocblas.so.5.0.70002", tree.lib().join("librocblas.so.5")).expect("link");
    tree
}

fn run_in(tree: &Tree, program: &str) -> Ended {
    run(&mut client(tree, Path::new(program)))
}

#[test]
fn clients_link_rocblas_and_nothing_of_the_shim() {
    for program in CLIENTS {
        let face = elf::face(Path::new(program));
        assert!(face.needed.iter().any(|name| name == "librocblas.so.5"), "{face:?}");
        assert!(face.exports.iter().all(|name| !name.starts_with("rocblas")), "{face:?}");
    }
    let demo = elf::face(Path::new(env!("CARGO_BIN_EXE_demo")));
    assert!(demo.needed.iter().all(|name| !name.contains("rocblas")), "{demo:?}");
}

#[test]
fn solve_tri_fails_with_the_stock_library_and_says_why() {
    let ended = run_in(&tree_of(artefacts::stock()), SOLVE_TRI);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert_eq!(ended.stderr, FAILURE.repeat(5), "{ended:?}");
    assert_eq!(ended.stdout.matches("rocblas_status_internal_error").count(), 5, "{ended:?}");
    assert_eq!(ended.stdout.matches("FAILED").count(), 5, "{ended:?}");
    assert!(ended.stdout.contains("no shim"), "{ended:?}");
    assert!(ended.stdout.contains("5.0.2.stand-in"), "{ended:?}");
}

#[test]
fn products_are_right_with_the_stock_library() {
    run_in(&tree_of(artefacts::stock()), GEMM).silent_success();
}

#[test]
fn both_are_right_with_the_shim_and_say_what_served_them() {
    let tree = Tree::with_shim();
    let backend = tree.add_backend("6.3.0", artefacts::reference());
    for program in CLIENTS {
        let ended = run_in(&tree, program).silent_success();
        assert!(ended.stdout.contains("backend 6.3.0"), "{ended:?}");
        assert!(ended.stdout.contains(&backend.display().to_string()), "{ended:?}");
        assert!(ended.stdout.contains("4.3.0.stand-in"), "{ended:?}");
        assert!(!ended.stdout.contains("FAILED"), "{ended:?}");
    }
}

#[test]
fn a_status_of_success_is_not_believed() {
    let tree = Tree::new();
    let source = artefacts::workspace().join("examples/tests/idle.c");
    library(&source, &tree.lib().join("librocblas.so.5"), "librocblas.so.5", &[]);
    for program in CLIENTS {
        let ended = run_in(&tree, program);
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert_eq!(ended.stdout.matches("success").count(), 5, "{ended:?}");
        assert_eq!(ended.stdout.matches("FAILED").count(), 5, "{ended:?}");
    }
}

#[test]
fn without_a_backend_the_first_call_that_failed_is_named() {
    for program in CLIENTS {
        let ended = run_in(&Tree::with_shim(), program);
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(ended.stderr.contains("no usable rocBLAS backend"), "{ended:?}");
        assert!(ended.stderr.contains("rocblas_create_handle returned 6 ("), "{ended:?}");
    }
}

#[test]
fn command_lines_are_explained() {
    let tree = Tree::with_shim();
    for program in CLIENTS.into_iter().chain([env!("CARGO_BIN_EXE_demo")]) {
        let with = |argument| run(client(&tree, Path::new(program)).arg(argument));
        for flag in ["--help", "-h"] {
            let ended = with(flag).silent_success();
            assert!(ended.stdout.contains("Usage: ") && ended.stdout.contains("Example:"));
        }
        let ended = with("--halp");
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert!(ended.stderr.contains("unknown argument `--halp`"), "{ended:?}");
        assert!(ended.stdout.is_empty(), "{ended:?}");
    }
}

#[test]
fn only_the_loaders_search_decides_which_rocblas_it_is() {
    // The stub that the clients were linked against must not be found again.
    for program in CLIENTS {
        let built = Path::new(program).parent().expect("a directory").display().to_string();
        let mut command = client(&Tree::new(), Path::new(program));
        let ended = run(command.env("LD_TRACE_LOADED_OBJECTS", "1"));
        let line = ended.stdout.lines().find(|line| line.contains("librocblas.so.5"));
        assert!(line.is_some_and(|line| !line.contains(&built)), "{ended:?}");
    }
}

#[test]
fn matrices_and_arrays_of_pointers_are_in_gpu_memory_where_there_is_a_hip_runtime() {
    let tree = tree_of(artefacts::reference());
    let source = artefacts::workspace().join("examples/tests/hip.c");
    let hip = library(&source, &tree.lib().join("libhip.so"), "libamdhip64.so.7", &[]);
    for (program, arrays) in [(SOLVE_TRI, 2 * (1 + 2 + 1 + 2 + 4) + 2 * 5), (GEMM, 3 * 5 + 3)] {
        let ended = run(client(&tree, Path::new(program)).env("LD_PRELOAD", &hip)).success();
        assert!(ended.stdout.contains("GPU, from libamdhip64.so.7"), "{ended:?}");
        assert_eq!(ended.stderr, format!("hip: {arrays} allocated, {arrays} freed\n"));
    }
}
