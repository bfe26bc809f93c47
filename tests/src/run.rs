//! Runs a client with a clean environment and a time limit, and captures all of its output.

use crate::{heartbeat, tree::Tree};
use std::{
    ffi::OsStr,
    fmt,
    io::Read,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::Path,
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Longer than any client takes, even on a busy machine; a client that runs longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// How a client ended.
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its output on stdout.
    pub stdout: String,
    /// Its output on stderr, including that of its libraries.
    pub stderr: String,
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n--- stdout\n{}--- stderr\n{}", self.status, self.stdout, self.stderr)
    }
}

impl Ended {
    /// Panics with all of the client's output unless it exited with 0.
    #[track_caller]
    pub fn success(self) -> Self {
        assert!(self.status.success(), "{self:?}");
        self
    }

    /// As [`Self::success`], and requires that nothing was printed to stderr.
    #[track_caller]
    pub fn silent_success(self) -> Self {
        assert!(self.status.success() && self.stderr.is_empty(), "{self:?}");
        self
    }

    /// The signal that ended the client.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }
}

/// A command to run `program` against the libraries of a tree, without inheriting settings of the shim from
/// the environment of the tests.
#[must_use]
pub fn client(tree: &Tree, program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("ROCBLAS_") || name.starts_with("LD_") {
            command.env_remove(name);
        }
    }
    command.env("LD_LIBRARY_PATH", tree.lib());
    command
}

/// Restores the default action of the signals by which users end a command. A shell starts background
/// processes, including tests, with SIGINT ignored, and children inherit that.
pub fn with_default_signals(command: &mut Command) -> &mut Command {
    // SAFETY: it makes only system calls, which are allowed between fork and exec.
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        })
    }
}

/// Runs a command to its end, or kills it and panics if it takes too long.
#[track_caller]
pub fn run(command: &mut Command) -> Ended {
    run_within(command, LIMIT)
}

/// As [`run`], with another limit.
#[track_caller]
pub fn run_within(command: &mut Command, limit: Duration) -> Ended {
    heartbeat::start();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }
    let stdout = drain(child.stdout.take().expect("piped"));
    let stderr = drain(child.stderr.take().expect("piped"));
    let start = Instant::now();
    let (status, in_time) = loop {
        if let Some(status) = child.try_wait().expect("wait for the client") {
            break (status, true);
        }
        if start.elapsed() > limit {
            let _ = child.kill();
            break (child.wait().expect("wait for the client"), false);
        }
        thread::sleep(Duration::from_millis(2));
    };
    let text = |handle: thread::JoinHandle<String>| handle.join().expect("no panic");
    let ended = Ended { status, stdout: text(stdout), stderr: text(stderr) };
    assert!(in_time, "{command:?} took longer than {limit:?}: {ended:?}");
    ended
}

/// Whether a program is on the `PATH`.
#[must_use]
pub fn exists(program: impl AsRef<OsStr>) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
