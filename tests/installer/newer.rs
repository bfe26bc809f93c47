//! A tree whose rocBLAS is newer than the shim and has functions that the shim does not export.

use crate::machine::Machine;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tests::{compile::library, run::Ended};

const STOCK: &str = "librocblas.so.5.0.70002";

/// Replaces the stock library with one that has two future functions and two present ones.
fn make_newer(machine: &Machine) {
    let source = machine.outside().join("newer.c");
    let text = "int rocblas_of_tomorrow(void) { return 0; }\n\
                int _Z28rocblas_internal_of_tomorrowv(void) { return 0; }\n\
                int _ZNSt28rocblas_internal_of_tomorrowv(void) { return 0; }\n\
                int rocblas_create_handle(void **handle) { return 1; }\n\
                int rocblas_destroy_handle(void *handle) { return 1; }\n";
    fs::write(&source, text).expect("write a source");
    fs::remove_file(machine.lib(STOCK)).expect("remove the stock library");
    library(
        &source,
        &machine.lib(STOCK),
        "librocblas.so.5",
        &["-Wno-builtin-declaration-mismatch"],
    );
}

/// Adds a library to the tree that calls a function of rocBLAS.
fn add_importer(machine: &Machine, name: &str, function: &str) {
    add_importer_of(machine, name, function, &machine.lib(STOCK));
}

/// The same, with the stock library in another place.
fn add_importer_of(machine: &Machine, name: &str, function: &str, stock: &Path) {
    let source = machine.outside().join("importer.c");
    let text = format!("int {function}(void);\nint use(void) {{ return {function}(); }}\n");
    fs::write(&source, text).expect("write a source");
    let needs = ["-Wl,--allow-shlib-undefined", stock.to_str().expect("UTF-8")];
    library(&source, &machine.lib(name), name, &needs);
}

/// The stock library in the place to which `apply` moved it.
fn kept(machine: &Machine) -> PathBuf {
    machine.lib("rocblas-shim/backends/7.0.2/lib").join(STOCK)
}

fn finding(ended: &Ended) -> Option<serde_json::Value> {
    let diagnosis: serde_json::Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {ended:?}"));
    let findings = diagnosis["findings"].as_array().expect("findings");
    findings
        .iter()
        .find(|finding| finding["title"] == "this ROCm's rocBLAS is newer than the shim")
        .cloned()
}

#[test]
fn functions_that_the_shim_lacks_are_named_and_do_not_stop_apply() {
    let machine = Machine::new();
    assert_eq!(finding(&machine.tree.installer(&["doctor", "--json"])), None, "the usual tree");
    make_newer(&machine);
    add_importer(&machine, "libtoday.so.1", "rocblas_create_handle");

    let found = finding(&machine.tree.installer(&["doctor", "--json"])).expect("before apply");
    assert_eq!(found["severity"], "warning");
    let named = "exports 2 functions that the shim lacks: \
                 _Z28rocblas_internal_of_tomorrowv, rocblas_of_tomorrow";
    assert!(found["seen"][0].as_str().is_some_and(|seen| seen.contains(named)), "{found}");

    let ended = machine.apply(&["--json"]);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.contains(named), "{ended:?}");
    machine.assert_applied();
    let found = finding(&machine.tree.installer(&["doctor", "--json"])).expect("after apply");
    assert!(found["seen"][0].as_str().is_some_and(|seen| seen.contains(named)), "{found}");
}

#[test]
fn a_library_that_imports_one_of_them_is_a_refusal() {
    let machine = Machine::new();
    make_newer(&machine);
    add_importer(&machine, "libtomorrow.so.1", "rocblas_of_tomorrow");
    let before = machine.snapshot();
    let ended = machine.apply(&[]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    for sentence in ["would not load with the shim", "libtomorrow.so.1 imports rocblas_of_tomorrow"]
    {
        assert!(ended.stderr.contains(sentence), "{sentence:?} is not in {ended:?}");
    }
    before.assert_same(&machine.snapshot());
    let found = finding(&machine.tree.installer(&["doctor", "--json"])).expect("a finding");
    assert_eq!(found["severity"], "error");
    assert!(found["seen"].to_string().contains("libtomorrow.so.1 imports"), "{found}");
}

#[test]
fn a_library_that_comes_after_the_first_apply_is_a_refusal_of_the_next() {
    let machine = Machine::new();
    make_newer(&machine);
    let first = machine.apply(&[]);
    assert_eq!(first.status.code(), Some(0), "{first:?}");
    let again = machine.apply(&[]);
    assert_eq!(again.status.code(), Some(0), "the stock library in the store: {again:?}");
    add_importer_of(&machine, "libtomorrow.so.1", "rocblas_of_tomorrow", &kept(&machine));
    let before = machine.snapshot();
    let ended = machine.apply(&[]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("libtomorrow.so.1 imports rocblas_of_tomorrow"), "{ended:?}");
    before.assert_same(&machine.snapshot());
    let reverted = machine.tree.installer(&["revert"]);
    assert_eq!(reverted.status.code(), Some(0), "{reverted:?}");
}
