//! The shim's changes in a loaded backend: its references to its own functions resolve to itself, its `getenv`
//! returns the values that are meant for it, and nothing else is changed.

use std::fs;
use tests::{
    compile::{cxx, library},
    run::{Ended, client, run},
    scenario::{c_backend, cxx_backend, linked_client},
    skip::skip,
    tree::Tree,
};

/// Runs the client that exits with the number of references that resolve elsewhere.
fn own_references(traits: &[&str], environment: &[(&str, &str)]) -> (Tree, Ended) {
    let tree = Tree::with_shim();
    let backend = c_backend(&tree, "backend.so", traits);
    let backend = tree.add_backend("only", &backend);
    let own = backend.parent().expect("a directory").join("rocblas/library");
    fs::create_dir_all(own).expect("make the Tensile directory");
    let program = linked_client(&tree, "own_references.c", &[]);
    let mut command = client(&tree, &program);
    let ended = run(command.envs(environment.iter().copied()));
    (tree, ended)
}

#[test]
fn a_backend_sees_its_own_functions_however_it_is_linked() {
    for traits in [
        vec!["-Wl,-z,lazy", "-Wl,-z,norelro"],
        vec!["-Wl,-z,lazy", "-Wl,-z,relro"],
        vec!["-Wl,-z,now", "-Wl,-z,relro"],
    ] {
        let (_tree, ended) = own_references(&traits, &[]);
        assert_eq!(ended.status.code(), Some(0), "{traits:?}: {ended:?}");
        let (_tree, ended) = own_references(&traits, &[("LD_BIND_NOW", "1")]);
        assert_eq!(ended.status.code(), Some(0), "{traits:?}, LD_BIND_NOW: {ended:?}");
    }
}

#[test]
fn so_does_one_whose_addresses_in_memory_are_unlike_those_in_its_file() {
    // Linked for an address that no process can have, so that its base wraps around; and for an address that it
    // gets, so that its base is 0, like that of a non-PIE program.
    for address in ["0xffffff0000000000", "0x6f0000000000"] {
        let segment = format!("-Wl,-Ttext-segment={address}");
        for program in [["-pie", "-fPIE"], ["-no-pie", "-fno-pie"]] {
            let tree = Tree::with_shim();
            tree.add_backend("only", &c_backend(&tree, "backend.so", &[&segment]));
            let client_program = linked_client(&tree, "own_references.c", &program);
            let ended = run(&mut client(&tree, &client_program));
            assert_eq!(ended.status.code(), Some(0), "{address} {program:?}: {ended:?}");
        }
    }
}

#[test]
fn without_the_shim_adapting_it_the_same_backend_would_notice() {
    // For comparison: a library with the same functions is in front, and the backend is not adapted.
    let tree = Tree::new();
    let backend = c_backend(&tree, "librocblas.so.4", &["-Wl,-z,lazy"]);
    let front = library(
        &tests::artefacts::standins().join("backend.c"),
        &tree.lib().join("librocblas.so"),
        "librocblas.so",
        &[],
    );
    let program = linked_client(&tree, "own_references.c", &[backend.to_str().expect("UTF-8")]);
    let mut command = client(&tree, &program);
    let ended = run(command.env("LD_PRELOAD", front).env("LD_LIBRARY_PATH", tree.root()));
    assert_eq!(ended.status.code(), Some(0), "the front library's own are its own: {ended:?}");
    let source = tests::artefacts::workspace().join("tests/clients/foreign_references.c");
    let program = tests::compile::compile(&source, &tree.root().join("foreign"), &["-ldl"]);
    let mut command = client(&tree, &program);
    let ended = run(command.arg(tree.lib().join("librocblas.so")).arg(backend));
    assert_eq!(ended.status.code(), Some(7), "{ended:?}");
}

#[test]
fn variables_meant_for_another_rocblas_are_hidden_and_others_are_not() {
    let (tree, ended) = own_references(
        &[],
        &[
            ("ROCBLAS_TENSILE_LIBPATH", "/opt/rocm-7.0.2/lib/rocblas/library"),
            ("ROCBLAS_TENSILE_GEMM_OVERRIDE_PATH", "/tuned.txt"),
            ("ROCBLAS_USE_HIPBLASLT", "1"),
            ("ROCBLAS_LAYER", "4"),
        ],
    );
    let own = tree.lib().join("rocblas-shim/backends/only/lib/rocblas/library");
    let own = own.canonicalize().expect("made above");
    assert_eq!(
        ended.stdout,
        format!(
            "ROCBLAS_TENSILE_LIBPATH={}\nROCBLAS_TENSILE_GEMM_OVERRIDE_PATH=(unset)\n\
             ROCBLAS_USE_HIPBLASLT=0\nROCBLAS_DEFAULT_ATOMICS_MODE=0\nROCBLAS_LAYER=4\nsecret=(unset)\n",
            own.display()
        ),
        "{ended:?}"
    );
}

#[test]
fn a_non_pie_cxx_program_and_its_backend_share_std_cout() {
    if cxx().is_none() {
        return skip("std::cout across the shim", "no C++ compiler");
    }
    let tree = Tree::with_shim();
    tree.add_backend("only", &cxx_backend(&tree));
    let program = linked_client(&tree, "prints.cpp", &["-no-pie", "-fno-pie"]);
    let ended = run(&mut client(&tree, &program)).silent_success();
    assert_eq!(ended.stdout, "client: 7\nbackend: 4.3\nstatus 0, memory freed\n");
}

#[test]
fn a_malloc_interposer_serves_program_and_backend_alike() {
    if cxx().is_none() {
        return skip("malloc interposer across the shim", "no C++ compiler");
    }
    let tree = Tree::with_shim();
    tree.add_backend("only", &cxx_backend(&tree));
    let program = linked_client(&tree, "prints.cpp", &[]);
    let interposer = library(
        &tests::artefacts::workspace().join("tests/clients/interposer.c"),
        &tree.root().join("interposer.so"),
        "interposer.so",
        &["-fno-builtin"],
    );
    let ended = run(client(&tree, &program).env("LD_PRELOAD", interposer)).silent_success();
    assert_eq!(ended.stdout, "client: 7\nbackend: 4.3\nstatus 0, memory freed\n");
}
