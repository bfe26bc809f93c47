//! Runs a command that may be made to hang, to take all memory or to crash: with limits for all three,
//! and an account of how it ended instead of a panic.

use crate::run::Ended;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, setrlimit};
use std::{
    io::{self, Read},
    mem::MaybeUninit,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Output beyond this is not kept.
const MOST_OUTPUT: u64 = 4 << 20;

/// What a command may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// It is killed after this long, with everything that it started.
    pub time: Duration,
    /// Address space in bytes (`RLIMIT_AS`); more is refused to it.
    pub memory: u64,
}

/// How a command ended.
#[derive(Debug)]
pub struct Confined {
    /// Its status and output.
    pub ended: Ended,
    /// Whether it ended by itself.
    pub in_time: bool,
    /// The most memory that it, or a process that it waited for, had at a time, in bytes.
    pub peak: u64,
}

/// Runs a command in a process group of its own.
///
/// # Panics
/// When it cannot be started.
#[must_use]
#[expect(
    clippy::zombie_processes,
    reason = "`wait` waits for it, and learns how much memory it had"
)]
pub fn run(command: &mut Command, limits: Limits) -> Confined {
    let limit = Rlimit { current: Some(limits.memory), maximum: Some(limits.memory) };
    let limited = move || Ok(setrlimit(Resource::As, limit)?);
    // SAFETY: between fork and exec only a system call is made.
    unsafe { command.pre_exec(limited) };
    let mut child = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let stdout = drain(child.stdout.take().expect("piped"));
    let stderr = drain(child.stderr.take().expect("piped"));
    let group = Pid::from_child(&child);
    let start = Instant::now();
    let mut in_time = true;
    let (status, peak) = loop {
        if let Some(ended) = wait(group).expect("wait for the command") {
            break ended;
        }
        if start.elapsed() > limits.time {
            in_time = false;
            let _ = kill_process_group(group, Signal::KILL);
        }
        thread::sleep(Duration::from_millis(1));
    };
    if !in_time {
        // Its children may be ones that it had just started, and hold the pipes open.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let text = |handle: thread::JoinHandle<String>| handle.join().expect("no panic");
    Confined { ended: Ended { status, stdout: text(stdout), stderr: text(stderr) }, in_time, peak }
}

/// Reads to the end and keeps the beginning.
fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.by_ref().take(MOST_OUTPUT).read_to_end(&mut bytes);
        let _ = io::copy(&mut pipe, &mut io::sink());
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The status and peak memory of a child that has ended. `std` waits for one without its usage.
fn wait(child: Pid) -> io::Result<Option<(ExitStatus, u64)>> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both are memory for the answer.
    let ended = unsafe {
        libc::wait4(child.as_raw_nonzero().get(), &mut status, libc::WNOHANG, usage.as_mut_ptr())
    };
    match ended {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        _ => {
            // SAFETY: plain numbers, zeroed before the call filled them.
            let usage = unsafe { usage.assume_init() };
            let peak = u64::try_from(usage.ru_maxrss).unwrap_or(0) << 10;
            Ok(Some((ExitStatus::from_raw(status), peak)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, time: Duration) -> Confined {
        run(Command::new("sh").args(["-c", script]), Limits { time, memory: 1 << 30 })
    }

    #[test]
    fn a_command_that_ends_is_told_of() {
        let Confined { ended, in_time, peak } =
            shell("echo out; echo err >&2; exit 3", Duration::from_secs(20));
        assert_eq!((ended.status.code(), in_time), (Some(3), true));
        assert_eq!((&*ended.stdout, &*ended.stderr), ("out\n", "err\n"));
        assert!(peak > 1 << 18, "{peak}");
    }

    #[test]
    fn a_command_that_hangs_is_killed_with_its_children() {
        let start = Instant::now();
        let confined = shell("sleep 60 & sleep 60", Duration::from_millis(100));
        assert!(!confined.in_time, "{confined:?}");
        assert_eq!(confined.ended.signal(), Some(libc::SIGKILL));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn memory_is_limited() {
        let hungry = "exec dd if=/dev/zero of=/dev/null bs=2000M count=1";
        let confined = shell(hungry, Duration::from_secs(20));
        assert_ne!(confined.ended.status.code(), Some(0), "{confined:?}");
    }
}
