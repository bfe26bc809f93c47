//! `cargo demo` and `cargo test --workspace` share compiled dependencies: with the package `same-features`, every
//! dependency has the features that it has in the whole workspace.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tests::{
    artefacts::{cargo, part},
    run::run,
};

/// Each library that a selection of packages compiles, with its features, once for each set of them.
fn libraries(selection: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let mut command = cargo();
    command.args(["build", "--quiet", "-Zunstable-options", "--unit-graph"]).args(selection);
    // The graph is an unstable feature of cargo.
    let graph = run(command.env("RUSTC_BOOTSTRAP", "1")).success().stdout;
    let graph: Value = serde_json::from_str(&graph).expect("JSON");
    let mut libraries: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for unit in graph["units"].as_array().expect("units") {
        if unit["mode"] == "build" && unit["target"]["crate_types"] != serde_json::json!(["bin"]) {
            let (package, target) = (&unit["pkg_id"], &unit["target"]["name"]);
            libraries
                .entry(format!("{package} {target}"))
                .or_default()
                .insert(unit["features"].to_string());
        }
    }
    libraries
}

/// The libraries of a selection that the tests do not have with these features.
fn compiled_again(
    selection: &[&str],
    of_tests: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<String> {
    let libraries = libraries(selection);
    assert!(libraries.len() > 10, "{libraries:?}");
    let differing = libraries.into_iter().filter_map(|(library, features)| {
        let same = of_tests.get(&library).is_some_and(|known| known.is_superset(&features));
        (!same).then(|| format!("{library}: {features:?}"))
    });
    // libc: build scripts use it with fewer features, and it compiles in a second.
    differing.filter(|library| !library.contains("#libc@")).collect()
}

#[test]
fn the_demo_and_the_tests_share_compiled_dependencies() {
    let tests = ["--workspace", "--test", "tidy"];
    let of_tests = libraries(&[&tests[..], &["--lib", "--bins"]].concat());
    // One by one, and as the demo builds them at once.
    let all = ["stock-backend", "reference-backend", "installer"];
    for packages in [&all[..], &all[..1], &all[1..2], &all[2..], &["examples"]] {
        let again = compiled_again(&part(packages), &of_tests);
        assert!(again.is_empty(), "for {packages:?}; correct tests/same-features: {again:#?}");
    }
    // As `cargo run` selects packages.
    let again = compiled_again(&["--package", "examples"], &of_tests);
    assert!(again.is_empty(), "for the demo; correct tests/same-features: {again:#?}");
    // Without the package it would.
    assert!(!compiled_again(&["--package", "installer"], &of_tests).is_empty());
}
