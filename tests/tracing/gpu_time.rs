//! GPU times of calls, measured by events on their streams.

use crate::{
    Program,
    errors::{output_of, program, traced},
};
use rocblas_trace::{
    call::Value,
    layout::{Due, Skipped},
    read::{Record, Trace, traces_in},
};
use serde_json::Value as Json;

/// The events of the only thread: the times in microseconds by the argument of their call, and the skipped calls.
#[derive(Debug, Default, PartialEq)]
struct Measured {
    times: Vec<(u64, u64)>,
    skipped: Vec<(Skipped, u64)>,
    calls: usize,
}

fn measured(program: &Program) -> Measured {
    let mut measured = Measured::default();
    let mut arguments = std::collections::HashMap::new();
    for directory in traces_in(&program.traces()).expect("traces") {
        let trace = Trace::open(&directory).expect("a trace");
        for mut thread in trace.threads().expect("threads").0 {
            thread.close();
            while let Some(record) = thread.next().expect("records") {
                match record {
                    Record::Call(call) => {
                        measured.calls += 1;
                        let n = call.named("n").and_then(Value::integer).unwrap_or(0);
                        arguments.insert(call.sequence(), n.cast_unsigned());
                    }
                    Record::GpuTime(time) => {
                        assert_eq!(time.nanoseconds % 1000, 0, "{time:?}");
                        let argument = arguments.remove(&time.sequence).expect("an earlier call");
                        measured.times.push((argument, time.nanoseconds / 1000));
                    }
                    Record::Skipped(skipped) => {
                        assert_eq!(skipped.due, Due::GpuTime);
                        measured.skipped.push((skipped.reason, skipped.count));
                    }
                    _ => {}
                }
            }
        }
    }
    measured
}

#[test]
fn every_call_has_its_own_time() {
    let program = program();
    let printed = traced(&program, &["times", "64"], "gpu-time=1");
    // A batch of 16 pairs, of which no more than 8 are in use.
    assert_eq!(printed, "made 32, recorded 128, error 0\n");
    let measured = measured(&program);
    let expected: Vec<(u64, u64)> = (1..=64).map(|n| (n, n)).collect();
    assert_eq!((measured.times, measured.skipped), (expected, vec![]));
    assert_eq!(measured.calls, 66);
}

#[test]
fn one_call_of_sixteen_has_a_time_and_the_total_is_that_of_all() {
    let program = program();
    let printed = traced(&program, &["times", "640"], "gpu-time=16");
    assert_eq!(printed, "made 32, recorded 80, error 0\n");
    let measured = measured(&program);
    let groups: Vec<u64> = measured.times.iter().map(|(call, _)| (call - 1) / 16).collect();
    assert_eq!(groups, (0..40).collect::<Vec<_>>(), "one of each sixteen");
    let sum: u64 = measured
        .times
        .iter()
        .map(|(call, time)| {
            assert_eq!(call, time);
            time
        })
        .sum();

    let document: Json =
        serde_json::from_str(&output_of(&program, &["summary", "--json"])).expect("JSON");
    let summary = document.get("summary").unwrap_or(&document);
    let row = &summary["functions"][0];
    assert_eq!(row["function"], "rocblas_sscal", "{document}");
    assert_eq!(row["gpu"]["measured"], 40);
    let total = row["gpu"]["total"].as_f64().expect("a number");
    assert!((total - sum as f64 * 16.0 * 1e3).abs() < 1.0, "{total}");
    // The duration of all calls: the measured positions are distributed over the groups, so the estimate is close.
    let all = f64::from(640 * 641 / 2) * 1e3;
    assert!((total / all - 1.0).abs() < 0.02, "{total} {all}");
    assert_eq!(summary["gpu"]["every"], 16);
    let summary = output_of(&program, &["summary"]);
    assert!(summary.contains("GPU total"), "{summary}");
    let page = program.traces().join("report.html");
    output_of(&program, &["report", "--output", page.to_str().expect("UTF-8")]);
    let page = std::fs::read_to_string(page).expect("a page");
    assert!(page.contains(">GPU total</th>"), "{page}");
    assert!(
        summary.contains("measured of one of 16 calls of a thread (40 times in all)"),
        "{summary}"
    );
}

#[test]
fn by_default_no_more_than_one_call_in_two_milliseconds_has_a_time() {
    let program = program();
    traced(&program, &["times", "200000"], "gpu-time=on");
    let directory = traces_in(&program.traces()).expect("traces").remove(0);
    let trace = Trace::open(&directory).expect("a trace");
    let (mut threads, _) = trace.threads().expect("threads");
    let timeline = trace.timeline(&threads);
    let [thread] = threads.as_mut_slice() else { panic!("{} threads", threads.len()) };
    thread.close();
    let (mut begins, mut measured) = (Vec::new(), Vec::new());
    while let Some(record) = thread.next().expect("records") {
        match record {
            Record::Call(call) => begins.push(timeline.nanoseconds(call.begin())),
            Record::GpuTime(time) => measured.push(begins[time.sequence as usize]),
            _ => {}
        }
    }
    // 12,500 groups of sixteen, in some tens of milliseconds. The clock is read before the call is, so a thread that
    // is interrupted in between makes the distance shorter.
    assert!((2..1250).contains(&measured.len()), "{}", measured.len());
    for pair in measured.windows(2) {
        assert!(pair[1] - pair[0] > 1e6, "{pair:?}");
    }
    let summary = output_of(&program, &["summary"]);
    let said = "measured of one of 16 calls of a thread, at most one in 2.00 ms (";
    assert!(summary.contains(said), "{summary}");
}

#[test]
fn nothing_is_recorded_into_a_graph_or_beside_one() {
    let program = program();
    // The stand-in aborts if an event is recorded on such a stream.
    let printed = traced(&program, &["captured"], "gpu-time=1");
    assert_eq!(printed, "made 32, recorded 8, error 0\n");
    let measured = measured(&program);
    assert_eq!(measured.times, [(1, 1), (2, 2), (3, 3), (4, 4)], "{measured:?}");
    let skipped: u64 = measured.skipped.iter().map(|(_, calls)| calls).sum();
    assert!(measured.skipped.iter().all(|(reason, _)| *reason == Skipped::Capturing));
    assert_eq!(skipped, 8, "{measured:?}");
    let summary = output_of(&program, &["summary"]);
    assert!(summary.contains("8 GPU times not measured: a stream captured a graph"), "{summary}");
}

#[test]
fn while_an_error_is_pending_hip_is_left_alone() {
    let program = program();
    let printed = traced(&program, &["pending"], "gpu-time=1");
    // The solve's second event is not recorded either: the error is its own.
    assert_eq!(printed, "98\nmade 32, recorded 3, error 0\n");
    let measured = measured(&program);
    assert_eq!(measured.times, [(8, 8)]);
    let skipped: u64 = measured.skipped.iter().map(|(_, calls)| calls).sum();
    assert!(measured.skipped.iter().all(|(reason, _)| *reason == Skipped::Unable));
    assert_eq!(skipped, 2);
}

#[test]
fn a_gpu_that_is_behind_is_not_waited_for() {
    let program = program();
    let printed = traced(&program, &["behind", "2000"], "gpu-time=1");
    // The program does not see the shim's errors: in HIP 6 an early query is an error.
    assert_eq!(printed, "made 2048, recorded 2048, error 0\n");
    let measured = measured(&program);
    assert_eq!(measured.times, []);
    let skipped: u64 = measured.skipped.iter().map(|(_, calls)| calls).sum();
    assert!(measured.skipped.iter().all(|(reason, _)| *reason == Skipped::Busy));
    assert_eq!(skipped, 2000 - 1024, "{measured:?}");
}

#[test]
fn times_are_told_when_their_thread_stops_the_trace() {
    let program = program();
    traced(&program, &["stopped", "20"], "gpu-time=1");
    let measured = measured(&program);
    let expected: Vec<(u64, u64)> = (1..=20).map(|n| (n, n)).collect();
    assert_eq!((measured.times, measured.skipped), (expected, vec![]));
}

#[test]
fn exports_have_the_times() {
    let program = program();
    traced(&program, &["times", "8"], "gpu-time=1");
    let lines = output_of(&program, &["export", "--format", "jsonl"]);
    assert_eq!(lines.matches("\"gpu_time\":").count(), 8, "{lines}");
    let rows = output_of(&program, &["export", "--format", "csv"]);
    assert!(
        rows.lines().next().is_some_and(|header| header.ends_with(",gpu_ns,callers")),
        "{rows}"
    );
    assert!(rows.lines().any(|row| row.ends_with(",,8000,")), "{rows}");
    let shown = output_of(&program, &["show"]);
    assert!(shown.lines().any(|line| line.ends_with(", GPU 8.00 us")), "{shown}");

    let events: Json =
        serde_json::from_str(&output_of(&program, &["export", "--format", "chrome"]))
            .expect("JSON");
    let events = events["traceEvents"].as_array().expect("events");
    let of = |phase: &'static str| events.iter().filter(move |event| event["ph"] == phase);
    let on_gpu: Vec<&Json> = of("X").filter(|event| event["cat"] == "gpu").collect();
    let durations: Vec<f64> = on_gpu.iter().filter_map(|event| event["dur"].as_f64()).collect();
    assert_eq!(durations, (1..=8).map(f64::from).collect::<Vec<_>>());
    for pair in on_gpu.windows(2) {
        let [a, b] = [pair[0], pair[1]].map(|event| event["ts"].as_f64().expect("a time"));
        assert!(b >= a + pair[0]["dur"].as_f64().expect("a duration") - 1e-3, "{pair:?}");
    }
    assert_eq!((of("s").count(), of("f").count()), (8, 8));
    assert!(
        of("M").any(|event| event["args"]["name"]
            .as_str()
            .is_some_and(|name| name.contains("stream")))
    );
}

#[test]
fn a_record_that_is_taken_back_takes_its_time_with_it() {
    let program = program();
    traced(&program, &["times", "64"], "gpu-time=1,min=1s");
    assert_eq!(measured(&program), Measured::default());
}
