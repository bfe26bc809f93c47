//! How long calls of each function took: histograms over the logarithm of time, with first calls shown
//! separately.

use super::{
    colours::{Colours, short},
    text::{coordinate, count, time},
};
use crate::trace::summary::Row;
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::collections::BTreeMap;

/// Bars for each doubling of time.
const PER_OCTAVE: f64 = 4.0;

/// The most functions that are drawn.
const MOST_FUNCTIONS: usize = 12;

/// The height of a histogram, in pixels.
const HEIGHT: f64 = 64.0;
/// The minimum height of a bar, so that one call among a million is visible.
const LEAST: f64 = 2.0;

/// The most labels of the axis.
const LABELS: usize = 5;
/// The last position at which a label may begin, in percent: it extends to the right.
const LAST_LABEL: f64 = 84.0;

/// Calls by how long they took.
#[derive(Clone, Debug, Default)]
pub(super) struct Durations(FxHashMap<u16, Bins>);

/// The first and the other calls of a function, by the logarithm of their times.
type Bins = BTreeMap<i32, [u64; 2]>;

impl Durations {
    /// Adds a call of the function at an index in this program's table.
    pub(super) fn add(&mut self, function: u16, nanoseconds: f64, is_first: bool) {
        // The clock may not resolve a short call: its time may be 0.
        let bin = (nanoseconds.max(1.0).log2() * PER_OCTAVE).floor() as i32;
        let counts = self.0.entry(function).or_default().entry(bin).or_default();
        counts[usize::from(!is_first)] += 1;
    }

    /// Adds the calls of another one.
    pub(super) fn merge(&mut self, other: &Self) {
        for (function, bins) in &other.0 {
            let own = self.0.entry(*function).or_default();
            for (bin, counts) in bins {
                let known = own.entry(*bin).or_default();
                known[0] += counts[0];
                known[1] += counts[1];
            }
        }
    }
}

/// The histograms of the functions with the most time, over one axis.
#[derive(Debug, Default, Serialize)]
pub(super) struct Histograms {
    functions: Vec<Histogram>,
    /// Width in bars.
    width: String,
    height: f64,
    /// Labels of the axis: percent from the left, and a time.
    labels: Vec<(String, String)>,
    has_firsts: bool,
    /// How many functions are not drawn.
    more: usize,
}

/// The histogram of a function.
#[derive(Debug, Serialize)]
struct Histogram {
    function: String,
    colour: usize,
    calls: String,
    bars: Vec<Bar>,
}

/// Calls of about the same duration.
#[derive(Debug, PartialEq, Serialize)]
struct Bar {
    title: String,
    /// The bar of other than first calls, if there are any.
    others: Option<String>,
    /// The bar of first calls, stacked on top.
    firsts: Option<String>,
}

/// Draws the durations of functions, which are ordered by time.
pub(super) fn histograms(
    durations: &Durations,
    functions: &[Row],
    colours: &Colours,
) -> Histograms {
    // With several backends, a function has several rows.
    let mut names: Vec<&str> = Vec::new();
    for row in functions {
        if !names.contains(&row.function.as_str()) {
            names.push(&row.function);
        }
    }
    let known = names.iter().filter_map(|name| {
        let index = rocblas_abi::by_name(name)?.index;
        Some((*name, durations.0.get(&index)?))
    });
    let mut known: Vec<(&str, &Bins)> = known.collect();
    let more = known.len().saturating_sub(MOST_FUNCTIONS);
    known.truncate(MOST_FUNCTIONS);
    let bins = || known.iter().flat_map(|(_, bins)| bins.keys().copied());
    let (Some(first), Some(last)) = (bins().min(), bins().max()) else {
        return Histograms::default();
    };
    let width = f64::from(last - first + 1);
    let functions = known.iter().map(|(name, bins)| Histogram {
        function: short(name),
        colour: colours.of_name(name),
        calls: count(bins.values().flatten().sum(), "call"),
        bars: bars(bins, first),
    });
    Histograms {
        functions: functions.collect(),
        width: coordinate(width),
        height: HEIGHT,
        labels: labels(first, width),
        has_firsts: known.iter().any(|(_, bins)| bins.values().any(|[first, _]| *first > 0)),
        more,
    }
}

/// The time at which a bar begins, in nanoseconds.
fn edge(bin: i32) -> f64 {
    (f64::from(bin) / PER_OCTAVE).exp2()
}

fn bars(bins: &Bins, from: i32) -> Vec<Bar> {
    let most = bins.values().map(|[first, others]| first + others).max().unwrap_or(1).max(1) as f64;
    let bar = |(bin, [firsts, others]): (&i32, &[u64; 2])| {
        let x = f64::from(bin - from);
        let height = |calls: u64| match calls {
            0 => 0.0,
            calls => (calls as f64 / most * HEIGHT).max(LEAST),
        };
        let lower = height(*others).min(HEIGHT - height(*firsts).min(LEAST));
        let upper = height(*firsts).min(HEIGHT - lower);
        let path = |bottom: f64, height: f64| {
            let [x, top, bottom] = [x, bottom - height, bottom].map(coordinate);
            format!("M{x} {bottom}V{top}h1V{bottom}z")
        };
        let apart = match (*firsts, *others) {
            (0, _) => String::new(),
            (1, 0) => ", the first of its shape".to_owned(),
            (firsts, _) => format!(", {firsts} of them the first of their shapes"),
        };
        let calls = count(firsts + others, "call");
        Bar {
            title: format!("{} to {}: {calls}{apart}", time(edge(*bin)), time(edge(bin + 1))),
            others: (*others > 0).then(|| path(HEIGHT, lower)),
            firsts: (*firsts > 0).then(|| path(HEIGHT - lower, upper)),
        }
    };
    bins.iter().map(bar).collect()
}

/// Labels at powers of ten, or at some of them if there are many.
fn labels(first: i32, width: f64) -> Vec<(String, String)> {
    let from = f64::from(first) / PER_OCTAVE;
    let powers = (0..12).map(|power| 10_f64.powi(power));
    let places = powers.map(|at| ((at.log2() - from) * PER_OCTAVE / width * 100.0, time(at)));
    let mut inside: Vec<(f64, String)> =
        places.filter(|(x, _)| (0.0..=LAST_LABEL).contains(x)).collect();
    if inside.is_empty() {
        inside.push((0.0, time(edge(first))));
    }
    let step = inside.len().div_ceil(LABELS);
    inside.into_iter().step_by(step).map(|(x, label)| (coordinate(x), label)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(name: &str) -> u16 {
        rocblas_abi::by_name(name).expect("a function").index
    }

    fn row(function: &str) -> Row {
        Row { function: function.to_owned(), ..super::super::testing::row() }
    }

    #[test]
    fn calls_are_counted_by_the_logarithm_of_their_time() {
        let mut durations = Durations::default();
        let sgemm = index("rocblas_sgemm");
        durations.add(sgemm, 8_000_000.0, true);
        for nanoseconds in [1024.0, 1100.0, 1180.0, 1400.0] {
            durations.add(sgemm, nanoseconds, false);
        }
        let rows = [row("rocblas_sgemm"), row("rocblas_sscal"), row("rocblas_sgemm")];
        let drawn = histograms(&durations, &rows, &Colours::of(&rows));
        let [of] = &drawn.functions[..] else { panic!("{drawn:?}") };
        assert_eq!((of.function.as_str(), of.calls.as_str(), of.colour), ("sgemm", "5 calls", 0));
        let bar = |title: &str, others: Option<&str>, firsts: Option<&str>| Bar {
            title: title.to_owned(),
            others: others.map(str::to_owned),
            firsts: firsts.map(str::to_owned),
        };
        assert_eq!(
            of.bars,
            [
                bar("1.02 us to 1.22 us: 3 calls", Some("M0 64V0h1V64z"), None),
                bar("1.22 us to 1.45 us: 1 call", Some("M1 64V42.67h1V64z"), None),
                bar(
                    "7.05 ms to 8.39 ms: 1 call, the first of its shape",
                    None,
                    Some("M51 64V42.67h1V64z")
                ),
            ]
        );
        assert!(drawn.has_firsts);
        let labels: Vec<&str> = drawn.labels.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(labels, ["10.0 us", "100 us", "1.00 ms"]);
    }

    #[test]
    fn threads_are_taken_together_and_bars_stay_in_the_picture() {
        let (mut one, mut other) = (Durations::default(), Durations::default());
        let sgemm = index("rocblas_sgemm");
        for _ in 0..100_000 {
            one.add(sgemm, 500.0, false);
        }
        other.add(sgemm, 500.0, true);
        other.add(sgemm, 0.0, false);
        one.merge(&other);
        let rows = [row("rocblas_sgemm")];
        let drawn = histograms(&one, &rows, &Colours::of(&rows));
        let bars = &drawn.functions[0].bars;
        assert_eq!(bars[0].others.as_deref(), Some("M0 64V62h1V64z"), "one of many is seen");
        assert_eq!(bars[1].others.as_deref(), Some("M35 64V2h1V64z"));
        assert_eq!(bars[1].firsts.as_deref(), Some("M35 2V0h1V2z"), "above the others");
        assert!(bars[1].title.ends_with("100,001 calls, 1 of them the first of their shapes"));
    }

    #[test]
    fn nothing_is_drawn_of_no_calls() {
        let drawn = histograms(&Durations::default(), &[row("rocblas_sgemm")], &Colours::of(&[]));
        assert!(drawn.functions.is_empty() && drawn.labels.is_empty());
    }
}
