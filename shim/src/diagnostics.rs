//! Where the shim's own messages go: through `tracing` to stderr, one write each, errors only
//! unless asked for more. A program that works prints nothing, at load least of all.

use core::fmt;
use std::io;
use tracing::{Event, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format},
    registry::LookupSpan,
};

/// Installs the subscriber of this library; the first call decides the level. The `tracing` in
/// here is linked statically: a client's own is another one.
pub(crate) fn install(level: LevelFilter) {
    // Fails only when already installed.
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(|| Stderr)
        .event_format(Line)
        .try_init();
}

/// `rocblas-shim: error: message field=value`
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: format::Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        write!(writer, "rocblas-shim: {level}: ")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// File descriptor 2 without the lock of `std::io::stderr`, which another thread of a forked
/// parent may have held.
struct Stderr;

impl io::Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // SAFETY: the slice is readable for its length.
        let written =
            unsafe { libc::write(libc::STDERR_FILENO, bytes.as_ptr().cast(), bytes.len()) };
        // A full disk or a closed pipe loses a message; it is no reason to fail anything. The
        // subscriber would complain about an error to stderr, and panic as that fails too.
        Ok(usize::try_from(written).unwrap_or(bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
