//! Signals that end the command: the running program is stopped, and temporary files are removed.
//!
//! The signals are blocked, and a thread waits for them. A handler could do very little, and between two runs
//! nobody would check a flag.

use crate::signals::{Arrived, arrival, block, is_ignored, set_of};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::{
    fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{self, Command, ExitStatus},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Ctrl-C, a request of a service manager, and the closing of a terminal.
const SIGNALS: [Signal; 3] = [Signal::INT, Signal::TERM, Signal::HUP];

/// How long a program may take to end after the signal.
const GRACE: Duration = Duration::from_secs(5);

/// How a run ended.
#[derive(Debug)]
pub(super) enum Outcome {
    Ended(ExitStatus),
    /// This signal ended the command, and the program with it.
    Interrupted(i32),
}

/// Waits for signals from its start until the process ends.
pub(crate) struct Watch {
    state: Arc<Mutex<State>>,
    /// The signals that were blocked before; programs are started with these.
    before: libc::sigset_t,
}

#[derive(Debug, Default)]
struct State {
    /// The running program. It is not reaped while its PID is here, so the PID cannot be reused.
    child: Option<Pid>,
    /// The directory to remove if a signal ends the process.
    temporary: Option<PathBuf>,
    /// The received signal.
    signal: Option<Signal>,
}

impl Watch {
    /// Handles the signals from here on, except those that this process inherited as ignored.
    pub(crate) fn start(temporary: Option<&Path>) -> io::Result<Self> {
        let temporary = temporary.map(Path::to_owned);
        let state = Arc::new(Mutex::new(State { temporary, ..State::default() }));
        let set = set_of(SIGNALS.into_iter().filter(|signal| !is_ignored(*signal)));
        // Threads that are started later inherit the mask, including the one below.
        let before = block(libc::SIG_BLOCK, &set)?;
        let shared = Arc::clone(&state);
        thread::Builder::new().name("signals".to_owned()).spawn(move || wait(&set, &shared))?;
        Ok(Self { state, before })
    }

    /// Runs a command to its end.
    pub(super) fn run(&self, command: &mut Command) -> io::Result<Outcome> {
        let before = self.before;
        // SAFETY: the function only makes a system call, and allocates nothing.
        unsafe { command.pre_exec(move || block(libc::SIG_SETMASK, &before).map(drop)) };
        let mut state = lock(&self.state);
        if let Some(signal) = state.signal {
            return Ok(Outcome::Interrupted(signal.as_raw()));
        }
        let mut child = command.spawn()?;
        let pid = Pid::from_child(&child);
        state.child = Some(pid);
        drop(state);
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        rustix::io::retry_on_intr(|| waitid(WaitId::Pid(pid), options))?;
        let mut state = lock(&self.state);
        state.child = None;
        let status = child.wait()?;
        Ok(match state.signal {
            Some(signal) => Outcome::Interrupted(signal.as_raw()),
            None => Outcome::Ended(status),
        })
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's function.
fn wait(set: &libc::sigset_t, shared: &Mutex<State>) {
    let Some(Arrived { signal, by_terminal }) = arrival(set, None) else { return };
    let mut state = lock(shared);
    state.signal = Some(signal);
    let Some(child) = state.child else {
        // The lock is held, so that no other program is started meanwhile.
        if let Some(directory) = &state.temporary {
            remove(directory);
        }
        process::exit(128 + signal.as_raw());
    };
    if !by_terminal {
        // It is not an error if the process has just ended.
        let _ = kill_process(child, signal);
    }
    drop(state);
    // A second signal ends the wait early.
    arrival(set, Some(GRACE));
    if let Some(child) = lock(shared).child {
        // Ignored for the same reason as above.
        let _ = kill_process(child, Signal::KILL);
    }
}

/// Removes a directory even while a child process that is being killed still writes files there.
fn remove(directory: &Path) {
    for _ in 0..100 {
        match fs::remove_dir_all(directory) {
            Ok(()) => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            // Errors cannot be reported at this point.
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}
