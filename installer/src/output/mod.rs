//! Output for people and programs: text, with colours if stdout is a terminal, or one JSON document. Nothing
//! is printed outside this module; installer/clippy.toml forbids it.
//!
//! | file | concern |
//! |---|---|
//! | `channel.rs` | standard output and standard error, and failures to write |
//! | `text.rs` | printed text, in lines whose content is escaped |
//! | `printable.rs` | which characters are escaped, and how |
//! | `escaping.rs` | data that is printed on a terminal |
//! | `plan.rs` | the steps of a plan |
//! | `json.rs` | JSON documents |
//! | `code.rs` | error codes |
//! | `list.rs` | an error with a list |
//! | `number.rs` | numbers |
//! | `screen.rs` | a terminal screen that is redrawn repeatedly |

mod channel;
pub mod code;
mod escaping;
pub mod json;
mod list;
mod number;
mod plan;
mod printable;
mod screen;
mod text;

pub use channel::{data, finish, has_failed, print_error, print_prompt};
pub use code::{Code, Coded, WithCode};
pub use list::Listed;
pub use number::{count, grouped};
pub use printable::{Shown, is_printable, printable, quoted, shown};
pub use screen::Screen;
pub use text::{Line, Text};

use crate::{apply::Report, collect::Collected};
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::json;
use std::{
    io,
    sync::atomic::{AtomicU8, Ordering},
};

/// Good states.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Errors.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Warnings.
pub const NOTE: Style = AnsiColor::Yellow.on_default();
/// Less important text.
pub const DIM: Style = Style::new().dimmed();
/// Headings.
pub const HEADING: Style = Style::new().bold();

/// Verbosity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Verbosity {
    /// Errors, JSON documents and data such as exports only.
    Quiet,
    /// The important parts.
    #[default]
    Normal,
    /// Every step.
    Verbose,
}

static VERBOSITY: AtomicU8 = AtomicU8::new(Verbosity::Normal as u8);

/// Sets the verbosity from now on.
pub fn set_verbosity(verbosity: Verbosity) {
    VERBOSITY.store(verbosity as u8, Ordering::Relaxed);
}

fn is(verbosity: Verbosity) -> bool {
    VERBOSITY.load(Ordering::Relaxed) == verbosity as u8
}

/// Prints an error with its causes to stderr, and as JSON to stdout if requested.
pub fn error(error: &anyhow::Error, as_json: bool) {
    if as_json {
        let causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
        refusal(Code::of(error), &error.to_string(), &causes);
    }
    let mut text = Text::new();
    for (number, cause) in error.chain().enumerate() {
        let listed = cause.downcast_ref::<Listed>();
        let what = listed.map_or_else(|| cause.to_string(), |listed| format!("{}:", listed.what));
        text.line(match number {
            0 => Line::new().styled(BAD, "error").text(": ").text(what),
            _ => Line::from("  ").text(what),
        });
        for item in listed.map(|listed| listed.items.as_slice()).unwrap_or_default() {
            text.line(Line::from("    ").text(item));
        }
    }
    print_error(&text);
}

/// The document for an error.
fn refusal(code: Code, message: &str, causes: &[String]) {
    document(&json!({"error": {"code": code, "message": message, "causes": causes}}));
}

/// Prints what clap returned instead of a command: help, or an error about the arguments. Returns the exit
/// code. `error` must be safe to print.
pub fn from_clap(error: &clap::Error, as_json: bool) -> u8 {
    let text = Text::from_clap(&error.render());
    let is_help = !error.use_stderr();
    match (is_help, as_json) {
        (true, true) => document(&json!({"help": text.plain()})),
        (true, false) => channel::print(&text),
        (false, _) => {
            if as_json {
                let plain = text.plain();
                let (message, rest) = plain.split_once('\n').unwrap_or((&plain, ""));
                let message = message.strip_prefix("error: ").unwrap_or(message);
                let causes: Vec<String> = (rest.lines().map(str::trim))
                    .filter(|line| !line.is_empty())
                    .map(str::to_owned)
                    .collect();
                refusal(Code::Usage, message, &causes);
            }
            print_error(&text);
        }
    }
    u8::try_from(error.exit_code()).unwrap_or(2)
}

/// The columns of the terminal, or a readable default.
#[must_use]
pub fn width() -> u16 {
    #[expect(clippy::disallowed_methods, reason = "nothing is written")]
    let out = io::stdout();
    rustix::termios::tcgetwinsize(out).map_or(0, |size| size.ws_col).clamp(80, 120)
}

/// Prints a line that a waiting user must see immediately.
pub fn notice(text: &str) {
    if !is(Verbosity::Quiet) {
        print_error(&Line::new().styled(NOTE, text).into());
    }
}

/// Prints a value for programs or a text for people. A string is one line: see [`Text`].
pub fn result(as_json: bool, value: &impl Serialize, text: impl Into<Text>) {
    if as_json {
        document(value);
    } else if !is(Verbosity::Quiet) {
        channel::print(&text.into());
    }
}

/// Prints a document in one line; a command may print several.
///
/// # Errors
/// Any error of [`json::line`].
pub fn line(value: &impl Serialize) -> serde_json::Result<()> {
    channel::print_data(&json::line(value)?);
    Ok(())
}

/// Prints a hint for people after a result, in one line.
pub fn hint(as_json: bool, text: &str) {
    if !as_json && !is(Verbosity::Quiet) {
        channel::print(&text.into());
    }
}

/// Prints output that other programs use: a script, a page. With --json it is a member of a document.
pub fn product(as_json: bool, name: &str, data: &[u8]) {
    if as_json {
        document(&json!({name: String::from_utf8_lossy(data)}));
    } else {
        channel::print_data(data);
    }
}

/// Prints the only document of a command.
fn document(value: &impl Serialize) {
    match json::document(value) {
        Ok(bytes) => channel::print_data(&bytes),
        Err(error) => {
            let why = format!("the result cannot be written as JSON: {error}");
            let failed = json!({"error": {"code": Code::Failed, "message": why, "causes": []}});
            if let Ok(bytes) = json::document(&failed) {
                channel::print_data(&bytes);
            }
            channel::fail(why);
        }
    }
}

/// Prints the steps, remarks and the last line of a command that makes changes.
pub fn report(as_json: bool, report: &Report, end: &str) {
    let mut text = Text::new();
    if !report.steps.is_empty() {
        // Places are relative to it.
        text.line(Line::new().styled(DIM, "# in ").text(shown(&report.lib)).text("/"));
    }
    text.append(&plan::text(&report.steps, is(Verbosity::Verbose)));
    remarks(&mut text, &report.remarks);
    let mut lost = Text::new();
    remarks(&mut lost, &report.gone);
    for left in &report.left {
        lost.line(Line::new().styled(BAD, "left").text(": ").text(left));
    }
    // Printed even with --quiet, since nothing else reports it.
    if !as_json && is(Verbosity::Quiet) {
        print_error(&lost);
    }
    text.append(&lost);
    text.line(Line::new().styled(GOOD, end));
    result(as_json, report, text);
}

fn remarks(text: &mut Text, remarks: &[String]) {
    for remark in remarks {
        text.line(Line::new().styled(NOTE, "note").text(": ").text(remark));
    }
}

/// Prints what was collected: the large files, and the total size.
#[must_use]
pub fn collected(collected: &Collected) -> Text {
    let mut text = Text::new();
    remarks(&mut text, &collected.remarks);
    for (path, reduced) in &collected.slim {
        let size = |bytes| indicatif::HumanBytes(bytes);
        text.line(format!(
            "{path}: {} instead of {}, kernels for {} only",
            size(reduced.size.after),
            size(reduced.size.before),
            reduced.gpus.join(", ")
        ));
    }
    let end = format!(
        "{} files, {}, are in {}; {} names are omitted, since the base has them.",
        collected.files.len(),
        indicatif::HumanBytes(collected.bytes),
        shown(&collected.into),
        collected.left.len()
    );
    text.line(Line::new().styled(GOOD, end));
    text
}
