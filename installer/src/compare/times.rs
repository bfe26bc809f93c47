//! Times by function and shape, and how much they vary between runs.

use crate::trace::summary::{Row, Summary};
use serde::Serialize;
use std::collections::BTreeMap;

/// A number that was measured in several runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// The minimum.
    pub min: f64,
    /// The middle value, or the mean of the two middle values.
    pub median: f64,
    /// The maximum.
    pub max: f64,
}

impl Spread {
    pub(super) fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (figures.first(), figures.last()) else {
            return Self::default();
        };
        let middle = figures.len() / 2;
        let median = match figures.len() % 2 {
            0 => f64::midpoint(figures[middle - 1], figures[middle]),
            _ => figures[middle],
        };
        Self { min: *min, median, max: *max }
    }
}

/// Calls of a function with a shape, on two backends. Times are in nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timed {
    /// The function.
    pub function: String,
    /// The shape.
    pub shape: String,
    /// How many calls each backend makes, in all runs.
    pub calls: [u64; 2],
    /// For each backend, the mean time of a call in a run. The first call of a run is excluded, unless it is
    /// the only one.
    pub mean: [Spread; 2],
    /// The second backend's median divided by the first's.
    pub ratio: f64,
    /// By how much the second backend's calls in a run take longer than the first's, using the medians of the
    /// runs' totals.
    pub difference: f64,
}

/// The rows of one side, by function and shape.
type Keyed<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a Row>>;

fn keyed(runs: &[Summary]) -> Keyed<'_> {
    let mut keyed = Keyed::new();
    for row in runs.iter().flat_map(|summary| &summary.shapes) {
        keyed.entry((&row.function, &row.shape)).or_default().push(row);
    }
    keyed
}

/// The rows that both sides have, ordered by the cost of the difference in a run.
pub(super) fn times(first: &[Summary], second: &[Summary]) -> Vec<Timed> {
    let (a, b) = (keyed(first), keyed(second));
    let both = a.iter().filter_map(|(key, rows)| Some((key, [rows, b.get(key)?])));
    let mut times: Vec<Timed> = both
        .map(|((function, shape), rows)| {
            let mean = rows.map(|rows| Spread::of(rows.iter().map(|row| row.mean).collect()));
            let [x, y] = rows.map(|rows| Spread::of(rows.iter().map(|row| total(row)).collect()));
            let has_ratio = mean[0].median > 0.0;
            Timed {
                function: (*function).to_owned(),
                shape: (*shape).to_owned(),
                calls: rows.map(|rows| rows.iter().map(|row| row.calls).sum()),
                mean,
                ratio: if has_ratio { mean[1].median / mean[0].median } else { f64::NAN },
                difference: y.median - x.median,
            }
        })
        .collect();
    times.sort_by(|x, y| y.difference.abs().total_cmp(&x.difference.abs()));
    times
}

/// The total time of the calls that the mean covers.
fn total(row: &Row) -> f64 {
    if row.others > 0.0 { row.others } else { row.first }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run in which calls of a shape took these nanoseconds, starting with the first call.
    fn run(shape: &str, times: &[f64]) -> Summary {
        let others: f64 = times[1..].iter().sum();
        let count = times.len() - 1;
        let row = Row {
            function: "rocblas_sgemm".to_owned(),
            shape: shape.to_owned(),
            backend: String::new(),
            calls: times.len() as u64,
            errors: 0,
            total: times.iter().sum(),
            first: times[0],
            others,
            mean: if count == 0 { times[0] } else { others / count as f64 },
            p50: 0.0,
            p99: 0.0,
            max: 0.0,
            work: None,
            gpu: None,
            statuses: BTreeMap::new(),
        };
        Summary { shapes: vec![row], ..Summary::default() }
    }

    #[test]
    fn a_spread_is_of_the_runs_means_without_first_calls() {
        let first = [[900.0, 10.0, 20.0], [500.0, 30.0, 50.0], [700.0, 20.0, 20.0]];
        let second = [[90.0, 40.0, 60.0], [50.0, 60.0, 60.0], [70.0, 70.0, 70.0]];
        let [a, b] = [first, second].map(|runs| runs.map(|times| run("m=1", &times)));
        let times = times(&a, &b);
        let [timed] = times.as_slice() else { panic!("{times:?}") };
        assert_eq!(timed.calls, [9, 9]);
        assert_eq!(timed.mean[0], Spread { min: 15.0, median: 20.0, max: 40.0 });
        assert_eq!(timed.mean[1], Spread { min: 50.0, median: 60.0, max: 70.0 });
        assert_eq!((timed.ratio, timed.difference), (3.0, 80.0));
    }

    #[test]
    fn what_costs_most_comes_first_and_an_only_call_counts_itself() {
        let runs = |long: f64, short: f64| {
            let mut run_of_both = run("long", &[1.0, long]);
            run_of_both.shapes.extend(run("only", &[short]).shapes);
            [run_of_both]
        };
        let times = times(&runs(100.0, 5.0), &runs(110.0, 90.0));
        let shapes: Vec<(&str, f64)> =
            times.iter().map(|timed| (timed.shape.as_str(), timed.difference)).collect();
        assert_eq!(shapes, [("only", 85.0), ("long", 10.0)]);
    }

    #[test]
    fn a_median_of_two_is_halfway_between_them() {
        assert_eq!(Spread::of(vec![4.0, 2.0]), Spread { min: 2.0, median: 3.0, max: 4.0 });
        assert_eq!(Spread::of(Vec::new()), Spread::default());
    }
}
