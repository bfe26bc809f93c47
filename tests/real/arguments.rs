//! Every C function with invalid arguments: the shim returns what its backend returns.

use std::path::Path;
use tests::real::{
    Root,
    compared::{Seen, assert_same, both},
    promised::{PROMISED, not_in_6_4},
    root,
};

/// Runs through all functions directly, and through the shim with and without its promises.
fn compare(root: &'static Root, variant: &str) -> Seen {
    let (direct, shim) = both(root);
    let program = Path::new(env!("CARGO_BIN_EXE_every_function"));
    let run = |rocm: &tests::real::Rocm, promises: &str| {
        let library = rocm.rocblas();
        let library = library.to_str().expect("UTF-8");
        Seen::of(rocm, program, &[library, variant], &[("ROCBLAS_SHIM_COMPAT", promises)])
    };
    let directly = run(&direct, "");
    for name in not_in_6_4() {
        assert_eq!(directly.line(name), "absent");
    }
    let directly = directly.without(&not_in_6_4());
    assert_same(&directly, &run(&shim, "-all").without(&not_in_6_4()), "no promises");
    let [directly, promised] =
        [directly, run(&shim, "").without(&not_in_6_4())].map(|seen| seen.without(&PROMISED));
    assert_same(&directly, &promised, "promises");
    directly
}

/// The number of lines that end with this result.
fn count(seen: &Seen, result: &str) -> usize {
    let suffix = format!(": {result}");
    seen.printed.iter().filter(|line| line.ends_with(&suffix)).count()
}

#[test]
fn a_null_handle() {
    let Some(root) = root() else { return };
    let seen = compare(root, "null-handle");
    assert!(count(&seen, "invalid_handle") > 1_150, "{seen:?}");
}

#[test]
fn null_pointers() {
    let Some(root) = root() else { return };
    let seen = compare(root, "null-pointers");
    assert!(count(&seen, "invalid_pointer") > 1_050, "{seen:?}");
}

#[test]
fn negative_sizes() {
    let Some(root) = root() else { return };
    let seen = compare(root, "negative-sizes");
    assert!(count(&seen, "invalid_size") > 750, "{seen:?}");
    assert_eq!(seen.launches(), 0);
}
