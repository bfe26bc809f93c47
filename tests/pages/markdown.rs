//! The pages, and the little of Markdown that tests read: headings, tables, links, code.

use std::{fs, path::PathBuf};
use tests::artefacts::workspace;

/// A page of the project.
pub(crate) struct Page {
    /// Relative to the workspace.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn read(path: &str) -> Self {
        let text = fs::read_to_string(workspace().join(path));
        let text = text.unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.into(), text }
    }

    /// Every page: those in the top directory, in `docker`, and in directories named `docs`.
    pub(crate) fn all() -> Vec<Self> {
        let directories = ["", "docker", "docker/docs", "installer/docs", "shim/docs"];
        let names = directories.iter().flat_map(|directory| {
            let entries = fs::read_dir(workspace().join(directory)).expect("a directory of pages");
            entries.map(move |entry| {
                let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
                if directory.is_empty() { name } else { format!("{directory}/{name}") }
            })
        });
        let mut names: Vec<String> = names.filter(|name| name.ends_with(".md")).collect();
        names.sort();
        names.iter().map(|name| Self::read(name)).collect()
    }

    /// The lines outside of code blocks, with their numbers.
    pub(crate) fn prose(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut is_code = false;
        (1..).zip(self.text.lines()).filter(move |(_, line)| {
            let is_fence = line.trim_start().starts_with("```");
            is_code ^= is_fence;
            !is_code && !is_fence
        })
    }

    /// The anchors of the headings, as GitHub makes them.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let headings = self.prose().filter_map(|(_, line)| line.strip_prefix('#'));
        let anchor = |heading: &str| {
            let text = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.collect::<String>().replace(' ', "-")
        };
        headings.map(anchor).collect()
    }

    /// The rows of all tables whose first line is this, each as its cells.
    pub(crate) fn table(&self, first: &str) -> Vec<Vec<&str>> {
        let lines: Vec<&str> = self.text.lines().collect();
        let starts = (0..lines.len()).filter(|&at| lines[at] == first);
        let rows = starts
            .flat_map(|at| lines[at..].iter().skip(2).take_while(|line| line.starts_with('|')));
        let rows: Vec<Vec<&str>> = rows.map(|row| cells(row)).collect();
        assert!(!rows.is_empty(), "{} has no table that begins with {first}", self.path.display());
        rows
    }
}

/// The cells of a row.
fn cells(row: &str) -> Vec<&str> {
    row.trim_matches('|').split(" | ").map(str::trim).collect()
}

/// What a text has in backticks.
pub(crate) fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}
