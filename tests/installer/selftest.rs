//! `selftest` distinguishes correct numbers, wrong numbers, failures, crashes and machines without a GPU. The
//! GPU is the recording HIP runtime, whose memory is the host's, so that a rocBLAS on the CPU can compute in
//! it.

use crate::doctor::on_system;
use std::{fs, os::unix::fs::symlink, path::Path};
use tests::{
    amd_tree::AmdTree,
    artefacts,
    compile::library,
    real::recording,
    run::{Ended, run},
    tree::Tree,
};

/// A tree with the shim, this backend, and a HIP runtime.
fn tree(backend: &Path) -> Tree {
    let tree = Tree::with_backend(backend);
    add_runtime(&tree);
    tree
}

fn add_runtime(tree: &Tree) {
    symlink(recording::runtime(), tree.lib().join("libamdhip64.so.7")).expect("link");
}

fn selftest(tree: &Tree, environment: &[(&str, &str)]) -> Ended {
    run(on_system(tree, "selftest").args(["--json"]).envs(environment.iter().copied()))
}

fn in_words(tree: &Tree) -> String {
    run(&mut on_system(tree, "selftest")).stdout
}

fn json(ended: &Ended) -> serde_json::Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {ended:?}"))
}

/// A tree with a C backend whose calls all return success after running this code.
fn with_sgemm(body: &str) -> Tree {
    let tree = Tree::with_shim();
    add_runtime(&tree);
    let file = tree.root().join("backend.c");
    let source = format!(
        "#include <stdlib.h>\nstatic int handle;\n\
         int rocblas_create_handle(void **place) {{ *place = &handle; return 0; }}\n\
         int rocblas_destroy_handle(void *handle) {{ return 0; }}\n\
         int rocblas_strsm_batched(void) {{ return 0; }}\n\
         int rocblas_sgemm(void) {{ {body} }}\n"
    );
    fs::write(&file, source).expect("write");
    let backend = tree.root().join("backend.so");
    tree.add_backend("odd", &library(&file, &backend, "librocblas.so.4", &[]));
    tree
}

#[test]
fn a_backend_that_computes_is_right() {
    let tree = tree(artefacts::reference());
    let ended = selftest(&tree, &[]).success();
    let devices = json(&ended)["devices"].clone();
    let devices = devices.as_array().expect("a list");
    assert_eq!(devices.len(), 1, "{ended:?}");
    assert_eq!(devices[0]["target"], "gfx906:sramecc+:xnack-");
    assert!(
        devices[0]["served_by"].as_str().expect("a text").contains("backend only"),
        "{ended:?}"
    );
    let checks = devices[0]["checks"].as_array().expect("a list");
    let calls: Vec<&str> =
        checks.iter().map(|check| check["call"].as_str().expect("text")).collect();
    assert_eq!(
        calls,
        [
            "sgemm m=127 n=63 k=95",
            "strsm_batched m=65 n=42 batch=2",
            "strsm_batched m=417 n=79 batch=2",
        ]
    );
    for check in checks {
        assert_eq!(check["right"], true, "{check}");
        let of_bound = check["of_bound"].as_f64().expect("a number");
        assert!(of_bound > 0.0 && of_bound <= 1.0, "{check}");
    }
    assert!(in_words(&tree).contains("1 of 1 GPUs compute correctly"));
}

#[test]
fn every_gpu_is_tested() {
    let tree = tree(artefacts::reference());
    let ended = selftest(&tree, &[("RECORDING_HIP_DEVICES", "3")]).success();
    let devices = json(&ended)["devices"].clone();
    let numbers: Vec<u64> = (devices.as_array().expect("a list").iter())
        .map(|device| device["device"].as_u64().expect("a number"))
        .collect();
    assert_eq!(numbers, [0, 1, 2]);
}

/// Checks that the product is right and that the solver has no kernels.
#[track_caller]
fn assert_fails_in_trsm(tree: &Tree) {
    let ended = selftest(tree, &[]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let device = &json(&ended)["devices"][0];
    assert_eq!(device["checks"][0]["right"], true, "{ended:?}");
    for check in &device["checks"].as_array().expect("a list")[1..] {
        assert_eq!(check["right"], false, "{check}");
        assert_eq!(check["error"], "rocblas_strsm_batched returned rocblas_status_internal_error");
    }
    let text = in_words(tree);
    for sentence in [
        "said: rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98",
        "why:  rocBLAS has no kernel for this GPU",
        "0 of 1 GPUs compute correctly",
    ] {
        assert!(text.contains(sentence), "{sentence}: {text}");
    }
}

#[test]
fn the_stock_library_fails_in_trsm_as_a_backend_and_by_itself() {
    assert_fails_in_trsm(&tree(artefacts::stock()));
    let alone = Tree::new();
    add_runtime(&alone);
    alone.place(artefacts::stock(), "librocblas.so.5.0.70002");
    symlink("librocblas.so.5.0.70002", alone.lib().join("librocblas.so.5")).expect("link");
    assert_fails_in_trsm(&alone);
    assert!(in_words(&alone).contains("librocblas.so.5, no shim"));
}

#[test]
fn success_with_wrong_numbers_is_no_success() {
    let ended = selftest(&with_sgemm("return 0;"), &[]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    for check in json(&ended)["devices"][0]["checks"].as_array().expect("a list") {
        assert_eq!((&check["right"], &check["error"]), (&false.into(), &().into()), "{check}");
        assert!(check["of_bound"].as_f64().expect("a number") > 1e3, "{check}");
    }
}

#[test]
fn a_crash_is_a_result() {
    let ended = selftest(&with_sgemm("abort();"), &[("RECORDING_HIP_DEVICES", "2")]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let devices = json(&ended)["devices"].clone();
    for device in devices.as_array().expect("a list") {
        assert_eq!(device["outcome"], "died", "{ended:?}");
        assert_eq!(device["end"]["signal"], 6, "{ended:?}");
    }
    let text = in_words(&with_sgemm("volatile int *nowhere = 0; return *nowhere;"));
    assert!(text.contains("GPU 0: the test crashed with SIGSEGV"), "{text}");
}

#[test]
fn errors_of_hip_are_named() {
    let tree = tree(artefacts::reference());
    for (fail, function) in [("hipMalloc=2", "hipMalloc"), ("hipSetDevice=101", "hipSetDevice")] {
        let ended = selftest(&tree, &[("RECORDING_HIP_FAIL", fail)]);
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(ended.stdout.contains(&format!("{function} returned hipError_t")), "{ended:?}");
    }
}

#[test]
fn no_gpu_and_no_runtime_are_sentences() {
    let tree = tree(artefacts::reference());
    let ended = selftest(&tree, &[("RECORDING_HIP_DEVICES", "0")]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let none = json(&ended)["none"].as_str().expect("a sentence").to_owned();
    let says = "no GPU to test: hipGetDeviceCount returned hipError_t 100 hipErrorNoDevice";
    assert!(none.starts_with(says), "{none}");
    if !Path::new("/dev/kfd").exists() {
        assert!(none.contains("/dev/kfd does not exist"), "{none}");
        assert!(none.contains("--device /dev/kfd --device /dev/dri"), "{none}");
    }
    fs::remove_file(tree.lib().join("libamdhip64.so.7")).expect("remove");
    fs::write(tree.lib().join("libamdhip64.so.7"), "no library").expect("write");
    let ended = selftest(&tree, &[]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stdout.contains("libamdhip64.so.7: "), "{ended:?}");
}

#[test]
fn a_shim_without_a_backend_says_so() {
    let tree = Tree::with_shim();
    add_runtime(&tree);
    let ended = selftest(&tree, &[]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let error = json(&ended)["devices"][0]["error"].as_str().expect("a sentence").to_owned();
    assert!(error.starts_with("no usable rocBLAS backend"), "{error}");
}

#[test]
fn another_root_is_refused() {
    let ended = AmdTree::new().installer(&["selftest"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("is not the running system"), "{ended:?}");
}
