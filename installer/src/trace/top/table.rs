//! A snapshot as text and a table.

use super::meter::Snapshot;
use crate::{
    output::{BAD, DIM, HEADING, Line, Text, count, grouped},
    trace::diff,
};
use rocblas_trace::text::Time;

/// A call that has taken this long, in nanoseconds, may hang and is listed.
const LONG: f64 = 1e9;

/// The most calls in flight that are listed.
const MOST_NAMED: usize = 5;

/// The text shown until the first interval is over.
pub(super) fn waiting(name: &str) -> Text {
    let mut page = Text::new();
    page.line(Line::new().styled(HEADING, name).text(": counting calls, q quits"));
    page
}

/// The text of a snapshot.
pub(super) fn text(snapshot: &Snapshot) -> Text {
    let mut page = Text::new();
    let Snapshot { threads, rate, share, errors, .. } = snapshot;
    let threads = count(*threads as u64, "thread");
    let head = format!(
        "  {} calls/s in {threads}, {} in rocBLAS on the host",
        per_second(*rate),
        percent(*share)
    );
    let mut line = Line::new().styled(HEADING, &snapshot.name).text(head);
    if *errors > 0 {
        line = line.text(", ").styled(BAD, format_args!("{} failed", grouped(*errors)));
    }
    page.line(line);
    for call in snapshot.in_flight.iter().filter(|call| call.time >= LONG).take(MOST_NAMED) {
        let since = format!("in flight for {} in thread {}: ", Time(call.time), call.thread);
        page.line(Line::new().styled(BAD, since).text(&call.call));
    }
    if snapshot.functions.is_empty() {
        page.line(Line::new().styled(DIM, "no call has ended yet"));
        return page;
    }
    let rows = snapshot.functions.iter().map(|row| {
        let was_called = row.rate > 0.0;
        let shown = |text: String| if was_called { text } else { String::new() };
        vec![
            shown(per_second(row.rate)),
            shown(percent(row.share)),
            shown(Time(row.mean).to_string()),
            shown(Time(row.max).to_string()),
            some(row.in_flight as u64),
            grouped(row.calls),
            some(row.errors),
            row.function.strip_prefix("rocblas_").unwrap_or(&row.function).to_owned(),
        ]
    });
    let header = ["calls/s", "time", "mean", "max", "in flight", "calls", "errors", "function"];
    page.append(&diff::table(&header, rows, snapshot.functions.len()));
    page
}

/// Empty for 0.
fn some(number: u64) -> String {
    if number == 0 { String::new() } else { grouped(number) }
}

/// Calls per second, rounded if there are many.
fn per_second(rate: f64) -> String {
    if rate < 9.95 { format!("{rate:.1}") } else { grouped(rate.round() as u64) }
}

/// A fraction of the interval as a percentage.
fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::{
        super::meter::{InFlight, Row},
        *,
    };

    fn row(function: &str, rate: f64, errors: u64) -> Row {
        Row {
            function: function.to_owned(),
            rate,
            share: 0.25,
            mean: 20_500.0,
            max: 1e6,
            in_flight: usize::from(errors > 0),
            calls: 12_345,
            errors,
        }
    }

    #[test]
    fn a_snapshot_is_a_table() {
        let snapshot = Snapshot {
            name: "llama-server (process 4711)".to_owned(),
            interval: 1e9,
            threads: 2,
            rate: 1234.4,
            share: 0.5,
            errors: 3,
            functions: vec![row("rocblas_sgemm", 1230.4, 0), row("rocblas_strsm", 0.0, 3)],
            in_flight: vec![InFlight {
                function: "rocblas_strsm".to_owned(),
                call: "rocblas_strsm(left, m=64)".to_owned(),
                thread: 2,
                time: 3.2e9,
            }],
            is_over: false,
        };
        let plain = text(&snapshot).plain();
        let lines: Vec<&str> = plain.lines().collect();
        assert_eq!(
            lines,
            [
                "llama-server (process 4711)  1,234 calls/s in 2 threads, 50.0% in rocBLAS on the host, 3 failed",
                "in flight for 3.20 s in thread 2: rocblas_strsm(left, m=64)",
                " calls/s   time     mean      max  in flight   calls  errors  function",
                "   1,230  25.0%  20.5 us  1.00 ms             12,345          sgemm",
                "                                           1  12,345       3  strsm",
            ]
        );
    }
}
