//! TROUBLESHOOTING.md: the table of error texts with its explanations, as a page. A test compares it with
//! the file.

use super::{Advice, Cause, Known, Line, PREFIX, Sentence, Severity, TEXTS};
use std::fmt::Write;

const HEAD: &str = "# Troubleshooting\n\n\
    Search this page for a part of your message; `...` stands for any text. `installer doctor --log FILE` does the \
    same and fits the fix to the GPU, tree and distribution in the log: [logs](installer/docs/logs.md).\n\n\
    This page is generated from the installer's own tables, `installer/data/errors.toml` and \
    `installer/src/doctor/known`. `PACKAGE` stands for AMD's rocBLAS package of ROCm 6.3 for your distribution, which \
    `installer fetch 6.3` downloads.\n";

/// What a text in the table can turn out to be, once the rest of its line is read.
fn outcomes(cause: Cause) -> Vec<Cause> {
    match cause {
        Cause::CodeObject => {
            vec![Cause::NoRocblasKernel, Cause::NoProgramKernel, Cause::OtherLibraryCode]
        }
        Cause::CodeObjectContinued | Cause::ScanGoesOn => vec![Cause::OtherLibraryCode],
        Cause::HipblasltUnused => vec![Cause::HipblasltUnused, Cause::HipblasltMissing],
        Cause::LibraryNotFound => vec![
            Cause::Rocblas4NotFound,
            Cause::Rocblas5NotFound,
            Cause::Hip6NotFound,
            Cause::Hipblaslt0NotFound,
            Cause::LibraryNotFound,
        ],
        Cause::QueueError => vec![Cause::GpuFault, Cause::QueueResources],
        Cause::SolveTri => vec![Cause::NoRocblasKernel, Cause::SolveTriOther],
        Cause::TensileMissing => vec![Cause::TensileMissing, Cause::TensileOfBackend],
        other => vec![other],
    }
}

/// An explanation with the messages that show it.
struct Section {
    cause: Cause,
    messages: Vec<String>,
}

/// Adds a message to the section with the explanation of a cause.
fn add(sections: &mut Vec<Section>, cause: Cause, message: String) {
    let is_it = |section: &&mut Section| section.cause.has_explanation_of(cause);
    match sections.iter_mut().find(is_it) {
        Some(section) if section.messages.contains(&message) => {}
        Some(section) => section.messages.push(message),
        None => sections.push(Section { cause, messages: vec![message] }),
    }
}

/// A text whose stars and angle brackets are no markup.
fn escaped(text: &str) -> String {
    text.replace('*', "\\*").replace('<', "\\<")
}

/// The sections, as Markdown.
fn markdown(sections: &[Section]) -> String {
    let advice = Advice { package: "PACKAGE".to_owned(), ..Advice::default() };
    let mut page = String::new();
    for Section { cause, messages } in sections {
        let known = Known { cause: *cause, line: Line::default(), also: None };
        write!(page, "\n### {}\n\n", known.title()).expect("a string");
        for message in messages {
            writeln!(page, "- ``{message}``").expect("a string");
        }
        let kind = match known.severity() {
            Severity::Warning => " (harmless in most cases)",
            _ => "",
        };
        let (why, cure) = (escaped(known.why()), escaped(&known.cure(&advice)));
        write!(page, "\n**Cause{kind}:** {why}\n\n**Fix:** {cure}\n").expect("a string");
    }
    page
}

/// The page.
#[must_use]
pub fn page() -> String {
    let mut of_others = Vec::new();
    for text in TEXTS.iter() {
        for cause in outcomes(text.cause) {
            add(&mut of_others, cause, text.sign.replace('*', "..."));
        }
    }
    let mut of_the_shim = Vec::new();
    for sentence in Sentence::ALL {
        // Its present wording comes before those of earlier versions.
        let parts = sentence.fixed().next().into_iter().flatten();
        let message = parts.map(str::trim).collect::<Vec<_>>().join(" ... ");
        if !message.is_empty() {
            add(&mut of_the_shim, Cause::Shim(*sentence), message);
        }
    }
    format!(
        "{HEAD}\n## Messages of ROCm's libraries and of programs\n{}\n## Messages of the shim\n\n\
         They begin with `{}`.\n{}",
        markdown(&of_others),
        PREFIX.trim_end(),
        markdown(&of_the_shim)
    )
}
