//! Waits for a key, a signal that ends this program, or a timeout. Until `Keys` is dropped, the terminal
//! passes keys on immediately and does not echo them.

use crate::signals::{block, is_ignored, set_of};
use rustix::{
    process::Signal,
    termios::{
        LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcsetattr,
    },
};
use std::{
    fs::File,
    io::{self, Read, stdin},
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    time::{Duration, Instant},
};

/// Ctrl-C and Ctrl-D, as a terminal sends them when it does not turn them into signals.
const INTERRUPT: u8 = 3;
const END: u8 = 4;

/// Signals after which the terminal must be restored.
const SIGNALS: [Signal; 4] = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT];

/// Why waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The timeout expired.
    Time,
    /// The user pressed `q` or Ctrl-C, or a signal was received.
    Quit,
}

/// The keys of the terminal on standard input, if it is one, and signals.
pub(super) struct Keys {
    /// The terminal's original settings.
    before: Option<Termios>,
    signals: File,
    /// Whether there are keys to read.
    has_keys: bool,
}

impl Keys {
    /// Takes over the terminal's keys and the signals of this process.
    ///
    /// # Errors
    /// Any error from the system.
    pub(super) fn new() -> io::Result<Self> {
        let signals = signals()?;
        let before = if isatty(stdin()) { tcgetattr(stdin()).ok() } else { None };
        if let Some(before) = &before {
            let mut now = before.clone();
            now.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
            now.special_codes[SpecialCodeIndex::VMIN] = 1;
            now.special_codes[SpecialCodeIndex::VTIME] = 0;
            tcsetattr(stdin(), OptionalActions::Now, &now)?;
        }
        Ok(Self { has_keys: before.is_some(), before, signals })
    }

    /// Waits at most that long.
    ///
    /// # Errors
    /// Any error from the system.
    pub(super) fn wait(&mut self, long: Duration) -> io::Result<Ended> {
        let since = Instant::now();
        loop {
            let left = long.saturating_sub(since.elapsed());
            if left.is_zero() {
                return Ok(Ended::Time);
            }
            let keys = if self.has_keys { stdin().as_raw_fd() } else { -1 };
            let watched = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
            let mut descriptors = [watched(self.signals.as_raw_fd()), watched(keys)];
            let milliseconds = left.as_millis().clamp(1, 1000) as libc::c_int;
            // SAFETY: both structures may be read and written; poll ignores one with a negative descriptor.
            let ready = unsafe { libc::poll(descriptors.as_mut_ptr(), 2, milliseconds) };
            if ready < 0 {
                let error = io::Error::last_os_error();
                if error.kind() == io::ErrorKind::Interrupted {
                    continue;
                }
                return Err(error);
            }
            let [signal, key] = descriptors.map(|descriptor| descriptor.revents != 0);
            if signal || key && self.wants_to_quit()? {
                return Ok(Ended::Quit);
            }
        }
    }

    /// Reads the keys pressed so far.
    fn wants_to_quit(&mut self) -> io::Result<bool> {
        let mut keys = [0; 64];
        // Bypasses std's buffer, which poll does not see.
        let count = rustix::io::read(stdin().as_fd(), &mut keys)?;
        if count == 0 {
            // The terminal is gone.
            return Ok(true);
        }
        let quits = |key: &u8| matches!(key, b'q' | b'Q' | &INTERRUPT | &END);
        Ok(keys[..count].iter().any(quits))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // Nothing can be done about a failure here.
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
        // Blocked signals take effect now, with the terminal restored.
        let mut ignored = [0; size_of::<libc::signalfd_siginfo>()];
        let _ = self.signals.read(&mut ignored);
    }
}

/// Blocks signals and returns a file that receives them (signalfd(2)). Signals inherited as ignored stay
/// ignored.
fn signals() -> io::Result<File> {
    let set = set_of(SIGNALS.into_iter().filter(|signal| !is_ignored(*signal)));
    block(libc::SIG_BLOCK, &set)?;
    // SAFETY: the set is initialised, and the returned descriptor has no other owner.
    unsafe {
        let descriptor = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(File::from(OwnedFd::from_raw_fd(descriptor)))
    }
}
