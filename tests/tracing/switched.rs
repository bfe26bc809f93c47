//! Starting and stopping while threads call.

use crate::Program;
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use tests::{
    artefacts,
    run::{Ended, run, run_within},
    scenario::linked_client,
    traces::{read_each, read_only},
    tree::Tree,
};

/// Hundreds of traces are made, each with its own files: half a minute on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

fn many_times(times: usize, options: &str) {
    let program = Program::new("start_stop.c", artefacts::reference());
    let traces = program.traces();
    let mut command = program.command();
    command.env_remove("ROCBLAS_SHIM_TRACE").arg(&traces).arg(options).arg(times.to_string());
    run_within(&mut command, LIMIT).silent_success();
    // The calls of each thread in all traces: none occurs twice, and none is missing within a trace.
    let mut seen: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
    let (mut count, mut calls) = (0, 0);
    for trace in read_each(&traces) {
        count += 1;
        assert_eq!(trace.ended.as_deref(), Some("the program stopped it"));
        for thread in &trace.threads {
            let Some(first) = thread.calls.first() else { continue };
            assert_eq!(thread.untraced, 0);
            let (number, start) = (first.words[4], first.words[1]);
            for (n, call) in (0..).zip(&thread.calls) {
                assert_eq!(
                    (call.words[1], call.words[4]),
                    (start + n, number),
                    "{:?}",
                    trace.directory
                );
                assert!(call.has_ended && call.depth == 0, "{call:?}");
            }
            let end = start + thread.calls.len() as u64;
            seen.entry(number).or_default().push((start, end));
            calls += thread.calls.len();
        }
    }
    assert_eq!(count, times);
    for ranges in seen.values_mut() {
        ranges.sort_unstable();
        assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "recorded twice: {ranges:?}");
    }
    assert_eq!(seen.len(), 8);
    assert!(calls > 10 * times, "{calls}");
}

#[test]
fn nothing_is_lost_torn_or_doubled_when_a_trace_is_switched_a_thousand_times() {
    many_times(1000, "");
}

#[test]
fn nor_with_a_filter_of_time_that_takes_records_back() {
    // So short that it depends on the clock which records are removed and which are not.
    many_times(100, "min=1ns");
}

/// A client that starts traces itself, with its directory for them.
fn starting(source: &str) -> (Ended, PathBuf) {
    let program = Program::new(source, artefacts::reference());
    let traces = program.tree.root().join("traces");
    let mut command = program.command();
    command.env_remove("ROCBLAS_SHIM_TRACE").arg(&traces);
    (run_within(&mut command, LIMIT).silent_success(), traces)
}

#[test]
fn one_of_two_threads_that_start_a_trace_at_once_does() {
    assert_eq!(starting("starts_at_once.c").0.stdout, "20\n");
}

#[test]
fn a_child_that_is_forked_while_traces_start_and_stop_can_be_traced() {
    starting("forks_switching.c");
}

#[test]
fn a_fork_waits_for_who_is_starting_a_trace() {
    starting("forks_starting.c");
}

#[test]
fn first_calls_of_many_threads_at_once_are_all_recorded() {
    let tree = Tree::with_shim();
    let program = linked_client(&tree, "threads.c", &[]);
    let traces = tree.root().join("traces");
    let mut command = tests::run::client(&tree, &program);
    command.env("BACKEND_LATER", artefacts::reference()).env("ROCBLAS_SHIM_TRACE", &traces);
    run(&mut command).silent_success();
    let trace = read_only(&traces);
    assert_eq!(trace.threads.len(), 64);
    assert!(trace.threads.iter().all(|thread| thread.calls.len() == 1));
}

#[test]
fn a_trace_that_was_stopped_keeps_little_memory() {
    let program = Program::new("starts_often.c", artefacts::reference());
    let mut command = program.command();
    command.env_remove("ROCBLAS_SHIM_TRACE").arg(program.traces());
    let ended = run(&mut command).silent_success();
    let bytes: i64 = ended.stdout.trim().parse().expect("a number");
    println!("{bytes} bytes");
    assert!(bytes < 4096, "{bytes} bytes for each trace");
}
