//! Which ROCm tree a command works on when none is named.

use crate::machine::Machine;
use std::{os::unix::fs::symlink, process::Command};
use tests::{
    amd_tree::{Backend, rocm_6_3},
    artefacts,
    run::run,
};

/// `apply` without a tree and without a backend.
const APPLY: [&str; 3] = ["apply", "--gpu", "gfx906"];

fn apply(machine: &Machine) -> tests::run::Ended {
    let shim = ["--shim", artefacts::shim().to_str().expect("UTF-8")];
    machine.tree.installer(&[&APPLY[..], &shim].concat())
}

#[test]
fn rocm_6_3_with_its_development_package_is_the_backend_and_no_second_tree() {
    let machine = Machine::new();
    let older = rocm_6_3(&machine.tree.root().join("opt"), Backend::Needing(&[]));
    assert!(older.join("librocblas.so").is_symlink());
    let ended = apply(&machine).success();
    assert!(ended.stdout.contains("/opt/rocm-6.3.0/lib"), "{ended:?}");
    machine.assert_applied();
    assert!(!older.join("rocblas-shim").exists());
    machine.revert().success();
    let (code, line) = machine.status();
    assert_eq!(code, 3, "{line}");
}

#[test]
fn of_two_trees_of_rocm_7_the_one_with_the_shim_is_taken_and_neither_before() {
    let machine = Machine::new();
    let opt = machine.tree.root().join("opt");
    let mut copy = Command::new("cp");
    copy.arg("--archive").args(["rocm-7.0.2", "rocm-7.0.3"].map(|name| opt.join(name)));
    run(&mut copy).success();
    let refused = machine.apply(&[]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("there are several ROCm trees"), "{refused:?}");
    for lib in ["/opt/rocm-7.0.2/lib", "/opt/rocm-7.0.3/lib"] {
        assert!(refused.stderr.contains(&format!("--rocm {lib}")), "{refused:?}");
    }
    machine.apply(&["--rocm", "/opt/rocm-7.0.3"]).success();
    let (code, line) = machine.status();
    assert_eq!(code, 0, "{line}");
    assert!(line.contains("/opt/rocm-7.0.3/lib"), "{line}");
    machine.revert().success();
}

#[test]
fn a_name_that_cmake_refers_to_makes_a_tree_where_it_points_to_the_stock_library() {
    let machine = Machine::new();
    let lib = machine.tree.root().join("opt/rocm-7.0.3/lib");
    std::fs::create_dir_all(&lib).expect("make a directory");
    // Stock was removed by hand: only the name is left.
    symlink("librocblas.so.5", lib.join("librocblas.so")).expect("link");
    let refused = machine.apply(&[]);
    assert!(refused.stderr.contains("--rocm /opt/rocm-7.0.3/lib"), "{refused:?}");
    std::fs::remove_file(lib.join("librocblas.so")).expect("remove");
    symlink("librocblas.so.4.3.60300", lib.join("librocblas.so")).expect("link");
    machine.apply(&[]).success();
}
