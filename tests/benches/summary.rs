//! How long `installer trace summary` takes for ten million calls that four threads made, and how much
//! memory: the fastest of some runs. The trace is in the directory for temporary files.
//!
//! `cargo bench --package tests --bench summary`

use tests::{
    artefacts,
    long_trace::{LongTrace, Taken},
};

const CALLS: u64 = 10_000_000;
const RUNS: usize = 5;

fn main() {
    let trace = LongTrace::of(CALLS, env!("CARGO_BIN_EXE_peak_memory"));
    let installer = artefacts::released_installer();
    let taken = (0..RUNS).map(|_| trace.summarised(installer)).min_by_key(|taken| taken.time);
    for (what, taken) in [("recording", Some(trace.recorded)), ("summary", taken)] {
        let Taken { time, memory } = taken.expect("there are runs");
        println!("{what:<9} of {CALLS} calls: {:.2} s, {memory} kB of memory", time.as_secs_f64());
    }
}
