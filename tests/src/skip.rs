//! Says aloud what a machine keeps from being tested.

use std::io::Write;

/// Set where everything must run (`.ci/run` installs what is needed): a skip is a failure there.
const NO_SKIPS: &str = "NO_SKIPPED_TESTS";

/// Prints `skipped: WHAT: WHY` past the test harness, which would keep it to itself.
///
/// # Panics
/// Where nothing may be skipped.
pub fn skip(what: &str, why: &str) {
    let line = format!("skipped: {what}: {why}\n");
    assert!(std::env::var_os(NO_SKIPS).is_none(), "{line}");
    // The harness captures print macros only.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
