//! Whether ROCm 7's own libraries load at all, every symbol bound at once.

use std::path::PathBuf;
use tests::{
    artefacts::workspace,
    compile::compile,
    real::{Rocm, root},
    run::{Ended, run},
};

/// The function of ROCm 7's rocBLAS that rocSOLVER imports and 6.4 lacks.
const MISSING: &str = "_Z32rocblas_internal_get_device_propP15_rocblas_handle";

/// Compiles a client that is linked with hipBLAS.
fn hipblas_client(rocm: &Rocm) -> PathBuf {
    let source = workspace().join("tests/clients/real/loads_hipblas.c");
    let arguments = rocm.link_with(&["libhipblas.so.3"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    compile(&source, &rocm.tree().root().join("loads_hipblas"), &arguments)
}

fn load(rocm: &Rocm) -> Ended {
    let (mut command, _) = rocm.command(&hipblas_client(rocm));
    run(command.env("LD_BIND_NOW", "1"))
}

#[test]
fn hipblas_and_rocsolver_load_with_the_shim_before_6_4() {
    let Some(root) = root() else { return };
    let rocm = Rocm::shim_before(root, "librocblas.so.4");
    let ended = load(&rocm).silent_success();
    assert_eq!(ended.stdout, "hipblasCreate=0\nhipblasDestroy=0\n");
}

#[test]
fn a_bare_link_to_6_4_does_not_load() {
    let Some(root) = root() else { return };
    let rocm = Rocm::without_shim(root, &root.library("librocblas.so.4"));
    let ended = load(&rocm);
    assert!(!ended.status.success(), "{ended:?}");
    assert!(ended.stderr.contains(&format!("undefined symbol: {MISSING}")), "{ended:?}");
}

#[test]
fn the_library_that_they_were_built_for_loads() {
    // The baseline for the other two: the clients and the runtime work.
    let Some(root) = root() else { return };
    let rocm = Rocm::without_shim(root, &root.library("librocblas.so.5"));
    let ended = load(&rocm).silent_success();
    assert_eq!(ended.stdout, "hipblasCreate=0\nhipblasDestroy=0\n");
}

#[test]
fn all_of_it_loads_with_amds_own_runtime() {
    // It finds no GPU here: the shim's result is the same as that of the previous library.
    let Some(root) = root() else { return };
    let stock = Rocm::without_shim(root, &root.library("librocblas.so.5")).on_amds_runtime();
    let shim = Rocm::shim_before(root, "librocblas.so.4").on_amds_runtime();
    let [stock, shim] = [&stock, &shim].map(load);
    assert_eq!(shim.status, stock.status, "{stock:?} {shim:?}");
    assert_eq!(shim.stdout, stock.stdout, "{stock:?} {shim:?}");
}
