//! AMD's own tests of rocBLAS 7 through the shim in front of 6.4: every test that passes on 7's own library with the
//! same runtime passes. Only tests that need no kernel results are run, because this runtime computes nothing.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};
use tests::{
    real::{Rocm, VendorTests, root, say, vendor_tests},
    run::run_within,
};

/// The beginnings of names of tests that pass on 7's library only, and why.
const DIFFER: [(&str, &str); 2] = [
    ("_/logging.", "6.4's log of rocblas-bench lines has --atomics_not_allowed, 7's has not"),
    (
        "_/syrk_ex.blas3_tensile/quick_syrk_ex_bad_f32_r",
        "they end with a call that scales C, in f64 arithmetic on f32 matrices, which nothing computes",
    ),
];

/// With fewer tests, these would not be the tests that this file is about.
const FEWEST: usize = 2_000;

/// The program reads its data, then runs.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs the tests. Returns whether each of them passed.
fn results(name: &str, rocm: &Rocm, tests: &VendorTests) -> BTreeMap<String, bool> {
    let start = Instant::now();
    let file = rocm.tree().root().join("results.json");
    let (mut command, _) = rocm.command_with(&tests.libraries(), &tests.program());
    command.arg("--data").arg(tests.data());
    command.arg("--gtest_filter=*");
    command.arg(format!("--gtest_output=json:{}", file.display()));
    command.env("RECORDING_HIP_LOG", "/dev/null").env("TMPDIR", rocm.tree().root());
    let ended = run_within(command.current_dir(rocm.tree().root()), LIMIT);
    let results = read(&file).unwrap_or_else(|| panic!("no results: {ended:?}"));
    let passed = results.values().filter(|passed| **passed).count();
    let took = start.elapsed().as_secs();
    say(&format!("AMD's tests: {passed} of {} passed on {name} in {took} s", results.len()));
    results
}

fn read(file: &Path) -> Option<BTreeMap<String, bool>> {
    let text = fs::read_to_string(file).ok()?;
    let document: serde_json::Value = serde_json::from_str(&text).ok()?;
    let mut results = BTreeMap::new();
    for suite in document["testsuites"].as_array()? {
        for test in suite["testsuite"].as_array()? {
            let name = format!("{}.{}", suite["name"].as_str()?, test["name"].as_str()?);
            let passed = test["result"] == "COMPLETED" && test["failures"].is_null();
            results.insert(name, passed);
        }
    }
    Some(results)
}

#[test]
fn amds_tests_that_pass_on_7_pass_through_the_shim() {
    let (Some(root), Some(tests)) = (root(), vendor_tests()) else { return };
    let stock = Rocm::without_shim(root, &root.library("librocblas.so.5"));
    let shim = Rocm::shim_before(root, "librocblas.so.4");
    say("AMD's tests: running on 7's library and on the shim before 6.4");
    let (of_7, of_shim) = thread::scope(|scope| {
        let of_7 = scope.spawn(|| results("7's library", &stock, tests));
        let of_shim = results("the shim", &shim, tests);
        (of_7.join().expect("no panic"), of_shim)
    });
    assert!(of_7.values().filter(|passed| **passed).count() > FEWEST, "the tests are other ones");
    assert_eq!(of_7.len(), of_shim.len());
    let differing =
        of_7.iter().filter(|(name, passed)| **passed && of_shim.get(*name) != Some(&true));
    let mut counts = [0; DIFFER.len()];
    for (name, _) in differing {
        match DIFFER.iter().position(|(start, _)| name.starts_with(start)) {
            Some(at) => counts[at] += 1,
            None => panic!("{name} passes on 7's library and not through the shim"),
        }
    }
    for ((start, why), count) in DIFFER.iter().zip(counts) {
        assert!(count > 0, "no {start}* differs any more: take it off the list");
        say(&format!("AMD's tests: {count} of {start}* pass on 7's library only: {why}"));
    }
}
