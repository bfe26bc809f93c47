//! Known error texts, their causes and fixes.
//!
//! The texts are data, in `data/errors.toml`, each with the source of its wording; `cause.rs` explains them,
//! `advice.rs` says what to do for this GPU, tree and distribution, and `shim.rs` explains the shim's own
//! sentences. `system.rs` knows package managers, and `quotation.rs` tells an error from text about it.
//! `reading.rs` reads a whole log, and `page.rs` writes TROUBLESHOOTING.md.

pub mod advice;
pub mod cause;
pub mod page;
mod quotation;
pub mod reading;
mod shim;
pub mod system;

use super::{
    Severity,
    log::{line::Line, scan::Scanner},
};
use advice::Advice;
use cause::Cause;
use reading::Reading;
use rocblas_contract::sentences::{PREFIX, Sentence};
use serde::Deserialize;
use std::sync::LazyLock;

const EMBEDDED: &str = include_str!("../../data/errors.toml");

static TEXTS: LazyLock<Vec<Text>> = LazyLock::new(|| {
    let texts: Texts = toml::from_str(EMBEDDED).expect("a test reads the table");
    texts.texts
});

/// `data/errors.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    #[serde(rename = "text")]
    texts: Vec<Text>,
}

/// The pattern of an error.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    cause: Cause,
    /// How a message begins; `*` stands for any text.
    sign: String,
    /// The sign is the whole error: a message that continues with a word is about the error.
    #[serde(default)]
    whole: bool,
    /// Where the wording is published.
    #[allow(dead_code, reason = "for readers of the table; a test checks that it exists")]
    source: String,
}

impl Text {
    fn fits(&self, message: &str) -> bool {
        let mut parts = self.sign.split('*');
        let first = parts.next().unwrap_or_default();
        if !first.is_empty() {
            return message.starts_with(first) && self.goes_on(message, 0, first.len(), parts);
        }
        let lead = parts.next().unwrap_or_default();
        let mut starts = message.match_indices(lead).map(|(at, _)| at);
        starts.any(|at| self.goes_on(message, at, at + lead.len(), parts.clone()))
    }

    /// Whether the other parts follow the first one, and form an error and not a quotation.
    fn goes_on<'a>(
        &self,
        message: &str,
        start: usize,
        mut end: usize,
        parts: impl Iterator<Item = &'a str>,
    ) -> bool {
        for part in parts {
            match message[end..].find(part) {
                Some(at) => end += at + part.len(),
                None => return false,
            }
        }
        !quotation::is_quoted(message, start, end)
            && (!self.whole || quotation::is_end(&message[end..]))
    }

    /// A part that every line with this error contains, however it is quoted.
    fn part(&self) -> &str {
        let parts = self.sign.split(['*', '"', '\\']);
        parts.max_by_key(|part| part.len()).unwrap_or_default()
    }
}

/// A recognised error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its cause.
    pub cause: Cause,
    /// The first line that shows it, with additions from later ones.
    pub line: Line,
    /// Another line that belongs to it.
    pub also: Option<String>,
}

impl Known {
    /// How important it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.cause.severity()
    }

    /// What is wrong, in a few words.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.cause.title()
    }

    /// Why it is printed.
    #[must_use]
    pub fn why(&self) -> &'static str {
        self.cause.why()
    }

    /// What to do.
    #[must_use]
    pub fn cure(&self, advice: &Advice) -> String {
        advice.possible(&self.line, self.cause.cure(self, advice))
    }
}

/// All recognised errors of a text, in order.
#[must_use]
pub fn explain(text: &str) -> Vec<Known> {
    Reading::of(text.as_bytes()).map(|reading| reading.found).unwrap_or_default()
}

/// The cause that a line shows: the shim's sentence, or else another program's text. If the shim quotes the
/// loader, the loader's reason is more specific.
fn understand(line: &Line) -> Option<Cause> {
    let message = line.message.as_str();
    let of_others = || {
        if quotation::is_about_errors(line) {
            return None;
        }
        let text = TEXTS.iter().find(|text| text.fits(message))?;
        text.cause.decided(line)
    };
    match Sentence::of(message) {
        Some(sentence) if sentence.is_quotation() => of_others().or(Some(Cause::Shim(sentence))),
        Some(sentence) => Some(Cause::Shim(sentence)),
        None => of_others(),
    }
}

/// Finds the lines that `understand` may recognise, and those with the other `parts`.
fn scanner(parts: &[&str]) -> Scanner {
    let sentences = Sentence::ALL.iter().flat_map(|sentence| sentence.fixed());
    let sentences = sentences.filter_map(|parts| parts.max_by_key(|part| part.len()));
    let texts = TEXTS.iter().map(Text::part);
    Scanner::new(texts.chain(sentences).chain([PREFIX]).chain(parts.iter().copied()))
}

#[cfg(test)]
mod tests;
