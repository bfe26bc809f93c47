//! The table of names: what it contains, and that it contains nothing that rocBLAS lacks.

use std::collections::BTreeSet;

use rocblas_abi::{Function, by_name, release};

use super::entry_point;

/// Routines, with the type prefixes that exist for them.
const ROUTINES: [(&str, &[&str]); 66] = [
    ("axpy", &["h", "s", "d", "c", "z"]),
    ("scal", &["s", "d", "c", "z", "cs", "zd"]),
    ("copy", &["s", "d", "c", "z"]),
    ("swap", &["s", "d", "c", "z"]),
    ("dot", &["h", "bf", "s", "d"]),
    ("dotu", &["c", "z"]),
    ("dotc", &["c", "z"]),
    ("nrm2", &["s", "d", "sc", "dz"]),
    ("asum", &["s", "d", "sc", "dz"]),
    ("amax", &["is", "id", "ic", "iz"]),
    ("amin", &["is", "id", "ic", "iz"]),
    ("rot", &["s", "d", "c", "z", "cs", "zd"]),
    ("rotg", &["s", "d", "c", "z"]),
    ("rotm", &["s", "d"]),
    ("rotmg", &["s", "d"]),
    ("gemv", &["s", "d", "c", "z", "hsh", "hss", "tst", "tss"]),
    ("gbmv", &["s", "d", "c", "z"]),
    ("sbmv", &["s", "d"]),
    ("hbmv", &["c", "z"]),
    ("spmv", &["s", "d"]),
    ("hpmv", &["c", "z"]),
    ("tbmv", &["s", "d", "c", "z"]),
    ("tbsv", &["s", "d", "c", "z"]),
    ("tpmv", &["s", "d", "c", "z"]),
    ("tpsv", &["s", "d", "c", "z"]),
    ("syr", &["s", "d", "c", "z"]),
    ("her", &["c", "z"]),
    ("spr", &["s", "d", "c", "z"]),
    ("hpr", &["c", "z"]),
    ("syr2", &["s", "d", "c", "z"]),
    ("her2", &["c", "z"]),
    ("spr2", &["s", "d"]),
    ("hpr2", &["c", "z"]),
    ("ger", &["s", "d"]),
    ("geru", &["c", "z"]),
    ("gerc", &["c", "z"]),
    ("symv", &["s", "d", "c", "z"]),
    ("hemv", &["c", "z"]),
    ("trmv", &["s", "d", "c", "z"]),
    ("trsv", &["s", "d", "c", "z"]),
    ("gemm", &["h", "s", "d", "c", "z"]),
    ("symm", &["s", "d", "c", "z"]),
    ("hemm", &["c", "z"]),
    ("trmm", &["s", "d", "c", "z"]),
    ("trsm", &["s", "d", "c", "z"]),
    ("syrk", &["s", "d", "c", "z"]),
    ("herk", &["c", "z"]),
    ("syr2k", &["s", "d", "c", "z"]),
    ("syrkx", &["s", "d", "c", "z"]),
    ("her2k", &["c", "z"]),
    ("herkx", &["c", "z"]),
    ("gemmt", &["s", "d", "c", "z"]),
    ("geam", &["s", "d", "c", "z"]),
    ("dgmm", &["s", "d", "c", "z"]),
    ("trtri", &["s", "d", "c", "z"]),
    ("axpy_ex", &[""]),
    ("scal_ex", &[""]),
    ("dot_ex", &[""]),
    ("dotc_ex", &[""]),
    ("nrm2_ex", &[""]),
    ("rot_ex", &[""]),
    ("gemm_ex", &[""]),
    ("trsm_ex", &[""]),
    ("geam_ex", &[""]),
    ("syrk_ex", &[""]),
    ("herk_ex", &[""]),
];

/// The routines without batched forms, and those without 64-bit sizes.
const SINGLE: [&str; 3] = ["geam_ex", "syrk_ex", "herk_ex"];
const NARROW: [&str; 5] = ["trtri", "trsm_ex", "geam_ex", "syrk_ex", "herk_ex"];

/// The six names of a routine, or fewer. A gemv with several types has four, as it is only batched.
fn variants(prefix: &str, routine: &str) -> Vec<String> {
    let (stem, ex) = routine.strip_suffix("_ex").map_or((routine, ""), |stem| (stem, "_ex"));
    ["", "_batched", "_strided_batched"]
        .into_iter()
        .flat_map(|form| ["", "_64"].map(|width| (form, width)))
        .filter(|(form, width)| {
            (prefix.len() < 3 || !form.is_empty())
                && (!SINGLE.contains(&routine) || form.is_empty())
                && (!NARROW.contains(&routine) || width.is_empty())
        })
        .map(|(form, width)| format!("rocblas_{prefix}{stem}{form}{ex}{width}"))
        .collect()
}

#[test]
fn every_routine_has_its_variants() {
    for (routine, prefixes) in ROUTINES {
        for name in prefixes.iter().flat_map(|prefix| variants(prefix, routine)) {
            assert!(by_name(&name).is_some(), "{name} is not in the ABI");
            assert!(entry_point(&name).is_some(), "{name} is not implemented");
        }
    }
}

/// The size of the table changes only intentionally.
#[test]
fn the_numbers_of_functions_are_these() {
    let routine_names: BTreeSet<String> = ROUTINES
        .iter()
        .flat_map(|(routine, prefixes)| prefixes.iter().map(move |prefix| (prefix, routine)))
        .flat_map(|(prefix, routine)| variants(prefix, routine))
        .collect();
    let implemented: Vec<&Function> =
        rocblas_abi::FUNCTIONS.iter().filter(|f| entry_point(f.name).is_some()).collect();
    let helpers = implemented.iter().filter(|f| !routine_names.contains(f.name)).count();
    assert_eq!((routine_names.len(), helpers), (1156, 38));

    // This crate follows the ABI of 6.3, apart from two functions.
    let of_6_3 = release("6.3").expect("known");
    let later = implemented.iter().filter(|f| f.versions.has(of_6_3) == Some(false));
    let later: Vec<&str> = later.map(|f| f.name).collect();
    assert_eq!(later, ["rocblas_herk_ex", "rocblas_syrk_ex"]);
}

#[test]
fn other_names_have_no_function() {
    for name in [
        "",
        "rocblas_",
        "sgemm",
        "rocblas_gemm",
        "rocblas_sgemm_ex",
        "rocblas_sgemm_64_batched",
        "rocblas_create_handle_64",
        "rocblas_gemm_ex3",
        "rocblas_sgemm_batched_batched",
    ] {
        assert_eq!(entry_point(name), None, "{name}");
    }
}
