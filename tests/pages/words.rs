//! The English of pages and help texts: phrases that a native engineer would not write, each with what to
//! write instead. CONTRIBUTING.md has the rules.

use crate::markdown::Page;
use installer::cli;

/// Phrases, and what to write instead.
const PHRASES: [(&[&str], &str); 12] = [
    (&["mend", "mends", "mended", "mending"], "fix or repair"),
    (
        &["take back", "takes back", "taken back", "takes it back", "take it back"],
        "undo, or roll back",
    ),
    (&["answers", "answered"], "a function returns; a server or a person responds"),
    (&["lead to", "leads to", "led to", "leading to"], "a symlink points to; a command results in"),
    (&["lead elsewhere", "leads elsewhere", "lead out", "leads out"], "a symlink points outside"),
    (&["passed over", "passes over"], "skipped"),
    (&["is said", "are said", "and said"], "is reported, or is printed"),
    (&["of ours"], "name the owner: the shim's, the installer's"),
    (&["do without", "does without"], "disable"),
    (&["goes by", "go by"], "depends on, or is chosen by"),
    (&["so many bytes", "so long", "so often", "so many"], "name the value: at most SIZE bytes"),
    (&["way back", "ways back"], "undo, or revert"),
];

/// The words of a text in lower case, each with its line; code in backticks counts as one word.
fn words<'a>(lines: impl Iterator<Item = (usize, &'a str)>) -> Vec<(usize, String)> {
    let mut is_code = false;
    let mut found = Vec::new();
    for (number, line) in lines {
        // A span ends with its paragraph at the latest. In double backticks there may be single ones.
        is_code &= !line.trim().is_empty();
        let outside = line.split("``").step_by(2).collect::<Vec<_>>().join("`code`");
        for (i, part) in outside.split('`').enumerate() {
            is_code ^= i > 0;
            if is_code {
                found.push((number, "`".to_owned()));
                continue;
            }
            let words = part.split(|c: char| !c.is_alphanumeric() && c != '_');
            let words = words.filter(|word| !word.is_empty());
            found.extend(words.map(|word| (number, word.to_lowercase())));
        }
    }
    found
}

/// The phrases in a text, with their lines and what to write instead.
fn faults<'a>(place: &str, lines: impl Iterator<Item = (usize, &'a str)>) -> Vec<String> {
    let words = words(lines);
    let starts = |at: usize, phrase: &str| {
        let mut text = words[at..].iter().map(|(_, word)| word.as_str());
        phrase.split(' ').all(|word| text.next() == Some(word))
    };
    let mut found = Vec::new();
    for (at, (line, _)) in words.iter().enumerate() {
        for (phrases, instead) in PHRASES {
            let phrase = phrases.iter().find(|phrase| starts(at, phrase));
            found.extend(phrase.map(|p| format!("{place}:{line}: \"{p}\": write {instead}")));
        }
    }
    found
}

const RULE: &str = "use the field's verbs and nouns (CONTRIBUTING.md, English)";

#[test]
fn pages_use_the_fields_words() {
    let pages = Page::all();
    let faults: Vec<String> = pages
        .iter()
        .flat_map(|page| faults(&page.path.display().to_string(), page.prose()))
        .collect();
    assert!(faults.is_empty(), "{RULE}:\n{}", faults.join("\n"));
}

#[test]
fn help_texts_use_the_fields_words() {
    let mut all = Vec::new();
    collect(&mut all, "installer", cli::visible());
    assert!(all.len() > 25, "{} commands", all.len());
    let faults: Vec<String> =
        all.iter().flat_map(|(name, help)| faults(name, (1..).zip(help.lines()))).collect();
    assert!(faults.is_empty(), "{RULE}:\n{}", faults.join("\n"));
}

/// The help of a command and of all below it.
fn collect(all: &mut Vec<(String, String)>, name: &str, mut command: clap::Command) {
    all.push((format!("{name} --help"), command.render_long_help().to_string()));
    for below in command.get_subcommands().cloned() {
        let name = format!("{name} {}", below.get_name());
        collect(all, &name, below);
    }
}

#[test]
fn a_phrase_is_found_across_lines_and_not_in_code() {
    let found = |text: &str| faults("x", (1..).zip(text.lines()));
    assert_eq!(
        found("The symlink leads\nto a file."),
        ["x:1: \"leads to\": write a symlink points to; a command results in"]
    );
    assert_eq!(found("A library is MENDED.").len(), 1);
    assert_eq!(
        found("`journals_that_lead_elsewhere`, `leads to`, misleads to, lead`x`to"),
        [""; 0]
    );
}
