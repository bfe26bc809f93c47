//! Signals that end the command: the program that runs is stopped, and temporary files are removed.
//!
//! The signals are blocked, and a thread waits for them. A handler could do next to nothing, and between
//! two runs there is nobody who would look at a flag.

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::{
    fs, io,
    mem::MaybeUninit,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{self, Command, ExitStatus},
    ptr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Ctrl-C, a service manager's request, and the end of a terminal.
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

/// Waits for signals from its start to the end of the process.
pub(super) struct Watch {
    state: Arc<Mutex<State>>,
    /// The signals that were blocked before, as they are for programs.
    before: libc::sigset_t,
}

#[derive(Debug, Default)]
struct State {
    /// The program that runs. It is not reaped while its number is here, so nobody else has the number.
    child: Option<Pid>,
    /// What is removed if the process ends by a signal.
    temporary: Option<PathBuf>,
    /// The signal that came.
    signal: Option<Signal>,
}

/// A signal that was waited for.
struct Arrived {
    signal: Signal,
    /// Whether the terminal sent it, to the program as well.
    by_terminal: bool,
}

impl Watch {
    /// Takes the signals from here on, but those that whoever started this process wants ignored.
    pub(super) fn start(temporary: Option<&Path>) -> io::Result<Self> {
        let temporary = temporary.map(Path::to_owned);
        let state = Arc::new(Mutex::new(State { temporary, ..State::default() }));
        let set = set_of(SIGNALS.into_iter().filter(|signal| !is_ignored(*signal)));
        // Threads that are started later inherit it, and the one below.
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

/// What the thread does.
fn wait(set: &libc::sigset_t, shared: &Mutex<State>) {
    let Some(Arrived { signal, by_terminal }) = arrival(set, None) else { return };
    let mut state = lock(shared);
    state.signal = Some(signal);
    let Some(child) = state.child else {
        // With the lock: no other program is started meanwhile.
        if let Some(directory) = &state.temporary {
            // There is nobody left to be told.
            let _ = fs::remove_dir_all(directory);
        }
        process::exit(128 + signal.as_raw());
    };
    if !by_terminal {
        // A process that has just ended is no error.
        let _ = kill_process(child, signal);
    }
    drop(state);
    // A second signal does not wait any longer.
    arrival(set, Some(GRACE));
    if let Some(child) = lock(shared).child {
        // As above.
        let _ = kill_process(child, Signal::KILL);
    }
}

/// Waits for one of these signals, for so long at most.
fn arrival(set: &libc::sigset_t, limit: Option<Duration>) -> Option<Arrived> {
    let limit = limit.map(|limit| libc::timespec {
        tv_sec: limit.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    });
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    loop {
        let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: a complete set, memory for the answer, and a limit or null, for none.
        let number = unsafe { libc::sigtimedwait(set, info.as_mut_ptr(), limit) };
        if number > 0 {
            // SAFETY: the call has filled it, and zeros are valid.
            let info = unsafe { info.assume_init() };
            let by_terminal = info.si_code == libc::SI_KERNEL;
            return Some(Arrived { signal: Signal::from_named_raw(number)?, by_terminal });
        }
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return None;
        }
    }
}

/// Changes which signals this thread blocks. Answers which it did before.
fn block(how: libc::c_int, set: &libc::sigset_t) -> io::Result<libc::sigset_t> {
    let mut before = MaybeUninit::zeroed();
    // SAFETY: a complete set, and memory for the old one. Zeros are valid.
    let (error, before) = unsafe {
        let error = libc::pthread_sigmask(how, set, before.as_mut_ptr());
        (error, before.assume_init())
    };
    if error == 0 { Ok(before) } else { Err(io::Error::from_raw_os_error(error)) }
}

fn set_of(signals: impl Iterator<Item = Signal>) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: memory for a set, which the first call completes; the others get valid numbers.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal.as_raw());
        }
        set.assume_init()
    }
}

/// Whether this process was started with a signal ignored, as by nohup(1).
fn is_ignored(signal: Signal) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: memory for the answer; nothing is set. Zeros are valid.
    let action = unsafe {
        libc::sigaction(signal.as_raw(), ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}
