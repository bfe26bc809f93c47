//! A diagnosis for a tired person: what is wrong, what shows it, why, and what to type.

use super::{Diagnosis, Finding, Severity};
use anstyle::{AnsiColor, Style};
use std::fmt::Write;

const BAD: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Yellow.on_default();
const GOOD: Style = AnsiColor::Green.on_default();
const DO: Style = Style::new().bold();

/// The findings, the most important first, and a last line that counts them. The styles in it are
/// for a terminal; lines are the terminal's to break.
#[must_use]
pub fn text(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    for finding in &diagnosis.findings {
        write_finding(&mut text, finding);
    }
    let count =
        |severity| diagnosis.findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let end = match (errors, warnings) {
        (0, 0) => format!("{GOOD}Nothing is wrong.{GOOD:#}"),
        (0, _) => format!("{GOOD}Nothing is wrong{GOOD:#}; {} worth a look.", things(warnings)),
        _ => format!(
            "{BAD}{} wrong.{BAD:#} For a bug report: installer doctor --report FILE",
            things(errors)
        ),
    };
    let _ = writeln!(text, "{end}");
    text
}

/// "1 thing is", "2 things are".
fn things(count: usize) -> String {
    match count {
        1 => "1 thing is".to_owned(),
        _ => format!("{count} things are"),
    }
}

fn write_finding(text: &mut String, finding: &Finding) {
    let (style, word) = match finding.severity {
        Severity::Error => (BAD, "error"),
        Severity::Warning => (NOTE, "warning"),
        Severity::Fine => (GOOD, "fine"),
    };
    // Writing to a string does not fail.
    let _ = writeln!(text, "{style}{word}{style:#}: {}", finding.title);
    for seen in &finding.seen {
        let _ = writeln!(text, "  seen: {seen}");
    }
    if !finding.why.is_empty() {
        let _ = writeln!(text, "  why:  {}", finding.why);
    }
    if !finding.cure.is_empty() {
        let _ = writeln!(text, "  do:   {DO}{}{DO:#}", finding.cure);
    }
    if finding.severity != Severity::Fine {
        text.push('\n');
    }
}
