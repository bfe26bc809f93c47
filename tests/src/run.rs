//! Runs a client: a clean environment, a time limit instead of a hang, and all it said kept.

use crate::tree::Tree;
use std::{
    ffi::OsStr,
    fmt,
    io::Read,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Longer than any client takes, also on a busy machine; a client that runs longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// How a client ended.
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it and the libraries in it complained about.
    pub stderr: String,
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n--- stdout\n{}--- stderr\n{}", self.status, self.stdout, self.stderr)
    }
}

impl Ended {
    /// Panics with everything the client said unless it exited with 0.
    #[track_caller]
    pub fn success(self) -> Self {
        assert!(self.status.success(), "{self:?}");
        self
    }

    /// As [`Self::success`], and nothing on stderr: the shim works in silence.
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

/// A command to run `program` against the libraries of a tree, with no setting of the shim
/// inherited from the environment of the tests.
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

/// Runs a command to its end, or kills it and panics when it takes too long.
#[track_caller]
pub fn run(command: &mut Command) -> Ended {
    run_within(command, LIMIT)
}

/// As [`run`], with another limit.
#[track_caller]
pub fn run_within(command: &mut Command, limit: Duration) -> Ended {
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
