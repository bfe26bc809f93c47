//! The demonstration's output: numbered steps, wrapped paragraphs, the indented output of programs.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The maximum line length of paragraphs; tables may be wider.
const WIDTH: usize = 80;

/// A numbered part of the demonstration, with a heading.
pub(crate) struct Step {
    number: usize,
}

impl Step {
    pub(crate) fn begin(heading: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let heading = format!("{number}. {heading}");
        println!("\n{heading}\n{}\n", "-".repeat(heading.chars().count()));
        Self { number }
    }

    /// Continues if `holds`, otherwise ends the demonstration with a message.
    pub(crate) fn expect(&self, holds: bool, otherwise: &str) -> Result<(), String> {
        if holds { Ok(()) } else { Err(format!("step {}: {otherwise}", self.number)) }
    }
}

/// Prints a paragraph, wrapped at words.
pub(crate) fn paragraph(text: &str) {
    for line in wrapped(text, WIDTH) {
        println!("{line}");
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("one to begin with");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// Prints a program's output.
pub(crate) fn indented(text: &str) {
    for line in text.lines() {
        println!("{}", format!("    {line}").trim_end());
    }
}

/// Collapses consecutive similar lines into one with their number.
pub(crate) fn folded(text: &str) -> String {
    let mut groups: Vec<(&str, usize)> = Vec::new();
    for line in text.lines() {
        match groups.last_mut() {
            Some((last, count)) if *last == line => *count += 1,
            _ => groups.push((line, 1)),
        }
    }
    let line = |(line, count): (&str, usize)| match count {
        1 => format!("{line}\n"),
        count => format!("{line}  (x{count})\n"),
    };
    groups.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_break_between_words() {
        assert_eq!(wrapped("aa bb  cc\ndd", 5), ["aa bb", "cc dd"]);
        assert_eq!(wrapped("abcdefgh i", 5), ["abcdefgh", "i"]);
    }

    #[test]
    fn only_neighbours_fold() {
        assert_eq!(folded("a\na\nb\na\n"), "a  (x2)\nb\na\n");
        assert_eq!(folded(""), "");
    }
}
