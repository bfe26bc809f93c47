//! Runs a command that may be made to hang, to take all memory or to crash: with limits for all three,
//! and an account of how it ended instead of a panic.

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

/// A program that runs another and says how much memory that had. Of a child of this process, which may be
/// large, the kernel would count what this process had.
fn launcher() -> &'static Path {
    static COMPILED: OnceLock<PathBuf> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let source = workspace().join("tests/clients/measured.c");
        compile(&source, &kept::directory().join("measured"), &[])
    })
}

/// Runs a program in a process group of its own, with the arguments, variables and directory of a command.
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
    // Nothing was written for one that was killed with its group.
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
        // Its children may be ones that it had just started, and hold the pipes open.
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
