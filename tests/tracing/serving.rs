//! Programs that keep running while a test sends requests to them and to the shim in them.

use crate::{Program, installer};
use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};
use tests::run::{Ended, run};

/// A program that prints `ready PID`, and ends when its standard input ends.
pub(crate) struct Serving {
    pub(crate) child: Child,
    /// The PID of the process that printed that it is ready.
    pub(crate) pid: u32,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Serving {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("start it");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let pid = line.trim().strip_prefix("ready ").and_then(|pid| pid.parse().ok());
        let pid = pid.unwrap_or_else(|| panic!("it printed {line:?}"));
        Self { child, pid, stdout }
    }

    /// A program without a trace from its start.
    pub(crate) fn untraced(program: &Program, arguments: &[&str]) -> Self {
        Self::start(program.command().env_remove("ROCBLAS_SHIM_TRACE").args(arguments))
    }

    /// Waits until some calls have been made.
    pub(crate) fn go_on() {
        thread::sleep(Duration::from_millis(50));
    }

    /// Sends a line to it. Returns the line that it prints then.
    #[track_caller]
    pub(crate) fn tell(&mut self, line: &str) -> String {
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{line}").expect("it reads");
        let mut answer = String::new();
        self.stdout.read_line(&mut answer).expect("a line");
        if answer.is_empty() {
            panic!("it ended: {:?}", self.child.wait());
        }
        answer.trim_end().to_owned()
    }

    /// Ends it. Returns its remaining output on stdout, and all of its output on stderr.
    pub(crate) fn finish(mut self) -> (String, String) {
        drop(self.child.stdin.take());
        let (mut printed, mut complaints) = (String::new(), String::new());
        self.stdout.read_to_string(&mut printed).expect("read");
        let stderr = self.child.stderr.as_mut().expect("piped");
        stderr.read_to_string(&mut complaints).expect("read");
        assert!(self.child.wait().expect("wait").success(), "{complaints}");
        (printed, complaints)
    }

    /// As [`Self::finish`], with the number of calls that each process of `serves.c` made.
    pub(crate) fn end(self) -> (Vec<u64>, String) {
        let (printed, complaints) = self.finish();
        let counts = printed.lines().filter_map(|line| line.strip_suffix(" calls")?.parse().ok());
        (counts.collect(), complaints)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Only if a test has failed; otherwise it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `installer trace` with these words.
pub(crate) fn trace(words: &[&str]) -> Ended {
    run(installer().arg("trace").args(words))
}

/// Panics unless a command failed with this in its message.
#[track_caller]
pub(crate) fn refused(ended: &Ended, why: &str) {
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains(why), "{ended:?}");
}
