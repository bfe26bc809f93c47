//! The figures for calls, and their independence of how calls are divided among collectors.

use super::*;
use proptest::prelude::*;
use rocblas_trace::{
    layout::{ARGUMENTS, BEGIN, END, HEAD, Head, NOTE, Note, RESULT, SEQUENCE},
    process::{Clock, Point},
};
use std::sync::LazyLock;

static FUNCTIONS: LazyLock<Functions> = LazyLock::new(Functions::default);

/// A tick is a nanosecond.
fn timeline() -> Timeline {
    let clock = Clock { kind: String::new(), hertz: 1e9, start: Point::default() };
    Timeline::new(&clock, Default::default())
}

fn index(name: &str) -> usize {
    usize::from(rocblas_abi::by_name(name).expect("a function").index)
}

/// A call's words; `time` 0 leaves it in flight.
fn words(name: &str, arguments: &[(usize, u64)], begin: u64, time: u64, status: u64) -> Vec<u64> {
    let function = index(name);
    let mut words = vec![0; usize::from(FUNCTIONS.shape(function).words)];
    for (position, value) in arguments {
        words[ARGUMENTS + position] = *value;
    }
    words[BEGIN] = begin;
    words[END] = if time == 0 { 0 } else { begin + time };
    words[RESULT] = status;
    words
}

fn take(collector: &mut Collector, name: &str, words: &[u64]) {
    let call = FUNCTIONS.call(index(name), words);
    collector.take(&Record::Call(call), 1, &timeline());
}

fn sgemm(m: u64, begin: u64, time: u64, status: u64) -> Vec<u64> {
    let dirty = 0xdead_beef_0000_0000;
    words(
        "rocblas_sgemm",
        &[(1, 111), (2, 111), (3, dirty | m), (4, 5), (5, 7)],
        begin,
        time,
        status,
    )
}

#[test]
fn calls_are_counted_by_function_and_by_shape() {
    let mut collector = Collector::default();
    for (m, begin, time) in [(2, 0, 100), (2, 1000, 300), (3, 2000, 50)] {
        take(&mut collector, "rocblas_sgemm", &sgemm(m, begin, time, 0));
    }
    take(&mut collector, "rocblas_set_stream", &words("rocblas_set_stream", &[], 3000, 10, 0));
    let summary = collector.finish();
    assert_eq!((summary.calls, summary.errors, summary.time), (4, 0, 460.0));
    assert_eq!(summary.span, 3010.0);
    let functions: Vec<(&str, u64, f64, f64)> =
        summary.functions.iter().map(|r| (r.function.as_str(), r.calls, r.total, r.max)).collect();
    assert_eq!(
        functions,
        [("rocblas_sgemm", 3, 450.0, 300.0), ("rocblas_set_stream", 1, 10.0, 10.0)]
    );
    let shapes: Vec<(&str, u64)> =
        summary.shapes.iter().map(|row| (row.shape.as_str(), row.calls)).collect();
    assert_eq!(
        shapes,
        [("none, none, m=2, n=5, k=7", 2), ("none, none, m=3, n=5, k=7", 1), ("", 1)]
    );
    // Two calls of 2x5x7 and one of 3x5x7, with two operations each.
    assert_eq!(summary.functions[0].work.expect("a product").operations, 2.0 * 35.0 * 7.0);
    assert_eq!(summary.statuses["success"], 4);
}

#[test]
fn failed_calls_come_with_the_first_of_them() {
    let mut collector = Collector::default();
    take(&mut collector, "rocblas_sgemm", &sgemm(2, 500, 10, 6));
    take(&mut collector, "rocblas_sgemm", &sgemm(3, 100, 10, 6));
    take(&mut collector, "rocblas_sgemm", &sgemm(4, 50, 10, 9));
    let summary = collector.finish();
    assert_eq!(summary.errors, 2, "size_increased only tells something");
    let [failure] = summary.failures.as_slice() else { panic!("{:?}", summary.failures) };
    assert_eq!(
        (failure.status.as_str(), failure.calls, failure.first.at),
        ("internal_error", 2, 100.0)
    );
    assert!(failure.first.call.contains("m=3"), "{failure:?}");
    // The other calls have done no work.
    let work = summary.functions[0].work.expect("a product");
    assert_eq!(work.operations, 2.0 * 4.0 * 35.0);
}

#[test]
fn a_call_without_an_exit_is_in_flight_and_has_no_time() {
    let mut collector = Collector::default();
    take(&mut collector, "rocblas_sgemm", &sgemm(2, 500, 0, 0));
    let summary = collector.finish();
    assert_eq!((summary.calls, summary.time, summary.functions[0].mean), (1, 0.0, 0.0));
    assert!(summary.in_flight[0].call.starts_with("rocblas_sgemm(none, none, m=2"));
}

#[test]
fn the_time_of_a_call_within_another_is_counted_once() {
    let mut collector = Collector::default();
    take(&mut collector, "rocblas_sgemm", &sgemm(2, 500, 100, 0));
    let mut inner = sgemm(2, 510, 30, 0);
    inner[HEAD] = Head::new(index("rocblas_sgemm") as u16, inner.len() as u8, 1, 0).0;
    take(&mut collector, "rocblas_sgemm", &inner);
    let summary = collector.finish();
    assert_eq!((summary.time, summary.functions[0].total), (100.0, 130.0));
}

#[test]
fn all_calls_in_flight_are_counted_and_some_are_listed() {
    let of_thread = || {
        let mut collector = Collector::default();
        for n in 0..150 {
            take(&mut collector, "rocblas_sgemm", &sgemm(n, n * 10, 0, 0));
        }
        let foreign = Record::Foreign { name: "rocblas_new", sequence: 3, begin: 5, end: None };
        collector.take(&foreign, 1, &timeline());
        collector
    };
    let mut collector = of_thread();
    collector.merge(of_thread());
    let summary = collector.finish();
    assert_eq!((summary.unfinished, summary.in_flight.len()), (302, 2 * MOST_IN_FLIGHT));
    let text = crate::trace::summary::text(&summary, 10).plain();
    assert!(text.contains("  and 102 more"), "{text}");
    let mut collector = Collector::default();
    let foreign = Record::Foreign { name: "rocblas_new", sequence: 3, begin: 5, end: None };
    collector.take(&foreign, 1, &timeline());
    assert_eq!(collector.finish().in_flight[0].call, "rocblas_new()");
}

#[test]
fn quantiles_are_those_of_the_times() {
    let mut collector = Collector::default();
    for n in 1..=1000 {
        take(&mut collector, "rocblas_sgemm", &sgemm(2, n * 2000, n, 0));
    }
    let row = collector.finish().functions.remove(0);
    assert!((row.p50 / 500.0 - 1.0).abs() < 0.02, "{}", row.p50);
    assert!((row.p99 / 990.0 - 1.0).abs() < 0.02, "{}", row.p99);
    // Without the first call, which took 1.
    assert_eq!((row.first, row.others, row.mean, row.max), (1.0, 500_499.0, 501.0, 1000.0));
}

#[test]
fn one_cold_call_does_not_decide_the_order() {
    let mut collector = Collector::default();
    // This one loads a kernel. Of the others, gemm takes longer.
    take(&mut collector, "rocblas_set_stream", &words("rocblas_set_stream", &[], 0, 9000, 0));
    for n in 1..=3 {
        take(
            &mut collector,
            "rocblas_set_stream",
            &words("rocblas_set_stream", &[], n * 100, 2, 0),
        );
        take(&mut collector, "rocblas_sgemm", &sgemm(2, n * 100 + 50, 40, 0));
    }
    // A thread that is read later but made an earlier call.
    let mut other = Collector::default();
    take(&mut other, "rocblas_sgemm", &sgemm(2, 10, 700, 0));
    collector.merge(other);
    let summary = collector.finish();
    let rows: Vec<(&str, u64, f64, f64, f64, f64)> = summary
        .functions
        .iter()
        .map(|row| (row.function.as_str(), row.calls, row.first, row.others, row.mean, row.p99))
        .collect();
    assert_eq!(
        rows,
        [
            ("rocblas_sgemm", 4, 700.0, 120.0, 40.0, 40.0),
            ("rocblas_set_stream", 4, 9000.0, 6.0, 2.0, 2.0)
        ]
    );
    let text = crate::trace::summary::text(&summary, 10).plain();
    assert!(text.contains(" calls    first  others   mean    p50    p99  "), "{text}");
    assert!(text.contains("     4  9.00 us    6 ns   2 ns   2 ns   2 ns"), "{text}");
}

#[test]
fn calls_that_a_graph_captured_are_counted() {
    let captured = |capture: Capture, begin: u64| {
        let mut words = sgemm(2, begin, 10, 0);
        words[NOTE] |= (capture as u64) << Note::CAPTURE;
        words
    };
    let mut summary = Summary::default();
    for captures in [
        &[Capture::No, Capture::Yes, Capture::Yes, Capture::Untold][..],
        &[Capture::Unasked, Capture::Unasked],
    ] {
        let mut collector = Collector::default();
        for (capture, n) in captures.iter().zip(0..) {
            take(&mut collector, "rocblas_sgemm", &captured(*capture, n * 100));
        }
        let mut whole = Collector::default();
        whole.merge(collector);
        summary = whole.finish();
        if summary.captured > 0 {
            assert_eq!((summary.captured, summary.capture_untold), (2, 1));
            let text = crate::trace::summary::text(&summary, 10).plain();
            assert!(text.contains("2 calls were captured into a graph, whose"), "{text}");
            assert!(text.contains("GGML_CUDA_DISABLE_GRAPHS=1"), "{text}");
            assert!(text.contains("HIP did not say of 1 call whether"), "{text}");
        }
    }
    assert_eq!((summary.captured, summary.capture_untold), (0, 0));
}

#[test]
fn shapes_beyond_the_most_count_for_their_function() {
    let mut collector = Collector::default();
    let more = MOST_SHAPES as u64 + 100;
    for m in 0..more {
        take(&mut collector, "rocblas_sgemm", &sgemm(m, m * 10, 1, 0));
    }
    let summary = collector.finish();
    assert_eq!(summary.calls, more);
    assert_eq!(summary.shapes.len(), MOST_SHAPES + 1);
    assert_eq!(summary.functions[0].calls, more);
    let others = summary.shapes.iter().find(|row| row.shape == "other shapes").expect("there");
    assert_eq!(others.calls, 100);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn it_does_not_matter_who_collects_which(
        calls in proptest::collection::vec((1..4_u64, 0..10_000_u64, 1..5000_u64, 0..3_u64, 0..3_usize), 1..60)
    ) {
        let mut one = Collector::default();
        let mut several: [Collector; 3] = Default::default();
        for (m, begin, time, status, who) in calls {
            let words = sgemm(m, begin, time, status * 3);
            take(&mut one, "rocblas_sgemm", &words);
            take(&mut several[who], "rocblas_sgemm", &words);
        }
        let mut merged = Collector::default();
        several.into_iter().for_each(|part| merged.merge(part));
        let (one, merged) = (one.finish(), merged.finish());
        prop_assert_eq!(&one.statuses, &merged.statuses);
        prop_assert_eq!(one.span, merged.span);
        prop_assert_eq!(one.failures.len(), merged.failures.len());
        for (a, b) in one.failures.iter().zip(&merged.failures) {
            prop_assert_eq!((a.calls, a.first.at), (b.calls, b.first.at));
        }
        for (a, b) in one.shapes.iter().zip(&merged.shapes) {
            prop_assert_eq!((&a.shape, a.calls, a.p50, a.max), (&b.shape, b.calls, b.p50, b.max));
        }
    }
}

#[test]
fn success_with_an_error_of_hip_is_counted_apart() {
    let mut collector = Collector::default();
    for (begin, before, after, status) in
        [(0, 0, 98, 0), (1000, 98, 98, 0), (2000, 0, 0, 0), (3000, 0, 98, 0), (4000, 0, 98, 6)]
    {
        let mut words = sgemm(2, begin, 10, status);
        words[NOTE] |= Note::ERRORS | before << Note::ERROR_BEFORE | after << Note::ERROR_AFTER;
        take(&mut collector, "rocblas_sgemm", &words);
    }
    let summary = collector.finish();
    let [silent] = summary.silent.as_slice() else { panic!("{:?}", summary.silent) };
    assert_eq!((silent.calls, silent.first.at), (2, 0.0));
    assert_eq!(silent.status, "success with hipErrorInvalidDeviceFunction (98)");
    assert_eq!((summary.errors, summary.failures.len(), summary.pending_errors), (1, 1, 1));
    assert_eq!(summary.failures[0].status, "internal_error");
    assert_eq!(summary.statuses["success"], 2);
}

#[test]
fn gpu_times_are_those_of_their_calls_and_totals_of_all() {
    let mut collector = Collector::default();
    let time = |sequence, nanoseconds| {
        Record::GpuTime(rocblas_trace::read::GpuTime { begin: 0, sequence, nanoseconds })
    };
    for (sequence, m, is_timed) in [(0, 2, true), (1, 3, true), (2, 2, false), (3, 2, true)] {
        let mut words = sgemm(m, sequence * 1000, 10, 0);
        words[SEQUENCE] = sequence;
        words[NOTE] |= if is_timed { Note::TIMED } else { 0 };
        take(&mut collector, "rocblas_sgemm", &words);
    }
    // Out of order, and one for a call that is not in the trace.
    for record in [time(3, 500), time(0, 300), time(1, 7000), time(9, 1)] {
        collector.take(&record, 1, &timeline());
    }
    let summary = collector.finish();
    let of = |shape: &str| {
        let row = summary.shapes.iter().find(|row| row.shape.contains(shape)).expect("a row");
        row.gpu.map(|gpu| (gpu.measured, gpu.mean, gpu.total))
    };
    assert_eq!(of("m=2"), Some((2, 400.0, 1200.0)));
    assert_eq!(of("m=3"), Some((1, 7000.0, 7000.0)));
    let all = summary.functions[0].gpu.expect("times");
    // More of one shape's calls are measured than of the other's: their mean would be that of neither.
    assert_eq!((all.measured, all.mean, all.total), (3, 2050.0, 8200.0));
}
