//! Where the shim's own messages go: through `tracing` to stderr, one write each, errors only
//! unless asked for more. A program that works prints nothing, at load least of all.

use crate::trace::live;
use core::fmt;
use rocblas_contract::sentences::PREFIX;
use std::io;
use tracing::{Event, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, format},
    registry::LookupSpan,
};

/// Installs the subscriber of this library; the first call decides the level. The `tracing` in
/// here is linked statically: a client's own is another one.
pub(crate) fn install(level: LevelFilter) {
    // Fails only when already installed.
    let _ = tracing_subscriber::fmt()
        // Traced calls are events of that level, and may be wanted at any time.
        .with_max_level(level.max(LevelFilter::INFO))
        .with_writer(Wanted(level))
        .event_format(Line)
        .try_init();
}

/// What is written: messages up to a level, and traced calls.
struct Wanted(LevelFilter);

impl<'a> MakeWriter<'a> for Wanted {
    type Writer = Stderr;

    fn make_writer(&'a self) -> Stderr {
        Stderr { open: true }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Stderr {
        Stderr { open: *metadata.level() <= self.0 || metadata.target() == live::TARGET }
    }
}

/// `rocblas-shim: error: message field=value`; a traced call has no level.
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
        writer.write_str(PREFIX)?;
        if event.metadata().target() != live::TARGET {
            let level = event.metadata().level().as_str().to_ascii_lowercase();
            write!(writer, "{level}: ")?;
        }
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// File descriptor 2 without the lock of `std::io::stderr`, which another thread of a forked
/// parent may have held.
struct Stderr {
    open: bool,
}

impl io::Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.open {
            return Ok(bytes.len());
        }
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
