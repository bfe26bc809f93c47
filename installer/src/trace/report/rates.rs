//! Operations and bytes per second achieved against the work of a call, with a point for each shape.

use super::{
    colours::{Colours, short},
    text::{coordinate, count, grouped, time},
};
use crate::trace::{
    summary::{By, Row, scaled},
    work::Work,
};
use serde::Serialize;

/// The most shapes drawn: those with the most time.
const MOST_POINTS: usize = 200;

/// The minimum space of a label on the axis, in percent.
const LABEL: f64 = 12.0;
/// The last position at which a label may be centred.
const LAST_LABEL: f64 = 95.0;

/// Space between the outermost points and the edges, as a factor.
const MARGIN: f64 = 1.6;

/// Two charts.
#[derive(Debug, Default, Serialize)]
pub(super) struct Rates {
    charts: Vec<Chart>,
    /// Whether rates are computed from GPU times.
    of_gpu: bool,
    more: Option<String>,
}

/// Points on two logarithmic axes.
#[derive(Debug, Serialize)]
struct Chart {
    /// `FLOP/s against FLOP of a call`
    name: &'static str,
    x: Vec<Tick>,
    y: Vec<Tick>,
    points: Vec<Point>,
}

/// A line of the grid.
#[derive(Debug, PartialEq, Serialize)]
struct Tick {
    /// Position in percent, from the left or from the top.
    at: String,
    label: Option<String>,
}

/// A shape.
#[derive(Debug, PartialEq, Serialize)]
struct Point {
    colour: usize,
    x: String,
    y: String,
    title: String,
}

/// A shape whose work and time are known.
struct Known<'a> {
    row: &'a Row,
    work: Work,
    rate: Work,
    /// Mean nanoseconds per call.
    mean: f64,
}

/// Draws the rates of shapes, which are ordered by time.
pub(super) fn rates<'a>(shapes: impl Iterator<Item = &'a Row> + Clone, colours: &Colours) -> Rates {
    let by = By::of(shapes.clone());
    let known = shapes.filter_map(|row| {
        let (work, rate) = (row.work_of_a_call()?, row.rate(by)?);
        let mean = if by == By::Gpu { row.gpu?.mean } else { row.mean };
        let is_some = [work.operations, work.bytes, rate.operations, rate.bytes];
        is_some.iter().all(|n| *n > 0.0 && n.is_finite()).then_some(Known { row, work, rate, mean })
    });
    let mut known: Vec<Known<'_>> = known.collect();
    if known.is_empty() {
        return Rates::default();
    }
    let more = known.len().saturating_sub(MOST_POINTS);
    known.truncate(MOST_POINTS);
    let charts = vec![
        chart("FLOP/s against FLOP of a call", &known, |work| work.operations, colours),
        chart("bytes/s against bytes of a call", &known, |work| work.bytes, colours),
    ];
    Rates { charts, of_gpu: by == By::Gpu, more: (more > 0).then(|| grouped(more as u64)) }
}

fn chart(
    name: &'static str,
    known: &[Known<'_>],
    of: fn(&Work) -> f64,
    colours: &Colours,
) -> Chart {
    let x = Axis::of(known.iter().map(|known| of(&known.work)));
    let y = Axis::of(known.iter().map(|known| of(&known.rate)));
    let point = |known: &Known<'_>| Point {
        colour: colours.of_name(&known.row.function),
        x: coordinate(x.percent(of(&known.work))),
        y: coordinate(100.0 - y.percent(of(&known.rate))),
        title: title(known),
    };
    let mut across = y.ticks();
    for tick in &mut across {
        tick.0 = 100.0 - tick.0;
    }
    let ticks = |ticks: Vec<(f64, Option<String>)>| {
        let tick = |(at, label)| Tick { at: coordinate(at), label };
        ticks.into_iter().map(tick).collect()
    };
    Chart { name, x: ticks(x.ticks()), y: ticks(across), points: known.iter().map(point).collect() }
}

fn title(known: &Known<'_>) -> String {
    let Known { row, work, rate, mean } = known;
    format!(
        "{}({}): {}FLOP and {}B in {} ({}), {}FLOP/s, {}B/s",
        short(&row.function),
        row.shape,
        unit(work.operations),
        unit(work.bytes),
        time(*mean),
        count(row.calls, "call"),
        unit(rate.operations),
        unit(rate.bytes),
    )
}

/// `12.3 G`, to be followed by a unit.
fn unit(number: f64) -> String {
    let text = scaled(number);
    if text.ends_with(|c: char| c.is_ascii_digit()) { text + " " } else { text }
}

/// A logarithmic axis.
#[derive(Clone, Copy)]
struct Axis {
    from: f64,
    length: f64,
}

impl Axis {
    fn of(numbers: impl Iterator<Item = f64> + Clone) -> Self {
        let least = numbers.clone().fold(f64::INFINITY, f64::min) / MARGIN;
        let most = numbers.fold(0.0, f64::max) * MARGIN;
        Self { from: least.log10(), length: most.log10() - least.log10() }
    }

    fn percent(self, number: f64) -> f64 {
        (number.log10() - self.from) / self.length * 100.0
    }

    /// Powers of ten, or if there are too few of them also 2 and 5 times these; some have a label.
    fn ticks(self) -> Vec<(f64, Option<String>)> {
        let factors: &[f64] = if self.length < 1.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let (first, last) = (self.from.floor() as i32, (self.from + self.length).ceil() as i32);
        let numbers = (first..=last)
            .flat_map(|power| factors.iter().map(move |factor| factor * 10_f64.powi(power)));
        let mut labelled = f64::NEG_INFINITY;
        numbers
            .map(|number| (self.percent(number), number))
            .filter(|(at, _)| (0.0..=100.0).contains(at))
            .map(|(at, number)| {
                let has_room = at - labelled >= LABEL && at <= LAST_LABEL;
                if has_room {
                    labelled = at;
                }
                (at, has_room.then(|| scaled(number)))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::row, *};
    use crate::trace::summary::Figures;

    fn shape(shape: &str, calls: u64, operations: f64, mean: f64) -> Row {
        let all = operations * calls as f64;
        Row {
            function: "rocblas_sgemm".to_owned(),
            shape: shape.to_owned(),
            calls,
            mean,
            others: mean * (calls - 1) as f64,
            work: Some(Work { operations: all, bytes: all / 10.0 }),
            statuses: [("success".to_owned(), calls)].into(),
            ..row()
        }
    }

    #[test]
    fn a_shape_is_a_point_at_what_it_achieved() {
        let rows = [shape("m=1", 11, 2e9, 1e5), shape("m=2", 3, 2e6, 1e4)];
        let drawn = rates(rows.iter(), &Colours::of(&rows));
        let [flop, bytes] = &drawn.charts[..] else { panic!("{drawn:?}") };
        assert_eq!((flop.points.len(), bytes.points.len()), (2, 2));
        assert_eq!(
            flop.points[0].title,
            "sgemm(m=1): 2.00 GFLOP and 200 MB in 100 us (11 calls), 20.0 TFLOP/s, 2.00 TB/s"
        );
        let place = |point: &Point| -> [f64; 2] {
            [&point.x, &point.y].map(|at| at.parse().expect("a number"))
        };
        let [[x, y], [left, below]] = [0, 1].map(|n| place(&flop.points[n]));
        assert!(x > 90.0 && y < 10.0 && left < 10.0 && below > 90.0, "{flop:?}");
        let labels: Vec<&str> = flop.x.iter().filter_map(|tick| tick.label.as_deref()).collect();
        assert_eq!(labels, ["10.0 M", "100 M", "1.00 G"]);
    }

    #[test]
    fn where_gpu_times_are_known_rates_are_by_these() {
        let gpu = |mean| Some(Figures { measured: 2, mean, total: 11.0 * mean });
        let timed = Row { gpu: gpu(1e6), ..shape("m=1", 11, 2e9, 1e4) };
        let rows = [timed, shape("m=2", 3, 2e6, 1e4)];
        let drawn = rates(rows.iter(), &Colours::of(&rows));
        let points = &drawn.charts[0].points;
        assert!(drawn.of_gpu && points.len() == 1, "the other is not comparable: {points:?}");
        let expected =
            "sgemm(m=1): 2.00 GFLOP and 200 MB in 1.00 ms (11 calls), 2.00 TFLOP/s, 200 GB/s";
        assert_eq!(points[0].title, expected);
    }

    #[test]
    fn what_failed_or_was_called_once_has_no_point() {
        let once = shape("m=1", 1, 2e9, 1e5);
        let failed = Row { errors: 5, ..shape("m=2", 5, 2e9, 1e5) };
        let unknown = Row { work: None, ..shape("m=3", 5, 2e9, 1e5) };
        let rows = [once, failed, unknown];
        assert!(rates(rows.iter(), &Colours::of(&rows)).charts.is_empty());
    }

    #[test]
    fn shapes_with_less_time_are_left_out_and_an_axis_has_labels_for_any_numbers() {
        let rows: Vec<Row> = (0..MOST_POINTS + 7).map(|_| shape("m=1", 4, 3e9, 5e4)).collect();
        let drawn = rates(rows.iter(), &Colours::of(&rows));
        assert_eq!((drawn.charts[0].points.len(), drawn.more.as_deref()), (MOST_POINTS, Some("7")));
        for length in [0.41, 1.0, 3.0, 9.0] {
            let axis = Axis { from: 3.3, length };
            let labels = axis.ticks().iter().filter(|(_, label)| label.is_some()).count();
            assert!((1..=9).contains(&labels), "{length}: {labels}");
        }
    }
}
