//! Finds the lines of a log that may matter, in constant memory: the log is read in blocks, and one automaton
//! searches for all texts at once. Only lines with one of them are parsed.

use super::{encoding::Encoding, prefix};
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use memchr::{memchr, memchr2, memrchr, memrchr2};
use std::{
    borrow::Cow,
    io::{self, ErrorKind, Read},
};

/// How much is read at once. A longer line is examined in parts.
const BLOCK: usize = 1 << 20;

/// How many lines with the same text are parsed; later ones are repetitions.
const REPEATED: u32 = 2_000;

/// Texts to look for.
#[derive(Debug)]
pub(in crate::doctor) struct Scanner {
    texts: AhoCorasick,
}

impl Scanner {
    /// For texts of which each relevant line contains at least one.
    pub(in crate::doctor) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let texts = AhoCorasick::builder().kind(Some(AhoCorasickKind::DFA)).build(texts);
        Self { texts: texts.expect("a hundred short texts are no large automaton") }
    }

    /// Calls `visit` with each line that contains one of the texts, and its position in the log. Returns
    /// whether the log is not blank.
    pub(in crate::doctor) fn lines(
        &self,
        mut input: impl Read,
        mut visit: impl FnMut(u64, &str),
    ) -> io::Result<bool> {
        let mut seen = vec![0_u32; self.texts.patterns_len()];
        let mut block = vec![0; BLOCK];
        let mut text = Vec::with_capacity(BLOCK);
        let mut encoding = None;
        let (mut filled, mut offset, mut has_text) = (0, 0, false);
        loop {
            let count = match input.read(&mut block[filled..]) {
                Ok(count) => count,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            filled += count;
            let is_end = count == 0;
            // A pipe may return few bytes at a time.
            if !is_end && filled < BLOCK {
                continue;
            }
            // Ends at the first byte that is not blank.
            has_text |=
                block[..filled].iter().any(|byte| !byte.is_ascii_whitespace() && *byte != 0);
            let encoding = *encoding.get_or_insert_with(|| Encoding::of(&block[..filled]));
            let left = if encoding == Encoding::Utf8 && text.is_empty() {
                let whole = whole_lines(&block[..filled], is_end);
                self.visit(&block[..whole], offset, &mut seen, &mut visit);
                offset += whole as u64;
                whole
            } else {
                let incomplete = encoding.decode(&block[..filled], &mut text);
                let whole = whole_lines(&text, is_end);
                self.visit(&text[..whole], offset, &mut seen, &mut visit);
                offset += whole as u64;
                text.drain(..whole);
                if is_end { filled } else { filled - incomplete }
            };
            block.copy_within(left..filled, 0);
            filled -= left;
            if is_end {
                return Ok(has_text);
            }
        }
    }

    fn visit(
        &self,
        block: &[u8],
        offset: u64,
        seen: &mut [u32],
        visit: &mut impl FnMut(u64, &str),
    ) {
        let plain = match memchr(0x1b, block) {
            Some(_) => {
                Cow::Owned(prefix::without_escapes(&String::from_utf8_lossy(block)).into_bytes())
            }
            None => Cow::Borrowed(block),
        };
        let plain = plain.as_ref();
        let mut from = 0;
        while let Some(found) = self.texts.find(&plain[from..]) {
            let (start, end) = (from + found.start(), from + found.end());
            let count = &mut seen[found.pattern()];
            *count += 1;
            if *count > REPEATED {
                from = end;
                continue;
            }
            // Some programs print a carriage return before each line.
            let first = memrchr2(b'\n', b'\r', &plain[..start]).map_or(0, |at| at + 1);
            let last = memchr2(b'\n', b'\r', &plain[end..]).map_or(plain.len(), |at| end + at);
            visit(offset + first as u64, &String::from_utf8_lossy(&plain[first..last]));
            from = last;
        }
    }
}

/// The length of the complete lines; everything at the end of the log, or if no line ends.
fn whole_lines(text: &[u8], is_end: bool) -> usize {
    if is_end {
        return text.len();
    }
    match memrchr(b'\n', text) {
        Some(at) => at + 1,
        None if text.len() >= BLOCK => text.len(),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines with "needle", from a reader that returns a few bytes at a time.
    fn lines(bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        let scanner = Scanner::new(["needle"]);
        scanner.lines(bytes, |_, line| found.push(line.to_owned())).expect("read");
        found
    }

    fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn lines_are_found_in_every_encoding() {
        let text = "a needle 😀\r\nhay\r\nb needle";
        let expected = ["a needle 😀", "b needle"];
        assert_eq!(lines(text.as_bytes()), expected);
        for unit in [u16::to_le_bytes as fn(u16) -> [u8; 2], u16::to_be_bytes] {
            for mark in ["\u{feff}", ""] {
                let found = lines(&utf16(&format!("{mark}{text}"), unit));
                assert!(found[0].ends_with(expected[0]) && found[1] == expected[1], "{found:?}");
            }
        }
        // Almost that: a hole at the beginning, a few zeros.
        assert_eq!(lines(&[&[0; 5000][..], b"a needle\n"].concat()).len(), 1);
        assert_eq!(lines(b"a\0b\0 needle of zeros, and what follows is plain\n").len(), 1);
        assert_eq!(lines(b"\xff needle \xe9\n"), ["\u{fffd} needle \u{fffd}"]);
        assert_eq!(lines(b"10%\r20%\r\x1b[31mnee\x1b[0mdle\x1b[0m\n"), ["needle"]);
        assert_eq!(lines(b""), [""; 0]);
    }

    #[test]
    fn a_log_with_nothing_but_blanks_is_empty() {
        let has_text =
            |bytes: &[u8]| Scanner::new(["needle"]).lines(bytes, |_, _| {}).expect("read");
        for empty in [&b""[..], b"\n", b" \r\n\t\0\n"] {
            assert!(!has_text(empty), "{empty:?}");
        }
        assert!(has_text(b"\n.\n") && has_text(&[&[b' '; BLOCK + 1][..], b"x"].concat()));
    }

    #[test]
    fn blocks_do_not_cut_lines() {
        for length in [BLOCK - 10, BLOCK - 3, BLOCK, 3 * BLOCK + 1] {
            let mut text = "x\n".repeat(length / 2);
            text += "the needle is here\n";
            assert_eq!(lines(text.as_bytes()), ["the needle is here"], "{length}");
            assert_eq!(lines(&utf16(&text, u16::to_le_bytes)), ["the needle is here"], "{length}");
        }
        let endless = "y".repeat(3 * BLOCK) + " needle";
        assert_eq!(lines(endless.as_bytes()).len(), 1);
    }

    #[test]
    fn what_is_repeated_without_end_is_not_read_without_end() {
        let text = "needle\n".repeat(10 * REPEATED as usize);
        assert_eq!(lines(text.as_bytes()).len(), REPEATED as usize);
    }
}
