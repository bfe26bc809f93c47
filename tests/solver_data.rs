//! rocSOLVER's data on a handle: the shim's `std::shared_ptr` with libstdc++'s, and a backend that lacks these
//! functions, like 6.3's.

use std::{process::Command, time::Duration};
use tests::{
    artefacts::standins,
    compile::{cxx, library},
    run::{client, exists, run, run_within},
    scenario::linked_client,
    skip::skip,
    tree::Tree,
};

/// A tree whose backend lacks the two functions, as 6.3 does, and a client of them.
fn solver_data(arguments: &[&str]) -> (Tree, std::path::PathBuf) {
    let tree = Tree::with_shim();
    let source = standins().join("handles.c");
    let backend = library(&source, &tree.root().join("handles.so"), "librocblas.so.4", &[]);
    tree.add_backend("only", &backend);
    let program = linked_client(&tree, "solver_data.cpp", arguments);
    (tree, program)
}

#[test]
fn its_data_is_owned_as_cxx_owns() {
    if cxx().is_none() {
        return skip("rocSOLVER's data", "no C++ compiler");
    }
    let (tree, program) = solver_data(&[]);
    let ended = run(&mut client(&tree, &program)).silent_success();
    assert_eq!(ended.stdout, "all so\n");
    // Without the promise, 6.3 handles the call.
    let ended = run(client(&tree, &program).env("ROCBLAS_SHIM_COMPAT", "-solver-data"));
    assert!(!ended.status.success(), "{ended:?}");
    let first = "not so: rocblas_internal_set_data_ptr(handle, mine) == rocblas_status_success";
    assert!(ended.stdout.contains(first), "{ended:?}");
}

#[test]
fn its_data_has_no_leak_and_no_double_free_by_valgrind() {
    if cxx().is_none() || !exists("valgrind") {
        return skip("rocSOLVER's data under valgrind", "no valgrind, or no C++ compiler");
    }
    let (tree, program) = solver_data(&[]);
    let mut command: Command = client(&tree, "valgrind".as_ref());
    command.args(["--quiet", "--error-exitcode=9", "--leak-check=full"]);
    command.arg("--errors-for-leak-kinds=definite,indirect").arg(&program);
    let ended = run_within(&mut command, Duration::from_secs(240)).success();
    assert_eq!(ended.stdout, "all so\n", "{ended:?}");
}

#[test]
fn its_data_has_no_leak_and_no_double_free_by_the_sanitizer() {
    if cxx().is_none() {
        return skip("rocSOLVER's data under the address sanitizer", "no C++ compiler");
    }
    let (tree, program) = solver_data(&["-fsanitize=address"]);
    let mut command = client(&tree, &program);
    let ended = run_within(&mut command, Duration::from_secs(120)).success();
    assert_eq!(ended.stdout, "all so\n", "{ended:?}");
    assert_eq!(ended.stderr, "");
}
