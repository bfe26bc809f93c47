//! Runs a command and interrupts it at one of the system calls with which it changes files: the command
//! is killed before the call, or the call fails as on a full disk. With this, a test shows what a program
//! leaves behind wherever it is killed.
//!
//! The command and all its children and threads run under ptrace. What counts is listed in
//! `calls.rs`; a file changed through a shared mapping or by io_uring makes no such call and is not
//! seen.

mod calls;
mod filter;
mod observer;
mod places;
mod trace;
mod tracee;

use crate::run::Ended;
use filter::Filter;
pub(crate) use observer::{Attempt, Observer, Spot};
use std::{
    fmt,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    thread,
    time::Duration,
};

/// Longer than any command takes, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// What happens to the command. Calls are numbered as in [`Outcome::calls`], from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// No interruption, just to list the calls.
    None,
    /// All its processes get SIGKILL, and the call is not carried out.
    KillBefore(usize),
    /// The call fails and is not carried out; all others are.
    FailAt {
        /// The number of the call.
        call: usize,
        /// The error that the program gets, such as `libc::EIO`.
        errno: i32,
    },
    /// From this call on, all that take space fail and are not carried out.
    FailFrom {
        /// The number of the call.
        call: usize,
        /// The error that the program gets, such as `libc::ENOSPC`.
        errno: i32,
    },
}

/// A system call that changes files, or that makes changes durable (`fsync`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its name, `renameat2`.
    pub name: &'static str,
    /// What it changes; relative to the watched directory if it is below that.
    pub paths: Vec<PathBuf>,
    /// Whether calls of its kind fail on a full disk.
    pub takes_space: bool,
}

impl fmt::Display for Call {
    /// `rename lib/new -> lib/old`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<_> = self.paths.iter().map(|path| path.display().to_string()).collect();
        write!(f, "{} {}", self.name, paths.join(" -> "))
    }
}

/// The outcome of a command.
#[derive(Debug)]
pub struct Outcome {
    /// The calls that count, in order; the last one of a killed command was not carried out.
    pub calls: Vec<Call>,
    /// Whether the interruption happened; false if the number is too high.
    pub interrupted: bool,
    /// How it ended and what it printed.
    pub ended: Ended,
}

/// Runs a command to its end with nothing on its stdin, and waits for all its processes.
///
/// It counts the calls that change something below the directory, even through a symlink or a `chroot`.
///
/// # Errors
/// If the command cannot be started, if this process may not trace (`EPERM`; see [`permitted`]), and
/// [`io::ErrorKind::TimedOut`] after a minute, when all processes are killed.
pub fn run(command: &mut Command, below: &Path, interruption: Interruption) -> io::Result<Outcome> {
    run_within(command, below, interruption, LIMIT)
}

/// As [`run`], with another limit.
///
/// # Errors
/// As for [`run`].
pub fn run_within(
    command: &mut Command,
    below: &Path,
    interruption: Interruption,
    limit: Duration,
) -> io::Result<Outcome> {
    run_observed(command, below, interruption, limit, None)
}

/// Runs a command to its end and shows an observer every call that changes files anywhere.
pub(crate) fn observe(
    command: &mut Command,
    below: &Path,
    observer: &mut (dyn Observer + 'static),
) -> io::Result<Outcome> {
    run_observed(command, below, Interruption::None, LIMIT, Some(observer))
}

fn run_observed(
    command: &mut Command,
    below: &Path,
    interruption: Interruption,
    limit: Duration,
    observer: Option<&mut (dyn Observer + 'static)>,
) -> io::Result<Outcome> {
    let below = below.canonicalize()?;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // This thread has no other children: all children that it waits for are the command's.
    thread::scope(|scope| {
        let tracer = thread::Builder::new().name("tracer".to_owned());
        let traced = tracer.spawn_scoped(scope, || {
            let mut child = tracee::spawn(command, Filter::new(&calls::numbers()))?;
            let stdout = drain(child.stdout.take().expect("piped"));
            let stderr = drain(child.stderr.take().expect("piped"));
            let traced = trace::trace(child.id(), &below, interruption, limit, observer);
            let text = |pipe: thread::JoinHandle<String>| pipe.join().expect("no panic");
            let (stdout, stderr) = (text(stdout), text(stderr));
            let trace::Traced { calls, interrupted, status } = traced?;
            Ok(Outcome { calls, interrupted, ended: Ended { status, stdout, stderr } })
        })?;
        traced.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Checks whether this process may trace others, which some containers forbid.
///
/// # Errors
/// The kernel's error.
pub fn permitted() -> Result<(), &'static str> {
    static RESULT: OnceLock<Result<(), String>> = OnceLock::new();
    let ask = || run(&mut Command::new("true"), Path::new("/"), Interruption::None);
    let result = RESULT.get_or_init(|| match ask() {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("ptrace: {error}")),
    });
    result.as_ref().copied().map_err(String::as_str)
}

/// Reads what a process prints while it is traced, so that it never waits for a reader.
fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
