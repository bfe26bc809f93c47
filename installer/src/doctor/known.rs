//! Error texts that people meet, what each comes from and what helps.
//!
//! The texts are data, in `data/errors.toml`, each with the source of its wording; `cause.rs` explains
//! them, `advice.rs` says what to do for this GPU, tree and distribution, and `shim.rs` has the shim's own
//! sentences. `system.rs` knows package managers, and `quotation.rs` tells an error from words about it.
//! `reading.rs` reads a whole log.

pub mod advice;
pub mod cause;
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

/// How an error reads.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    cause: Cause,
    /// What a message begins with; stars stand for any text.
    sign: String,
    /// The sign is all of the error: a message that continues with a word is about it.
    #[serde(default)]
    whole: bool,
    /// Where the wording is public.
    #[allow(dead_code, reason = "for people who read the table; a test sees that it is there")]
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

    /// Whether the other parts follow the first one, and what they make is an error and no quotation.
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

    /// A part that each line with this error has, whatever way it is quoted.
    fn part(&self) -> &str {
        let parts = self.sign.split(['*', '"', '\\']);
        parts.max_by_key(|part| part.len()).unwrap_or_default()
    }
}

/// An error that is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What it comes from.
    pub cause: Cause,
    /// The first line that shows it, with what later ones add.
    pub line: Line,
    /// Another line that belongs to it.
    pub also: Option<String>,
}

impl Known {
    /// How much it matters.
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

/// Everything in a text that is understood, in the order of the text.
#[must_use]
pub fn explain(text: &str) -> Vec<Known> {
    Reading::of(text.as_bytes()).map(|reading| reading.found).unwrap_or_default()
}

/// The cause that a line shows: the shim's sentence, or else another program's text. Where the shim quotes
/// the loader, the loader's reason says more.
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

/// Finds the lines that `understand` may know, and those with the other `parts`.
fn scanner(parts: &[&str]) -> Scanner {
    let sentences =
        Sentence::ALL.iter().filter_map(|sentence| sentence.fixed().max_by_key(|p| p.len()));
    let texts = TEXTS.iter().map(Text::part);
    Scanner::new(texts.chain(sentences).chain([PREFIX]).chain(parts.iter().copied()))
}

#[cfg(test)]
mod tests;
