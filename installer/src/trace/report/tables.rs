//! Rows of functions and shapes as the page's tables have them.

use super::{
    colours::{Colours, short},
    text::{coordinate, grouped, percent, time},
};
use crate::trace::summary::{Row, scaled};
use serde::Serialize;

/// A table of calls that are alike.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    rows: Vec<Line>,
    has_failed: bool,
    has_work: bool,
    /// Rows that are not here.
    left_out: Option<String>,
}

/// A row.
#[derive(Debug, Serialize)]
struct Line {
    colour: usize,
    function: String,
    /// `none`: of all shapes together.
    shape: Option<String>,
    /// Where there are several.
    backend: Option<String>,
    calls: Cell,
    /// None where no call has ended.
    first: Option<Cell>,
    /// Of the calls but the first one, as is all that follows; none where there is no other.
    others: Option<Cell>,
    /// Of the time of all functions.
    share: Option<String>,
    /// In percent of the longest bar.
    bar: String,
    mean: Option<Cell>,
    p50: Option<Cell>,
    p99: Option<Cell>,
    failed: Option<Cell>,
    operations: Option<Cell>,
    bytes: Option<Cell>,
}

/// A number.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Cell {
    text: String,
    /// To sort by.
    value: String,
}

impl Cell {
    pub(crate) fn count(number: u64) -> Self {
        Self { text: grouped(number), value: number.to_string() }
    }

    pub(crate) fn time(nanoseconds: f64) -> Self {
        Self::of(time(nanoseconds), nanoseconds)
    }

    /// A number that is shown as this text.
    pub(crate) fn of(text: String, number: f64) -> Self {
        Self { text, value: coordinate(number) }
    }

    fn amount(number: f64) -> Self {
        Self { text: scaled(number), value: format!("{number:e}") }
    }
}

/// Of so many rows at the most: those with failed calls before others, however little time they took.
/// `all` is the time of all functions in nanoseconds,
/// without first calls.
pub(super) fn table<'a>(
    rows: impl IntoIterator<Item = &'a Row>,
    most: usize,
    all: f64,
    colours: &Colours,
) -> Table {
    let mut chosen: Vec<&Row> = rows.into_iter().collect();
    // The order is that of time, and sorting keeps it.
    chosen.sort_by_key(|row| row.errors == 0);
    let left_out = chosen.len().saturating_sub(most);
    chosen.truncate(most);
    chosen.sort_by(|a, b| b.others.total_cmp(&a.others).then(b.total.total_cmp(&a.total)));
    let longest = chosen.first().map_or(0.0, |row| row.others);
    Table {
        has_failed: chosen.iter().any(|row| row.errors > 0),
        has_work: chosen.iter().any(|row| row.work.is_some()),
        rows: chosen.into_iter().map(|row| line(row, all, longest, colours)).collect(),
        left_out: (left_out > 0).then(|| grouped(left_out as u64)),
    }
}

fn line(row: &Row, all: f64, longest: f64, colours: &Colours) -> Line {
    let time = |nanoseconds| (row.others > 0.0).then(|| Cell::time(nanoseconds));
    Line {
        colour: colours.of_name(&row.function),
        function: short(&row.function),
        shape: Some(row.shape.clone()).filter(|shape| !shape.is_empty()),
        backend: Some(row.backend.clone()).filter(|backend| !backend.is_empty()),
        calls: Cell::count(row.calls),
        first: (row.first > 0.0).then(|| Cell::time(row.first)),
        others: time(row.others),
        // None of a call that was made once: its time is that of a first call.
        share: (row.others > 0.0).then(|| percent(row.others, all)),
        bar: coordinate(if longest > 0.0 { row.others / longest * 100.0 } else { 0.0 }),
        mean: time(row.mean),
        p50: time(row.p50),
        p99: time(row.p99),
        failed: (row.errors > 0).then(|| Cell::count(row.errors)),
        operations: row.work.map(|work| Cell::amount(work.operations)),
        bytes: row.work.map(|work| Cell::amount(work.bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(shape: &str, total: f64, errors: u64) -> Row {
        Row {
            function: "rocblas_sgemm".to_owned(),
            shape: shape.to_owned(),
            backend: String::new(),
            calls: 1000,
            errors,
            total: total + 5.0,
            first: 5.0,
            others: total,
            mean: total / 1000.0,
            p50: 1.0,
            p99: 2.0,
            max: 3.0,
            work: None,
            statuses: Default::default(),
        }
    }

    #[test]
    fn rows_with_failed_calls_are_not_left_out_for_their_short_time() {
        let rows: Vec<Row> =
            (0..10).map(|n| row(&format!("m={n}"), 100.0 - f64::from(n), 0)).collect();
        let rows = [rows, vec![row("bad", 1.0, 5)]].concat();
        let table = table(&rows, 4, 1000.0, &Colours::of(&rows[..1]));
        let shapes: Vec<_> =
            table.rows.iter().map(|row| row.shape.as_deref().unwrap_or("")).collect();
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
        assert_eq!(table.rows[0].shape, None);
    }
}
