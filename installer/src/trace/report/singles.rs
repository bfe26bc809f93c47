//! Single calls, for zooming in on the time line: the longest and the failed ones of each thread, bounded in
//! memory and in the page's size.
//!
//! For most traces these are all calls. Otherwise the columns of the time line still include all of them.

use super::{lane::Span, text::grouped};
use crate::{output::printable, trace::work::Work};
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::{cmp::Ordering, collections::HashMap, fmt::Write};

/// The most calls of all threads together: at ten to twenty bytes each they are half of a large page.
const MOST_CALLS: usize = 20_000;

/// The most bytes of their texts. Beyond that, only the function's name is kept.
const MOST_TEXT: usize = 200_000;

/// The most threads between which the calls are divided evenly. With more threads, each keeps this share,
/// enough to show a burst.
const MOST_SHARES: usize = 8;

/// The description of a call. Most calls of a program share theirs with others.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    /// The function with its arguments, and how it ended, without times.
    pub(super) text: Box<str>,
    /// The function alone.
    pub(super) name: &'static str,
    /// Operations and bytes, if the call succeeded and they are known.
    pub(super) work: Option<Work>,
}

/// A single call.
#[derive(Clone, Debug)]
pub(super) struct Single {
    pub(super) span: Span,
    /// The number of its record in its thread.
    pub(super) sequence: u64,
    /// GPU time in nanoseconds, if it was measured.
    gpu: Option<u64>,
    said: Said,
}

impl Single {
    fn length(&self) -> f64 {
        self.span.end - self.span.begin
    }

    /// Orders the most important calls first.
    fn rank(&self, other: &Self) -> Ordering {
        let by_failure = other.span.failed.cmp(&self.span.failed);
        let by_length = other.length().total_cmp(&self.length());
        by_failure.then(by_length).then(self.span.begin.total_cmp(&other.span.begin))
    }
}

/// Calls of a thread.
#[derive(Clone, Debug, Default)]
pub(super) struct Singles {
    most: usize,
    /// Calls that took no longer than this are left out, in nanoseconds.
    least: f64,
    kept: Vec<Single>,
    /// Indices into `kept`, by the calls' record numbers.
    places: FxHashMap<u64, usize>,
    seen: u64,
}

impl Singles {
    /// For one of `count` threads.
    pub(super) fn of_threads(count: usize) -> Self {
        Self::new(MOST_CALLS / count.clamp(1, MOST_SHARES))
    }

    fn new(most: usize) -> Self {
        Self { most: most.max(1), least: f64::NEG_INFINITY, ..Self::default() }
    }

    /// Adds a call. `said` is called only if it is kept.
    pub(super) fn add(&mut self, span: Span, sequence: u64, said: impl FnOnce() -> Said) {
        self.seen += 1;
        if !span.failed && span.end - span.begin <= self.least {
            return;
        }
        self.places.insert(sequence, self.kept.len());
        self.kept.push(Single { span, sequence, gpu: None, said: said() });
        if self.kept.len() >= 2 * self.most {
            self.trim(self.most);
        }
    }

    /// Adds the GPU time in nanoseconds of the call with this number. It is recorded after the call.
    pub(super) fn add_gpu_time(&mut self, sequence: u64, nanoseconds: u64) {
        let place = self.places.get(&sequence).copied();
        if let Some(single) = place.and_then(|place| self.kept.get_mut(place)) {
            single.gpu = Some(nanoseconds);
        }
    }

    /// Counts a call of which nothing is known.
    pub(super) fn leave_out(&mut self) {
        self.seen += 1;
    }

    /// Keeps only the first `most` calls by rank.
    fn trim(&mut self, most: usize) {
        if self.kept.len() <= most {
            return;
        }
        self.kept.select_nth_unstable_by(most, Single::rank);
        self.kept.truncate(most);
        let kept = self.kept.iter().filter(|single| !single.span.failed);
        self.least = kept.map(Single::length).fold(f64::INFINITY, f64::min);
        let places = self.kept.iter().enumerate();
        self.places = places.map(|(place, single)| (single.sequence, place)).collect();
    }
}

/// The calls of all lanes in the format that `time_line.js` reads.
#[derive(Debug, Default, Serialize)]
pub(super) struct Embedded {
    /// The texts of calls, one per line: colour, operations and bytes (`-` if unknown), text.
    texts: String,
    /// The calls of each lane, by time: base-36 numbers separated by dots. They are the nanoseconds since the
    /// begin of the previous call, its duration in nanoseconds, the line of its text, and then, up to the
    /// last one that is not 0: flags, the number of records between it and the previous call, and its GPU
    /// time in nanoseconds plus one.
    lanes: Vec<String>,
    /// Whether each lane has all of its calls that have ended.
    complete: Vec<bool>,
    /// `20,000 of 1,204,311`, if some are left out.
    pub(super) part: Option<String>,
}

impl Embedded {
    /// Flag of a failed call.
    const FAILED: u64 = 1;
    /// Flag of the first call of its function and shape.
    const FIRST: u64 = 2;
    /// The first bit of the depth: how many calls contain it.
    const DEPTH: u32 = 2;

    /// For lanes in their order.
    pub(super) fn of(lanes: Vec<Singles>) -> Self {
        Self::with_most(lanes, MOST_CALLS, MOST_TEXT)
    }

    fn with_most(mut lanes: Vec<Singles>, most: usize, most_text: usize) -> Self {
        for lane in &mut lanes {
            lane.trim(lane.most);
        }
        fit(&mut lanes, most);
        let (mut seen, mut kept) = (0, 0);
        let mut texts = Texts { most: most_text, lines: HashMap::new(), text: String::new() };
        let mut embedded = Self::default();
        for mut lane in lanes {
            seen += lane.seen;
            kept += lane.kept.len() as u64;
            embedded.complete.push(lane.seen == lane.kept.len() as u64);
            lane.kept.sort_by(|a, b| {
                let by_time = a.span.begin.total_cmp(&b.span.begin);
                by_time.then(a.sequence.cmp(&b.sequence))
            });
            embedded.lanes.push(encoded(&lane.kept, &mut texts));
        }
        embedded.texts = texts.text;
        embedded.part = (kept < seen).then(|| format!("{} of {}", grouped(kept), grouped(seen)));
        embedded
    }
}

/// Leaves out calls until all lanes together have at most `most`.
fn fit(lanes: &mut [Singles], most: usize) {
    let all: usize = lanes.iter().map(|lane| lane.kept.len()).sum();
    if all <= most {
        return;
    }
    let mut ranks: Vec<(usize, usize)> = lanes
        .iter()
        .enumerate()
        .flat_map(|(lane, singles)| (0..singles.kept.len()).map(move |n| (lane, n)))
        .collect();
    ranks.select_nth_unstable_by(most, |a, b| {
        lanes[a.0].kept[a.1].rank(&lanes[b.0].kept[b.1]).then(a.cmp(b))
    });
    let mut stays: Vec<Vec<bool>> = lanes.iter().map(|lane| vec![false; lane.kept.len()]).collect();
    for (lane, n) in &ranks[..most] {
        stays[*lane][*n] = true;
    }
    for (lane, stays) in lanes.iter_mut().zip(stays) {
        let mut stays = stays.into_iter();
        lane.kept.retain(|_| stays.next().unwrap_or(false));
    }
}

/// Distinct texts.
struct Texts {
    most: usize,
    lines: HashMap<String, u64>,
    text: String,
}

impl Texts {
    /// The line number of a call's text, from 0.
    fn line(&mut self, colour: usize, said: &Said) -> u64 {
        let amount = |of: fn(&Work) -> f64| {
            said.work.as_ref().map_or_else(|| "-".to_owned(), |work| of(work).to_string())
        };
        let (operations, bytes) = (amount(|work| work.operations), amount(|work| work.bytes));
        // A line break would start a new entry.
        let text = printable(&said.text);
        let line = format!("{colour} {operations} {bytes} {text}");
        if let Some(number) = self.lines.get(&line) {
            return *number;
        }
        if self.text.len() + line.len() <= self.most {
            return self.push(line);
        }
        let short = format!("{colour} - - {} (the page has no room for more arguments)", said.name);
        match self.lines.get(&short) {
            Some(number) => *number,
            None => self.push(short),
        }
    }

    fn push(&mut self, line: String) -> u64 {
        let number = self.lines.len() as u64;
        if number > 0 {
            self.text.push('\n');
        }
        self.text.push_str(&line);
        self.lines.insert(line, number);
        number
    }
}

fn encoded(calls: &[Single], texts: &mut Texts) -> String {
    let mut text = String::new();
    let (mut clock, mut sequence) = (0, 0);
    for (n, call) in calls.iter().enumerate() {
        let span = call.span;
        let begin = span.begin.round() as i64;
        let length = call.length().round().max(0.0) as u64;
        let line = texts.line(span.colour, &call.said);
        let mut flags = u64::from(span.depth) << Embedded::DEPTH;
        if span.failed {
            flags |= Embedded::FAILED;
        }
        if span.is_first {
            flags |= Embedded::FIRST;
        }
        let between = (call.sequence as i64).wrapping_sub(sequence).wrapping_sub(1);
        let gpu = call.gpu.map_or(0, |time| i64::try_from(time).unwrap_or(0).saturating_add(1));
        let gap = begin.wrapping_sub(clock);
        let numbers = [gap, length as i64, line as i64, flags as i64, between, gpu];
        (clock, sequence) = (begin, call.sequence as i64);
        let last = numbers.iter().rposition(|number| *number != 0).unwrap_or(0).max(2);
        for (i, number) in numbers[..=last].iter().enumerate() {
            let between = match (i, n) {
                (0, 0) => "",
                (0, _) => " ",
                _ => ".",
            };
            text.push_str(between);
            base36(&mut text, *number);
        }
    }
    text
}

/// Appends a base-36 number, as `parseInt` reads it.
fn base36(text: &mut String, number: i64) {
    if number < 0 {
        text.push('-');
    }
    let mut rest = number.unsigned_abs();
    let mut digits = Vec::with_capacity(13);
    loop {
        digits.push(char::from_digit((rest % 36) as u32, 36).unwrap_or('0'));
        rest /= 36;
        if rest == 0 {
            break;
        }
    }
    // Writing to a string cannot fail.
    let _ = digits.iter().rev().try_for_each(|digit| text.write_char(*digit));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn span(begin: f64, length: f64) -> Span {
        Span { begin, end: begin + length, colour: 1, depth: 0, failed: false, is_first: false }
    }

    fn said(text: &str) -> Said {
        Said { text: text.into(), name: "rocblas_sgemm", work: None }
    }

    fn begins(singles: &Singles) -> Vec<f64> {
        let mut begins: Vec<f64> = singles.kept.iter().map(|single| single.span.begin).collect();
        begins.sort_by(f64::total_cmp);
        begins
    }

    #[test]
    fn the_longest_calls_are_kept_and_those_that_failed() {
        let mut singles = Singles::new(3);
        for (n, length) in [5.0, 1.0, 9.0, 2.0, 7.0, 3.0, 8.0].into_iter().enumerate() {
            let failed = length == 1.0;
            let span = Span { failed, ..span(n as f64 * 10.0, length) };
            singles.add(span, n as u64, || said("call"));
        }
        singles.trim(3);
        singles.add_gpu_time(6, 77);
        let timed: Vec<_> = singles.kept.iter().filter(|single| single.gpu.is_some()).collect();
        assert_eq!((timed.len(), timed[0].span.begin), (1, 60.0));
        assert_eq!(begins(&singles), [10.0, 20.0, 60.0], "the failed one, 9 and 8");
        assert_eq!(singles.seen, 7);
    }

    #[test]
    fn memory_and_texts_do_not_grow_with_the_calls() {
        let mut singles = Singles::new(100);
        let asked = Cell::new(0);
        for n in 0..100_000_u64 {
            let length = (n * 7919 % 10_007) as f64;
            singles.add(span(n as f64 * 1e5, length), n, || {
                asked.set(asked.get() + 1);
                said("call")
            });
            assert!(singles.kept.len() < 200);
        }
        assert!(asked.get() < 3000, "{} texts were made", asked.get());
        let mut alike = Singles::new(100);
        let asked = Cell::new(0);
        for n in 0..100_000_u64 {
            alike.add(span(n as f64, 20.0), n, || {
                asked.set(asked.get() + 1);
                said("call")
            });
        }
        assert!(asked.get() < 300, "{} texts of calls of one length", asked.get());
    }

    #[test]
    fn calls_are_written_in_few_characters() {
        let mut singles = Singles::new(10);
        singles.add(span(100.0, 36.0), 1, || said("a"));
        let first = Span { is_first: true, depth: 1, failed: true, ..span(110.4, 5.0) };
        singles.add(first, 2, || said("b\n1"));
        singles.add(span(200.0, 1e6), 7, || Said {
            work: Some(Work { operations: 2e9, bytes: 1.5 }),
            ..said("a")
        });
        singles.add_gpu_time(7, 35);
        singles.add_gpu_time(8, 5);
        let embedded = Embedded::of(vec![singles, Singles::new(10)]);
        assert_eq!(embedded.lanes, ["2s.10.0 a.5.1.7 2i.lfls.2.0.4.10", ""]);
        assert_eq!(embedded.texts, "1 - - a\n1 - - b\\n1\n1 2000000000 1.5 a");
        assert_eq!((embedded.complete, embedded.part), (vec![true, true], None));
    }

    #[test]
    fn what_is_left_out_is_said() {
        let lane = |lengths: &[f64]| {
            let mut singles = Singles::new(10);
            for (n, length) in lengths.iter().enumerate() {
                let text = format!("call {n} that took {length}");
                singles.add(span(n as f64 * 10.0, *length), n as u64 + 1, || said(&text));
            }
            singles
        };
        let lanes = vec![lane(&[1.0, 5.0, 3.0]), lane(&[4.0, 2.0])];
        let embedded = Embedded::with_most(lanes, 3, 40);
        assert_eq!(embedded.part.as_deref(), Some("3 of 5"));
        assert_eq!(embedded.complete, [false, false]);
        assert_eq!(embedded.lanes, ["a.5.0.0.1 a.3.1", "0.4.1"]);
        let short = "1 - - rocblas_sgemm (the page has no room for more arguments)";
        assert_eq!(embedded.texts, format!("1 - - call 1 that took 5\n{short}"));
    }

    #[test]
    fn numbers_of_any_size_are_written() {
        let written = |number| {
            let mut text = String::new();
            base36(&mut text, number);
            text
        };
        assert_eq!([0, 35, 36, -1].map(written), ["0", "z", "10", "-1"]);
        for number in [i64::MAX, i64::MIN] {
            assert_eq!(i64::from_str_radix(&written(number), 36), Ok(number));
        }
    }
}
