//! Escapes data for other programs, such as an export, on its way to a terminal.

use super::printable::is_printable;
use std::{
    fmt::Write as _,
    io::{self, Write},
};

/// Escapes unprintable characters, except line breaks and tabs, which belong to the data.
pub(super) struct EscapingWriter<W> {
    inner: W,
    /// The beginning of a character whose other bytes have not arrived.
    rest: Vec<u8>,
}

impl<W: Write> EscapingWriter<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, rest: Vec::new() }
    }

    /// Writes complete characters, and at the end the incomplete one too.
    fn pass_on(&mut self, at_end: bool) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.rest);
        let mut text = String::with_capacity(bytes.len());
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            for c in chunk.valid().chars() {
                if is_printable(c) || matches!(c, '\n' | '\t') {
                    text.push(c);
                } else {
                    text.extend(c.escape_default());
                }
            }
            if chunks.peek().is_none() && !at_end {
                self.rest = chunk.invalid().to_vec();
            } else {
                for byte in chunk.invalid() {
                    // Writing to a string does not fail.
                    let _ = write!(text, "\\x{byte:02x}");
                }
            }
        }
        self.inner.write_all(text.as_bytes())
    }
}

impl<W: Write> Write for EscapingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rest.extend_from_slice(bytes);
        self.pass_on(false)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on(true)?;
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_put_together_and_the_wild_ones_escaped() {
        let data = "a,\tü\n\u{1b}[31m\u{202e}大".as_bytes();
        let data = [data, b"\xff\n\xe5"].concat();
        for size in 1..data.len() {
            let mut writer = EscapingWriter::new(Vec::new());
            data.chunks(size).for_each(|part| writer.write_all(part).expect("written"));
            writer.flush().expect("written");
            let text = String::from_utf8(writer.inner).expect("UTF-8");
            assert_eq!(text, "a,\tü\n\\u{1b}[31m\\u{202e}大\\xff\n\\xe5");
        }
    }
}
