//! A GPU for which a library has no kernels: the failure on that library, and success through the shim on a library
//! that has them.

use std::path::{Path, PathBuf};
use tests::{
    artefacts::workspace,
    compile::compile,
    real::{Rocm, compared::Seen, fatbin, root},
    run::run,
};

const FAILURE: &str = "hipErrorInvalidDeviceFunction";

fn client(rocm: &Rocm) -> PathBuf {
    let source = workspace().join("tests/clients/real/strsm.c");
    let arguments = rocm.link_with(&["librocblas.so.5", "libamdhip64.so.7"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    compile(&source, &rocm.tree().root().join("strsm"), &arguments)
}

/// Shapes for which rocBLAS's own status shows that a kernel was missing.
const TOLD: [&str; 4] = ["n=79 k=417", "n=42 k=65", "n=64 k=200", "n=64 k=384"];

/// Small enough for one kernel, whose failure rocBLAS prints before it returns success, in 6.4 and in 7.2.
const NOT_TOLD: &str = "n=64 k=64";

fn solve(rocm: &Rocm, program: &Path, target: &str, arguments: &[&str]) -> Seen {
    let environment = [("RECORDING_HIP_TARGET", target), ("RECORDING_HIP_CHECK_TARGETS", "1")];
    Seen::of(rocm, program, arguments, &environment)
}

/// The status of a shape, and its HIP calls.
fn shape<'a>(seen: &'a Seen, shape: &str) -> (&'a str, Vec<String>) {
    let begins = format!("strsm_batched {shape} ");
    let line = seen.printed.iter().find(|line| line.starts_with(&begins));
    let line = line.unwrap_or_else(|| panic!("no {shape} in {seen:?}"));
    let (name, status) = line.split_once(": ").expect("name: status");
    (status, seen.hip_of(name))
}

#[track_caller]
fn assert_fails(seen: &Seen, of: &str, status: &str) {
    let (answered, hip) = shape(seen, of);
    assert_eq!(answered, status, "{of}: {seen:?}");
    assert!(seen.ended.stderr.contains(&format!("'{FAILURE}':98")), "{of}: {seen:?}");
    let error = format!("error 98 {FAILURE} in hipLaunchKernel");
    assert!(hip.contains(&error), "{of}: {seen:?}");
    assert!(!hip.iter().any(|line| line.starts_with("launch ")), "{of}: {seen:?}");
}

#[track_caller]
fn assert_succeeds(seen: &Seen, of: &str) {
    let (answered, hip) = shape(seen, of);
    assert_eq!(answered, "0", "{of}: {seen:?}");
    // rocBLAS's messages about null matrices are ignored: kernels that did not run should have stored the
    // pointers.
    assert!(!seen.ended.stderr.contains("hip error"), "{of}: {seen:?}");
    assert!(hip.iter().any(|line| line.starts_with("launch ")), "{of}: {seen:?}");
    assert!(!hip.iter().any(|line| line.starts_with("error ")), "{of}: {seen:?}");
}

#[test]
fn gfx906_without_kernels_in_7_and_with_6_4s() {
    let Some(root) = root() else { return };
    // Debian's 7.2 has kernels for gfx906, unlike AMD's: so this is Debian's with its kernels removed.
    let stripped = tempfile::tempdir().expect("a directory");
    let stripped_7 = stripped.path().join("librocblas.so.5");
    let bundles = fatbin::without_kernels(&root.library("librocblas.so.5"), &stripped_7);
    assert!(bundles > 50, "{bundles} bundles");
    let stock = Rocm::without_shim(root, &stripped_7);
    let shim = Rocm::shim_before(root, "librocblas.so.4");
    // Only the removal of kernels makes it fail.
    let whole = Rocm::without_shim(root, &root.library("librocblas.so.5"));
    let program = client(&shim);
    let [stock, shim, whole] =
        [&stock, &shim, &whole].map(|rocm| solve(rocm, &program, "gfx906", &[]));
    for of in TOLD {
        assert_fails(&stock, of, "6");
        assert_succeeds(&shim, of);
        assert_succeeds(&whole, of);
    }
    assert_fails(&stock, NOT_TOLD, "0");
    assert_succeeds(&shim, NOT_TOLD);
}

#[test]
fn gfx942_without_kernels_in_6_4_and_with_7s() {
    // The reverse case, with both libraries unchanged.
    let Some(root) = root() else { return };
    let stock = Rocm::without_shim(root, &root.library("librocblas.so.4"));
    let shim = Rocm::shim_before(root, "librocblas.so.5");
    let program = client(&shim);
    assert_fails(&solve(&stock, &program, "gfx942", &["small"]), NOT_TOLD, "0");
    assert_succeeds(&solve(&shim, &program, "gfx942", &["small"]), NOT_TOLD);
}

#[test]
fn a_gpu_without_tensile_files_is_named_instead_of_an_abort() {
    let Some(root) = root() else { return };
    let shim = Rocm::shim_before(root, "librocblas.so.4");
    let program = client(&shim);
    let run_on_gfx1201 = |promises: &str| {
        let (mut command, _log) = shim.command(&program);
        let command = command.env("RECORDING_HIP_TARGET", "gfx1201");
        run(command.env("ROCBLAS_SHIM_COMPAT", promises))
    };
    let ended = run_on_gfx1201("").success();
    assert!(ended.stdout.starts_with("create_handle: 6\n"), "{ended:?}");
    assert!(ended.stderr.contains("no Tensile kernels for gfx1201"), "{ended:?}");
    let ended = run_on_gfx1201("-tensile");
    assert_eq!(ended.signal(), Some(libc::SIGABRT), "{ended:?}");
}
