//! A child process for code that may crash or hang: the parent gets its result and how it ended in any case.

use crate::output;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    env,
    ffi::OsStr,
    fmt,
    io::{self, Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{self, Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

/// How much of each output of a child is kept, in bytes: its end, which contains the result.
const KEPT: usize = 1 << 20;

/// How long to read outputs after the end of a child: a process that it started may hold them open
/// indefinitely.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a child ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It exited with a code.
    Code(i32),
    /// A signal killed it: it crashed.
    Signal(i32),
    /// It was killed after exceeding this many seconds.
    TimeLimit(u64),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended with exit code {code}"),
            Self::Signal(number) => match signal_name(*number) {
                Some(name) => write!(f, "crashed with {name}"),
                None => write!(f, "was killed by signal {number}"),
            },
            Self::TimeLimit(seconds) => write!(f, "hung: it was killed after {seconds} s"),
        }
    }
}

/// The signals of crashes.
fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        libc::SIGABRT => "SIGABRT (its code called abort())",
        libc::SIGBUS => "SIGBUS (a file that is shorter than it says, or a bad address)",
        libc::SIGFPE => "SIGFPE",
        libc::SIGILL => "SIGILL (an instruction that this processor does not have)",
        libc::SIGKILL => "SIGKILL (often the kernel, out of memory)",
        libc::SIGSEGV => "SIGSEGV (a bad address)",
        libc::SIGSYS => "SIGSYS (a forbidden system call)",
        libc::SIGTRAP => "SIGTRAP",
        _ => return None,
    })
}

/// The result of a child.
#[derive(Debug)]
pub(crate) struct Ended<T> {
    /// Its result, if it returned one.
    pub(crate) answer: Option<T>,
    /// How it ended.
    pub(crate) end: End,
    /// What it and the libraries in it printed to stderr.
    pub(crate) stderr: String,
}

/// Runs this program again with other arguments, for at most that long. The result is a line of its standard
/// output, as printed by [`print_result`].
pub(crate) fn run<T: DeserializeOwned>(
    arguments: &[&OsStr],
    limit: Duration,
) -> io::Result<Ended<T>> {
    run_command(Command::new(env::current_exe()?).args(arguments), limit)
}

/// Runs a command that prints its result in the same way. The kernel kills it if this thread ends before it does.
pub(crate) fn run_command<T: DeserializeOwned>(
    command: &mut Command,
    limit: Duration,
) -> io::Result<Ended<T>> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let parent = process::id();
    // SAFETY: the function only makes system calls, and allocates nothing.
    unsafe { command.pre_exec(move || end_with(parent)) };
    let mut child = command.spawn()?;
    let stdout = child.stdout.take().map(Drain::start);
    let stderr = child.stderr.take().map(Drain::start);
    let end = wait(&mut child, limit)?;
    let text = |drain: Option<Drain>| drain.map(Drain::finish).unwrap_or_default();
    let (stdout, stderr) = (text(stdout), text(stderr));
    // Libraries may print too, before the result and, since C's buffers are flushed at exit, after it.
    let answer = stdout.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    Ok(Ended { answer, end, stderr })
}

/// Has this process killed when its parent ends for any reason.
fn end_with(parent: u32) -> io::Result<()> {
    // SAFETY: this option takes a signal's number and changes no memory.
    if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // The parent may have ended before the call.
    // SAFETY: the function has no conditions.
    let is_parent = u32::try_from(unsafe { libc::getppid() }) == Ok(parent);
    if is_parent { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
}

/// Prints a child's result.
pub(crate) fn print_result(value: &impl Serialize) -> io::Result<()> {
    let line = serde_json::to_string(value)?;
    // On a line of its own, whatever a library printed before.
    let mut stdout = output::data();
    writeln!(stdout, "\n{line}")?;
    stdout.flush()
}

/// A child calls this before it runs code that may crash, so that no core file is left in the current
/// directory.
pub(crate) fn leave_no_core() {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    // A core file would only be a nuisance, so failure is ignored.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
}

fn wait(child: &mut Child, limit: Duration) -> io::Result<End> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.into());
        }
        if start.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(End::TimeLimit(limit.as_secs()));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        // A status that was waited for has one or the other.
        status.code().map_or_else(|| Self::Signal(status.signal().unwrap_or(0)), Self::Code)
    }
}

/// Reads an output as it arrives, so that a child does not block on a full pipe.
struct Drain {
    kept: Arc<Mutex<Vec<u8>>>,
    finished: mpsc::Receiver<()>,
}

impl Drain {
    fn start(mut pipe: impl Read + Send + 'static) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (finish, finished) = mpsc::channel();
        let shared = Arc::clone(&kept);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = pipe.read(&mut buffer) {
                let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&buffer[..read]);
                if kept.len() > 2 * KEPT {
                    let superfluous = kept.len() - KEPT;
                    kept.drain(..superfluous);
                }
            }
            // The receiver may be gone if the time for reading the rest is over.
            let _ = finish.send(());
        });
        Self { kept, finished }
    }

    fn finish(self) -> String {
        // In either case, use what has arrived by now.
        let _ = self.finished.recv_timeout(LAST_WORDS);
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Ended<u32> {
        run_command(Command::new("sh").args(["-c", script]), limit).expect("a shell")
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn the_answer_is_found_among_what_else_is_printed() {
        let ended = shell("echo so; echo 42; echo; printf more; echo why >&2; exit 3", LONG);
        assert_eq!((ended.answer, ended.end), (Some(42), End::Code(3)));
        assert_eq!(ended.stderr, "why\n");
        assert_eq!(shell("echo nothing", LONG).answer, None);
    }

    #[test]
    fn a_child_that_hangs_is_ended() {
        let ended = shell("echo 1; exec sleep 600", Duration::from_millis(300));
        assert_eq!((ended.answer, ended.end), (Some(1), End::TimeLimit(0)));
    }

    #[test]
    fn what_a_child_leaves_running_is_not_waited_for() {
        let start = Instant::now();
        // It writes to both outputs, and ends by itself.
        assert_eq!(shell("sleep 15 & echo 7", LONG).answer, Some(7));
        assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
    }

    #[test]
    fn an_output_larger_than_a_pipe_is_read_and_its_end_kept() {
        let ended = shell("head -c 5000000 /dev/zero; echo; echo 9", LONG);
        assert_eq!((ended.answer, ended.end), (Some(9), End::Code(0)));
        let errors = shell("head -c 5000000 /dev/zero >&2; echo end >&2", LONG).stderr;
        assert!(errors.ends_with("end\n") && errors.len() <= 2 * KEPT, "{}", errors.len());
    }

    #[test]
    fn a_crash_is_named() {
        let ended = shell("kill -s SEGV $$", LONG);
        assert_eq!(ended.end, End::Signal(libc::SIGSEGV));
        assert_eq!(ended.end.to_string(), "crashed with SIGSEGV (a bad address)");
        assert_eq!(End::Signal(libc::SIGUSR1).to_string(), "was killed by signal 10");
    }
}
