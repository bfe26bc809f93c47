//! Split libraries (ROCm 7.13 and later): a backend whose GPU code is in archives, and a stock library.

use crate::machine::Machine;
use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};
use tests::{
    amd_tree::{self, GFX906, GFX908, GFX942},
    run::run,
    snapshot::Snapshot,
};

/// A machine with a split backend for gfx906 and gfx908 next to it.
fn machine() -> Machine {
    let machine = Machine::new();
    amd_tree::split(&machine.backend.join("librocblas.so.4.3.60300"), &[GFX906, GFX908]);
    machine
}

/// As from 7.13 on: the runtime reads this variable.
fn make_hip_read_archives(machine: &Machine) {
    let hip = machine.lib("libamdhip64.so.7.0.70002");
    let mut hip = OpenOptions::new().append(true).open(hip).expect("open");
    hip.write_all(b"\0ROCM_KPACK_PATH\0").expect("write");
}

fn placed(machine: &Machine, gpu: &str) -> PathBuf {
    machine.lib(&format!("rocblas-shim/backends/6.3.0/.kpack/blas_lib_{gpu}.kpack"))
}

#[track_caller]
fn refused(machine: &Machine, more: &[&str], sentences: &[&str]) {
    let before = machine.snapshot();
    let ended = machine.apply(more);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    for sentence in sentences {
        assert!(ended.stderr.contains(sentence), "{sentence:?} is not in {ended:?}");
    }
    before.assert_same(&machine.snapshot());
}

#[test]
fn a_split_backend_is_refused_where_hip_does_not_read_archives() {
    let machine = machine();
    let said = [
        "is a split library",
        "libamdhip64.so.7.0.70002 does not read",
        "only ROCm 7.13 and later do",
    ];
    refused(&machine, &["--gpu", "gfx906"], &said);
    refused(&machine, &["--gpu", "gfx906", "--dry-run"], &said);
}

#[test]
fn a_split_backend_moves_with_its_archives() {
    let machine = machine();
    make_hip_read_archives(&machine);
    let before = machine.snapshot();
    machine.apply(&["--gpu", "gfx906"]).success();
    machine.assert_applied();
    let original = machine.backend.join("../.kpack/blas_lib_gfx906.kpack");
    assert_eq!(
        fs::read(placed(&machine, "gfx906")).expect("read"),
        fs::read(original).expect("read")
    );
    assert!(!placed(&machine, "gfx908").exists());
    let inspected = machine.tree.installer(&["inspect", "--gpu", "gfx906"]).success().stdout;
    assert!(inspected.contains("gfx906 is covered"), "{inspected}");
    // An older HIP runtime, as after a downgrade.
    let hip = machine.lib("libamdhip64.so.7.0.70002");
    let reads = fs::read(&hip).expect("read");
    let text = memchr::memmem::find(&reads, b"ROCM_KPACK_PATH").expect("appended");
    fs::write(&hip, &reads[..text]).expect("write");
    let inspected = machine.tree.installer(&["inspect", "--gpu", "gfx906"]).stdout;
    assert!(inspected.contains("gfx906 is not covered"), "{inspected}");
    assert!(inspected.contains("does not read archives"), "{inspected}");
    fs::write(&hip, &reads).expect("write");
    // Adds a GPU from the backend's source.
    machine.tree.installer(&["apply", "--gpu", "gfx908"]).success();
    assert!(placed(&machine, "gfx906").exists() && placed(&machine, "gfx908").exists());
    // A damaged archive is found and replaced.
    fs::write(placed(&machine, "gfx906"), "damaged").expect("write");
    let status = machine.status();
    assert_eq!(status.0, 4, "{status:?}");
    machine.tree.installer(&["repair"]).success();
    machine.assert_applied();
    machine.revert().success();
    before.assert_same(&machine.snapshot());
}

#[test]
fn archives_that_are_missing_are_said() {
    let machine = machine();
    make_hip_read_archives(&machine);
    refused(&machine, &["--gpu", "gfx906,gfx900"], &["has no code for gfx900", "gfx906"]);
    let archives = machine.backend.join("../.kpack");
    fs::rename(&archives, machine.outside().join("away")).expect("rename");
    let said = [
        "is a split library",
        "blas_lib_@GFXARCH@.kpack",
        "none for the requested GPUs is present",
    ];
    refused(&machine, &["--gpu", "gfx906"], &said);
}

#[test]
fn a_package_with_archives_is_unpacked_with_them() {
    let machine = machine();
    make_hip_read_archives(&machine);
    let package = machine.outside().join("rocblas.tar.gz");
    let top = machine.backend.join("../..");
    let mut tar = Command::new("tar");
    run(tar.arg("-C").arg(&top).arg("-czf").arg(&package).arg("rocm-6.3.0")).success();
    let path = package.to_str().expect("UTF-8");
    // The last option takes precedence.
    let shown = machine.apply(&["--backend", path, "--gpu", "gfx906", "--dry-run"]).success();
    assert!(shown.stdout.contains("backend 6.3.0"), "{shown:?}");
    machine.apply(&["--backend", path, "--gpu", "gfx906"]).success();
    assert!(placed(&machine, "gfx906").exists() && !placed(&machine, "gfx908").exists());
    let inspected = machine.tree.installer(&["inspect", "--gpu", "gfx906"]).success().stdout;
    assert!(inspected.contains("gfx906 is covered"), "{inspected}");
    machine.revert().success();
}

#[test]
fn a_split_stock_library_finds_its_archives_from_the_store() {
    let machine = Machine::new();
    amd_tree::split(&machine.lib("librocblas.so.5.0.70002"), &[GFX908, GFX942]);
    make_hip_read_archives(&machine);
    let before = machine.snapshot();
    machine.apply(&[]).success();
    let covered = |gpu: &str| {
        let inspected = machine.tree.installer(&["inspect", "--gpu", gpu]).success().stdout;
        inspected.contains(&format!("{gpu} is covered"))
    };
    assert!(covered("gfx906") && !covered("gfx942"));
    machine.tree.installer(&["backends", "use", "7.0.2"]).success();
    assert!(covered("gfx942") && !covered("gfx906"));
    let list = machine.tree.installer(&["backends", "list"]).success().stdout;
    assert!(list.contains("gfx908,gfx942"), "{list}");
    machine.revert().success();
    before.assert_same(&machine.snapshot());
    // Once the stock library is deleted, no symlink to its archives is left.
    machine.apply(&[]).success();
    machine.apply(&["--original", "delete"]).success();
    assert!(!machine.lib("rocblas-shim/backends/7.0.2").exists());
}

#[test]
fn collect_takes_archives_of_the_chosen_gpus() {
    let machine = machine();
    make_hip_read_archives(&machine);
    let solver = machine.lib("librocsolver.so.0.5.70002");
    amd_tree::split(&solver, &[GFX906, GFX942]);
    machine.apply(&["--gpu", "gfx906"]).success();
    let source = machine.outside().join("uses.c");
    fs::write(
        &source,
        "int hipblasCreate(void **); int main(void) { void *h; return hipblasCreate(&h); }\n",
    )
    .expect("write");
    let program = machine.tree.build(&source, &["-lhipblas"]);
    machine.tree.ldconfig();
    let inside = Path::new("/").join(program.strip_prefix(machine.tree.root()).expect("inside"));
    let into = machine.outside().join("image");
    let arguments =
        ["collect", "--into", into.to_str().expect("UTF-8"), inside.to_str().expect("UTF-8")];
    machine.tree.installer(&arguments).success();
    let copied = Snapshot::of(&into);
    let has = |end: &str| copied.paths().any(|path| path.ends_with(end));
    assert!(has("backends/6.3.0/.kpack/blas_lib_gfx906.kpack"));
    assert!(has("opt/rocm-7.0.2/.kpack/blas_lib_gfx906.kpack"));
    assert!(!has("opt/rocm-7.0.2/.kpack/blas_lib_gfx942.kpack"));
}
