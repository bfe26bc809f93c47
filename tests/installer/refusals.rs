//! What `apply` refuses before it changes anything, each with its reason and its fix.

use crate::machine::Machine;
use std::{fs, path::Path, process::Command};
use tests::{
    amd_tree::{Backend, rocm_6_3},
    run::{Ended, run},
    skip::skip,
};

#[track_caller]
fn refused(machine: &Machine, ended: &Ended, sentences: &[&str]) {
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    // The terminal wraps long lines.
    for sentence in sentences {
        assert!(ended.stderr.contains(sentence), "{sentence:?} is not in {ended:?}");
    }
    assert!(!machine.lib("rocblas-shim").exists(), "something was left behind");
    assert_eq!(machine.link("librocblas.so.5"), Path::new("librocblas.so.5.0.70002"));
}

#[test]
fn a_backend_without_kernels_for_the_gpu() {
    let machine = Machine::new();
    let before = machine.snapshot();
    refused(
        &machine,
        &machine.apply(&["--gpu", "gfx942"]),
        &["has no code for gfx942", "gfx900, gfx906, gfx908", "leave gfx942 out of --gpu"],
    );
    before.assert_same(&machine.snapshot());
}

#[test]
fn a_gpu_is_named_as_people_write_it_in_every_command() {
    let machine = Machine::new();
    for name in [
        "GFX906:sramecc+:xnack-",
        "906",
        "MI50",
        "vega20",
        "Radeon VII",
        "gfx906;gfx900",
        "mi60 906",
    ] {
        let ended = machine.apply(&["--dry-run", "--gpu", name]);
        assert!(ended.status.success(), "{name}: {ended:?}");
        assert!(!machine.tree.installer(&["inspect", "--gpu", name]).stdout.is_empty(), "{name}");
    }
    let backend = machine.backend.to_str().expect("UTF-8");
    for command in [
        &["inspect"][..],
        &["apply", "--backend", backend],
        &["backends", "add", backend],
        &["doctor"],
    ] {
        let ended = machine.tree.installer(&[command, &["--gpu", "MI51"]].concat());
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        let sentence =
            "\"MI51\" is not a GPU target; expected a target such as gfx906 or gfx90a:xnack-";
        assert!(ended.stderr.contains(sentence), "{ended:?}");
    }
}

#[test]
fn a_rocblas_of_rocm_7_as_a_backend_is_called_that() {
    let machine = Machine::new();
    let stock = machine.lib("librocblas.so.5.0.70002");
    let stock = stock.to_str().expect("UTF-8");
    for more in [&[][..], &["--gpu", "gfx906"]] {
        let ended = machine.tree.installer(&[&["apply", "--backend", stock], more].concat());
        let said = ["is ROCm 7's rocBLAS", "6.3's is needed"];
        refused(&machine, &ended, &said);
    }
}

#[test]
fn a_backend_without_tensile_files_for_the_gpu() {
    let machine = Machine::new();
    for entry in fs::read_dir(machine.backend.join("rocblas/library")).expect("read") {
        let path = entry.expect("an entry").path();
        if path.to_string_lossy().contains("gfx906") {
            fs::remove_file(path).expect("remove");
        }
    }
    refused(
        &machine,
        &machine.apply(&["--gpu", "gfx906"]),
        &["has no Tensile files for gfx906", "Pass the whole package"],
    );
}

#[test]
fn a_backend_for_a_newer_glibc() {
    let machine = Machine::new();
    // As in an older base image: a libc without the version nodes that the backend needs.
    let libc = libc(&machine);
    let source = machine.outside().join("old.c");
    fs::write(&source, "int old;\n").expect("write");
    tests::compile::library(&source, &libc, "libc.so.6", &["-nostdlib"]);
    refused(
        &machine,
        &machine.apply(&[]),
        &["was built for a newer system", "GLIBC_2.", "libc.so.6", "a newer base image"],
    );
}

fn libc(machine: &Machine) -> std::path::PathBuf {
    let cached = machine.tree.cached();
    let (_, path) = cached.iter().find(|(name, _)| name == "libc.so.6").expect("cached");
    machine.tree.root().join(path.trim_start_matches('/')).canonicalize().expect("there")
}

#[test]
fn a_hip_runtime_without_the_version_nodes() {
    let machine = Machine::new();
    let source = machine.outside().join("hip.c");
    fs::write(&source, "int hip;\n").expect("write");
    let hip = machine.lib("libamdhip64.so.7.0.70002");
    tests::compile::library(&source, &hip, "libamdhip64.so.7", &[]);
    refused(
        &machine,
        &machine.apply(&[]),
        &["needs the version nodes hip_4.2 of libamdhip64.so.6", "another HIP runtime"],
    );
}

#[test]
fn a_backend_that_would_not_load() {
    let machine = Machine::new();
    let missing = machine.outside().join("libmissing.so.3");
    let source = machine.outside().join("missing.c");
    fs::write(&source, "int missing;\n").expect("write");
    tests::compile::library(&source, &missing, "libmissing.so.3", &[]);
    let other = machine.outside().join("other");
    let missing = missing.to_str().expect("UTF-8");
    let backend = rocm_6_3(&other, Backend::Needing(&[missing]));
    let before = machine.snapshot();
    let ended = machine.apply(&["--backend", backend.to_str().expect("UTF-8")]);
    refused(&machine, &ended, &["the tree is as it was before", "libmissing.so.3"]);
    before.assert_same(&machine.snapshot());
}

#[test]
fn what_is_no_backend() {
    let machine = Machine::new();
    let text = machine.outside().join("librocblas.so.4");
    fs::write(&text, "not a library").expect("write");
    let shim = tests::artefacts::shim().to_str().expect("UTF-8").to_owned();
    let hip = machine.lib("libamdhip64.so.7").to_str().expect("UTF-8").to_owned();
    let absent = machine.outside().join("absent").to_str().expect("UTF-8").to_owned();
    let text = text.to_str().expect("UTF-8").to_owned();
    for path in [&text, &shim, &hip, &absent] {
        refused(&machine, &machine.apply(&["--backend", path]), &[path]);
    }
}

#[test]
fn no_backend_at_all_says_which_package_has_one() {
    let machine = Machine::new();
    let shim = tests::artefacts::shim().to_str().expect("UTF-8");
    let ended = machine.tree.installer(&["apply", "--shim", shim]);
    refused(&machine, &ended, &["no backend", "--backend", "rocblas_4.3.0.60300"]);
}

#[test]
fn what_is_no_shim() {
    let machine = Machine::new();
    let stock = machine.lib("librocblas.so.5.0.70002");
    let ended = machine.apply(&["--shim", stock.to_str().expect("UTF-8")]);
    refused(&machine, &ended, &["is not the shim", "rocblas-shim"]);
}

#[test]
fn programs_that_are_empty_or_do_not_use_rocblas() {
    let machine = Machine::new();
    let app = machine.tree.root().join("app");
    fs::create_dir(&app).expect("make app");
    let program = app.join("llama-server");
    fs::write(&program, "").expect("write");
    for more in [&[][..], &["--built", "/app"], &["--built", "/app/llama-server"]] {
        refused(&machine, &machine.apply(more), &["/app/llama-server is empty", "Build it again"]);
    }
    fs::write(&program, "#!/bin/sh\n").expect("write");
    let ended = machine.apply(&["--built", "/app"]);
    refused(&machine, &ended, &["contains no program"]);
    refused(&machine, &machine.apply(&["--built", "/absent"]), &["--built /absent", "build the"]);
    let source = machine.outside().join("other.c");
    fs::write(&source, "int main(void) { return 0; }\n").expect("write");
    machine.tree.build(&source, &[]);
    let ended = machine.apply(&["--built", "/usr/bin/other"]);
    refused(&machine, &ended, &["none of these uses rocBLAS", "GGML_HIP"]);
}

#[test]
fn a_tree_of_rocm_6_or_none() {
    let machine = Machine::new();
    let older = rocm_6_3(&machine.tree.root().join("opt"), Backend::Needing(&[]));
    let inside = Path::new("/").join(older.strip_prefix(machine.tree.root()).expect("inside"));
    let ended = machine.apply(&["--rocm", inside.to_str().expect("UTF-8")]);
    refused(&machine, &ended, &["librocblas.so.4", "another ROCm release"]);
    let ended = machine.apply(&["--rocm", "/nowhere"]);
    refused(&machine, &ended, &["/nowhere"]);
}

#[test]
fn not_enough_space() {
    let machine = Machine::new();
    // Sparse, so that only the claimed size is large.
    let library = machine.backend.join("rocblas/library/TensileLibrary_huge_gfx906.co");
    fs::File::create(&library).and_then(|file| file.set_len(1 << 42)).expect("a sparse file");
    refused(&machine, &machine.apply(&[]), &["not enough space", "--gpu"]);
}

/// Sets the immutable attribute of a file. Prints a message and returns false if that is not possible.
fn fix(path: &Path, how: &str) -> bool {
    let ended = run(Command::new("chattr").arg(how).arg(path));
    if !ended.status.success() {
        skip("immutable files", ended.stderr.trim());
    }
    ended.status.success()
}

#[test]
fn what_is_immutable_is_named_and_nothing_is_lost() {
    let machine = Machine::new();
    let before = machine.snapshot();
    let (lib, stock) = (machine.tree.lib(), machine.lib("librocblas.so.5.0.70002"));
    for path in [&stock, &lib] {
        if !fix(path, "+i") {
            return;
        }
        let ended = machine.apply(&[]);
        fix(path, "-i");
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        let inside = path.strip_prefix(machine.tree.root()).expect("in the root").display();
        let said = format!("/{inside} is immutable, even for root: run `chattr -ia /{inside}`");
        assert!(ended.stderr.contains(&said), "{ended:?}");
        assert!(!ended.stderr.contains("sudo"), "{ended:?}");
        before.assert_same(&machine.snapshot());
    }
    machine.apply(&[]).success();
    let kept = machine.lib("rocblas-shim/backends/7.0.2/lib/librocblas.so.5.0.70002");
    fix(&kept, "+i");
    let ended = machine.revert();
    fix(&kept, "-i");
    assert!(ended.stderr.contains("is immutable, even for root"), "{ended:?}");
    machine.revert().success();
    before.assert_same(&machine.snapshot());
}
