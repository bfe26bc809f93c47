//! A traced call that is interrupted at any instruction of the shim's assembly: the handler of a signal
//! may throw there.

use std::fs;
use tests::{
    compile::cxx,
    skip::skip,
    stepped::Stepped,
    traces::{Recorded, read_all},
};

/// The call, the part where it leaves the straight line of the thunk, and the options of the trace.
const CALLS: [(&[&str], &str); 11] = [
    (&["plain", "segments"], ""),
    (&["scalars"], ""),
    (&["scalars-elsewhere"], ""),
    (&["result"], ""),
    (&["other-handle"], ""),
    (&["without-a-handle"], ""),
    (&["missing"], ""),
    // With these options, the slow paths write every record.
    (&["plain"], "first=1000000"),
    (&["scalars"], "first=1000000"),
    (&["result"], "ring=4M"),
    (&["scalars", "threads"], ""),
];

#[test]
fn an_exception_thrown_at_any_instruction_of_a_traced_call_leaves_program_and_trace_right() {
    if cxx().is_none() {
        return skip("exceptions at any instruction", "no C++ compiler");
    }
    interrupt(&Stepped::new(), &CALLS);
}

#[test]
fn so_does_one_thrown_while_hips_last_error_is_read() {
    if cxx().is_none() {
        return skip("exceptions at any instruction", "no C++ compiler");
    }
    let calls: [(&[&str], &str); 3] =
        [(&["plain", "segments"], ""), (&["scalars"], ""), (&["result"], "")];
    interrupt(&Stepped::with_hip(), &calls);
}

fn interrupt(stepped: &Stepped, calls: &[(&[&str], &str)]) {
    for (call, options) in calls {
        let (thrown, ordinary) = stepped.run(&[&["throws"], *call].concat(), Some(options));
        println!("{call:?} {options}: exceptions at {thrown} instructions");
        assert!(thrown > 70, "{call:?} {options}: {thrown}");
        let mut numbers = Vec::new();
        for thread in read_all(&stepped.traces()).iter().flat_map(|trace| &trace.threads) {
            check(&thread.calls, call, &mut numbers);
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=ordinary).collect::<Vec<_>>(), "{call:?} {options}");
        fs::remove_dir_all(stepped.traces()).expect("remove");
    }
}

/// Appends the numbers of the ordinary calls. Between any two of them there is at most one interrupted call, which
/// has returned or was abandoned, and no number of a record is missing or used twice.
fn check(calls: &[Recorded], call: &[&str], numbers: &mut Vec<usize>) {
    let mut interrupted = 0;
    for (place, recorded) in calls.iter().enumerate() {
        assert!(recorded.has_ended != recorded.was_left, "{call:?}: {recorded:?}");
        assert_eq!(recorded.depth, 0, "{call:?}: {recorded:?}");
        if place > 0 && call != ["other-handle"] {
            // The handle's event may be between the first two.
            let gap = recorded.sequence - calls[place - 1].sequence;
            assert!(gap == 1 || place < 3 && gap == 2, "{call:?}: {recorded:?}");
        }
        if recorded.name == "rocblas_set_stream" && recorded.words[1] != 0 {
            assert!(recorded.has_ended && recorded.status == Some(0), "{call:?}: {recorded:?}");
            numbers.push(recorded.words[1] as usize);
            interrupted = 0;
        } else {
            interrupted += 1;
            assert!(interrupted == 1 || numbers.is_empty(), "{call:?}: {recorded:?}");
        }
    }
}
