//! A terminal on standard output whose whole screen a command redraws repeatedly.

use super::{channel, text::Text};
use std::io::{self, IsTerminal};

/// The alternate screen without a cursor, in which long lines are truncated.
/// <https://invisible-island.net/xterm/ctlseqs/ctlseqs.html>
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/// To the upper left corner.
const HOME: &str = "\x1b[H";
/// Clears the rest of a line, and the rest of the screen.
const REST_OF_LINE: &str = "\x1b[K";
const REST: &str = "\x1b[J";

/// A terminal's screen. Its previous contents are restored when this is dropped.
#[derive(Debug)]
pub struct Screen(());

impl Screen {
    /// Takes over the screen, if standard output is a suitable terminal.
    #[must_use]
    pub fn take() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "nothing is written")]
        let is_terminal = io::stdout().is_terminal();
        let can_draw = std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        (is_terminal && can_draw).then(|| {
            channel::print_data(ENTER.as_bytes());
            Self(())
        })
    }

    /// Draws a text; lines that do not fit are omitted.
    pub fn draw(&mut self, text: &Text) {
        let rows = rows();
        let coloured = channel::for_stdout(text);
        let mut drawn = HOME.to_owned();
        for (n, line) in coloured.lines().take(rows).enumerate() {
            if n > 0 {
                drawn.push_str("\r\n");
            }
            drawn.push_str(line);
            drawn.push_str(REST_OF_LINE);
        }
        drawn.push_str(REST);
        channel::print_data(drawn.as_bytes());
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        channel::print_data(LEAVE.as_bytes());
    }
}

/// The rows of the terminal, or those of a small one.
fn rows() -> usize {
    #[expect(clippy::disallowed_methods, reason = "nothing is written")]
    let out = io::stdout();
    let rows = rustix::termios::tcgetwinsize(out).map_or(0, |size| size.ws_row);
    if rows == 0 { 24 } else { usize::from(rows) }
}
