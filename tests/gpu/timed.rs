//! GPU times from events on truly asynchronous streams, and their cost.

use crate::standins::{client, environment, tree};
use rocblas_trace::read::{GpuTimes, Record, Trace, traces_in};
use std::{collections::BTreeMap, fs, time::Duration};
use tests::run::{self, run_within};

const LIMIT: Duration = Duration::from_secs(300);

/// No trace; a trace alone; GPU times of each call, of one of 16, and by default; checks of each call and of one of 100.
const KINDS: [&str; 8] = [
    "off",
    "ring=512K,errors=off",
    "ring=512K",
    "ring=512K,gpu-time=1",
    "ring=512K,gpu-time=16",
    "ring=512K,gpu-time=on",
    "ring=512K,check=nan,inf",
    "ring=512K,check=nan,inf,every=100",
];
/// Options that observe few calls; BENCHMARKS.md has their cost.
const CHEAP: [&str; 2] = [KINDS[5], KINDS[7]];

#[test]
fn gpu_times_are_those_of_the_calls_and_cost_little() {
    let Some(tree) = tree() else { return };
    let program = client(&tree, "timed.cpp");
    let place = tree.root().join("traces");
    fs::create_dir(&place).expect("make a directory");
    let mut command = run::client(&tree, &program);
    let (name, targets) = environment();
    command.arg(&place).args(["100", "500"]).args(KINDS).env(name, targets);
    command.env("ROCBLAS_SHIM_BACKEND", "gfx906");
    let ended = run_within(&mut command, LIMIT).success();
    println!("{}", ended.stdout);
    let mut medians: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    let mut ratios: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for line in ended.stdout.lines() {
        let (what, figures) = line.split_once(": ").expect("figures");
        let (calls, kind) = what.split_once(' ').expect("what");
        let median = figures.split_once(" us").expect("a time").0.parse().expect("a number");
        medians.insert((calls, kind), median);
        let ratio = figures.rsplit(' ').next().and_then(|ratio| ratio.parse().ok());
        ratios.insert((calls, kind), ratio.expect("a ratio"));
    }
    let what = ["products", "solves", "larger-solves"];
    let awaited = what.map(|calls| format!("awaited-{calls}"));
    for calls in what.into_iter().chain(awaited.iter().map(String::as_str)) {
        for kind in &KINDS[1..] {
            println!("{calls} {kind}: {:+.2} %", (ratios[&(calls, *kind)] - 1.0) * 100.0);
        }
        // Far more than is measured on an idle machine.
        for kind in CHEAP {
            assert!(ratios[&(calls, kind)] < 1.2, "{calls}: {}", ended.stdout);
        }
    }

    // The GPU's time for a call is the time that the program has waited.
    let (mut measured, mut traces) = (0, 0);
    for directory in traces_in(&place).expect("traces") {
        let trace = Trace::open(&directory).expect("a trace");
        let times = GpuTimes::read(trace.threads().expect("threads").0);
        if times.is_empty() {
            continue;
        }
        traces += 1;
        let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for mut thread in trace.threads().expect("threads").0 {
            thread.close();
            let ordinal = thread.written().ordinal;
            while let Some(record) = thread.next().expect("records") {
                if let Record::Call(call) = record
                    && let Some(time) = times.of(ordinal, call.sequence())
                {
                    let (count, sum) = sums.entry(call.name()).or_default();
                    *count += 1.0;
                    *sum += time as f64 / 1e3;
                    measured += 1;
                }
            }
        }
        for (function, calls) in
            [("rocblas_gemm_ex", "products"), ("rocblas_strsm_batched", "solves")]
        {
            let (count, sum) = sums[function];
            let (mean, waited) = (sum / count, medians[&(calls, KINDS[0])]);
            assert!(
                mean > 0.2 * waited && mean < 3.0 * waited,
                "{function}: {mean} of {waited} us"
            );
        }
    }
    assert!(traces == 300 && measured > 100 * 900, "{measured} in {traces} traces");
}
