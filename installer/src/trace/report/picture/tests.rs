//! Where calls are drawn, and their titles.

use super::*;
use crate::trace::report::{
    durations::Durations,
    lane::{Lane, Span},
    lanes::Rest,
    singles::Singles,
};

/// A view of a hundred columns of ten nanoseconds.
const VIEW: View = View { from: 0.0, length: 1000.0, column: 10.0 };

fn colours() -> Colours {
    Colours::of(&[])
}

fn span(begin: f64, end: f64) -> Span {
    Span { begin, end, colour: 0, depth: 0, failed: false, is_first: false }
}

fn bar(span: Span) -> Bar {
    Bar { span, text: "call".to_owned() }
}

fn column(calls: u64, failed: u64, times: [f64; COLOURS]) -> Column {
    Column { index: 7, calls, failed, times, only: None }
}

fn paths(column: &Column) -> Vec<(usize, String)> {
    let parts = stack(column, 7, VIEW, &colours()).parts;
    parts.into_iter().map(|part| (part.colour, part.path)).collect()
}

#[test]
fn a_column_is_as_high_as_its_share_of_time() {
    // Half of 24 pixels.
    let half = column(9, 0, [5.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(paths(&half), [(0, "M7 30V18h1V30z".to_owned())]);
    let least = column(1, 0, [0.001, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(paths(&least), [(0, "M7 30V25.2h1V30z".to_owned())]);
    let overlapping = column(9, 0, [0.0, 70.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(paths(&overlapping), [(1, "M7 30V6h1V30z".to_owned())]);
}

#[test]
fn colours_of_a_column_are_on_top_of_each_other_and_the_lowest_are_left_out() {
    let mixed = column(9, 0, [2.0, 0.0, 3.0, 0.01, 0.0, 5.0]);
    assert_eq!(
        paths(&mixed),
        [
            (0, "M7 30V25.2h1V30z".to_owned()),
            (2, "M7 25.2V18.01h1V25.2z".to_owned()),
            (5, "M7 18.01V6.02h1V18.01z".to_owned()),
        ]
    );
    let alike = column(6, 0, [1e-3; COLOURS]);
    assert_eq!(paths(&alike).len(), COLOURS, "none is more than another");
}

#[test]
fn a_title_says_what_a_columns_calls_are_together() {
    let title = |column: &Column| stack(column, 7, VIEW, &colours()).title;
    let many = column(1234, 0, [2.0, 3.0, 0.0, 1.0, 0.0, 0.5]);
    assert_eq!(
        title(&many).as_deref(),
        Some("1,234 calls in 10 ns at 0.000000 s: other 3 ns, other 2 ns, other 1 ns, ...")
    );
    let failed = Column { index: 100_000, ..column(2, 1, [2.0, 0.0, 0.0, 0.0, 0.0, 0.0]) };
    assert_eq!(
        title(&failed).as_deref(),
        Some("2 calls, 1 failed in 10 ns at 0.001000 s: other 2 ns")
    );
    let only = Column { only: Some("sgemm()".into()), ..column(1, 0, [2.0; COLOURS]) };
    assert_eq!(title(&only).as_deref(), Some("sgemm(), at 0.000000 s"));
    assert_eq!(title(&column(0, 0, [2.0; COLOURS])), None, "the end of another column's call");
}

#[test]
fn failed_calls_have_a_mark_above_them() {
    assert_eq!(stack(&column(5, 0, [1.0; COLOURS]), 7, VIEW, &colours()).failed, None);
    let failed = stack(&column(5, 1, [1.0; COLOURS]), 7, VIEW, &colours()).failed;
    assert_eq!(
        failed.as_deref(),
        Some("M7.2 0h0.6l-0.3 5z"),
        "its point is in the column's middle"
    );
    let block = block(&bar(Span { failed: true, ..span(100.0, 300.0) }), VIEW);
    assert_eq!(block.failed.as_deref(), Some("M9.7 0h0.6l-0.3 5z"), "and at a call's begin");
}

#[test]
fn a_call_on_its_own_is_where_it_was_made() {
    let drawn = block(&bar(span(125.0, 300.0)), VIEW);
    assert_eq!((drawn.path.as_str(), drawn.is_wide), ("M12.5 30V6h17.5V30z", true));
    assert_eq!((drawn.title.as_str(), drawn.failed), ("call, at 0.000000 s", None));
    assert!(!block(&bar(span(125.0, 128.0)), VIEW).is_wide);
    for (depth, top) in [(1, "V11h"), (2, "V16h"), (9, "V21h")] {
        let nested = block(&bar(Span { depth, ..span(125.0, 300.0) }), VIEW);
        assert!(nested.path.contains(top), "{}", nested.path);
    }
}

fn lanes(threads: Vec<Lane>) -> Lanes {
    let range = threads.iter().filter_map(Lane::range).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    let thread = |(number, lane)| Thread {
        process: 0,
        number,
        tid: 0,
        name: String::new(),
        lane,
        singles: Singles::of_threads(1),
    };
    Lanes {
        width: threads[0].width(),
        range: range.expect("a call"),
        threads: (1..).zip(threads).map(thread).collect(),
        rest: Rest::default(),
        durations: Durations::default(),
    }
}

#[test]
fn a_call_in_flight_goes_to_the_end_and_is_seen_if_it_began_there() {
    let mut lane = Lane::new(100);
    lane.add(span(0.0, 50.0), String::new);
    lane.add_in_flight(span(99.0, 99.0), || "under way".to_owned());
    let picture = picture(&lanes(vec![lane]), &["program".to_owned()], &colours());
    assert_eq!(picture.width, "103", "a hundred columns, and some space behind them");
    let [open] = &picture.groups[0].lanes[0].open[..] else { panic!("{picture:?}") };
    assert_eq!((open.x.as_str(), open.width.as_str()), ("96.12", "3.88"));
    assert_eq!(open.title, "under way, from 0.000000 s on");
    assert_eq!(picture.groups[0].lanes[0].in_flight.as_deref(), Some("1 in flight"));
    assert!(picture.has_in_flight && !picture.has_columns && !picture.has_failed);
}

#[test]
fn processes_without_calls_are_not_drawn() {
    let mut lane = Lane::new(100);
    lane.add(span(0.0, 50.0), String::new);
    let names = ["first".to_owned(), "second".to_owned()];
    let picture = picture(&lanes(vec![lane]), &names, &colours());
    let groups: Vec<&str> = picture.groups.iter().map(|group| group.process.as_str()).collect();
    assert_eq!((groups, picture.width.as_str()), (vec!["first"], "51"));
}

fn labels(from: f64, length: f64) -> Vec<(String, String)> {
    let marks = marks(View { from, length, column: 1.0 });
    marks.into_iter().map(|mark| (mark.x, mark.label)).collect()
}

#[test]
fn marks_are_at_round_times() {
    let owned = |marks: &[(&str, &str)]| -> Vec<(String, String)> {
        marks.iter().map(|(x, label)| ((*x).to_owned(), (*label).to_owned())).collect()
    };
    assert_eq!(
        labels(0.0, 4e9),
        owned(&[
            ("0", "0.0 s"),
            ("12.5", "0.5 s"),
            ("25", "1.0 s"),
            ("37.5", "1.5 s"),
            ("50", "2.0 s"),
            ("62.5", "2.5 s"),
            ("75", "3.0 s"),
            ("87.5", "3.5 s"),
            ("100", "4.0 s"),
        ])
    );
    assert_eq!(
        labels(2_300.0, 5_000.0),
        owned(&[("14", "3 us"), ("34", "4 us"), ("54", "5 us"), ("74", "6 us"), ("94", "7 us")])
    );
    // An hour after the start, as with a ring buffer.
    let late = labels(3.6e12, 4e6);
    assert_eq!(late[1], ("12.5".to_owned(), "3600.0005 s".to_owned()));
}

#[test]
fn there_are_never_many_marks_nor_none() {
    for length in [1.0, 1.9, 3.0, 9.1, 17.0, 1e3, 4.4e5, 6e7, 1.2e10, 8.64e13, 1e19] {
        for from in [-5.0, 0.0, 0.7, 1e9] {
            let marks = labels(from, length);
            assert!((2..=10).contains(&marks.len()), "{from}, {length}: {marks:?}");
            let mut texts: Vec<_> = marks.iter().map(|(_, label)| label).collect();
            texts.dedup();
            // Labels need not resolve half a nanosecond.
            assert!(texts.len() == marks.len() || length < 10.0, "{from}, {length}: {marks:?}");
        }
    }
}

#[test]
fn labels_at_the_edges_stay_in_the_picture() {
    let anchors: Vec<&str> =
        marks(View { from: 0.0, length: 4e9, column: 1.0 }).iter().map(|m| m.anchor).collect();
    assert_eq!(anchors[0], "start");
    assert_eq!(anchors[anchors.len() - 1], "end");
    assert!(anchors[1..anchors.len() - 1].iter().all(|anchor| *anchor == "middle"));
}
