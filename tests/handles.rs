//! The shim's facts about handles and devices: which it queries from HIP, which it remembers, and what a forked
//! child finds.

use std::{fs, path::PathBuf};
use tests::{
    artefacts::standins,
    compile::library,
    run::{client, run},
    scenario::{c_backend, linked_client},
    tree::Tree,
};

/// A tree with the pliable HIP runtime, a backend with kernels only for `target`, and a client.
fn with_kernels_for(target: &str, client: &str) -> (Tree, PathBuf) {
    let tree = Tree::with_shim();
    let hip = tree.lib().join("libamdhip64.so.7");
    library(&standins().join("pliable_hip.c"), &hip, "libamdhip64.so.7", &[]);
    let hip = hip.to_str().expect("UTF-8");
    tree.add_backend("only", &c_backend(&tree, "hip-backend.so", &["-DUSES_HIP", hip]));
    let kernels = tree.lib().join("rocblas-shim/backends/only/lib/rocblas/library");
    fs::create_dir_all(&kernels).expect("make the Tensile directory");
    fs::write(kernels.join(format!("TensileLibrary_lazy_{target}.dat")), "").expect("write");
    let program = linked_client(&tree, client, &[]);
    (tree, program)
}

#[test]
fn a_child_forked_while_another_thread_is_in_hip_makes_handles() {
    let (tree, program) = with_kernels_for("gfx906", "forks_in_hip.c");
    let ended = run(client(&tree, &program).env("PLIABLE_HIP_MS", "1000")).silent_success();
    assert_eq!(ended.stdout, "child=0\nparent=0\n");
}

#[test]
fn a_question_that_hip_failed_to_answer_is_asked_again() {
    let (tree, program) = with_kernels_for("gfx90a", "handles.c");
    let ended = run(client(&tree, &program).env("PLIABLE_HIP_FAILURES", "1")).success();
    // The device is not known at first; then the backend has no kernels for it.
    assert!(ended.stdout.starts_with("create=0\ncreate=6\ncreate=6\n"), "{ended:?}");
    let message = "the backend has no Tensile kernels for gfx906 (device 0)";
    assert_eq!(ended.stderr.matches(message).count(), 1, "{ended:?}");
}

#[test]
fn no_handle_has_no_device_properties() {
    let (tree, program) = with_kernels_for("gfx906", "handles.c");
    let ended = run(&mut client(&tree, &program)).silent_success();
    assert!(ended.stdout.ends_with("of null=none\n"), "{ended:?}");
}
