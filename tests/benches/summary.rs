//! The time and memory of `installer trace summary` for 10^5 to 10^7 calls of four threads: the fastest of several
//! runs. The trace is in the directory for temporary files.
//!
//! `cargo bench --package tests --bench summary`

use tests::{
    artefacts,
    long_trace::{LongTrace, Taken},
};

const SIZES: [u64; 3] = [100_000, 1_000_000, 10_000_000];
const RUNS: usize = 5;

fn main() {
    for calls in SIZES {
        let trace = LongTrace::of(calls, env!("CARGO_BIN_EXE_peak_memory"));
        let installer = artefacts::released_installer();
        let taken = (0..RUNS).map(|_| trace.summarised(installer)).min_by_key(|taken| taken.time);
        for (what, taken) in [("recording", Some(trace.recorded)), ("summary", taken)] {
            let Taken { time, memory } = taken.expect("there are runs");
            println!(
                "{what:<9} of {calls} calls: {:.3} s, {memory} kB of memory",
                time.as_secs_f64()
            );
        }
    }
}
