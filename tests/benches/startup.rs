//! The time that the shim adds to the start of a program, by parts: opening the backend, adapting it, resolving its
//! functions, as reported by the shim itself; minimum, median and maximum of many processes.
//!
//! `cargo bench --package tests --bench startup`

use tests::{
    artefacts,
    run::{client, run},
    scenario::linked_client,
    tree::Tree,
};

const RUNS: usize = 40;
const PARTS: [&str; 3] = ["opened", "adapted", "resolved"];

/// Converts the `Debug` output of a `Duration` to microseconds.
fn microseconds(text: &str) -> f64 {
    let (unit, factor) = [("ns", 1e-3), ("µs", 1.0), ("ms", 1e3), ("s", 1e6)]
        .into_iter()
        .find(|(unit, _)| text.ends_with(unit))
        .expect("a unit");
    text[..text.len() - unit.len()].parse::<f64>().expect("a number") * factor
}

fn main() {
    println!("start-up by parts, microseconds, {RUNS} processes");
    println!("{:<24} {:<10} {:>8} {:>8} {:>8}", "backend", "part", "min", "median", "max");
    for (name, library) in
        [("probe (2,147 functions)", artefacts::probe()), ("reference", artefacts::reference())]
    {
        let tree = Tree::with_backend(library);
        let program = linked_client(&tree, "own_references.c", &[]);
        let mut times = [const { Vec::new() }; PARTS.len()];
        for _ in 0..RUNS {
            let ended = run(client(&tree, &program).env("ROCBLAS_SHIM_LOG", "info"));
            for (part, times) in PARTS.iter().zip(&mut times) {
                let time = ended.stderr.split(&format!("{part} in ")).nth(1).expect("reported");
                let time = time.split([',', '\n']).next().unwrap_or_default();
                times.push(microseconds(time));
            }
        }
        for (part, mut times) in PARTS.into_iter().zip(times) {
            times.sort_by(f64::total_cmp);
            println!(
                "{name:<24} {part:<10} {:>8.0} {:>8.0} {:>8.0}",
                times[0],
                times[times.len() / 2],
                times[times.len() - 1]
            );
        }
    }
}
