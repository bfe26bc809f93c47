//! A soak test of a few seconds (`tests/src/soak`); `cargo soak --minutes 60` is the long one, and `.ci/run`
//! runs one of a minute.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tests::soak::{Report, SLACK, Soak, run};

fn soak(is_planted: bool) -> Report {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let soak = Soak {
        program: env!("CARGO_BIN_EXE_soak").into(),
        duration: Duration::from_secs(5),
        seed: now.subsec_nanos().into(),
        is_planted,
        slack: SLACK,
    };
    run(&soak, &mut |_| {})
}

#[test]
fn nothing_is_lost_misrouted_or_left_while_everything_changes() {
    let report = soak(false);
    assert_eq!(report.faults(), [""; 0], "{report}");
    println!("{report}");
}

#[test]
fn calls_that_a_backend_loses_and_descriptors_that_it_leaves_are_noticed() {
    let report = soak(true);
    let faults = report.faults();
    for fault in ["were lost, doubled or misrouted", "descriptors are left open"] {
        assert!(faults.iter().any(|of| of.contains(fault)), "{fault}: {faults:?} {report}");
    }
}
