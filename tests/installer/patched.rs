//! Trees that users had patched by hand, in ways that are in circulation.

use crate::machine::Machine;
use std::{fs, os::unix::fs::symlink, path::Path};

/// The real ldconfig would undo the patch, so the cache is out of date at first.
fn is_cache(path: &Path) -> bool {
    path == Path::new("etc/ld.so.cache")
}

/// 6.3's library next to the stock one, and symlinks, as described in forum posts.
fn patched_by_links(machine: &Machine) {
    for name in ["librocblas.so.4", "librocblas.so.4.3.60300"] {
        let from = machine.backend.join(name);
        match fs::read_link(&from) {
            Ok(target) => symlink(target, machine.lib(name)).expect("link"),
            Err(_) => drop(fs::copy(&from, machine.lib(name)).expect("copy")),
        }
    }
    let link = machine.lib("librocblas.so.5");
    fs::remove_file(&link).expect("remove");
    symlink("librocblas.so.4", &link).expect("link");
    symlink("libamdhip64.so.7", machine.lib("libamdhip64.so.6")).expect("link");
    symlink("libhipblaslt.so.1", machine.lib("libhipblaslt.so.0")).expect("link");
    for entry in fs::read_dir(machine.backend.join("rocblas/library")).expect("read") {
        let entry = entry.expect("an entry");
        let to = machine.lib("rocblas/library").join(entry.file_name());
        fs::copy(entry.path(), to).expect("copy");
    }
}

#[test]
fn links_by_hand_are_taken_over_and_come_back() {
    let machine = Machine::new();
    patched_by_links(&machine);
    let before = machine.snapshot().without(is_cache);
    // Without --backend, the one that was installed by hand is used.
    let shim = tests::artefacts::shim().to_str().expect("UTF-8");
    let applied = machine.tree.installer(&["apply", "--shim", shim]).success();
    assert!(applied.stdout.contains("was symlinked to librocblas.so.4 by hand"), "{applied:?}");
    machine.assert_applied();
    assert_eq!(machine.link("librocblas.so.5"), Path::new("librocblas.so.5.99.0"));
    let backend = machine.lib("rocblas-shim/backends/6.3.0/lib");
    assert!(backend.join("rocblas/library/TensileLibrary_lazy_gfx906.dat").exists());
    machine.revert().success();
    before.assert_same(&machine.snapshot().without(is_cache));
}

#[test]
fn stock_overwritten_by_hand_is_kept() {
    let machine = Machine::new();
    fs::remove_file(machine.lib("librocblas.so.5")).expect("remove");
    fs::remove_file(machine.lib("librocblas.so.5.0.70002")).expect("remove");
    fs::copy(machine.backend.join("librocblas.so.4"), machine.lib("librocblas.so.5"))
        .expect("copy");
    let before = machine.snapshot().without(is_cache);
    let applied = machine.apply(&[]).success();
    assert!(applied.stdout.contains("was overwritten by hand"), "{applied:?}");
    machine.assert_applied();
    machine.revert().success();
    before.assert_same(&machine.snapshot().without(is_cache));
}

#[test]
fn a_real_library_of_the_old_name_is_never_overwritten() {
    let machine = Machine::new();
    let source = machine.outside().join("hip.c");
    fs::write(&source, "int hip_6(void) { return 6; }\n").expect("write");
    let real = machine.lib("libamdhip64.so.6");
    tests::compile::library(&source, &real, "libamdhip64.so.6", &[]);
    for compat in ["links", "stubs"] {
        let before = machine.snapshot().without(is_cache);
        let applied = machine.apply(&["--compat", compat]).success();
        assert!(applied.stdout.contains("is a real library"), "{applied:?}");
        machine.assert_applied();
        machine.revert().success();
        before.assert_same(&machine.snapshot().without(is_cache));
    }
}

/// As a Dockerfile in circulation does it: 6.3's library under all names, and the stock library removed.
fn patched_without_stock(machine: &Machine) {
    patched_by_links(machine);
    fs::remove_file(machine.lib(STOCK)).expect("remove");
    let link = |target: &str, name: &str| {
        fs::remove_file(machine.lib(name)).expect("remove");
        symlink(target, machine.lib(name)).expect("link");
    };
    link("librocblas.so.4.3.60300", "librocblas.so.5");
    link("librocblas.so.4", "librocblas.so");
    link("/opt/rocm-7.0.2/lib/libamdhip64.so.7.0.70002", "libamdhip64.so.6");
    let package = machine.lib("cmake/rocblas");
    fs::create_dir_all(&package).expect("make a directory");
    let text = format!("IMPORTED_LOCATION_RELEASE \"${{_IMPORT_PREFIX}}/lib/{STOCK}\"\n");
    fs::write(package.join("rocblas-targets-release.cmake"), text).expect("write");
}

const STOCK: &str = "librocblas.so.5.0.70002";
const REMOVED: &str = "dead end: the stock library removed by hand";
const LINKED: &str = "dead end: librocblas.so.5 linked to ROCm 6's library";

#[test]
fn a_stock_library_removed_by_hand_is_said_and_its_name_is_made_for_cmake() {
    let machine = Machine::new();
    patched_without_stock(&machine);
    let before = machine.snapshot().without(is_cache);
    let doctor = machine.tree.installer(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(1), "{doctor:?}");
    for said in [LINKED, REMOVED, "names librocblas.so.5.0.70002, which does not exist"] {
        assert!(doctor.stdout.contains(said), "{said}: {doctor:?}");
    }
    // As the text suggests, without further options.
    let shim = tests::artefacts::shim().to_str().expect("UTF-8");
    let apply = || machine.tree.installer(&["apply", "--shim", shim]).success();
    apply();
    machine.assert_applied();
    assert_eq!(machine.link(STOCK), Path::new("librocblas.so.5.99.0"));
    assert_eq!(machine.link("librocblas.so"), Path::new("librocblas.so.5"));
    let doctor = machine.tree.installer(&["doctor"]).success();
    assert!(!doctor.stdout.contains("dead end"), "{doctor:?}");
    assert!(apply().stdout.contains("Nothing to do"));

    // If it is lost again, the suggested `apply` repairs it.
    fs::remove_file(machine.lib(STOCK)).expect("remove");
    let doctor = machine.tree.installer(&["doctor"]);
    assert!(doctor.stdout.contains(REMOVED), "{doctor:?}");
    assert!(!apply().stdout.contains("Nothing to do"));
    assert_eq!(machine.link(STOCK), Path::new("librocblas.so.5.99.0"));
    machine.revert().success();
    before.assert_same(&machine.snapshot().without(is_cache));
}

#[test]
fn who_does_without_the_name_for_cmake_is_not_told_that_it_is_missing() {
    let machine = Machine::new();
    patched_without_stock(&machine);
    machine.apply(&["--no-build-link"]).success();
    assert!(!machine.lib(STOCK).exists());
    let doctor = machine.tree.installer(&["doctor"]).success();
    assert!(!doctor.stdout.contains("dead end"), "{doctor:?}");
}

#[test]
fn a_library_of_6_3_copied_to_the_name_is_said_kept_and_comes_back() {
    let machine = Machine::new();
    let front = machine.lib("librocblas.so.5");
    fs::remove_file(&front).expect("remove");
    fs::copy(machine.backend.join("librocblas.so.4"), &front).expect("copy");
    let before = machine.snapshot().without(is_cache);
    let doctor = machine.tree.installer(&["doctor"]);
    let title = "dead end: ROCm 6's library copied to librocblas.so.5";
    assert!(doctor.stdout.contains(title), "{doctor:?}");
    machine.apply(&[]).success();
    machine.assert_applied();
    let doctor = machine.tree.installer(&["doctor"]).success();
    assert!(!doctor.stdout.contains("dead end"), "{doctor:?}");
    machine.revert().success();
    before.assert_same(&machine.snapshot().without(is_cache));
}
