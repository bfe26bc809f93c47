//! A comparison as a page for a browser: a single file that needs no network, with the backends side by side.

use super::{
    Comparison, Difference,
    figures::Side,
    results::{self, Results},
    text::{IN_ORDER, SAME, about, ends, signed, spread},
    times::{Spread, Timed},
};
use crate::{
    output::grouped,
    trace::{
        diff::{self, counted},
        report::{Cell, coordinate, render, short, shown},
    },
};
use anyhow::Result;
use rocblas_trace::{read::CallId, text::Time};
use serde::Serialize;

/// The maximum number of rows of a table.
const MOST_ROWS: usize = 500;

/// The number of colours for backends; further backends share the last one.
const COLOURS: usize = 6;

/// The contents of the page.
#[derive(Debug, Serialize)]
struct Page {
    /// `llama-bench on 6.3.0 and 7.0.2`
    title: String,
    command: String,
    /// Whether only times differ, which the page shows at a glance.
    same: bool,
    outcome: &'static str,
    runs: String,
    backends: Vec<Backend>,
    differences: Vec<Section>,
    problems: Vec<String>,
    /// The version of this program.
    version: &'static str,
}

/// A backend and its runs.
#[derive(Debug, Serialize)]
struct Backend {
    colour: usize,
    name: String,
    version: String,
    shim: String,
    calls: String,
    failed: String,
    has_failed: bool,
    time: String,
    ends: String,
}

/// A backend, compared with the first one.
#[derive(Debug, Serialize)]
struct Section {
    names: [String; 2],
    colours: [usize; 2],
    /// What ends differently, is new or is missing.
    different: Vec<Different>,
    more_different: Option<String>,
    first: Option<First>,
    /// The sentence to show if no call ends differently.
    verdict: Option<&'static str>,
    /// The comparison of calls' results, if requested.
    results: Option<results::Page>,
    /// What the numbers of the table are.
    about: String,
    times: Vec<Line>,
    more_times: Option<String>,
}

/// A call that ends differently or that only one side makes; or the program.
#[derive(Debug, Serialize)]
struct Different {
    what: String,
    shape: Option<String>,
    sides: [String; 2],
}

/// The first call that ends differently.
#[derive(Debug, Serialize)]
struct First {
    call: String,
    sides: Vec<Found>,
}

#[derive(Debug, Serialize)]
struct Found {
    name: String,
    outcome: String,
    call: String,
    run: usize,
    process: String,
}

/// Times of a function with a certain shape.
#[derive(Debug, Serialize)]
struct Line {
    function: String,
    shape: String,
    sides: [Measured; 2],
    ratio: Option<Cell>,
    difference: Cell,
}

/// The times of one side.
#[derive(Debug, Serialize)]
struct Measured {
    calls: Cell,
    mean: Cell,
    /// From the minimum to the maximum, if there are several runs.
    range: Option<String>,
    /// The vertical centre of its bar, from the top.
    y: usize,
    /// The median and the ends of the range, in percent of the longest time of both sides.
    bar: String,
    from: String,
    to: String,
}

/// Renders the page.
///
/// # Errors
/// Only errors of the template.
pub(super) fn page(comparison: &Comparison) -> Result<String> {
    let names: Vec<String> = comparison.backends.iter().map(|side| shown(&side.name)).collect();
    let program = comparison.program.file_name().unwrap_or_default().to_string_lossy();
    let differences = comparison.differences.iter().enumerate();
    let page = Page {
        title: format!("{} on {}", shown(&program), names.join(", ")),
        command: shown(&comparison.command),
        same: comparison.same,
        outcome: outcome(comparison),
        runs: grouped(comparison.runs.into()),
        backends: comparison.backends.iter().enumerate().map(backend).collect(),
        differences: differences
            .map(|(i, difference)| section(comparison, difference, i + 1))
            .collect(),
        problems: comparison.problems.iter().map(|problem| shown(problem)).collect(),
        version: env!("CARGO_PKG_VERSION"),
    };
    render(include_str!("page.html"), &page)
}

fn outcome(comparison: &Comparison) -> &'static str {
    let mut differences = comparison.differences.iter();
    match comparison.same {
        true => "The same calls are made, perhaps not as often, and end the same",
        false if differences.any(|it| it.results.as_ref().is_some_and(Results::differ)) => {
            "Results differ by more than rounding"
        }
        false => "Something ends differently",
    }
}

fn backend((i, side): (usize, &Side)) -> Backend {
    let failed = side.runs.iter().map(|run| run.errors).sum();
    let is_one = side.runs.len() == 1;
    Backend {
        colour: colour(i),
        name: shown(&side.name),
        version: shown(&side.version),
        shim: side.shim.clone(),
        calls: grouped(side.calls()),
        failed: grouped(failed),
        has_failed: failed > 0,
        time: if is_one { Time(side.time.median).to_string() } else { spread(side.time) },
        ends: ends(side),
    }
}

fn colour(backend: usize) -> usize {
    backend.min(COLOURS - 1)
}

/// The section for a difference. `second` is the number of the second side's backend.
fn section(comparison: &Comparison, difference: &Difference, second: usize) -> Section {
    let different = different(comparison, difference);
    let names = difference.names.each_ref().map(|name| shown(name));
    let has_calls = comparison.sides(difference).all(Side::has_calls);
    let first = difference.first.as_ref().map(|first| First {
        call: shown(&first.call),
        sides: names
            .iter()
            .zip(&first.sides)
            .map(|(name, found)| Found {
                name: name.clone(),
                outcome: found.outcome.clone(),
                call: CallId { thread: found.thread, sequence: found.sequence }.to_string(),
                run: found.run,
                process: shown(&found.process),
            })
            .collect(),
    });
    Section {
        colours: [0, colour(second)],
        verdict: match (&first, difference.outcomes.is_empty()) {
            _ if !has_calls => None,
            (Some(_), _) => None,
            (None, true) => Some(SAME),
            (None, false) => Some(IN_ORDER),
        },
        first,
        results: difference.results.as_ref().map(|results| results.page(&difference.names)),
        names,
        more_different: more(different.len()),
        different: different.into_iter().take(MOST_ROWS).collect(),
        about: about(comparison.runs),
        times: difference
            .times
            .iter()
            .take(MOST_ROWS)
            .map(|timed| line(timed, comparison.runs))
            .collect(),
        more_times: more(difference.times.len()),
    }
}

/// How many rows the page omits.
fn more(there_are: usize) -> Option<String> {
    let more = there_are.saturating_sub(MOST_ROWS);
    (more > 0).then(|| grouped(more as u64))
}

/// The program, then calls that both sides make, then those that only one makes.
fn different(comparison: &Comparison, difference: &Difference) -> Vec<Different> {
    let mut rows = Vec::new();
    if difference.ends_differ {
        let mut sides = comparison.sides(difference).map(ends);
        let sides = [(); 2].map(|()| sides.next().unwrap_or_default());
        rows.push(Different { what: "The program".to_owned(), shape: None, sides });
    }
    let row = |function: &str, shape: &str, sides| Different {
        what: short(function),
        shape: Some(shape.to_owned()),
        sides,
    };
    let outcomes = &difference.outcomes;
    rows.extend(outcomes.statuses.iter().map(|changed| {
        row(&changed.function, &changed.shape, changed.statuses.each_ref().map(counted))
    }));
    let calls = |entry: &diff::Entry| crate::output::count(entry.calls, "call");
    let none = || "no call".to_owned();
    rows.extend(outcomes.gone.iter().map(|e| row(&e.function, &e.shape, [calls(e), none()])));
    rows.extend(outcomes.new.iter().map(|e| row(&e.function, &e.shape, [none(), calls(e)])));
    rows
}

fn line(timed: &Timed, runs: u32) -> Line {
    let longest = timed.mean.iter().fold(0.0, |longest: f64, mean| longest.max(mean.max));
    let percent = |time: f64| coordinate(if longest > 0.0 { time / longest * 100.0 } else { 0.0 });
    let side = |i: usize| {
        let Spread { min, median, max } = timed.mean[i];
        Measured {
            calls: Cell::count(timed.calls[i]),
            mean: Cell::time(median),
            range: (runs > 1).then(|| format!("{} to {}", Time(min), Time(max))),
            y: 4 + 10 * i,
            bar: percent(median),
            from: percent(min),
            to: percent(max),
        }
    };
    Line {
        function: short(&timed.function),
        shape: timed.shape.clone(),
        sides: [side(0), side(1)],
        ratio: (!timed.ratio.is_nan()).then(|| Cell::of(diff::ratio(timed.ratio), timed.ratio)),
        difference: Cell::of(signed(timed.difference), timed.difference),
    }
}
