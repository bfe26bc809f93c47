//! A thread's calls on the time line, in memory that does not depend on the number of calls.
//!
//! Time is divided into columns of one width. A call at least as long as a column becomes a bar; without
//! overlaps there are no more bars than columns. Shorter calls are summed up in their columns. When time
//! grows beyond the maximum number of columns, columns become twice as wide: neighbours are merged, and bars
//! that are now too short are summed up. The length of a trace therefore need not be known beforehand, and
//! lanes can be brought to a common width.
//!
//! Columns begin at multiples of their width on the time line, so those of lanes with the same width
//! coincide.

use super::colours::COLOURS;

/// The minimum time of a call, in nanoseconds, so that calls of no measurable time still colour their column.
const LEAST: f64 = 1e-3;

/// The most calls in flight that are kept of a thread; they are nested.
const MOST_IN_FLIGHT: usize = 8;

/// A call's position on the time line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    /// When it began, in nanoseconds on the time line.
    pub(super) begin: f64,
    /// When it ended; for a call in flight, its begin.
    pub(super) end: f64,
    /// See `colours.rs`.
    pub(super) colour: usize,
    /// How many traced calls of the thread contain it.
    pub(super) depth: u8,
    /// Whether its status is an error.
    pub(super) failed: bool,
    /// Whether it was the first call of its function and shape.
    pub(super) is_first: bool,
}

impl Span {
    fn length(self) -> f64 {
        self.end - self.begin
    }
}

/// A call that is drawn individually.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bar {
    pub(super) span: Span,
    /// The function with its arguments, how it ended, and how long it took.
    pub(super) text: String,
}

/// A column of short calls.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    /// Its position on the time line, in column widths.
    pub(super) index: i64,
    /// Calls that begin in it.
    pub(super) calls: u64,
    /// How many of those calls failed.
    pub(super) failed: u64,
    /// Nanoseconds in each colour, of calls that are not nested in others.
    pub(super) times: [f64; COLOURS],
    /// The text of the call, if there is only one.
    pub(super) only: Option<Box<str>>,
}

impl Column {
    fn new(index: i64) -> Self {
        Self { index, calls: 0, failed: 0, times: [0.0; COLOURS], only: None }
    }

    fn merge(&mut self, other: Self) {
        self.only = match (self.calls, other.calls) {
            (0, 1) => other.only,
            (1, 0) => self.only.take(),
            _ => None,
        };
        self.calls += other.calls;
        self.failed += other.failed;
        for (time, more) in self.times.iter_mut().zip(other.times) {
            *time += more;
        }
    }
}

/// The calls of a thread.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    /// The most columns allowed from the first to the last.
    most: usize,
    /// The width of a column in nanoseconds, a power of two.
    width: f64,
    /// The indices of the first and the last column.
    range: Option<(i64, i64)>,
    /// The columns with calls, by index.
    columns: Vec<Column>,
    bars: Vec<Bar>,
    in_flight: Vec<Bar>,
    calls: u64,
    failed: u64,
    unfinished: u64,
    time: f64,
}

impl Lane {
    /// An empty lane of at most `most` columns.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            width: 1.0,
            range: None,
            columns: Vec::new(),
            bars: Vec::new(),
            in_flight: Vec::new(),
            calls: 0,
            failed: 0,
            unfinished: 0,
            time: 0.0,
        }
    }

    /// Adds a call. `text` is called only if it is kept.
    pub(super) fn add(&mut self, span: Span, text: impl FnOnce() -> String) {
        self.calls += 1;
        self.failed += u64::from(span.failed);
        if span.depth == 0 {
            self.time += span.length();
        }
        self.extend(span);
        // Calls overlap only in damaged files, which must not make memory grow without bound.
        if span.length() >= self.width && self.bars.len() < 2 * self.most {
            self.bars.push(Bar { span, text: text() });
        } else {
            self.sum_up(span, text);
        }
    }

    /// Adds a call that has no end.
    pub(super) fn add_in_flight(&mut self, span: Span, text: impl FnOnce() -> String) {
        self.calls += 1;
        self.unfinished += 1;
        self.extend(span);
        if self.in_flight.len() < MOST_IN_FLIGHT {
            self.in_flight.push(Bar { span, text: text() });
        }
    }

    /// Makes columns at least that wide, in nanoseconds.
    pub(super) fn widen(&mut self, width: f64) {
        while self.width < width {
            self.double();
        }
    }

    /// The width of a column in nanoseconds.
    pub(super) fn width(&self) -> f64 {
        self.width
    }

    /// The indices of the first and the last column, if there are calls.
    pub(super) fn range(&self) -> Option<(i64, i64)> {
        self.range
    }

    /// Columns of short calls, by time.
    pub(super) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Long calls, by time except for those nested in others.
    pub(super) fn bars(&self) -> &[Bar] {
        &self.bars
    }

    /// Calls in flight, the outermost ones if there are too many.
    pub(super) fn in_flight(&self) -> &[Bar] {
        &self.in_flight
    }

    /// How many calls there are, how many of them failed, and how many are in flight.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        (self.calls, self.failed, self.unfinished)
    }

    /// Nanoseconds of all calls that are not nested in others.
    pub(super) fn time(&self) -> f64 {
        self.time
    }

    fn index(&self, time: f64) -> i64 {
        (time / self.width).floor() as i64
    }

    fn extend(&mut self, span: Span) {
        let (first, last) = (self.index(span.begin), self.index(span.end));
        let (known_first, known_last) = self.range.unwrap_or((first, last));
        self.range = Some((known_first.min(first), known_last.max(last)));
        while self.range.is_some_and(|(first, last)| last.saturating_sub(first) >= self.most as i64)
        {
            self.double();
        }
    }

    fn double(&mut self) {
        self.width *= 2.0;
        // Halves are rounded down, also for negative indices.
        self.range = self.range.map(|(first, last)| (first >> 1, last >> 1));
        let mut merged: Vec<Column> = Vec::with_capacity(self.columns.len());
        for mut column in std::mem::take(&mut self.columns) {
            column.index >>= 1;
            match merged.last_mut() {
                Some(last) if last.index == column.index => last.merge(column),
                _ => merged.push(column),
            }
        }
        self.columns = merged;
        let bars = std::mem::take(&mut self.bars);
        let (long, short) = bars.into_iter().partition(|bar| bar.span.length() >= self.width);
        self.bars = long;
        for Bar { span, text } in short {
            self.sum_up(span, || text);
        }
    }

    /// Adds a call to the column in which it begins, and any time beyond it to the next column.
    fn sum_up(&mut self, span: Span, text: impl FnOnce() -> String) {
        let index = self.index(span.begin);
        let boundary = index.saturating_add(1) as f64 * self.width;
        // The time of a nested call is part of the outer call's.
        let (time, beyond) = match span.depth {
            0 => (span.end.min(boundary) - span.begin, span.end - boundary),
            _ => (0.0, 0.0),
        };
        let column = self.column(index);
        column.only = (column.calls == 0).then(|| text().into_boxed_str());
        column.calls += 1;
        column.failed += u64::from(span.failed);
        column.times[span.colour] += time.max(LEAST);
        if beyond > 0.0 {
            self.column(index.saturating_add(1)).times[span.colour] += beyond;
        }
    }

    /// The column at an index. Calls arrive in order of their begin, so it is one of the last.
    fn column(&mut self, index: i64) -> &mut Column {
        let later = self.columns.iter().rev().take_while(|column| column.index > index).count();
        let at = self.columns.len() - later;
        let is_there = at > 0 && self.columns[at - 1].index == index;
        if is_there {
            return &mut self.columns[at - 1];
        }
        self.columns.insert(at, Column::new(index));
        &mut self.columns[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn span(begin: f64, end: f64) -> Span {
        Span { begin, end, colour: 0, depth: 0, failed: false, is_first: false }
    }

    fn add(lane: &mut Lane, begin: f64, end: f64) {
        lane.add(span(begin, end), || format!("call at {begin}"));
    }

    fn begins(lane: &Lane) -> Vec<f64> {
        lane.bars().iter().map(|bar| bar.span.begin).collect()
    }

    #[test]
    fn calls_that_are_long_enough_are_bars() {
        let mut lane = Lane::new(16);
        add(&mut lane, 3.0, 7.0);
        add(&mut lane, 8.0, 10.0);
        assert_eq!((lane.width(), lane.range()), (1.0, Some((3, 10))));
        assert_eq!(begins(&lane), [3.0, 8.0]);
        assert_eq!(lane.bars()[1].text, "call at 8");
        assert!(lane.columns().is_empty());
        assert_eq!((lane.counts(), lane.time()), ((2, 0, 0), 6.0));
    }

    #[test]
    fn columns_become_wider_until_all_time_has_a_place() {
        let mut lane = Lane::new(16);
        add(&mut lane, 3.0, 7.0);
        add(&mut lane, 100.0, 130.0);
        // 130 / 16 = 8.1: fewer than sixteen columns of width 16, and more than sixteen of width 8.
        assert_eq!((lane.width(), lane.range()), (16.0, Some((0, 8))));
        assert_eq!(begins(&lane), [100.0], "the other one is too short now");
        let [column] = lane.columns() else { panic!("{:?}", lane.columns()) };
        assert_eq!((column.index, column.calls, column.times[0]), (0, 1, 4.0));
        assert_eq!(column.only.as_deref(), Some("call at 3"), "alone, it is still that call");
    }

    #[test]
    fn short_calls_of_one_column_are_summed_up() {
        let mut lane = Lane::new(4);
        lane.widen(64.0);
        add(&mut lane, 0.0, 10.0);
        lane.add(Span { colour: 2, failed: true, ..span(20.0, 25.0) }, || "b".to_owned());
        let [column] = lane.columns() else { panic!("{:?}", lane.columns()) };
        assert_eq!((column.calls, column.failed, column.only.as_deref()), (2, 1, None));
        assert_eq!((column.times[0], column.times[2]), (10.0, 5.0));
        assert_eq!(lane.counts(), (2, 1, 0));
    }

    #[test]
    fn a_short_call_over_a_boundary_has_its_time_in_both_columns() {
        let mut lane = Lane::new(4);
        lane.widen(64.0);
        add(&mut lane, 60.0, 74.0);
        let [first, second] = lane.columns() else { panic!("{:?}", lane.columns()) };
        assert_eq!((first.index, first.calls, first.times[0]), (0, 1, 4.0));
        assert_eq!((second.index, second.calls, second.times[0]), (1, 0, 10.0));
        lane.widen(128.0);
        let [both] = lane.columns() else { panic!("{:?}", lane.columns()) };
        assert_eq!((both.calls, both.times[0]), (1, 14.0));
        assert_eq!(both.only.as_deref(), Some("call at 60"));
    }

    #[test]
    fn a_call_within_another_adds_no_time() {
        let mut lane = Lane::new(1000);
        add(&mut lane, 0.0, 100.0);
        lane.add(Span { depth: 1, ..span(10.0, 60.0) }, || "inner".to_owned());
        assert_eq!((lane.time(), lane.bars().len()), (100.0, 2));
        lane.widen(64.0);
        assert_eq!(begins(&lane), [0.0]);
        let [column] = lane.columns() else { panic!("{:?}", lane.columns()) };
        assert_eq!((column.calls, column.times[0]), (1, LEAST));
    }

    #[test]
    fn calls_in_flight_are_kept_apart() {
        let mut lane = Lane::new(8);
        add(&mut lane, 0.0, 2.0);
        lane.add_in_flight(span(70.0, 70.0), || "under way".to_owned());
        assert_eq!(lane.counts(), (2, 0, 1));
        assert_eq!(lane.in_flight()[0].text, "under way");
        assert_eq!(lane.range(), Some((0, 4)), "it is on the time line: {}", lane.width());
        for n in 0..100 {
            lane.add_in_flight(span(f64::from(n), f64::from(n)), String::new);
        }
        assert_eq!((lane.counts().2, lane.in_flight().len()), (101, MOST_IN_FLIGHT));
    }

    #[test]
    fn times_before_the_start_have_columns_too() {
        let mut lane = Lane::new(4);
        add(&mut lane, -9.0, -8.5);
        add(&mut lane, 9.0, 9.5);
        assert_eq!((lane.width(), lane.range()), (8.0, Some((-2, 1))));
        let places: Vec<i64> = lane.columns().iter().map(|column| column.index).collect();
        assert_eq!(places, [-2, 1]);
    }

    #[test]
    fn no_text_is_made_for_calls_that_are_summed_up() {
        let mut lane = Lane::new(64);
        let mut texts = 0;
        for n in 0..100_000 {
            lane.add(span(f64::from(n) * 10.0, f64::from(n) * 10.0 + 5.0), || {
                texts += 1;
                String::new()
            });
        }
        assert!(texts < 64 * 20, "{texts}");
        assert!(lane.columns().len() <= 64 && lane.bars().len() <= 64);
    }

    #[test]
    fn what_damage_makes_of_times_does_not_take_memory_or_for_ever() {
        let mut lane = Lane::new(16);
        for n in 0..1000 {
            lane.add(span(f64::from(n) * 1e-3, 1e6), String::new);
        }
        assert!(lane.bars().len() <= 32 && lane.columns().len() <= 16 + 1);
        for time in [-2e19, 2e19, 1.0] {
            add(&mut lane, time, time + 1.0);
            add(&mut Lane::new(16), time, time + 0.5);
        }
        assert_eq!(lane.counts().0, 1003);
        assert!(lane.columns().len() <= 16 + 1);
    }

    proptest! {
        #[test]
        fn calls_and_time_are_kept_whatever_the_columns(
            calls in proptest::collection::vec((0..500_u32, 1..400_u32, 0..3_usize), 1..200),
            most in 1..40_usize,
        ) {
            let mut lane = Lane::new(most);
            let (mut clock, mut total, mut failed) = (0.0, 0.0, 0);
            for (pause, time, colour) in &calls {
                let begin = clock + f64::from(*pause);
                clock = begin + f64::from(*time);
                total += f64::from(*time);
                failed += u64::from(*colour == 1);
                let span = Span { colour: *colour, failed: *colour == 1, ..span(begin, clock) };
                lane.add(span, String::new);
                let (first, last) = lane.range().expect("there is a call");
                prop_assert!(last - first < most as i64);
                prop_assert!(lane.columns().len() <= most && lane.bars().len() <= most);
            }
            let in_bars: f64 = lane.bars().iter().map(|bar| bar.span.length()).sum();
            let in_columns: f64 = lane.columns().iter().flat_map(|column| column.times).sum();
            let many = lane.bars().len() as u64 + lane.columns().iter().map(|c| c.calls).sum::<u64>();
            let bad = lane.bars().iter().filter(|bar| bar.span.failed).count() as u64
                + lane.columns().iter().map(|c| c.failed).sum::<u64>();
            prop_assert_eq!((many, bad), (calls.len() as u64, failed));
            prop_assert!((in_bars + in_columns - total).abs() < 1e-6 * total);
            prop_assert!(lane.columns().is_sorted_by(|a, b| a.index < b.index));
        }
    }
}
