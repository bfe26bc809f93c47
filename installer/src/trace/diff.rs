//! Compares two traces, for example of two backends or drivers, or before and after a change. Calls are
//! compared by function and shape, and times by their medians, so that warm-up has little influence.

use super::summary::{ProcessRow, Row, Summary, by, named};
use crate::output::{HEADING, Line, Text, printable};
use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use rocblas_trace::text::Time;
use serde::Serialize;
use std::{collections::BTreeMap, slice::from_ref};

/// The differences.
#[derive(Clone, Debug, Serialize)]
pub struct Diff {
    /// The number of calls in the first and the second trace.
    pub calls: [u64; 2],
    /// Time in rocBLAS, in nanoseconds.
    pub time: [f64; 2],
    /// The backend and shim of each.
    pub backends: [Vec<String>; 2],
    /// Calls that are new, missing, or have different statuses.
    #[serde(flatten)]
    pub outcomes: Outcomes,
    /// Calls in both traces, the largest difference in time first.
    pub times: Vec<Compared>,
}

/// The differences other than times.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Outcomes {
    /// Functions and shapes that only the second trace has.
    pub new: Vec<Entry>,
    /// Functions and shapes that only the first trace has.
    pub gone: Vec<Entry>,
    /// Functions and shapes whose calls have different statuses.
    pub statuses: Vec<Changed>,
}

impl Outcomes {
    /// Whether there are no differences.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.gone.is_empty() && self.statuses.is_empty()
    }
}

/// A function and shape that only one trace has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The function.
    pub function: String,
    /// The shape.
    pub shape: String,
    /// The backend, if there are several; also empty for functions without a handle.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub backend: String,
    /// The number of calls.
    pub calls: u64,
    /// Total time in nanoseconds.
    pub total: f64,
}

/// A function and shape whose calls have different statuses.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Changed {
    /// The function.
    pub function: String,
    /// The shape.
    pub shape: String,
    /// The backend, if there are several; also empty for functions without a handle.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub backend: String,
    /// Calls by status in each trace.
    pub statuses: [BTreeMap<String, u64>; 2],
}

/// A function and shape in both traces.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The function.
    pub function: String,
    /// The shape.
    pub shape: String,
    /// The backend, if there are several; also empty for functions without a handle.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub backend: String,
    /// The number of calls in each trace.
    pub calls: [u64; 2],
    /// Medians in nanoseconds.
    pub p50: [f64; 2],
    /// Total times in nanoseconds.
    pub total: [f64; 2],
    /// The same without each trace's first call.
    pub others: [f64; 2],
    /// The second median divided by the first.
    pub ratio: f64,
}

/// Function, shape, and the backend if a trace has several.
type Key<'a> = [&'a str; 3];

/// Rows by key.
type Keyed<'a> = BTreeMap<Key<'a>, &'a Row>;

fn keyed(summary: &Summary) -> Keyed<'_> {
    summary.shapes.iter().map(|row| (key(row), row)).collect()
}

fn key(row: &Row) -> Key<'_> {
    [&row.function, &row.shape, &row.backend]
}

/// How often alike calls were made and how they ended, summed over several traces.
#[derive(Clone, Debug, Default)]
struct Tally {
    calls: u64,
    errors: u64,
    total: f64,
    statuses: BTreeMap<String, u64>,
}

/// Tallies by key.
type Tallied<'a> = BTreeMap<Key<'a>, Tally>;

fn tallied(summaries: &[Summary]) -> Tallied<'_> {
    let mut tallied = Tallied::new();
    for row in summaries.iter().flat_map(|summary| &summary.shapes) {
        let tally = tallied.entry(key(row)).or_default();
        tally.calls += row.calls;
        tally.errors += row.errors;
        tally.total += row.total;
        for (status, calls) in &row.statuses {
            *tally.statuses.entry(status.clone()).or_default() += calls;
        }
    }
    tallied
}

/// The entries of one that the other lacks, by time.
fn only(of: &Tallied<'_>, other: &Tallied<'_>) -> Vec<Entry> {
    let missing = of.iter().filter(|(key, _)| !other.contains_key(*key));
    let mut entries: Vec<Entry> = missing
        .map(|([function, shape, backend], tally)| Entry {
            function: (*function).to_owned(),
            shape: (*shape).to_owned(),
            backend: (*backend).to_owned(),
            calls: tally.calls,
            total: tally.total,
        })
        .collect();
    entries.sort_by(|x, y| y.total.total_cmp(&x.total));
    entries
}

/// Compares two summaries.
#[must_use]
pub fn diff(first: &Summary, second: &Summary) -> Diff {
    let (a, b) = (keyed(first), keyed(second));
    let both = a.iter().filter_map(|(key, row)| Some((*row, *b.get(key)?)));
    let mut times: Vec<Compared> = both
        .map(|(x, y)| Compared {
            function: x.function.clone(),
            shape: x.shape.clone(),
            backend: x.backend.clone(),
            calls: [x.calls, y.calls],
            p50: [x.p50, y.p50],
            total: [x.total, y.total],
            others: [x.others, y.others],
            ratio: if x.p50 > 0.0 { y.p50 / x.p50 } else { f64::NAN },
        })
        .collect();
    let difference = |c: &Compared| (c.others[1] - c.others[0]).abs();
    times.sort_by(|x, y| difference(y).total_cmp(&difference(x)));
    Diff {
        calls: [first.calls, second.calls],
        time: [first.time, second.time],
        backends: [first, second].map(|summary| {
            let names = |process: &ProcessRow| {
                let further = process.further_backends.iter().map(named);
                [process.backend.clone()].into_iter().chain(further).collect::<Vec<_>>()
            };
            summary.processes.iter().flat_map(names).collect()
        }),
        outcomes: outcomes(from_ref(first), from_ref(second)),
        times,
    }
}

/// Compares which calls were made and how they ended, with several traces on each side.
#[must_use]
pub fn outcomes(first: &[Summary], second: &[Summary]) -> Outcomes {
    let (a, b) = (tallied(first), tallied(second));
    let both = a.iter().filter_map(|(key, tally)| Some((key, tally, b.get(key)?)));
    let statuses = both
        .filter(|(_, x, y)| !same_outcomes(x, y))
        .map(|([function, shape, backend], x, y)| Changed {
            function: (*function).to_owned(),
            shape: (*shape).to_owned(),
            backend: (*backend).to_owned(),
            statuses: [x.statuses.clone(), y.statuses.clone()],
        })
        .collect();
    Outcomes { new: only(&b, &a), gone: only(&a, &b), statuses }
}

/// Whether calls ended with the same set of statuses and the same number of failures, regardless of how many
/// succeeded.
fn same_outcomes(a: &Tally, b: &Tally) -> bool {
    let shares = [(a.errors, b.calls), (b.errors, a.calls)];
    let [a_of_b, b_of_a] = shares.map(|(errors, calls)| u128::from(errors) * u128::from(calls));
    a.statuses.keys().eq(b.statuses.keys()) && a_of_b == b_of_a
}

/// The differences as text and tables of at most that many rows each.
#[must_use]
pub fn text(diff: &Diff, rows: usize) -> Text {
    let mut page = Text::new();
    for (name, i) in [("first ", 0), ("second", 1)] {
        page.line(format_args!(
            "{name} {} calls, {} in rocBLAS, backend {}",
            diff.calls[i],
            Time(diff.time[i]),
            diff.backends[i].join(", ")
        ));
    }
    page.append(&outcomes_text(&diff.outcomes, ["in the first", "in the second"], rows));
    if !diff.times.is_empty() {
        page.line("");
        page.line(Line::new().styled(HEADING, "In both, by the difference in time"));
        let cells = diff.times.iter().take(rows).map(|compared| {
            vec![
                compared.calls[0].to_string(),
                compared.calls[1].to_string(),
                Time(compared.p50[0]).to_string(),
                Time(compared.p50[1]).to_string(),
                ratio(compared.ratio),
                call(&compared.function, &compared.shape) + &by(&compared.backend),
            ]
        });
        let header = ["calls", "2nd", "p50", "2nd", "ratio", "function"];
        page.append(&table(&header, cells, diff.times.len()));
    }
    page
}

/// The differences other than times, as text. `places` gives the positions of calls that the other side
/// lacks.
#[must_use]
pub(crate) fn outcomes_text(outcomes: &Outcomes, places: [&str; 2], rows: usize) -> Text {
    const BAD: Style = AnsiColor::Red.on_default();
    let mut page = Text::new();
    if !outcomes.statuses.is_empty() {
        page.line("");
        page.line(Line::new().styled(BAD, "Changed statuses"));
        for changed in outcomes.statuses.iter().take(rows) {
            let [a, b] = changed.statuses.each_ref().map(counted);
            let Changed { function, shape, backend, .. } = changed;
            page.line(format_args!("  {function}({shape}){}: {a} -> {b}", by(backend)));
        }
        more(&mut page, outcomes.statuses.len(), rows);
    }
    for (place, entries) in places.into_iter().zip([&outcomes.gone, &outcomes.new]) {
        if entries.is_empty() {
            continue;
        }
        page.line("");
        page.line(Line::new().styled(HEADING, format_args!("Only {place}")));
        for entry in entries.iter().take(rows) {
            let Entry { function, shape, backend, calls, total } = entry;
            page.line(format_args!(
                "  {calls:>8} calls {:>8}  {function}({shape}){}",
                Time(*total).to_string(),
                by(backend)
            ));
        }
        more(&mut page, entries.len(), rows);
    }
    page
}

/// `1 internal_error, 4 success`
pub(crate) fn counted(statuses: &BTreeMap<String, u64>) -> String {
    let counts: Vec<String> =
        statuses.iter().map(|(status, calls)| format!("{calls} {status}")).collect();
    counts.join(", ")
}

fn more(page: &mut Text, there_are: usize, shown: usize) {
    if there_are > shown {
        page.line(format_args!("  and {} more (--rows)", there_are - shown));
    }
}

/// A ratio with two decimals; empty if there is none.
pub(crate) fn ratio(ratio: f64) -> String {
    if ratio.is_nan() { String::new() } else { format!("{ratio:.2}") }
}

/// A function with its shape, as shown in the last cell of a row.
pub(crate) fn call(function: &str, shape: &str) -> String {
    format!("{}({shape})", function.strip_prefix("rocblas_").unwrap_or(function))
}

/// A table of numbers whose last column is a call, limited to some of its rows.
pub(crate) fn table(
    header: &[&str],
    rows: impl ExactSizeIterator<Item = Vec<String>>,
    there_are: usize,
) -> Text {
    let shown = rows.len();
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    for row in rows {
        // A line break would make a cell span several lines.
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    for column in 0..header.len() - 1 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut page: Text = table.lines().collect();
    more(&mut page, there_are, shown);
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(shape: &str, p50: f64, statuses: &[(&str, u64)]) -> Row {
        let calls = statuses.iter().map(|(_, calls)| calls).sum();
        let failed = statuses.iter().filter(|(status, _)| *status != "success");
        Row {
            function: "rocblas_sgemm".to_owned(),
            shape: shape.to_owned(),
            backend: String::new(),
            calls,
            errors: failed.map(|(_, calls)| calls).sum(),
            total: p50 * calls as f64,
            first: p50,
            others: p50 * (calls - 1) as f64,
            mean: p50,
            p50,
            p99: p50,
            max: p50,
            work: None,
            gpu: None,
            statuses: statuses.iter().map(|(name, calls)| ((*name).to_owned(), *calls)).collect(),
        }
    }

    #[test]
    fn each_side_keeps_its_figures() {
        let of = |shapes: Vec<Row>| Summary {
            calls: shapes.iter().map(|row| row.calls).sum(),
            time: shapes.iter().map(|row| row.total).sum(),
            shapes,
            ..Summary::default()
        };
        let first =
            of(vec![row("m=1", 100.0, &[("success", 2)]), row("m=2", 5.0, &[("success", 1)])]);
        let both = [("internal_error", 1), ("success", 2)];
        let second = of(vec![row("m=1", 150.0, &both), row("m=3", 7.0, &[("success", 4)])]);
        let diff = diff(&first, &second);
        assert_eq!((diff.calls, diff.time), ([3, 7], [205.0, 478.0]));
        let shapes = |entries: &[Entry]| -> Vec<(String, u64)> {
            entries.iter().map(|entry| (entry.shape.clone(), entry.calls)).collect()
        };
        assert_eq!(shapes(&diff.outcomes.gone), [("m=2".to_owned(), 1)]);
        assert_eq!(shapes(&diff.outcomes.new), [("m=3".to_owned(), 4)]);
        let [changed] = diff.outcomes.statuses.as_slice() else { panic!("{:?}", diff.outcomes) };
        assert_eq!(changed.statuses, [&first, &second].map(|of| of.shapes[0].statuses.clone()));
        let [compared] = diff.times.as_slice() else { panic!("{:?}", diff.times) };
        assert_eq!((compared.calls, compared.p50), ([2, 3], [100.0, 150.0]));
        assert_eq!((compared.total, compared.ratio), ([200.0, 450.0], 1.5));
    }
}
