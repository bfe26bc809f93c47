//! Reports tests that are skipped because the machine lacks something.

use std::io::Write;

/// If this is set, all tests must run and a skip is a failure (`.ci/run` installs all requirements).
const NO_SKIPS: &str = "NO_SKIPPED_TESTS";

/// Prints `skipped: WHAT: WHY` even though the test harness captures output.
///
/// # Panics
/// If skipping is not allowed.
pub fn skip(what: &str, why: &str) {
    let line = format!("skipped: {what}: {why}\n");
    assert!(std::env::var_os(NO_SKIPS).is_none(), "{line}");
    // The harness captures only the print macros.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
