//! Standard output and standard error. Everything that is printed goes through here; `clippy.toml` forbids
//! other ways.
//!
//! A failure to write never panics: the first one is remembered, commands continue, and [`finish`] decides at
//! the end of `main`. A reader that closed a pipe (`| head -1`) is not an error; a full disk is.

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

/// What prevented this program from printing its result.
static FAILURE: Mutex<Option<Failure>> = Mutex::new(None);

#[derive(Debug)]
enum Failure {
    /// The reader closed the pipe.
    Closed,
    /// The reason.
    Failed(String),
}

/// Remembers the first failure.
fn remember(failure: Failure) {
    let mut first = FAILURE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    first.get_or_insert(failure);
}

/// Records that the result could not be written somewhere other than standard output.
pub(super) fn fail(why: String) {
    remember(Failure::Failed(why));
}

/// Opens standard output for data: exports and lines of a trace. Programs receive it unchanged; on a terminal
/// it is escaped.
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

/// Prints a text on standard output, with colours if that is a terminal.
pub(super) fn print(text: &Text) {
    print_data(for_stdout(text).as_bytes());
}

/// A text in the form for standard output.
pub(super) fn for_stdout(text: &Text) -> String {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let choice = AutoStream::choice(&io::stdout());
    coloured(text, choice)
}

/// Prints output for programs on standard output (documents, scripts, pages), and control sequences that move
/// a terminal's cursor.
pub(super) fn print_data(data: &[u8]) {
    let mut out = stdout();
    // A failure is remembered.
    let _ = out.write_all(data).and_then(|()| out.flush());
}

/// Whether standard output is unusable: its reader has closed it, or a disk is full.
#[must_use]
pub fn has_failed() -> bool {
    FAILURE.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_some()
}

/// Prints a text on standard error.
pub fn print_error(text: &Text) {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let mut out = io::stderr().lock();
    let choice = AutoStream::choice(&out);
    // There is nowhere left to report a failure.
    let _ = out.write_all(coloured(text, choice).as_bytes());
}

/// Prints the beginning of a line that the user completes.
pub fn print_prompt(line: Line) {
    let mut text = Text::from(line);
    text.unfinished();
    print_error(&text);
}

fn coloured(text: &Text, choice: ColorChoice) -> String {
    if choice == ColorChoice::Never { text.plain() } else { text.styled().to_owned() }
}

/// The exit code for a command that ended with this one, after all its output has been written.
#[must_use]
pub fn finish(code: u8) -> ExitCode {
    // Data that std still buffers would be written at exit, where errors are ignored.
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
