//! Prints the shim's own messages through `tracing` to stderr, one write each; by default only errors.
//! If nothing is wrong the shim prints nothing, in particular while it is loaded.
//!
//! The subscriber is the shim's own: there are no spans, one format, and one destination, for which
//! `tracing-subscriber` would be a thirtieth of the library.

use core::fmt::{self, Debug, Write};
use rocblas_contract::sentences::PREFIX;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::set_global_default,
};

/// Prints a message of a level, if messages of that level are printed.
///
/// The macros below call it instead of being `tracing`'s, each use of which is half a kilobyte of the library: a static
/// description with relocations, its registration, and the dispatch. Unlike those, they evaluate the arguments of every
/// message; where that is work at start-up, the caller asks for the level first.
#[cold]
pub(crate) fn print(level: Level, message: fmt::Arguments<'_>) {
    match level {
        Level::ERROR => tracing::error!("{message}"),
        Level::WARN => tracing::warn!("{message}"),
        Level::INFO => tracing::info!("{message}"),
        _ => tracing::debug!("{message}"),
    }
}

/// Prints a line of a trace to stderr.
pub(crate) fn print_traced(line: fmt::Arguments<'_>) {
    tracing::info!(target: TRACED, "{line}");
}

macro_rules! error {
    ($($message:tt)+) => {
        $crate::diagnostics::print(tracing::Level::ERROR, format_args!($($message)+))
    };
}
macro_rules! warning {
    ($($message:tt)+) => {
        $crate::diagnostics::print(tracing::Level::WARN, format_args!($($message)+))
    };
}
macro_rules! info {
    ($($message:tt)+) => {
        $crate::diagnostics::print(tracing::Level::INFO, format_args!($($message)+))
    };
}
macro_rules! debug {
    ($($message:tt)+) => {
        $crate::diagnostics::print(tracing::Level::DEBUG, format_args!($($message)+))
    };
}
pub(crate) use {debug, error, info, warning};

/// The target of lines of a trace, which have no level in front and are printed at every level.
const TRACED: &str = "trace";

/// Installs the subscriber of this library; the first call decides the level. `tracing` is linked
/// statically into the shim, so it is independent of a client's.
pub(crate) fn install(level: LevelFilter) {
    // Fails only when already installed.
    let _ = set_global_default(Messages(level));
}

/// Prints messages up to a level, and traced calls.
struct Messages(LevelFilter);

impl Subscriber for Messages {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.0 || metadata.target() == TRACED
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // Traced calls are events of level INFO, and a trace to stderr may start at any time.
        Some(self.0.max(LevelFilter::INFO))
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(PREFIX.to_owned());
        if event.metadata().target() != TRACED {
            line.0 += &event.metadata().level().as_str().to_ascii_lowercase();
            line.0 += ": ";
        }
        let mut fields = Fields { line: &mut line, is_first: true };
        event.record(&mut fields);
        line.0.push('\n');
        // File descriptor 2 without the lock of `std::io::stderr`, which another thread may have held while the
        // process forked. On a full disk or a closed pipe the message is lost, which must not fail the call.
        // SAFETY: the text is readable for its length.
        unsafe { libc::write(libc::STDERR_FILENO, line.0.as_ptr().cast(), line.0.len()) };
    }

    // There are no spans.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A line for a terminal: names of files and programs may contain anything, and control characters are escaped.
struct Line(String);

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c.is_control() && !matches!(c, '\n' | '\t') {
                true => self.0.extend(c.escape_default()),
                false => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// `message field=value`
struct Fields<'a> {
    line: &'a mut Line,
    is_first: bool,
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let space = if core::mem::take(&mut self.is_first) { "" } else { " " };
        // Writing to a string does not fail, and a value whose own formatting fails is cut there.
        let _ = match field.name() {
            "message" => write!(self.line, "{space}{value:?}"),
            name => write!(self.line, "{space}{name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_lines_stay_lines() {
        let mut line = Line(String::new());
        write!(line, "a\u{1b}[31m\tb\u{9b}\nc\u{7f}\r").expect("a string");
        assert_eq!(line.0, "a\\u{1b}[31m\tb\\u{9b}\nc\\u{7f}\\r");
    }
}
