//! Functions that are newer than a backend: computed through functions that it has, or refused with the
//! corresponding status. Numbers are checked with the reference backend on the CPU, alone and with a HIP runtime
//! with scalars in device memory; the statuses are those of rocBLAS, in its order of checks.

use std::{fs, path::PathBuf};
use tests::{
    artefacts,
    compile::library,
    real::recording,
    run::{Ended, client, run},
    scenario::{c_backend, linked_client},
    tree::Tree,
};

const NOT_IMPLEMENTED: &str = "2";

/// Makes the reference backend use HIP: an empty library needs both.
fn on_hip(tree: &Tree) {
    let beside = tree.root().join("reference");
    fs::create_dir(&beside).expect("make a directory");
    let reference = beside.join("librocblas.so.4");
    fs::copy(artefacts::reference(), &reference).expect("copy the reference backend");
    let hip = beside.join("libamdhip64.so.7");
    fs::copy(recording::runtime(), &hip).expect("copy the runtime");
    let source = tree.root().join("nothing.c");
    fs::write(&source, "").expect("write a source without code");
    let both = tree.root().join("both.so");
    let text = |path: &PathBuf| path.to_str().expect("UTF-8").to_owned();
    let runpath = format!("-Wl,--enable-new-dtags,-rpath,{}", text(&beside));
    let needs = ["-Wl,--no-as-needed", &text(&reference), &text(&hip), &runpath];
    library(&source, &both, "librocblas.so.4.3", &needs);
    tree.add_backend("only", &both);
}

fn line<'a>(ended: &'a Ended, key: &str) -> &'a str {
    let value = |line: &'a str| line.strip_prefix(key)?.strip_prefix('=');
    ended.stdout.lines().find_map(value).unwrap_or_else(|| panic!("no {key} in {ended:?}"))
}

/// Checks the results, which do not depend on the location of the scalars.
fn assert_right(ended: &Ended) {
    assert_eq!(line(ended, "syrk_ex"), "1200 calls, status 0, 0 wrong", "{ended:?}");
    // 2 |1+2i|^2, 2 (3-i)(1-2i), 2 |3-i|^2.
    assert_eq!(line(ended, "herk_ex"), "0 10 0 2 -14 20 0, above kept", "{ended:?}");
    for function in ["sgemm", "sgemm_64", "dgemm", "dgemm_64", "gemm_ex", "gemm_ex_64"] {
        assert_eq!(line(ended, function), "status 0, 0 wrong", "{function}: {ended:?}");
    }
    // Handle; n = 0; types; fill; operation; sizes; scalars; matrices.
    assert_eq!(line(ended, "syrk_ex order"), "1 0 2 11 11 4 4 4 3 3 3 3", "{ended:?}");
    // Alpha 0 or no columns, and beta 1: success before any pointer is checked.
    assert_eq!(line(ended, "syrk_ex nothing to do"), "0 0 3", "{ended:?}");
    // Arguments are still checked.
    assert_eq!(line(ended, "syrk_ex in f64"), "4 0 2", "{ended:?}");
    assert_eq!(line(ended, "herk_ex order"), "1 0 2 11 11 4 0 3 2", "{ended:?}");
    // Handle; number of groups; none; arrays; size of a group; operation; sizes; all problems together;
    // matrices; nothing to do.
    assert_eq!(line(ended, "grouped order"), "1 4 0 3 4 11 4 4 4 3 0 0", "{ended:?}");
    assert_eq!(line(ended, "grouped ex order"), "3 11 3 3 4 11 2", "{ended:?}");
    assert_eq!(line(ended, "strides"), "0 2 0 0, 0 2 0 0, 1 1 3", "{ended:?}");
}

#[test]
fn results_are_right_with_scalars_on_the_host() {
    let tree = Tree::with_backend(artefacts::reference());
    let program = linked_client(&tree, "later.c", &[]);
    let ended = run(&mut client(&tree, &program)).success();
    assert_right(&ended);
    assert_eq!(line(&ended, "pointer mode"), "host");
    let refused = "with a stride between them returns rocblas_status_not_implemented";
    assert_eq!(ended.stderr.matches(refused).count(), 1, "once for all: {ended:?}");
}

#[test]
fn results_are_right_with_scalars_on_the_device() {
    let tree = Tree::with_shim();
    on_hip(&tree);
    let program = linked_client(&tree, "later.c", &[]);
    let ended = run(client(&tree, &program).arg("device")).success();
    assert_right(&ended);
    assert_eq!(line(&ended, "pointer mode"), "device", "it is put back");
}

#[test]
fn scalars_on_the_device_are_not_read_while_a_stream_captures() {
    let tree = Tree::with_shim();
    on_hip(&tree);
    let program = linked_client(&tree, "later.c", &[]);
    let log = tree.root().join("hip.log");
    // A stream that is being captured; and the default stream, whose query fails while another one is captured.
    for capturing in
        [("RECORDING_HIP_CAPTURING", "1"), ("RECORDING_HIP_FAIL", "hipStreamIsCapturing=1")]
    {
        fs::write(&log, "").expect("begin a log");
        let mut command = client(&tree, &program);
        let command = command.arg("device").envs([capturing]).env("RECORDING_HIP_LOG", &log);
        let ended = run(command).success();
        assert_eq!(line(&ended, "syrk_ex"), "1200 calls, status 2, 0 wrong", "{ended:?}");
        assert!(line(&ended, "gemm_ex").starts_with("status 2, "), "{ended:?}");
        assert_eq!(line(&ended, "pointer mode"), "device", "it is put back");
        let message = "cannot be read from device memory while a stream is being captured";
        assert_eq!(ended.stderr.matches(message).count(), 1, "once for all: {ended:?}");
        // The client's own copies are not on a stream.
        let log = fs::read_to_string(&log).expect("a log");
        assert!(!log.lines().any(|line| line.contains("stream") && line.contains("DtoH")), "{log}");
    }
}

#[test]
fn a_backend_without_products_declines() {
    let tree = Tree::new();
    let backend = c_backend(&tree, "few.so", &["-DREFUSES_MODES"]);
    let tree = Tree::with_backend(&backend);
    let program = linked_client(&tree, "later.c", &[]);
    let ended = run(&mut client(&tree, &program)).success();
    assert!(line(&ended, "syrk_ex").starts_with("1200 calls, status 2"), "{ended:?}");
    assert!(line(&ended, "herk_ex").starts_with(NOT_IMPLEMENTED), "{ended:?}");
    for function in ["sgemm", "sgemm_64", "dgemm", "dgemm_64", "gemm_ex", "gemm_ex_64"] {
        assert!(line(&ended, function).starts_with("status 2"), "{function}: {ended:?}");
    }
    // Invalid arguments are still reported.
    assert_eq!(line(&ended, "syrk_ex order"), "1 0 2 11 11 4 4 4 3 3 3 3", "{ended:?}");
    assert_eq!(line(&ended, "syrk_ex nothing to do"), "0 0 3", "{ended:?}");
    assert_eq!(line(&ended, "grouped order"), "1 4 0 3 4 11 4 4 4 3 0 0", "{ended:?}");
}

#[test]
fn switched_off_they_are_missing() {
    let tree = Tree::with_backend(artefacts::reference());
    let program = linked_client(&tree, "later.c", &[]);
    let off = "-syrk-ex,-herk-ex,-grouped-gemm,-batch-strides";
    let mut command = client(&tree, &program);
    let ended = run(command.env("ROCBLAS_SHIM_COMPAT", off)).success();
    assert!(line(&ended, "syrk_ex").starts_with("1200 calls, status 2"), "{ended:?}");
    assert!(line(&ended, "herk_ex").starts_with(NOT_IMPLEMENTED), "{ended:?}");
    assert!(line(&ended, "sgemm").starts_with("status 2"), "{ended:?}");
    assert!(line(&ended, "strides").starts_with("2 2 2 9"), "{ended:?}");
    for name in ["rocblas_syrk_ex", "rocblas_herk_ex", "rocblas_gemm_grouped_batched_ex_64"] {
        assert!(
            ended.stderr.contains(&format!("{name} is missing from backend only")),
            "{ended:?}"
        );
    }
}

#[test]
fn a_backend_that_has_them_is_asked_itself() {
    let tree = Tree::with_backend(artefacts::probe());
    let program = linked_client(&tree, "later.c", &[]);
    // The probe creates no handle and returns invalid statuses, so the client ends after its first line.
    let ended = run(&mut client(&tree, &program));
    assert!(!ended.stdout.starts_with("create=0\n"), "{ended:?}");
    let shown = run(
        client(&tree, &linked_client(&tree, "promises.c", &[])).env("ROCBLAS_SHIM_LOG", "info")
    );
    let kept = shown.stderr.lines().find_map(|line| line.split("promises kept for it: ").nth(1));
    let kept = kept.unwrap_or_else(|| panic!("{shown:?}"));
    for promise in ["syrk-ex", "herk-ex", "grouped-gemm", "batch-strides"] {
        assert!(!kept.contains(promise), "{promise} is kept for a library that has it: {kept}");
    }
}
