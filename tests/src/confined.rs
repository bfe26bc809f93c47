//! Runs a command that may hang, use up all memory or crash: it applies limits and reports how the command
//! ended instead of panicking.

use crate::{artefacts::workspace, compile::compile, kept, run::Ended};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, setrlimit};
use std::{
    fs,
    io::{self, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

/// Output beyond this is not kept.
const MOST_OUTPUT: u64 = 4 << 20;

/// The limits of a command.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// It is killed after this long, with everything that it started.
    pub time: Duration,
    /// Address space in bytes (`RLIMIT_AS`); larger allocations fail.
    pub memory: u64,
}

/// How a command ended.
#[derive(Debug)]
pub struct Confined {
    /// Its status and output.
    pub ended: Ended,
    /// Whether it ended by itself.
    pub in_time: bool,
    /// The peak memory of the command or of any process that it waited for, in bytes.
    pub peak: u64,
}

/// A program that runs another one and reports its peak memory. For a direct child, the kernel's count would
/// include the memory of this process, which may be large.
fn launcher() -> &'static Path {
    static COMPILED: OnceLock<PathBuf> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let source = workspace().join("tests/clients/measured.c");
        compile(&source, &kept::directory().join("measured"), &[])
    })
}

/// Runs a program in a new process group, with the arguments, variables and directory of a command.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn run(command: &Command, limits: Limits) -> Confined {
    let measured = tempfile::NamedTempFile::new().expect("make a file");
    let mut launched = Command::new(launcher());
    launched.arg(measured.path()).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => launched.env(name, value),
            None => launched.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        launched.current_dir(directory);
    }
    let (ended, in_time) = run_within(&mut launched, limits);
    let text = fs::read_to_string(measured.path()).expect("read");
    // If the group was killed, nothing was written.
    let peak = text.trim().parse::<u64>().map_or(0, |kilobytes| kilobytes << 10);
    Confined { ended, in_time, peak }
}

fn run_within(command: &mut Command, limits: Limits) -> (Ended, bool) {
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
    let status = loop {
        if let Some(status) = child.try_wait().expect("wait for the command") {
            break status;
        }
        if start.elapsed() > limits.time {
            in_time = false;
            let _ = kill_process_group(group, Signal::KILL);
        }
        thread::sleep(Duration::from_millis(1));
    };
    if !in_time {
        // Children that it has started may still be running and keep the pipes open.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let text = |handle: thread::JoinHandle<String>| handle.join().expect("no panic");
    (Ended { status, stdout: text(stdout), stderr: text(stderr) }, in_time)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, time: Duration) -> Confined {
        run(Command::new("sh").args(["-c", script]), Limits { time, memory: 1 << 30 })
    }

    #[test]
    fn the_end_of_a_command_is_reported() {
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
