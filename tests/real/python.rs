//! AMD's own Python bindings of ROCm 10 through hipBLAS 7 and the shim: the launches are the same as with 6.4
//! alone.

use std::{os::unix::fs::symlink, path::Path, process::Command};
use tests::{
    artefacts::workspace,
    compile::compile,
    real::{Rocm, compared::Seen, python_bindings, root},
};

/// The interpreter itself, which may be behind a script of a version manager.
fn interpreter() -> String {
    let mut command = Command::new("python3");
    let output = command.args(["-c", "import sys; print(sys.executable)"]).output();
    let output = output.expect("python3 has installed the bindings");
    String::from_utf8(output.stdout).expect("a path in UTF-8").trim().to_owned()
}

fn launches(seen: &Seen) -> Vec<&str> {
    seen.hip.iter().filter(|line| line.starts_with("launch ")).map(String::as_str).collect()
}

#[test]
fn products_and_solves_by_python_launch_what_6_4_launches() {
    let (Some(root), Some(bindings)) = (root(), python_bindings()) else { return };
    let clients = workspace().join("tests/clients/real");

    let rocm = Rocm::shim_before(root, "librocblas.so.4");
    // Names by which the bindings open the libraries.
    symlink("libamdhip64.so.7", rocm.tree().lib().join("libamdhip64.so")).expect("link");
    let hipblas = rocm.tree().lib().join("libhipblas.so");
    symlink(root.library("libhipblas.so.3"), hipblas).expect("link");
    let script = clients.join("products.py");
    let arguments = [&script, &bindings].map(|path| path.to_str().expect("a path in UTF-8"));
    let by_python = Seen::of(&rocm, Path::new(&interpreter()), &arguments, &[]);
    assert_eq!(by_python.printed, ["done"]);

    let alone = Rocm::without_shim(root, &root.library("librocblas.so.4"));
    let link = alone.link_with(&["librocblas.so.5", "libamdhip64.so.7"]);
    let link: Vec<&str> = link.iter().map(String::as_str).collect();
    let program =
        compile(&clients.join("products.c"), &alone.tree().root().join("products"), &link);
    // As in 7 and with the shim.
    let environment = [("ROCBLAS_DEFAULT_ATOMICS_MODE", "0")];
    let alone = Seen::of(&alone, &program, &[], &environment);
    assert!(alone.printed.iter().all(|line| line.ends_with(": 0")), "{alone:?}");

    assert!(launches(&alone).len() >= 8, "{alone:?}");
    assert_eq!(launches(&by_python), launches(&alone));
}
