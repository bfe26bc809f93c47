//! The text that commands print. A [`Text`] consists of lines, and everything added to a line is escaped, so
//! that a file name cannot end the line or reach the terminal as an escape sequence. Only [`Line::styled`]
//! adds colours. Nothing else can be printed: see `channel.rs`.

use super::printable::Escaping;
use anstyle::Style;
use std::fmt::{Display, Write};

/// Lines to print.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// With escape sequences for colours, and a line break after each line.
    styled: String,
}

/// One line of a [`Text`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    styled: String,
}

impl Text {
    /// An empty text.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line. A string becomes one line whatever it contains; [`Self::block`] splits it.
    pub fn line(&mut self, line: impl Into<Line>) {
        self.styled.push_str(line.into().styled.trim_end());
        self.styled.push('\n');
    }

    /// Adds the lines of a text with its own line breaks, such as a file.
    pub fn block(&mut self, text: &str) {
        text.lines().for_each(|line| self.line(line));
    }

    /// Adds another text.
    pub fn append(&mut self, other: &Self) {
        self.styled.push_str(&other.styled);
    }

    /// Text from clap: its help, and its errors about safe arguments.
    #[must_use]
    pub(super) fn from_clap(text: &clap::builder::StyledStr) -> Self {
        let styled = text.ansi().to_string();
        Self { styled: format!("{}\n", styled.trim_end()) }
    }

    /// Replaces the last line break by a blank.
    pub(super) fn unfinished(&mut self) {
        self.styled.truncate(self.styled.trim_end().len());
        self.styled.push(' ');
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.styled.is_empty()
    }

    /// With escape sequences for colours.
    #[must_use]
    pub fn styled(&self) -> &str {
        &self.styled
    }

    /// Without colours: they carry no information of their own.
    #[must_use]
    pub fn plain(&self) -> String {
        anstream::adapter::strip_str(&self.styled).to_string()
    }
}

impl Line {
    /// An empty line.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value, escaped.
    #[must_use]
    pub fn text(mut self, value: impl Display) -> Self {
        // Writing to a string does not fail, and a value that fails to format is printed as far as it goes.
        let _ = write!(Escaping(&mut self.styled), "{value}");
        self
    }

    /// Adds a value in a style, escaped.
    #[must_use]
    pub fn styled(mut self, style: Style, value: impl Display) -> Self {
        // As above.
        let _ = write!(self.styled, "{style}");
        self = self.text(value);
        let _ = write!(self.styled, "{style:#}");
        self
    }
}

impl<T: Display> From<T> for Line {
    fn from(value: T) -> Self {
        Self::new().text(value)
    }
}

impl From<Line> for Text {
    fn from(line: Line) -> Self {
        let mut text = Self::new();
        text.line(line);
        text
    }
}

/// One line: a string may contain a file name, in which a line break is part of the name.
impl From<&str> for Text {
    fn from(line: &str) -> Self {
        Line::from(line.trim_end()).into()
    }
}

impl From<&String> for Text {
    fn from(line: &String) -> Self {
        line.as_str().into()
    }
}

impl<L: Into<Line>> FromIterator<L> for Text {
    fn from_iter<I: IntoIterator<Item = L>>(lines: I) -> Self {
        let mut text = Self::new();
        lines.into_iter().for_each(|line| text.line(line));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anstyle::AnsiColor;

    #[test]
    fn only_styles_bring_escape_sequences() {
        let red = AnsiColor::Red.on_default();
        let mut text = Text::new();
        text.line(
            Line::new().styled(red, "a\u{1b}[0m\nb").text(format_args!(": {}", "\u{1b}[31m")),
        );
        text.line("c\nd");
        text.block("e\nf\u{1b}");
        assert_eq!(text.plain(), "a\\u{1b}[0m\\nb: \\u{1b}[31m\nc\\nd\ne\nf\\u{1b}\n");
        assert_eq!(text.styled().matches('\u{1b}').count(), 2);
        assert_eq!(Text::from("x\ny\n").plain(), "x\\ny\n");
    }
}
