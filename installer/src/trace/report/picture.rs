//! Draws the time line: SVG coordinates, titles and the marks of the axis.
//!
//! A lane's drawing is [`HEIGHT`] units high, which are pixels, and as many units wide as it has columns; the
//! page stretches it. A column's height is the share of its time that was spent in rocBLAS, with a minimum so
//! that a single call of a microsecond in an hour is visible.

use super::{
    colours::{COLOURS, Colours},
    lane::{Bar, Column},
    lanes::{Lanes, Thread},
    text::{coordinate, count, grouped, place, time},
};
use serde::Serialize;

/// The height of a lane.
const HEIGHT: f64 = 30.0;
/// The height of the strip above the bars, which marks failed calls.
const STRIP: f64 = 6.0;
/// The minimum height of a column with a call, as a fraction of the full height.
const LEAST: f64 = 0.2;
/// How much lower a nested call is drawn than the outer one, and up to which depth.
const STEP: f64 = 5.0;
const MOST_STEPS: u8 = 3;
/// The most marks of the axis.
const MOST_MARKS: f64 = 9.0;
/// How close to an edge, in percent, labels are aligned to one side of their mark: half a label in a narrow
/// window.
const NEAR: f64 = 6.0;
/// Half the width of the mark of a failed call, as a fraction of the picture's width.
const HALF: f64 = 0.003;
/// The minimum width, as a fraction of the picture's, of a bar that a line separates from its neighbours.
const WIDE: f64 = 0.004;
/// Lower parts of a column, in pixels, are left out if there are others.
const LOW: f64 = 0.3;
/// The most functions whose times a title lists.
const MOST_TIMES: usize = 3;
/// Space after the end of the time line, as a fraction of its length, for calls in flight that began just
/// then.
const BEHIND: f64 = 0.03;

/// The time line.
#[derive(Debug, Serialize)]
pub(super) struct Picture {
    /// Width in columns.
    width: String,
    height: f64,
    /// Where the picture begins and ends on the time line, in nanoseconds.
    from: f64,
    to: f64,
    marks: Vec<Mark>,
    groups: Vec<Group>,
    /// `7 more threads with 12 calls in 3 us have no lane`
    rest: Option<String>,
    /// The duration of a column: `1.05 ms`.
    column: String,
    /// Whether there are columns, failed calls, and calls in flight, which the legend then explains.
    has_columns: bool,
    has_failed: bool,
    has_in_flight: bool,
    /// Whether first calls of shapes are marked.
    has_firsts: bool,
}

/// A mark of the axis.
#[derive(Debug, PartialEq, Serialize)]
struct Mark {
    /// Position in percent of the width.
    x: String,
    label: String,
    /// How a label is aligned to stay within the picture: `start`, `middle`, `end`.
    anchor: &'static str,
}

/// The lanes of a process.
#[derive(Debug, Serialize)]
struct Group {
    process: String,
    lanes: Vec<Drawn>,
}

/// A lane.
#[derive(Debug, Serialize)]
struct Drawn {
    /// Its position among all lanes.
    place: usize,
    number: u32,
    tid: u32,
    name: String,
    calls: String,
    time: String,
    failed: Option<String>,
    in_flight: Option<String>,
    columns: Vec<Stack>,
    bars: Vec<Block>,
    open: Vec<Open>,
}

/// A column.
#[derive(Debug, PartialEq, Serialize)]
struct Stack {
    /// `None` if no call begins in it.
    title: Option<String>,
    parts: Vec<Part>,
    failed: Option<String>,
}

/// A coloured path.
#[derive(Debug, PartialEq, Serialize)]
struct Part {
    colour: usize,
    path: String,
}

/// A call that is drawn individually.
#[derive(Debug, PartialEq, Serialize)]
struct Block {
    title: String,
    colour: usize,
    path: String,
    is_wide: bool,
    is_first: bool,
    failed: Option<String>,
}

/// A call in flight, drawn from its begin to the end.
#[derive(Debug, PartialEq, Serialize)]
struct Open {
    title: String,
    colour: usize,
    /// When it began, in nanoseconds on the time line.
    begin: f64,
    /// Position in percent of the width.
    x: String,
    width: String,
    /// Position in pixels.
    y: f64,
    height: f64,
}

/// The period of time that is shown, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct View {
    from: f64,
    length: f64,
    /// The duration of a column.
    column: f64,
}

impl View {
    fn percent(self, at: f64) -> f64 {
        ((at - self.from) / self.length * 100.0).clamp(0.0, 100.0)
    }

    /// Converts a time to columns from the left edge.
    fn x(self, at: f64) -> f64 {
        (at - self.from) / self.column
    }
}

/// Draws lanes. `processes` are the names of the traces' processes.
pub(super) fn picture(lanes: &Lanes, processes: &[String], colours: &Colours) -> Picture {
    let (first, last) = lanes.range;
    let has_in_flight = lanes.threads.iter().any(|thread| thread.lane.counts().2 > 0);
    let columns = (last.saturating_sub(first)) as f64 + 1.0;
    let wide = if has_in_flight { columns * (1.0 + BEHIND) } else { columns };
    let view =
        View { from: first as f64 * lanes.width, length: wide * lanes.width, column: lanes.width };
    let groups = processes.iter().enumerate().filter_map(|(n, process)| {
        let own = lanes.threads.iter().enumerate().filter(|(_, thread)| thread.process == n);
        let lanes: Vec<Drawn> =
            own.map(|(place, thread)| drawn(place, thread, first, view, colours)).collect();
        (!lanes.is_empty()).then(|| Group { process: process.clone(), lanes })
    });
    let rest = lanes.rest;
    Picture {
        width: coordinate(wide),
        height: HEIGHT,
        from: view.from,
        to: view.from + view.length,
        marks: marks(view),
        groups: groups.collect(),
        rest: (rest.threads > 0).then(|| {
            format!(
                "{} with {} in {} {} no lane.",
                count(rest.threads, "more thread"),
                count(rest.calls, "call"),
                time(rest.time),
                if rest.threads == 1 { "has" } else { "have" },
            )
        }),
        column: time(lanes.width),
        has_columns: lanes.threads.iter().any(|thread| !thread.lane.columns().is_empty()),
        has_failed: lanes.threads.iter().any(|thread| thread.lane.counts().1 > 0),
        has_in_flight,
        has_firsts: lanes
            .threads
            .iter()
            .any(|thread| thread.lane.bars().iter().any(|bar| bar.span.is_first)),
    }
}

fn drawn(place: usize, thread: &Thread, first: i64, view: View, colours: &Colours) -> Drawn {
    let lane = &thread.lane;
    let (calls, failed, in_flight) = lane.counts();
    let some =
        |number: u64, what: &str| (number > 0).then(|| format!("{} {what}", grouped(number)));
    Drawn {
        place,
        number: thread.number,
        tid: thread.tid,
        name: thread.name.clone(),
        calls: count(calls, "call"),
        time: time(lane.time()),
        failed: some(failed, "failed"),
        in_flight: some(in_flight, "in flight"),
        columns: lane
            .columns()
            .iter()
            .map(|column| stack(column, column.index.saturating_sub(first), view, colours))
            .collect(),
        bars: lane.bars().iter().map(|bar| block(bar, view)).collect(),
        open: lane.in_flight().iter().map(|bar| open(bar, view)).collect(),
    }
}

/// `M12 30V24h1V30z`
fn rectangle(x: f64, width: f64, top: f64, bottom: f64) -> String {
    let [x, top, width, bottom] = [x, top, width, bottom].map(coordinate);
    format!("M{x} {bottom}V{top}h{width}V{bottom}z")
}

/// A mark in the strip above the bars, with its point at a place.
fn triangle(x: f64, view: View) -> String {
    let half = HALF * view.length / view.column;
    let [left, width, half, height] = [x - half, 2.0 * half, half, STRIP - 1.0].map(coordinate);
    format!("M{left} 0h{width}l-{half} {height}z")
}

fn stack(column: &Column, x: i64, view: View, colours: &Colours) -> Stack {
    let all: f64 = column.times.iter().sum();
    let most = column.times.iter().copied().fold(0.0, f64::max);
    let scale = (HEIGHT - STRIP) * (all / view.column).clamp(LEAST, 1.0) / all;
    let mut bottom = HEIGHT;
    let parts = column.times.iter().enumerate();
    let parts = parts.filter(|(_, time)| **time * scale >= LOW || **time >= most);
    let parts = parts.map(|(colour, time)| {
        let top = bottom - time * scale;
        let path = rectangle(x as f64, 1.0, top, bottom);
        bottom = top;
        Part { colour, path }
    });
    Stack {
        title: (column.calls > 0).then(|| title(column, view, colours)),
        parts: parts.collect(),
        failed: (column.failed > 0).then(|| triangle(x as f64 + 0.5, view)),
    }
}

/// Describes the single call of a column, or all of its calls.
fn title(column: &Column, view: View, colours: &Colours) -> String {
    let at = place(column.index as f64 * view.column);
    if let Some(only) = &column.only {
        return format!("{only}, at {at}");
    }
    let failed = match column.failed {
        0 => String::new(),
        failed => format!(", {} failed", grouped(failed)),
    };
    let mut parts: Vec<(usize, f64)> = (0..COLOURS).map(|n| (n, column.times[n])).collect();
    parts.retain(|(_, time)| *time > 0.0);
    parts.sort_by(|a, b| b.1.total_cmp(&a.1));
    let more = if parts.len() > MOST_TIMES { ", ..." } else { "" };
    let parts = parts.iter().take(MOST_TIMES);
    let parts = parts.map(|(n, spent)| format!("{} {}", colours.name(*n), time(*spent)));
    let parts: Vec<String> = parts.collect();
    let calls = count(column.calls, "call");
    format!("{calls}{failed} in {} at {at}: {}{more}", time(view.column), parts.join(", "))
}

/// The upper edge of a call at a depth.
fn top(depth: u8) -> f64 {
    STRIP + STEP * f64::from(depth.min(MOST_STEPS))
}

fn block(bar: &Bar, view: View) -> Block {
    let span = bar.span;
    let (from, to) = (view.x(span.begin), view.x(span.end));
    let first = if span.is_first { ", the first of its shape" } else { "" };
    Block {
        title: format!("{}, at {}{first}", bar.text, place(span.begin)),
        colour: span.colour,
        path: rectangle(from, to - from, top(span.depth), HEIGHT),
        is_wide: to - from >= WIDE * view.length / view.column,
        is_first: span.is_first,
        failed: span.failed.then(|| triangle(from, view)),
    }
}

fn open(bar: &Bar, view: View) -> Open {
    let span = bar.span;
    let x = view.percent(span.begin);
    Open {
        title: format!("{}, from {} on", bar.text, place(span.begin)),
        colour: span.colour,
        begin: span.begin.round(),
        x: coordinate(x),
        width: coordinate(100.0 - x),
        y: top(span.depth),
        height: HEIGHT - top(span.depth),
    }
}

/// Marks at round times.
fn marks(view: View) -> Vec<Mark> {
    let rough = view.length / MOST_MARKS;
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let step = steps.into_iter().find(|step| *step >= rough).unwrap_or(power * 10.0);
    let end = view.from + view.length;
    let units = [(1e0, "ns"), (1e3, "us"), (1e6, "ms"), (1e9, "s")];
    let largest = view.from.abs().max(end.abs());
    let (scale, unit) = units.into_iter().rev().find(|(s, _)| largest >= *s).unwrap_or(units[0]);
    // Subtracts a little, since a tenth has no exact binary representation.
    let decimals = ((scale / step).log10() - 1e-9).ceil().max(0.0) as usize;
    let first = (view.from / step).ceil();
    (0..=MOST_MARKS as u32)
        .map(|n| (first + f64::from(n)) * step)
        .take_while(|at| *at <= end)
        .map(|at| {
            let x = view.percent(at);
            let anchor = match x {
                x if x < NEAR => "start",
                x if x > 100.0 - NEAR => "end",
                _ => "middle",
            };
            let label = format!("{:.decimals$} {unit}", at / scale + 0.0);
            Mark { x: coordinate(x), label, anchor }
        })
        .collect()
}

#[cfg(test)]
mod tests;
