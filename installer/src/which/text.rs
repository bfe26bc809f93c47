//! Prints the result of `which`.

use super::{Asked, Backend, Found, Library, Outcome, Subject, Uses};
use std::fmt::Write;

/// A block of lines for each readable target.
#[must_use]
pub fn text(asked: &[Asked]) -> String {
    let blocks = asked.iter().filter_map(|one| match &one.result {
        Outcome::Found(found) => Some(block(found)),
        Outcome::Failed { .. } => None,
    });
    blocks.collect::<Vec<_>>().join("\n")
}

fn block(found: &Found) -> String {
    let mut text = match &found.subject {
        Subject::Program { path } => format!("{}\n", plain(&path.to_string_lossy())),
        Subject::Process { pid, program, in_other_namespace } => {
            let program =
                program.as_ref().map(|path| format!(": {}", plain(&path.to_string_lossy())));
            let place = if *in_other_namespace { " (paths are inside its container)" } else { "" };
            format!("process {pid}{}{place}\n", program.unwrap_or_default())
        }
    };
    text += &rows(&found.uses);
    for (name, value) in &found.environment {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {:<8} {name}={}", "set", plain(value));
    }
    for note in &found.uses.notes {
        let _ = writeln!(text, "  note: {}", plain(note));
    }
    text
}

/// Text that contains file names and a process's environment, without control characters, which could control
/// a terminal.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
    }
    plain
}

/// A line for each library.
pub(crate) fn rows(uses: &Uses) -> String {
    let mut text = String::new();
    let mut row = |label: &str, value: &str| {
        let _ = writeln!(text, "  {label:<8} {}", plain(value));
    };
    if uses.rocblas.is_empty() {
        row("rocBLAS", "none");
    }
    uses.rocblas.iter().for_each(|rocblas| row("rocBLAS", &library(rocblas)));
    uses.backend.iter().for_each(|behind| row("backend", &backend(behind)));
    uses.hip.iter().for_each(|hip| row("HIP", &library(hip)));
    uses.hipblas.iter().for_each(|hipblas| row("hipBLAS", &library(hipblas)));
    text
}

/// A library in a few words.
fn library(library: &Library) -> String {
    let what = match (&library.shim, &library.release, &library.soname) {
        (Some(version), ..) => format!(" (shim {version})"),
        (None, Some(release), _) => format!(" (ROCm {release})"),
        (None, None, Some(soname)) => format!(" ({soname})"),
        (None, None, None) => String::new(),
    };
    let replaced = if library.replaced { ", replaced since" } else { "" };
    format!("{}{what}{replaced}", library.path.display())
}

/// A backend in a few words.
fn backend(backend: &Backend) -> String {
    let name = backend.name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
    let chosen =
        backend.chosen_by.as_ref().map(|by| format!(", chosen by {by}")).unwrap_or_default();
    format!("{name}{}{chosen}", library(&backend.library))
}
