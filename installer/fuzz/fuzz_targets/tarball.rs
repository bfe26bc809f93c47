//! tar archives: any bytes are unpacked or refused, with limits that keep each run short.

#![no_main]

use installer::source::{Intake, Limits, Staging, tarball};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let place = tempfile::tempdir().expect("a temporary directory");
    let staging = Staging::at(place.path()).expect("a temporary directory");
    let limits = Limits { unpacked: 8 << 20, taken: 1 << 20, members: 100 };
    let gpus = ["gfx906".to_owned()];
    let mut intake = Intake::new("fuzzed", &staging, Some(&gpus), limits);
    // Both outcomes are right; the fuzzer looks for a panic, a hang or unbounded memory use.
    let _either = tarball::unpack(bytes, &mut intake);
});
