//! A summary as text and tables, for a terminal or a log file.

use super::{Failure, Row, Summary};
use crate::{
    output::{DIM, HEADING, Line, Text, count, printable},
    trace::stacks,
};
use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use rocblas_trace::text::Time;

const BAD: Style = AnsiColor::Red.on_default();

/// The text of a summary with at most that many rows of functions and of shapes.
#[must_use]
pub fn text(summary: &Summary, rows: usize) -> Text {
    let mut page = Text::new();
    head(&mut page, summary);
    failures(&mut page, summary);
    silent(&mut page, summary);
    findings(&mut page, summary);
    in_flight(&mut page, summary);
    let functions: Vec<&Row> = summary.functions.iter().collect();
    table(&mut page, "By function", &functions, rows);
    let shapes: Vec<&Row> = summary.shaped().collect();
    table(&mut page, "By function and shape", &shapes, rows);
    callers(&mut page, summary, rows);
    for (why, calls) in &summary.missing {
        let calls = count(*calls, "call");
        page.line(Line::new().styled(DIM, format_args!("{calls} {}", missing(why))));
    }
    let mut notes = summary.on_checks();
    notes.extend(summary.on_gpu_times());
    notes.extend(summary.on_handles());
    notes.extend(summary.on_graphs());
    if !notes.is_empty() {
        page.line("");
    }
    for note in notes {
        page.line(Line::new().styled(DIM, note));
    }
    for problem in &summary.problems {
        page.line(Line::new().styled(BAD, problem));
    }
    page
}

/// `are not here: WHY`, or for calls that are in the trace, what they lack.
pub(crate) fn missing(why: &str) -> String {
    match why.strip_prefix("an exit") {
        Some(_) => format!("have not {why}"),
        None => format!("are not here: {why}"),
    }
}

fn head(page: &mut Text, summary: &Summary) {
    for process in &summary.processes {
        let rest = format_args!(" on {}, {}", process.host, process.life).to_string();
        page.line(Line::new().styled(HEADING, &process.name).text(rest));
        if !process.command.is_empty() {
            page.line(Line::from("  ").text(shortened(&process.command)));
        }
        if !process.backend.is_empty() {
            page.line(format_args!("  shim {}, backend {}", process.shim, process.backend));
        }
        for further in &process.further_backends {
            page.line(format_args!("  and backend {}", super::named(further)));
        }
    }
    for (number, device) in &summary.devices {
        page.line(format_args!("  GPU {number}: {} ({})", device.name, device.target));
    }
    let threads: usize = summary.processes.iter().map(|process| process.threads).sum();
    let plural = |n: u64| if n == 1 { "" } else { "s" };
    if let Some(nothing) = summary.nothing() {
        page.line(nothing);
        return;
    }
    page.line(format_args!(
        "{} call{} of {} function{} in {threads} thread{} over {}, {} of it in rocBLAS on the host",
        summary.calls,
        plural(summary.calls),
        summary.functions.len(),
        plural(summary.functions.len() as u64),
        plural(threads as u64),
        Time(summary.span),
        Time(summary.time),
    ));
}

/// Shortens the often long command lines of servers.
fn shortened(command: &str) -> String {
    const MOST: usize = 200;
    match command.char_indices().nth(MOST) {
        Some((end, _)) => format!("{} ...", &command[..end]),
        None => command.to_owned(),
    }
}

fn failures(page: &mut Text, summary: &Summary) {
    if summary.failures.is_empty() {
        return;
    }
    page.line("");
    let plural = if summary.errors == 1 { "" } else { "s" };
    let failed = format!("{} call{plural} failed", summary.errors);
    page.line(Line::new().styled(BAD, failed));
    list(page, &summary.failures);
}

/// Lists calls whose status does not report what went wrong.
fn silent(page: &mut Text, summary: &Summary) {
    let calls: u64 = summary.silent.iter().map(|failure| failure.calls).sum();
    if calls > 0 {
        page.line("");
        let calls = count(calls, "call");
        let what = format!("{calls} raised an error of HIP and did not return it");
        let why = ": a kernel that was not launched leaves results as they were";
        page.line(Line::new().styled(BAD, what).text(why));
        list(page, &summary.silent);
    }
    if summary.pending_errors > 0 {
        let calls = count(summary.pending_errors, "call");
        let what =
            "began and ended with the same error of HIP pending, which hides another of that kind";
        page.line(Line::new().styled(DIM, format_args!("{calls} {what}")));
    }
}

fn list(page: &mut Text, failures: &[Failure]) {
    for failure in failures {
        let times =
            if failure.calls == 1 { "once".to_owned() } else { format!("{} times", failure.calls) };
        let Failure { status, first, backend, .. } = failure;
        let by = if backend.is_empty() { String::new() } else { format!(" by {backend}") };
        let rest = format!(" {times}{by}, first {}", first.place());
        page.line(Line::from("  ").styled(BAD, status).text(rest));
        page.line(Line::from("    ").text(&first.call));
    }
}

fn findings(page: &mut Text, summary: &Summary) {
    if summary.findings.is_empty() {
        return;
    }
    page.line("");
    let outputs = count(summary.bad_outputs, "checked output");
    let have = if summary.bad_outputs == 1 { "has" } else { "have" };
    page.line(Line::new().styled(BAD, format_args!("{outputs} {have} NaN or infinite elements")));
    for found in &summary.findings {
        let number = format!(" {} ", found.call.place());
        page.line(Line::from(" ").text(number).styled(BAD, found.sentence()));
        page.line(Line::from("    ").text(&found.call.call));
        if let Some(file) = &found.saved {
            page.line(format_args!("    its operands are in {file}"));
        }
    }
    let more = summary.bad_outputs - summary.findings.len() as u64;
    if more > 0 {
        page.line(Line::new().styled(DIM, format_args!("  and {more} more")));
    }
}

fn in_flight(page: &mut Text, summary: &Summary) {
    if summary.unfinished == 0 {
        return;
    }
    page.line("");
    page.line(
        Line::new()
            .styled(BAD, "In flight at the end")
            .text(": a call that crashed or hung is one of these"),
    );
    for call in &summary.in_flight {
        page.line(format_args!("  {} {}", call.place(), call.call));
    }
    let more = summary.unfinished - summary.in_flight.len() as u64;
    if more > 0 {
        page.line(Line::new().styled(DIM, format_args!("  and {more} more")));
    }
}

/// ` [7.0.2]`: the backend of a row, if there are several.
pub(crate) fn by(backend: &str) -> String {
    if backend.is_empty() { String::new() } else { format!(" [{backend}]") }
}

fn table(page: &mut Text, heading: &str, rows: &[&Row], most: usize) {
    if rows.is_empty() || most == 0 {
        return;
    }
    page.line("");
    page.line(Line::new().styled(HEADING, heading));
    let has_work = rows.iter().any(|row| row.work.is_some_and(|work| work.operations > 0.0));
    let has_errors = rows.iter().any(|row| row.errors > 0);
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // The last column is not wrapped: a wrapped shape is unreadable.
    table.set_content_arrangement(ContentArrangement::Disabled);
    let mut header = vec!["calls", "first", "others", "mean", "p50", "p99"];
    if has_errors {
        header.push("errors");
    }
    let has_gpu = rows.iter().any(|row| row.gpu.is_some());
    if has_work {
        header.extend(["FLOP", "bytes"]);
    }
    if has_gpu {
        header.extend(["GPU mean", "GPU total"]);
    }
    header.push("function");
    table.set_header(&header);
    for row in rows.iter().take(most) {
        let time = |there: f64, time: f64| match there {
            0.0 => String::new(),
            _ => Time(time).to_string(),
        };
        let mut cells = vec![row.calls.to_string(), time(row.first, row.first)];
        let others = [row.others, row.mean, row.p50, row.p99];
        cells.extend(others.map(|figure| time(row.others, figure)));
        if has_errors {
            cells.push(if row.errors == 0 { String::new() } else { row.errors.to_string() });
        }
        if has_work {
            let of = |what: fn(&super::Work) -> f64| {
                row.work.as_ref().map_or(String::new(), |work| scaled(what(work)))
            };
            cells.extend([of(|work| work.operations), of(|work| work.bytes)]);
        }
        if has_gpu {
            let of = |what: fn(&super::Figures) -> f64| {
                row.gpu.as_ref().map_or(String::new(), |gpu| Time(what(gpu)).to_string())
            };
            cells.extend([of(|gpu| gpu.mean), of(|gpu| gpu.total)]);
        }
        let name = row.function.strip_prefix("rocblas_").unwrap_or(&row.function);
        let shape = match row.shape.as_str() {
            "" => String::new(),
            shape => format!("({shape})"),
        };
        cells.push(format!("{name}{shape}{}", by(&row.backend)));
        // A line break would make a cell span several lines.
        table.add_row(cells.iter().map(|cell| printable(cell)));
    }
    for column in 0..header.len() - 1 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for text in table.lines() {
        page.line(text);
    }
    if rows.len() > most {
        page.line(
            Line::new().styled(DIM, format_args!("  and {} more (--rows)", rows.len() - most)),
        );
    }
}

/// Lists callers, if call stacks are recorded.
fn callers(page: &mut Text, summary: &Summary, most: usize) {
    const MOST_CALLERS: usize = 3;
    let rows = summary.callers.innermost(MOST_CALLERS);
    if rows.is_empty() || most == 0 {
        return;
    }
    page.line("");
    let heading = Line::new().styled(HEADING, "Callers");
    page.line(heading.text(format_args!(", by {}", summary.callers.source())));
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["calls", "time", "function", "called by"]);
    for row in rows.iter().take(most) {
        let function = row.function.strip_prefix("rocblas_").unwrap_or(&row.function);
        let time = Time(row.time).to_string();
        let callers = stacks::line(&row.callers, MOST_CALLERS);
        let cells = [row.calls.to_string(), time, function.to_owned(), callers];
        table.add_row(cells.iter().map(|cell| printable(cell)));
    }
    for column in 0..2 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for text in table.lines() {
        page.line(text);
    }
    if rows.len() > most {
        let more = format!("  and {} more (--rows)", rows.len() - most);
        page.line(Line::new().styled(DIM, more));
    }
}

/// Three digits and an SI prefix: `12.3 M`; empty for 0.
pub(in crate::trace) fn scaled(number: f64) -> String {
    const PREFIXES: [&str; 7] = ["", " k", " M", " G", " T", " P", " E"];
    let (mut number, mut prefix) = (number, 0);
    while number >= 999.5 && prefix + 1 < PREFIXES.len() {
        number /= 1000.0;
        prefix += 1;
    }
    let decimals = match number {
        _ if prefix == 0 => 0,
        n if n < 9.995 => 2,
        n if n < 99.95 => 1,
        _ => 0,
    };
    let digits = format!("{number:.decimals$}{}", PREFIXES[prefix]);
    if number == 0.0 { String::new() } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let numbers = [0.0, 16.0, 999.0, 999.7, 1234.0, 99_949.0, 1e6, 2.5e12, 1e22];
        let expected =
            ["", "16", "999", "1.00 k", "1.23 k", "99.9 k", "1.00 M", "2.50 T", "10000 E"];
        assert_eq!(numbers.map(scaled), expected);
    }
}
