//! The two ends of this program's output. Everything that is printed goes through here, and
//! `clippy.toml` refuses other ways.
//!
//! A failure to write is never a panic: the first one is remembered, commands go on, and [`finish`]
//! decides at the end of `main`. Whoever closed a pipe (`| head -1`) has read enough, which is no
//! error; a full disk is one.

use super::{
    escaping::EscapingWriter,
    text::{Line, Text},
};
use anstream::{AutoStream, ColorChoice};
use std::{
    io::{self, BufWriter, IsTerminal, StdoutLock, Write},
    process::ExitCode,
    sync::Mutex,
};

/// What kept this program from printing its result.
static FAILURE: Mutex<Option<Failure>> = Mutex::new(None);

#[derive(Debug)]
enum Failure {
    /// Nobody reads any more.
    Closed,
    /// Why, in words.
    Failed(String),
}

/// Remembers the first failure.
fn remember(failure: Failure) {
    let mut first = FAILURE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    first.get_or_insert(failure);
}

/// The result could not be printed, for another reason than standard output.
pub(super) fn fail(why: String) {
    remember(Failure::Failed(why));
}

/// Opens standard output for data: exports and lines of a trace. Programs get it as it is; on a
/// terminal it is escaped.
#[must_use]
pub fn data() -> Box<dyn Write> {
    let out = stdout();
    if out.0.is_terminal() {
        Box::new(BufWriter::new(EscapingWriter::new(out)))
    } else {
        Box::new(BufWriter::new(out))
    }
}

fn stdout() -> Remembering {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let out = io::stdout().lock();
    Remembering(out)
}

struct Remembering(StdoutLock<'static>);

impl Write for Remembering {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).inspect_err(failed)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().inspect_err(failed)
    }
}

fn failed(error: &io::Error) {
    match error.kind() {
        io::ErrorKind::Interrupted => {}
        io::ErrorKind::BrokenPipe => remember(Failure::Closed),
        _ => fail(format!("cannot write to standard output: {error}")),
    }
}

/// Prints a text on standard output, with colours where that is a terminal.
pub(super) fn print(text: &Text) {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let choice = AutoStream::choice(&io::stdout());
    // A failure is remembered.
    let _ = stdout().write_all(coloured(text, choice).as_bytes());
}

/// Prints on standard output what is made for programs: documents, scripts, pages.
pub(super) fn print_data(data: &[u8]) {
    // A failure is remembered.
    let _ = stdout().write_all(data);
}

/// Prints a text on standard error.
pub fn print_error(text: &Text) {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let mut out = io::stderr().lock();
    let choice = AutoStream::choice(&out);
    // There is no place left where a failure could be reported.
    let _ = out.write_all(coloured(text, choice).as_bytes());
}

/// Prints the beginning of a line that a person completes.
pub fn print_prompt(line: Line) {
    let mut text = Text::from(line);
    text.unfinished();
    print_error(&text);
}

fn coloured(text: &Text, choice: ColorChoice) -> String {
    if choice == ColorChoice::Never { text.plain() } else { text.styled().to_owned() }
}

/// The exit code for a command that ended with this one, once all its output is written.
#[must_use]
pub fn finish(code: u8) -> ExitCode {
    // What std still holds back would be written at exit, where errors are ignored.
    let _ = stdout().flush();
    let failure = FAILURE.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    match failure {
        None | Some(Failure::Closed) => ExitCode::from(code),
        Some(Failure::Failed(why)) => {
            print_error(&Line::new().styled(super::BAD, "error").text(": ").text(why).into());
            ExitCode::FAILURE
        }
    }
}
