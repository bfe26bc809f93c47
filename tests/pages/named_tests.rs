//! Source files that pages name, and tests, as `FILE.rs::FUNCTION`, exist; a star at the end of a test stands for
//! any text.

use crate::markdown::{Page, code};
use std::{collections::BTreeMap, fs, path::PathBuf};
use tests::artefacts::workspace;

/// The source files, by path relative to the workspace, with their texts.
fn sources() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut directories: Vec<PathBuf> =
        ["tests", "shim", "installer", "examples"].map(|d| workspace().join(d)).into();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with("target") {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(workspace()).expect("in the workspace");
                let text = fs::read_to_string(&path).expect("a text");
                found.insert(name.to_string_lossy().into_owned(), text);
            }
        }
    }
    found
}

/// Whether a path is that of a file, which may be named from any directory on.
fn is_file(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// Whether a file of this name has the test.
fn exists(sources: &BTreeMap<String, String>, file: &str, function: &str) -> bool {
    let mut texts = sources.iter().filter(|(path, _)| is_file(path, file)).map(|(_, text)| text);
    let end = if function.ends_with('*') { "" } else { "(" };
    let start = format!("fn {}{end}", function.trim_end_matches('*'));
    texts.any(|text| {
        text.match_indices(&start).any(|(at, _)| {
            // Between `#[test]` and its function are attributes, and no end of another function.
            let before = &text[..at];
            let attributes = before.rfind("#[test]").map(|test| &before[test..]);
            attributes.is_some_and(|between| between.lines().all(|line| line.trim() != "}"))
        })
    })
}

/// The tests that a text names in backticks.
pub(crate) fn named(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let names = code(text).filter_map(|code| code.split_once("::"));
    names.filter(|(file, _)| file.ends_with(".rs"))
}

#[test]
fn every_test_that_a_page_names_exists() {
    let sources = sources();
    let mut count = 0;
    let mut faults = Vec::new();
    for page in Page::all() {
        for (number, line) in page.prose() {
            for (file, function) in named(line) {
                count += 1;
                if !exists(&sources, file, function) {
                    let page = page.path.display();
                    faults.push(format!("{page}:{number}: there is no test {file}::{function}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count > 60, "{count} tests are named");
}

#[test]
fn every_source_file_that_a_page_names_exists() {
    let sources = sources();
    let is_there = |name: &str| sources.keys().any(|path| is_file(path, name));
    let mut count = 0;
    let mut faults = Vec::new();
    for page in Page::all() {
        for (number, line) in page.prose() {
            let files = code(line).filter_map(|code| code.split("::").next());
            for file in files.filter(|file| file.ends_with(".rs") && !file.contains(' ')) {
                count += 1;
                if !is_there(file.trim_start_matches("../")) {
                    faults.push(format!("{}:{number}: there is no {file}", page.path.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count > 200, "{count} files are named");
}

#[test]
fn every_claim_of_security_has_a_test() {
    let page = Page::read("SECURITY.md");
    let rows = page.table("| claim | test |");
    assert!(rows.len() > 15, "{} claims", rows.len());
    for row in rows {
        let [claim, tests] = row[..] else { panic!("two cells: {row:?}") };
        assert!(named(tests).count() > 0, "`{claim}` names no test as `FILE.rs::FUNCTION`");
    }
}

#[test]
fn a_test_that_does_not_exist_is_noticed() {
    let sources = sources();
    assert!(exists(&sources, "pages/links.rs", "a_link_to_nothing_is_found"));
    assert!(exists(&sources, "hostile/races.rs", "no_race_*"));
    assert!(!exists(&sources, "pages/links.rs", "targets"), "a function that is no test");
    assert!(!exists(&sources, "links.rs", "nothing"));
}
