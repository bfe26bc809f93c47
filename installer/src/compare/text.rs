//! A comparison as text and tables, for a terminal or a log file.

use super::{
    Comparison, Difference,
    figures::Side,
    first::First,
    times::{Spread, Timed},
};
use crate::{
    output::{BAD, DIM, GOOD, HEADING, Line, Text, count, quoted, shown},
    trace::diff::{call, outcomes_text, ratio, table},
};
use rocblas_trace::text::Time;

/// The sentence to show if only times differ.
pub(super) const SAME: &str = "The same calls are made, perhaps not as often, and end the same.";
/// The sentence to show if only the tables show a difference.
pub(super) const IN_ORDER: &str = "Calls that both make end the same, one after another.";

/// The text of a comparison, with at most `rows` rows of each table.
#[must_use]
pub(super) fn text(comparison: &Comparison, rows: usize) -> Text {
    let mut page = Text::new();
    page.line(Line::new().styled(HEADING, &comparison.command));
    for side in &comparison.backends {
        page.line(Line::from("  ").text(head(side)));
    }
    for difference in &comparison.differences {
        page.append(&text_of(difference, comparison, rows));
    }
    if !comparison.problems.is_empty() {
        page.line("");
    }
    for problem in &comparison.problems {
        page.line(Line::new().styled(BAD, problem));
    }
    page.line("");
    page.line(Line::new().styled(DIM, traces(comparison)));
    if let Some(report) = &comparison.report {
        page.line(format_args!("{} is written: open it in a browser", shown(report)));
    }
    page
}

/// `6.3.0 (4.3.0.reference): 7 calls in 1 run, 69.2 us in rocBLAS; ended with exit code 0`
fn head(side: &Side) -> String {
    let runs = side.runs.len();
    let time = match runs {
        1 => format!("{} in rocBLAS", Time(side.time.median)),
        _ => format!("{} in rocBLAS in a run", spread(side.time)),
    };
    let calls = count(side.calls(), "call");
    let runs = count(runs as u64, "run");
    format!("{}: {calls} in {runs}, {time}; {}", named(side), ends(side))
}

/// The name of a backend, and its version.
fn named(side: &Side) -> String {
    match side.version.as_str() {
        "" => side.name.clone(),
        version if version.starts_with(&side.name) => version.to_owned(),
        version => format!("{}, {version}", side.name),
    }
}

/// `1.20 ms (1.10 ms to 1.30 ms)`
pub(super) fn spread(spread: Spread) -> String {
    let Spread { min, median, max } = spread;
    format!("{} ({} to {})", Time(median), Time(min), Time(max))
}

/// `ended with exit code 0`, or each of several endings and how often it occurred.
pub(super) fn ends(side: &Side) -> String {
    let ends = side.ends();
    let is_one = ends.len() == 1;
    let ends = ends.into_iter().map(|(end, runs)| match is_one {
        true => end.to_string(),
        false => format!("{end} in {}", count(runs as u64, "run")),
    });
    ends.collect::<Vec<_>>().join(", ")
}

fn text_of(difference: &Difference, comparison: &Comparison, rows: usize) -> Text {
    let mut page = Text::new();
    let [first, second] = &difference.names;
    page.line("");
    page.line(Line::new().styled(HEADING, format_args!("{second} against {first}")));
    if difference.ends_differ {
        page.line("");
        page.line(Line::new().styled(BAD, "The program ends differently"));
        for side in comparison.sides(difference) {
            page.line(format_args!("  {}: {}", side.name, ends(side)));
        }
    }
    let places = [first, second].map(|name| format!("with {name}"));
    let places = places.each_ref().map(String::as_str);
    page.append(&outcomes_text(&difference.outcomes, places, rows));
    page.append(&times(&difference.times, comparison.runs, rows));
    match &difference.first {
        Some(found) => page.append(&first_call(found, &difference.names)),
        // Here the notice about traces without calls is sufficient.
        None if !comparison.sides(difference).all(Side::has_calls) => {}
        None => {
            page.line("");
            page.line(match difference.outcomes.is_empty() {
                true => Line::new().styled(GOOD, SAME),
                false => Line::from(IN_ORDER),
            });
        }
    }
    if let Some(results) = &difference.results {
        page.append(&results.text(&difference.names));
    }
    page
}

fn times(times: &[Timed], runs: u32, rows: usize) -> Text {
    let mut page = Text::new();
    if times.is_empty() {
        return page;
    }
    page.line("");
    page.line(Line::new().styled(HEADING, "Mean host time of a call, by the difference in a run"));
    page.line(Line::new().styled(DIM, about(runs)));
    let header: &[&str] = match runs {
        1 => &["calls", "2nd", "mean", "2nd", "ratio", "difference", "function"],
        _ => &[
            "calls",
            "2nd",
            "min",
            "median",
            "max",
            "2nd min",
            "median",
            "max",
            "ratio",
            "difference",
            "function",
        ],
    };
    let figures = |spread: &Spread| match runs {
        1 => vec![spread.median],
        _ => vec![spread.min, spread.median, spread.max],
    };
    let lines = times.iter().take(rows).map(|timed| {
        let mut line: Vec<String> = timed.calls.iter().map(u64::to_string).collect();
        line.extend(timed.mean.iter().flat_map(figures).map(|time| Time(time).to_string()));
        line.extend([ratio(timed.ratio), signed(timed.difference)]);
        line.push(call(&timed.function, &timed.shape));
        line
    });
    page.append(&table(header, lines, times.len()));
    page
}

/// What the numbers in the table are.
pub(super) fn about(runs: u32) -> String {
    let first = "A run's first call is left out unless it is the only one";
    match runs {
        1 => format!("One run of each: no spread (--runs). {first}"),
        _ => format!("Min, median and max of the means of {runs} runs of each. {first}"),
    }
}

/// A difference in time, with its sign.
pub(super) fn signed(nanoseconds: f64) -> String {
    let sign = match nanoseconds.round() {
        0.0 => "",
        rounded if rounded < 0.0 => "-",
        _ => "+",
    };
    format!("{sign}{}", Time(nanoseconds.abs()))
}

fn first_call(first: &First, names: &[String; 2]) -> Text {
    let mut page = Text::new();
    page.line("");
    page.line(Line::new().styled(BAD, "The first call with a different outcome"));
    page.line(Line::from("  ").text(&first.call));
    for (name, side) in names.iter().zip(&first.sides) {
        page.line(format_args!(
            "  {name}: {}, call {}:{} in run {}, {}",
            side.outcome, side.thread, side.sequence, side.run, side.process
        ));
    }
    page
}

/// Where to find the traces.
fn traces(comparison: &Comparison) -> String {
    match (&comparison.traces, comparison.backends.first().and_then(|side| side.runs.first())) {
        (Some(directory), Some(run)) => {
            let example = run.trace.as_deref().map(quoted).unwrap_or_default();
            format!(
                "The traces are in {}; `installer trace show {example}` shows the calls of a run",
                shown(directory)
            )
        }
        _ => "The traces are removed; --keep DIR keeps them".to_owned(),
    }
}
