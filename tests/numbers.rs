//! The main use case, with numbers: a C program linked with `-lrocblas` fails in TRSM on the stand-in for
//! ROCm 7.0.2's library, and the same binary solves its system once the shim is in front.

use std::os::unix::fs::symlink;
use tests::{
    artefacts,
    run::{client, run},
    scenario::linked_client,
    tree::Tree,
};

/// The message of ROCm 7.0.2's library on a GPU for which it has no TRSM kernels.
const FAILURE: &str = "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98";

#[test]
fn the_same_program_fails_on_stock_and_solves_on_the_shim() {
    let tree = Tree::new();
    let stock = tree.place(artefacts::stock(), "librocblas.so.5.0.70002");
    for link in ["librocblas.so.5", "librocblas.so"] {
        symlink("librocblas.so.5.0.70002", tree.lib().join(link)).expect("link");
    }
    let program = linked_client(&tree, "solve.c", &["-lm"]);

    let before = run(&mut client(&tree, &program));
    assert_eq!(before.status.code(), Some(1), "{before:?}");
    assert!(before.stdout.starts_with("version 5.0.2."), "{before:?}");
    assert!(before.stdout.contains("strsm_batched: rocblas_status_internal_error"), "{before:?}");
    assert!(before.stderr.contains(FAILURE), "{before:?}");

    tree.place_shim();
    tree.add_backend("6.3.0", artefacts::reference());
    let after = run(&mut client(&tree, &program)).silent_success();
    assert_eq!(after.stdout, "version 5.0.2.shim-0.1.0-4.3.0.stand-in\nsolved\n");

    // Versions are swapped at run time: the stock library is a backend like any other.
    tree.add_backend("7.0.2", &stock);
    let swapped = run(client(&tree, &program).env("ROCBLAS_SHIM_BACKEND", "7.0.2"));
    assert_eq!(swapped.status.code(), Some(1), "{swapped:?}");
    assert!(swapped.stderr.contains(FAILURE), "{swapped:?}");
    run(client(&tree, &program).env("ROCBLAS_SHIM_BACKEND", "6.3.0")).silent_success();
}
