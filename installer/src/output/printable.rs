//! Text that is safe to print on a terminal. File names, log lines and strings of a trace may contain
//! anything: escape sequences that retitle or recolour a terminal, line breaks that fake a line of output,
//! marks that reverse the order of the following text. All of these are printed as escapes.

use std::{
    borrow::Cow,
    fmt::{self, Write},
    os::unix::ffi::OsStrExt,
    path::Path,
};

/// Whether a character is printed unchanged.
#[must_use]
pub fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            // Marks, embeddings, overrides and isolates of the bidirectional algorithm.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Other line breaks, and characters without any width.
            | '\u{2028}' | '\u{2029}' | '\u{200b}' | '\u{2060}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
            // The replacement for bytes that are not UTF-8: two such names would look the same.
            | '\u{fffd}'
        )
}

/// The text with escapes for all unprintable characters, line breaks and tabs included.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_printable) {
        return Cow::Borrowed(text);
    }
    let mut printable = String::with_capacity(text.len() + 16);
    // Writing to a string does not fail.
    let _ = Escaping(&mut printable).write_str(text);
    Cow::Owned(printable)
}

/// A path as printed: bytes that are not UTF-8 become `\xff`.
#[must_use]
pub fn shown(path: &Path) -> Shown<'_> {
    Shown(path.as_os_str().as_bytes())
}

/// A path quoted as one shell word, for suggested commands.
#[must_use]
pub fn quoted(path: &Path) -> String {
    let text = shown(path).to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,~".contains(c);
    if text.chars().all(is_plain) && !text.starts_with('~') {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// See [`shown`].
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(&printable(chunk.valid()))?;
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

/// Escapes what is written to a string.
pub(super) struct Escaping<'a>(pub(super) &'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if is_printable(c) {
                self.0.push(c);
            } else {
                self.0.extend(c.escape_default());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn plain_text_is_borrowed_and_the_rest_is_escaped() {
        for plain in ["", "/opt/rocm-7.0.2/lib", "Größe, 大きさ, 👩‍💻", r"a\b"] {
            assert!(matches!(printable(plain), Cow::Borrowed(same) if same == plain), "{plain}");
        }
        for (text, escaped) in [
            ("\u{1b}]0;x\u{7}", r"\u{1b}]0;x\u{7}"),
            ("a\nerror: b\t\r", r"a\nerror: b\t\r"),
            ("\u{9b}31m\u{7f}", r"\u{9b}31m\u{7f}"),
            ("gpj\u{202e}exe", r"gpj\u{202e}exe"),
            ("a\u{2028}b\u{200b}", r"a\u{2028}b\u{200b}"),
            ("\u{fffd}", r"\u{fffd}"),
        ] {
            assert_eq!(printable(text), escaped);
            assert_eq!(printable(escaped), escaped, "escaping twice changes nothing");
        }
    }

    #[test]
    fn a_path_shows_its_bytes() {
        let path = Path::new(OsStr::from_bytes(b"/a\xff\xc3(\n\xe2\x80\xae"));
        assert_eq!(shown(path).to_string(), r"/a\xff\xc3(\n\u{202e}");
    }
}
