//! A summary in words and tables, for a terminal or a log file.

use super::{Failure, Instance, Row, Summary};
use anstyle::{AnsiColor, Style};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use rocblas_trace::text::Time;
use std::fmt::Write;

const HEADING: Style = Style::new().bold();
const BAD: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();

/// The text of a summary with so many rows of functions and of shapes. Colours repeat what the words say;
/// `anstream` takes them out where there is no terminal.
#[must_use]
pub fn text(summary: &Summary, rows: usize) -> String {
    let mut page = String::new();
    head(&mut page, summary);
    failures(&mut page, summary);
    in_flight(&mut page, summary);
    let functions: Vec<&Row> = summary.functions.iter().collect();
    table(&mut page, "By function", &functions, rows);
    let shapes: Vec<&Row> = summary.shaped().collect();
    table(&mut page, "By function and shape", &shapes, rows);
    for (why, count) in &summary.missing {
        line(&mut page, &format!("{DIM}{count} calls {}{DIM:#}", missing(why)));
    }
    for problem in &summary.problems {
        line(&mut page, &format!("{BAD}{problem}{BAD:#}"));
    }
    page
}

/// `are not here: WHY`, or for calls that are, what they lack.
pub(in crate::trace) fn missing(why: &str) -> String {
    match why.strip_prefix("an exit") {
        Some(_) => format!("have not {why}"),
        None => format!("are not here: {why}"),
    }
}

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}

fn head(page: &mut String, summary: &Summary) {
    for process in &summary.processes {
        line(
            page,
            &format!("{HEADING}{}{HEADING:#} on {}, {}", process.name, process.host, process.life),
        );
        if !process.command.is_empty() {
            line(page, &format!("  {}", shortened(&process.command)));
        }
        if !process.backend.is_empty() {
            line(page, &format!("  shim {}, backend {}", process.shim, process.backend));
        }
    }
    for (number, device) in &summary.devices {
        line(page, &format!("  GPU {number}: {} ({})", device.name, device.target));
    }
    let threads: usize = summary.processes.iter().map(|process| process.threads).sum();
    let plural = |n: u64| if n == 1 { "" } else { "s" };
    line(
        page,
        &format!(
            "{} call{} of {} function{} in {threads} thread{} over {}, {} of it in rocBLAS on the host",
            summary.calls,
            plural(summary.calls),
            summary.functions.len(),
            plural(summary.functions.len() as u64),
            plural(threads as u64),
            Time(summary.span),
            Time(summary.time),
        ),
    );
}

/// Command lines of servers go on for long.
fn shortened(command: &str) -> String {
    const MOST: usize = 200;
    match command.char_indices().nth(MOST) {
        Some((end, _)) => format!("{} ...", &command[..end]),
        None => command.to_owned(),
    }
}

fn failures(page: &mut String, summary: &Summary) {
    if summary.failures.is_empty() {
        return;
    }
    line(page, "");
    let plural = if summary.errors == 1 { "" } else { "s" };
    line(page, &format!("{BAD}{} call{plural} failed{BAD:#}", summary.errors));
    for failure in &summary.failures {
        let times =
            if failure.calls == 1 { "once".to_owned() } else { format!("{} times", failure.calls) };
        let Failure { status, first, .. } = failure;
        line(page, &format!("  {BAD}{status}{BAD:#} {times}, first {}", place(first)));
        line(page, &format!("    {}", first.call));
    }
}

fn in_flight(page: &mut String, summary: &Summary) {
    if summary.unfinished == 0 {
        return;
    }
    line(page, "");
    line(
        page,
        &format!("{BAD}In flight at the end{BAD:#}: a call that crashed or hung is one of these"),
    );
    for call in &summary.in_flight {
        line(page, &format!("  {} {}", place(call), call.call));
    }
    let more = summary.unfinished - summary.in_flight.len() as u64;
    if more > 0 {
        line(page, &format!("{DIM}  and {more} more{DIM:#}"));
    }
}

/// `at 3.200000 s in thread 1:`
fn place(call: &Instance) -> String {
    format!("at {:.6} s in thread {}:", call.at / 1e9, call.thread)
}

fn table(page: &mut String, heading: &str, rows: &[&Row], most: usize) {
    if rows.is_empty() || most == 0 {
        return;
    }
    line(page, "");
    line(page, &format!("{HEADING}{heading}{HEADING:#}"));
    let has_work = rows.iter().any(|row| row.work.is_some_and(|work| work.operations > 0.0));
    let has_errors = rows.iter().any(|row| row.errors > 0);
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // The last column is as long as it is: broken in a table, a shape is unreadable.
    table.set_content_arrangement(ContentArrangement::Disabled);
    let mut header = vec!["calls", "total", "mean", "p50", "p99"];
    if has_errors {
        header.push("errors");
    }
    if has_work {
        header.extend(["FLOP", "bytes"]);
    }
    header.push("function");
    table.set_header(&header);
    for row in rows.iter().take(most) {
        let times = [row.total, row.mean, row.p50, row.p99].map(|time| Time(time).to_string());
        let mut cells = vec![row.calls.to_string()];
        cells.extend(times);
        if has_errors {
            cells.push(if row.errors == 0 { String::new() } else { row.errors.to_string() });
        }
        if has_work {
            let of = |what: fn(&super::Work) -> f64| {
                row.work.as_ref().map_or(String::new(), |work| scaled(what(work)))
            };
            cells.extend([of(|work| work.operations), of(|work| work.bytes)]);
        }
        let name = row.function.strip_prefix("rocblas_").unwrap_or(&row.function);
        cells.push(match row.shape.as_str() {
            "" => name.to_owned(),
            shape => format!("{name}({shape})"),
        });
        table.add_row(cells);
    }
    for column in 0..header.len() - 1 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for text in table.lines() {
        line(page, text.trim_end());
    }
    if rows.len() > most {
        let _ = writeln!(page, "{DIM}  and {} more (--rows){DIM:#}", rows.len() - most);
    }
}

/// Three digits and a prefix of the SI: `12.3 M`; nothing for nothing.
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
