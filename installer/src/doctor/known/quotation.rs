//! Error texts that do not report an error: servers log prompts and generated text, test runners log names of
//! tests, compilers and `grep` print source code, and people paste documentation.

use crate::doctor::log::{has_test_tag, line::Line};

/// Whether a line with this message is about errors but reports none.
pub(super) fn is_about_errors(line: &Line) -> bool {
    let message = line.message.as_str();
    is_conversation(message)
        || is_outcome_of_a_test(message)
        || is_source(message)
        || is_document(message)
        // A hyphen or number after a date comes from a logger.
        || is_item(&line.shown)
}

/// Whether a message is a prompt, or text that a model generated.
fn is_conversation(message: &str) -> bool {
    const STARTS: [&str; 7] =
        ["prompt", "Prompt", "User:", "user:", "Assistant:", "assistant:", "> "];
    STARTS.iter().any(|start| message.starts_with(start))
        || message.contains("\"content\":")
        || message.trim_end().ends_with('?')
}

/// Whether a message is a test's name and outcome, in the formats of GoogleTest, pytest, unittest, Rust, Go,
/// ctest and TAP. A failed test of pytest does not count, since the error follows it.
fn is_outcome_of_a_test(message: &str) -> bool {
    const STARTS: [&str; 13] = [
        "PASSED ",
        "SKIPPED ",
        "XFAIL ",
        "--- PASS:",
        "--- SKIP:",
        "=== RUN",
        "=== CONT",
        "PASS ",
        "PASS:",
        "OK ",
        "ok - ",
        "\u{2713} ",
        "\u{2714} ",
    ];
    const ENDS: [&str; 7] =
        ["... ok", "... OK", "... ignored", "... skipped", " PASSED", " SKIPPED", " XFAIL"];
    // pytest's percentage, and the time that unittest and others print.
    let end = message.trim_end();
    let end = match end.rfind(['[', '(']) {
        Some(at) if end.ends_with("%]") || end.ends_with("s)") => end[..at].trim_end(),
        _ => end,
    };
    let number = message.strip_prefix("ok ").unwrap_or_default();
    let is_of_ctest = end.ends_with(" sec") && end.contains(" Passed ");
    has_test_tag(message)
        || STARTS.iter().any(|start| message.starts_with(start))
        || ENDS.iter().any(|ending| end.ends_with(ending))
        || number.starts_with(|c: char| c.is_ascii_digit())
        || is_of_ctest
}

/// Whether a message is a line of C++, Python or HTML.
fn is_source(message: &str) -> bool {
    const STARTS: [&str; 9] =
        ["//", "/*", "*/", "#define ", "case ", "return ", "<!--", "\"\"\"", "'''"];
    const ENDS: [&str; 3] = [";", ") {", "*/"];
    // `grep -n` prints the file and line number first.
    let mut parts = message.splitn(3, ':').skip(1);
    let number = parts.next().unwrap_or_default();
    let is_found = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let code = parts.next().filter(|_| is_found).unwrap_or(message).trim_start();
    STARTS.iter().any(|start| code.starts_with(start))
        || ENDS.iter().any(|end| code.trim_end().ends_with(end))
}

/// Whether a message is a line of Markdown, or was found by `grep` in a document.
fn is_document(message: &str) -> bool {
    const STARTS: [&str; 3] = ["# ", "## ", "```"];
    const FILES: [&str; 5] = [".md", ".rst", ".adoc", ".html", ".ipynb"];
    let word = message.split(char::is_whitespace).next().unwrap_or_default();
    let is_in_a_file = |ending: &&str| {
        word.split_once(*ending).is_some_and(|(_, rest)| rest.starts_with([':', '-']))
    };
    STARTS.iter().any(|start| message.starts_with(start)) || FILES.iter().any(is_in_a_file)
}

/// Whether a line is a list item, a table row or a line of a patch. Package managers list problems of their
/// own.
fn is_item(line: &str) -> bool {
    const STARTS: [&str; 4] = ["- ", "* ", "+ ", "| "];
    let after_number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_numbered = after_number.len() < line.len() && after_number.starts_with(". ");
    let is_problem = line.starts_with("- nothing provides ");
    STARTS.iter().any(|start| line.starts_with(start)) && !is_problem || is_numbered
}

/// Opening quotation marks, each with its closing mark.
const MARKS: [(char, char); 6] = [
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('\u{201c}', '\u{201d}'),
    ('\u{2018}', '\u{2019}'),
    ('\u{ab}', '\u{bb}'),
];

/// Whether a part of a message is within a sentence's quotation marks, or follows the name of a speaker. A
/// program's own marks follow `=`, `:` or `(`, and those of a path end within the part.
pub(super) fn is_quoted(message: &str, start: usize, end: usize) -> bool {
    const SAYS: [&str; 6] = [" said:", " says:", " wrote:", " reads:", "prompt:", "content:"];
    let is_mark = |c: char| c.is_whitespace() || MARKS.iter().any(|(opening, _)| *opening == c);
    let said = message[..start].trim_end_matches(is_mark);
    SAYS.iter().any(|says| said.ends_with(says))
        || MARKS.iter().any(|(opening, closing)| {
            let Some(at) = message[..start].rfind(*opening) else { return false };
            let before = &message[..at];
            let is_of_a_sentence = before.is_empty()
                || before.ends_with(char::is_whitespace) && !before.trim_end().ends_with(':');
            let inside = at + opening.len_utf8();
            is_of_a_sentence
                && !message[inside..end].contains(*closing)
                && message[end..].contains(*closing)
        })
}

/// Whether an error ends where its sign ends. A word after it makes it a sentence about the error, and `=
/// 209,` or a single comma makes it a definition.
pub(super) fn is_end(rest: &str) -> bool {
    let after = rest.trim();
    after != "," && !after.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '='))
}
