//! Asks before an irreversible step. Only a person at a terminal is asked: scripts and Dockerfiles continue
//! without a question.

use crate::output::{Code, Line, NOTE, WithCode, print_prompt};
use anyhow::{Context, Result, anyhow};
use std::io::{self, BufRead, IsTerminal, Read};

/// Longer than any answer, in bytes.
const MOST: u64 = 1024;

/// Asks on standard error. Without a terminal on standard input and standard error, or with `yes` (`--yes`),
/// the result is yes without a question.
///
/// # Errors
/// Any reply except `y` or `yes`, and end of input.
pub fn confirm(question: &str, yes: bool) -> Result<()> {
    let input = io::stdin();
    #[expect(clippy::disallowed_methods, reason = "nothing is written")]
    let errors = io::stderr();
    if yes || !input.is_terminal() || !errors.is_terminal() {
        return Ok(());
    }
    print_prompt(Line::new().styled(NOTE, question).text(" [y/N] "));
    let mut answer = Vec::new();
    input.lock().take(MOST).read_until(b'\n', &mut answer).context("cannot read the answer")?;
    if is_yes(&answer) {
        return Ok(());
    }
    Err(anyhow!("nothing was changed; reply y, or pass --yes, to continue")).code(Code::Declined)
}

fn is_yes(answer: &[u8]) -> bool {
    let answer = answer.trim_ascii();
    answer.eq_ignore_ascii_case(b"y") || answer.eq_ignore_ascii_case(b"yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_y_and_yes_are_a_yes() {
        for yes in ["y\n", "Y", " yes \r\n", "YES\n"] {
            assert!(is_yes(yes.as_bytes()), "{yes:?}");
        }
        for no in ["", "\n", "n\n", "yep\n", "yes please\n", "\u{4}y?"] {
            assert!(!is_yes(no.as_bytes()), "{no:?}");
        }
    }
}
