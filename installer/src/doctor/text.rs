//! Prints a diagnosis: what is wrong, the evidence, the reason, and the command to run.

use super::{Diagnosis, Finding, Severity};
use crate::output::{BAD, GOOD, Line, NOTE, Text};
use anstyle::Style;

const DO: Style = Style::new().bold();

/// The findings, the most important first, and a last line that counts them. Lines are not wrapped: the
/// terminal does that.
#[must_use]
pub fn text(diagnosis: &Diagnosis) -> Text {
    let mut text = Text::new();
    for finding in &diagnosis.findings {
        write_finding(&mut text, finding);
    }
    let count =
        |severity| diagnosis.findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    text.line(match (errors, warnings) {
        (0, 0) => Line::new().styled(GOOD, "Nothing is wrong."),
        (0, _) => Line::new()
            .styled(GOOD, "Nothing is wrong")
            .text(format_args!("; {} worth checking.", things(warnings))),
        _ => Line::new()
            .styled(BAD, format_args!("{} wrong.", things(errors)))
            .text(" For a bug report: installer doctor --report FILE"),
    });
    text
}

/// "1 thing is", "2 things are".
fn things(count: usize) -> String {
    match count {
        1 => "1 thing is".to_owned(),
        _ => format!("{count} things are"),
    }
}

fn write_finding(text: &mut Text, finding: &Finding) {
    let (style, word) = match finding.severity {
        Severity::Error => (BAD, "error"),
        Severity::Warning => (NOTE, "warning"),
        Severity::Fine => (GOOD, "fine"),
    };
    text.line(Line::new().styled(style, word).text(": ").text(&finding.title));
    for seen in &finding.seen {
        text.line(Line::from("  seen: ").text(seen));
    }
    if !finding.why.is_empty() {
        text.line(Line::from("  why:  ").text(&finding.why));
    }
    if !finding.cure.is_empty() {
        text.line(Line::from("  do:   ").styled(DO, &finding.cure));
    }
    if finding.severity != Severity::Fine {
        text.line("");
    }
}
