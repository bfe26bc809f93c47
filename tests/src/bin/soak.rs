//! A soak of the shim: sixteen threads make random valid calls of every function while everything changes
//! around them. Prints statistics and faults; exits with 1 if calls are lost or misrouted, or if the use of
//! resources grows.
//!
//! `soak [--minutes N | --seconds N] [--seed N] [--slack MIB]`; the default is one minute. `--slack` is by
//! how many MiB memory may grow.

use std::{
    env,
    path::Path,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tests::soak::{SLACK, Soak, call_until_stopped, run};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["--calls", lib, file, seed] = words[..] {
        call_until_stopped(Path::new(lib), Path::new(file), seed.parse().expect("a number"));
        return ExitCode::SUCCESS;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    let program = env::current_exe().expect("its own file");
    let mut soak = Soak {
        program,
        duration: Duration::from_secs(60),
        seed: now.into(),
        is_planted: false,
        slack: SLACK,
    };
    for pair in words.chunks(2) {
        match (pair[0], pair.get(1).and_then(|number| number.parse().ok())) {
            ("--minutes", Some(number)) => soak.duration = Duration::from_secs(60 * number),
            ("--seconds", Some(number)) => soak.duration = Duration::from_secs(number),
            ("--seed", Some(number)) => soak.seed = number,
            ("--slack", Some(number)) => soak.slack = number,
            _ => {
                eprintln!("usage: soak [--minutes N | --seconds N] [--seed N] [--slack MIB]");
                return ExitCode::from(2);
            }
        }
    }
    println!("seed {}", soak.seed);
    let report = run(&soak, &mut |line| println!("{line}"));
    print!("{report}");
    let faults = report.faults();
    for fault in faults.iter().take(20) {
        println!("fault: {fault}");
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
