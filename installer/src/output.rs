//! What people and programs read: text with colours where stdout is a terminal, or one JSON document.

use crate::{apply::Report, backends::Listed, collect::Collected};
use anstream::{eprintln, print, println};
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::json;
use std::{fmt::Write, io};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Yellow.on_default();
const DIM: Style = Style::new().dimmed();

/// An error with its causes, to stderr, and as JSON to stdout if that is asked for.
pub fn error(error: &anyhow::Error, as_json: bool) {
    if as_json {
        let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
        println!("{:#}", json!({ "error": causes }));
    }
    eprintln!("{BAD}error{BAD:#}: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  {cause}");
    }
}

/// The columns of the terminal, or as many as read well.
#[must_use]
pub fn width() -> u16 {
    rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |size| size.ws_col).clamp(80, 120)
}

/// Something that a waiting person should know at once.
pub fn notice(text: &str) {
    eprintln!("{NOTE}{text}{NOTE:#}");
}

/// A value for programs or a text for people.
pub fn result(as_json: bool, value: &impl Serialize, text: &str) {
    if as_json {
        let document = serde_json::to_string_pretty(value).unwrap_or_else(|e| e.to_string());
        println!("{document}");
    } else {
        println!("{}", text.trim_end());
    }
}

/// The steps, remarks and the last line of a command that changes something.
pub fn report(as_json: bool, report: &Report, end: &str) {
    if as_json {
        return result(true, report, "");
    }
    let mut text = String::new();
    let mut reason = "";
    for step in &report.steps {
        // Hundreds of Tensile files have one reason.
        if step.reason != reason {
            reason = &step.reason;
            let _ = writeln!(text, "{DIM}# {reason}{DIM:#}");
        }
        let _ = writeln!(text, "  {}", step.action);
    }
    for remark in &report.remarks {
        let _ = writeln!(text, "{NOTE}note{NOTE:#}: {remark}");
    }
    for left in &report.left {
        let _ = writeln!(text, "{BAD}left{BAD:#}: {left}");
    }
    print!("{text}");
    println!("{GOOD}{end}{GOOD:#}");
}

/// What was collected: the large files, and how much it is.
#[must_use]
pub fn collected(collected: &Collected) -> String {
    let mut text = String::new();
    for remark in &collected.remarks {
        let _ = writeln!(text, "{NOTE}note{NOTE:#}: {remark}");
    }
    let _ = writeln!(
        text,
        "{GOOD}{} files, {}, are in {}; {} names are left to the base.{GOOD:#}",
        collected.files.len(),
        indicatif::HumanBytes(collected.bytes),
        collected.into.display(),
        collected.left.len()
    );
    text
}

/// The backends in the store, a line each.
#[must_use]
pub fn backends(list: &[Listed]) -> String {
    if list.is_empty() {
        return "no backends; `installer apply --backend PATH` places one".to_owned();
    }
    let mut text = String::new();
    for backend in list {
        let mark = if backend.in_use { "*" } else { " " };
        let library = backend.library.as_deref().unwrap_or("no library");
        let _ = writeln!(text, "{mark} {:<12} {library}", backend.name);
    }
    text
}

/// The manual page: the command's own, and then one section for each subcommand.
pub fn manual(command: &clap::Command) -> io::Result<()> {
    let mut out = io::stdout().lock();
    // Names of subcommands become `installer apply` and so on.
    let mut command = command.clone();
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut out)?;
    for subcommand in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        clap_mangen::Man::new(subcommand.clone()).render(&mut out)?;
    }
    Ok(())
}
