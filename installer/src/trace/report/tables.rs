//! Rows of functions and shapes for the page's tables.

use super::{
    colours::{Colours, short},
    text::{coordinate, grouped, percent, time},
};
use crate::trace::{
    summary::{By, Row, scaled},
    work::Work,
};
use serde::Serialize;

/// A table of alike calls.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    rows: Vec<Line>,
    has_failed: bool,
    has_work: bool,
    /// Whether rates of any shape are known.
    has_rate: bool,
    /// Whether GPU times were measured, in which case they determine the rates.
    has_gpu: bool,
    /// The number of omitted rows.
    left_out: Option<String>,
}

/// A row.
#[derive(Debug, Serialize)]
struct Line {
    colour: usize,
    function: String,
    /// The words of its shape; empty if all shapes are combined.
    shape: Vec<String>,
    /// The backend, if there are several.
    backend: Option<String>,
    calls: Cell,
    /// `None` if no call has ended.
    first: Option<Cell>,
    /// Like all the following fields, of all calls except the first; `None` if there are no others.
    others: Option<Cell>,
    /// Share of the time of all functions.
    share: Option<String>,
    /// Length in percent of the longest bar.
    bar: String,
    mean: Option<Cell>,
    p50: Option<Cell>,
    p99: Option<Cell>,
    failed: Option<Cell>,
    operations: Option<Cell>,
    bytes: Option<Cell>,
    /// The mean of the measured calls, and an extrapolated total for all calls.
    gpu_mean: Option<Cell>,
    gpu_total: Option<Cell>,
    /// Only for calls of one shape.
    operations_a_second: Option<Cell>,
    bytes_a_second: Option<Cell>,
}

/// A number.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Cell {
    text: String,
    /// The value to sort by.
    value: String,
}

impl Cell {
    pub(crate) fn count(number: u64) -> Self {
        Self { text: grouped(number), value: number.to_string() }
    }

    pub(crate) fn time(nanoseconds: f64) -> Self {
        Self::of(time(nanoseconds), nanoseconds)
    }

    /// A number with its displayed text.
    pub(crate) fn of(text: String, number: f64) -> Self {
        Self { text, value: coordinate(number) }
    }

    fn amount(number: f64) -> Self {
        Self { text: scaled(number), value: format!("{number:e}") }
    }
}

/// A table of at most `most` rows. Rows with failed calls take precedence over others, however little time
/// they took. `all` is the time of all functions in nanoseconds, without first calls.
pub(super) fn table<'a>(
    rows: impl IntoIterator<Item = &'a Row>,
    most: usize,
    all: f64,
    colours: &Colours,
) -> Table {
    let mut chosen: Vec<&Row> = rows.into_iter().collect();
    // Rows are ordered by time, which a stable sort preserves.
    chosen.sort_by_key(|row| row.errors == 0);
    let left_out = chosen.len().saturating_sub(most);
    chosen.truncate(most);
    chosen.sort_by(|a, b| b.others.total_cmp(&a.others).then(b.total.total_cmp(&a.total)));
    let by = By::of(chosen.iter().copied());
    let longest = chosen.first().map_or(0.0, |row| row.others);
    Table {
        has_failed: chosen.iter().any(|row| row.errors > 0),
        has_work: chosen.iter().any(|row| row.work.is_some()),
        has_rate: chosen.iter().any(|row| rate(row, by).is_some()),
        has_gpu: by == By::Gpu,
        rows: chosen.into_iter().map(|row| line(row, by, all, longest, colours)).collect(),
        left_out: (left_out > 0).then(|| grouped(left_out as u64)),
    }
}

/// The rates achieved by calls of a shape.
fn rate(row: &Row, by: By) -> Option<Work> {
    row.rate(by).filter(|_| !row.shape.is_empty())
}

fn line(row: &Row, by: By, all: f64, longest: f64, colours: &Colours) -> Line {
    let time = |nanoseconds| (row.others > 0.0).then(|| Cell::time(nanoseconds));
    Line {
        colour: colours.of_name(&row.function),
        function: short(&row.function),
        shape: row.shape.split(", ").filter(|word| !word.is_empty()).map(str::to_owned).collect(),
        backend: Some(row.backend.clone()).filter(|backend| !backend.is_empty()),
        calls: Cell::count(row.calls),
        first: (row.first > 0.0).then(|| Cell::time(row.first)),
        others: time(row.others),
        // A function called once has no share: its only time is that of a first call.
        share: (row.others > 0.0).then(|| percent(row.others, all)),
        bar: coordinate(if longest > 0.0 { row.others / longest * 100.0 } else { 0.0 }),
        mean: time(row.mean),
        p50: time(row.p50),
        p99: time(row.p99),
        failed: (row.errors > 0).then(|| Cell::count(row.errors)),
        operations: row.work.map(|work| Cell::amount(work.operations)),
        bytes: row.work.map(|work| Cell::amount(work.bytes)),
        gpu_mean: row.gpu.map(|gpu| Cell::time(gpu.mean)),
        gpu_total: row.gpu.map(|gpu| Cell::time(gpu.total)),
        operations_a_second: rate(row, by).map(|rate| Cell::amount(rate.operations)),
        bytes_a_second: rate(row, by).map(|rate| Cell::amount(rate.bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(shape: &str, total: f64, errors: u64) -> Row {
        Row {
            shape: shape.to_owned(),
            calls: 1000,
            errors,
            total: total + 5.0,
            first: 5.0,
            others: total,
            mean: total / 1000.0,
            p99: 2.0,
            max: 3.0,
            ..super::super::testing::row()
        }
    }

    #[test]
    fn rows_with_failed_calls_are_not_left_out_for_their_short_time() {
        let rows: Vec<Row> =
            (0..10).map(|n| row(&format!("m={n}"), 100.0 - f64::from(n), 0)).collect();
        let rows = [rows, vec![row("bad", 1.0, 5)]].concat();
        let table = table(&rows, 4, 1000.0, &Colours::of(&rows[..1]));
        let shapes: Vec<_> = table.rows.iter().map(|row| row.shape.join(", ")).collect();
        assert_eq!(shapes, ["m=0", "m=1", "m=2", "bad"]);
        assert_eq!(table.left_out.as_deref(), Some("7"));
        assert!(table.has_failed && !table.has_work);
        let first = &table.rows[0];
        let share = first.share.as_deref();
        assert_eq!((first.bar.as_str(), share, first.colour), ("100", Some("10.0%"), 0));
        assert_eq!((first.calls.text.as_str(), first.calls.value.as_str()), ("1,000", "1000"));
        assert_eq!(table.rows[3].bar, "1");
    }

    #[test]
    fn a_table_of_calls_that_never_ended_has_no_bars() {
        let rows = [row("", 0.0, 0)];
        let table = table(&rows, 4, 0.0, &Colours::of(&rows));
        assert_eq!((table.rows[0].bar.as_str(), &table.rows[0].share), ("0", &None));
        assert!(table.rows[0].shape.is_empty());
    }
}
