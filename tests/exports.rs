//! The interface of the built library: its name, its exports and its dependencies.

use rocblas_abi::{DATA, FUNCTIONS, exports, release, removed};
use std::{collections::BTreeSet, fs, process::Command};
use tests::{
    artefacts::{self, workspace},
    elf::{Face, face},
};

/// Functions that the shipped header declares.
fn control_functions() -> BTreeSet<String> {
    let header = fs::read_to_string(workspace().join("shim/include/rocblas_shim.h"))
        .expect("read the header");
    header
        .lines()
        .filter(|line| line.ends_with(");") && !line.starts_with([' ', '*', '/']))
        .filter_map(|line| line.split('(').next()?.rsplit([' ', '*']).next().map(str::to_owned))
        .collect()
}

#[test]
fn the_soname_is_the_one_that_rocm_7_programs_need() {
    let Face { soname, needed, .. } = face(artefacts::shim());
    assert_eq!(soname, "librocblas.so.5");
    // Libraries that are part of every system, as BENCHMARKS.md states.
    let needed: BTreeSet<&str> = needed.iter().map(String::as_str).collect();
    assert_eq!(needed, BTreeSet::from(["ld-linux-x86-64.so.2", "libc.so.6", "libgcc_s.so.1"]));
    let page = fs::read_to_string(workspace().join("BENCHMARKS.md")).expect("read BENCHMARKS.md");
    let sentence = page.split("It needs (`DT_NEEDED`)").nth(1).expect("a sentence on NEEDED");
    let sentence = sentence.split(".\n").next().expect("its end");
    assert!(needed.iter().all(|name| sentence.contains(&format!("`{name}`"))), "{sentence}");
}

#[test]
fn exports_are_exactly_the_table_and_the_control_functions() {
    let expected: BTreeSet<String> = exports()
        .iter()
        .map(|f| f.name.to_owned())
        .chain(DATA.iter().map(|(name, _)| (*name).to_owned()))
        .chain(control_functions())
        .collect();
    let actual = face(artefacts::shim()).exports;
    let missing: Vec<_> = expected.difference(&actual).collect();
    let extra: Vec<_> = actual.difference(&expected).collect();
    assert!(missing.is_empty() && extra.is_empty(), "missing {missing:?}, extra {extra:?}");
    assert!(control_functions().iter().all(|name| name.starts_with("rocblas_shim_")));
    assert!(control_functions().len() >= 4);
    assert!(removed().iter().all(|f| !actual.contains(f.name)));
}

#[test]
fn stand_in_backends_export_what_they_stand_in_for() {
    let probe = face(artefacts::probe());
    assert_eq!(probe.soname, "librocblas.so.4");
    let reference = face(artefacts::reference());
    assert_eq!(reference.soname, "librocblas.so.4");
    let stock = face(artefacts::stock());
    assert_eq!(stock.soname, "librocblas.so.5");
    for function in &FUNCTIONS {
        assert!(probe.exports.contains(function.name), "{}", function.name);
        for (standin, rocm) in [(&reference, "6.3"), (&stock, "7.0")] {
            let has = function.versions.has(release(rocm).expect("known"));
            if let Some(has) = has {
                assert_eq!(
                    standin.exports.contains(function.name),
                    has,
                    "{rocm} {}",
                    function.name
                );
            }
        }
    }
}

#[test]
fn glibc_of_ubuntu_22_04_is_new_enough() {
    const NEWEST: (u32, u32) = (2, 35);
    let needs = face(artefacts::shim()).needs;
    assert!(needs.iter().any(|(library, _)| library == "libc.so.6"), "{needs:?}");
    for (library, version) in needs {
        let Some(numbers) = version.strip_prefix("GLIBC_") else {
            // libgcc_s's unwinder: version nodes from the 2000s, which every libgcc_s.so.1 has.
            assert!(version.starts_with("GCC_"), "{library} {version}");
            continue;
        };
        let mut numbers = numbers.split('.').map(|n| n.parse().expect("a number"));
        let version = (numbers.next().expect("major"), numbers.next().expect("minor"));
        assert!(version <= NEWEST, "{library} {version:?} is newer than {NEWEST:?}");
    }
}

#[test]
fn benchmarks_state_the_stripped_size() {
    let page = fs::read_to_string(workspace().join("BENCHMARKS.md")).expect("read BENCHMARKS.md");
    let stated: f64 = page
        .split("stripped: ")
        .nth(1)
        .and_then(|rest| rest.split(" MB").next()?.parse().ok())
        .expect("a size, as `stripped: N MB`");
    let directory = tempfile::tempdir().expect("temporary directory");
    let stripped = directory.path().join("stripped.so");
    let status = Command::new("strip").arg("-o").arg(&stripped).arg(artefacts::shim()).status();
    assert!(status.expect("strip comes with the C compiler").success());
    let actual = fs::metadata(stripped).expect("stripped").len() as f64 / 1e6;
    assert!(
        (stated - actual).abs() <= 0.1 * actual,
        "BENCHMARKS.md {stated} MB, actual {actual:.2} MB"
    );
}
