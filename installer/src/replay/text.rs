//! Prints a replay as text and a table.

use super::{Outcome, Replay, Row, judge::Judged, minimise::LIMITS};
use crate::{
    output::{BAD, DIM, GOOD, HEADING, Line, NOTE, Text, count, grouped, shown},
    trace::{diff::table, show_capture::origin},
};
use anstyle::Style;
use rocblas_trace::text::Time;

fn style(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Right => GOOD,
        Outcome::Doubtful | Outcome::NotJudged => NOTE,
        _ => BAD,
    }
}

/// The column titles for [`cells`].
pub(super) const HEADER: [&str; 10] = [
    "verdict",
    "status",
    "HIP",
    "largest error",
    "of bound",
    "wrong",
    "runs",
    "min",
    "median",
    "backend",
];

/// The text of a replay.
#[must_use]
pub(super) fn text(replay: &Replay) -> Text {
    let mut page = Text::new();
    page.line(Line::new().styled(HEADING, &replay.call));
    page.line(Line::new().styled(DIM, origin(&replay.meta)));
    page.line("");
    let rows = replay.backends.iter().map(cells);
    page.append(&table(&HEADER, rows, replay.backends.len()));
    page.line("");
    for row in &replay.backends {
        page.append(&details(row));
    }
    page.line(cpu(replay));
    if let Some(minimised) = &replay.minimised {
        let tried = count(minimised.tried.into(), "smaller call");
        let mut tried = format!("{tried} tried on {}", minimised.backend);
        if minimised.is_cut_short {
            tried += &format!(", until {LIMITS} times --limit had passed");
        }
        page.line(match (&minimised.file, &minimised.error) {
            (Some(file), _) => {
                Line::new().text(format_args!("{tried}. {}: ", shown(file))).text(&minimised.call)
            }
            (None, Some(_)) => {
                Line::new().text(format_args!("{tried}. Not written: ")).text(&minimised.call)
            }
            (None, None) => {
                Line::new().text(format_args!("{tried}: none of them fails like this one."))
            }
        });
    }
    page
}

/// The cells of a row of the table.
pub(super) fn cells(row: &Row) -> Vec<String> {
    let none = || "-".to_owned();
    let worst = row.operands.iter().map(|judged| judged.largest_error).reduce(f64::max);
    let of_bound = row.operands.iter().map(|judged| judged.of_bound).reduce(f64::max);
    let wrong: u64 = row.operands.iter().map(|judged| judged.wrong).sum();
    let is_finite = row.operands.iter().all(|judged| judged.not_finite == 0);
    // A figure for the finite elements only would hide the worst ones.
    let figure = |text: String| if is_finite { text } else { "NaN/inf".to_owned() };
    let time = |time: u64| Time(time as f64).to_string();
    vec![
        row.outcome.word().to_owned(),
        row.status.clone().unwrap_or_else(none),
        row.hip_error.clone().unwrap_or_else(none),
        worst.map_or_else(none, |error| figure(format!("{error:.1e}"))),
        of_bound.map_or_else(none, |part| {
            figure(match part {
                0.0 => "0 %".to_owned(),
                0.001..=10.0 => format!("{:.1} %", part * 1e2),
                _ => format!("{part:.0e}"),
            })
        }),
        if row.operands.is_empty() { none() } else { grouped(wrong) },
        grouped(row.runs[0]),
        row.times.map_or_else(none, |[min, _]| time(min)),
        row.times.map_or_else(none, |[_, median]| time(median)),
        row.backend.clone(),
    ]
}

/// Details about a backend that are not in the table.
fn details(row: &Row) -> Text {
    let mut page = Text::new();
    let head =
        || Line::new().text(&row.backend).text(": ").styled(style(row.outcome), row.outcome.word());
    for wrong in elements(row) {
        page.line(head().text(", ").text(wrong));
    }
    if let Some((operand, place)) = &row.outside {
        let what = format!(
            ", {operand} was changed outside of its elements, first {place} elements from where it begins"
        );
        page.line(head().text(what));
    }
    if let Some(operand) = &row.changed_input {
        page.line(head().text(format_args!(", changed the input {operand}")));
    }
    if row.not_judged > 0 {
        let what = count(row.not_judged, "run");
        page.line(head().text(format_args!(", {what} gave results that were not judged")));
    }
    let [runs, wrong, different] = row.runs;
    if runs > 1 && (wrong > 0 || different > 1) {
        let results = if different > 1 {
            format!(", {} different results", grouped(different))
        } else {
            String::new()
        };
        page.line(head().text(format_args!(
            ", wrong in {} of {} runs{results}",
            grouped(wrong),
            grouped(runs)
        )));
    }
    if let Some(error) = &row.error {
        page.line(head().text(", ").text(error));
    }
    if row.outcome == Outcome::Missing {
        page.line(head().text(", the library does not have the function"));
    }
    let [name, target] = &row.device;
    let device = if target.is_empty() { String::new() } else { format!(" on {name} {target}") };
    let version = if row.version.is_empty() { String::new() } else { format!(", {}", row.version) };
    let same =
        row.same_as.as_ref().map_or_else(String::new, |same| format!(", the same bits as {same}"));
    let line = format!("{}: {}{version}{device}{same}", row.backend, shown(&row.library));
    page.line(Line::new().styled(DIM, line));
    page
}

/// The places where operands are wrong.
pub(super) fn elements(row: &Row) -> impl Iterator<Item = String> {
    row.operands.iter().filter(|judged| judged.first.is_some()).map(element)
}

/// `C: 3 of 4,096 elements, the first in row 1, column 2: NaN instead of 0.5, where 1.2e-6 is allowed`
fn element(judged: &Judged) -> String {
    let mut text = format!("{}: ", judged.operand);
    if judged.wrong > 0 {
        text += &format!("{} of {} elements, ", grouped(judged.wrong), grouped(judged.elements));
    }
    if judged.not_finite > 0 {
        text += &format!("{} of them NaN or infinite, ", grouped(judged.not_finite));
    }
    if let Some(first) = &judged.first {
        let problem = match first.problem {
            0 => String::new(),
            problem => format!("problem {problem}, "),
        };
        let column = first.column.map_or_else(String::new, |column| format!(", column {column}"));
        text += &format!(
            "the first in {problem}row {}{column}: {} instead of {}, where an error of {:.1e} is allowed",
            first.row, first.got, first.expected, first.bound
        );
    }
    text
}

fn cpu(replay: &Replay) -> Line {
    match (&replay.cpu.error, replay.cpu.bound) {
        (Some(error), _) => {
            Line::new().styled(NOTE, "not compared with the CPU").text(": ").text(error)
        }
        (None, bound) => Line::new().styled(
            DIM,
            format_args!(
                "CPU in double precision: {}; bound: {}. Rows and columns count from 0.",
                Time(replay.cpu.time as f64),
                bound.unwrap_or_default()
            ),
        ),
    }
}
