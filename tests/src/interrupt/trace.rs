//! The tracing thread: resumes all processes of a command from one system call that changes files to the
//! next, and interrupts the command at the requested one.

use super::{
    Call, Interruption, calls,
    observer::{Attempt, Observer},
    tracee::{SystemCall, Tracee},
};
use std::{
    collections::BTreeMap,
    io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

/// The trace of a command.
pub(super) struct Traced {
    pub(super) calls: Vec<Call>,
    pub(super) interrupted: bool,
    pub(super) status: ExitStatus,
}

/// A stop or the end of a thread that is traced, or the end of a child.
struct Report {
    id: i32,
    status: i32,
}

/// The next report of any child of this thread; `None` if it has none left.
fn wait() -> io::Result<Option<Report>> {
    let mut status = 0;
    loop {
        // Does not wait for children of other threads, which belong to other tests.
        // SAFETY: memory for the status.
        let id = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
        if id > 0 {
            return Ok(Some(Report { id, status }));
        }
        match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
            error if error.kind() == io::ErrorKind::Interrupted => {}
            error => return Err(error),
        }
    }
}

/// Traces a process that this thread has spawned until it and all that it started have ended.
pub(super) fn trace(
    id: u32,
    below: &Path,
    interruption: Interruption,
    limit: Duration,
    observer: Option<&mut (dyn Observer + 'static)>,
) -> io::Result<Traced> {
    // The timeout is a child process too, so that one wait covers it and the command.
    let mut clock = Command::new("sleep");
    let clock = clock.arg(limit.as_secs_f64().to_string()).stdin(Stdio::null()).spawn()?;
    let mut tracer = Tracer {
        below,
        interruption,
        limit,
        observer,
        clock: Some(clock.id() as i32),
        threads: BTreeMap::new(),
        calls: Vec::new(),
        interrupted: false,
        dying: false,
        failure: None,
    };
    let id = id as i32;
    tracer.threads.insert(id, Thread::default());
    let mut status = None;
    while let Some(report) = wait()? {
        if libc::WIFSTOPPED(report.status) {
            match tracer.stopped(Tracee { id: report.id }, report.status) {
                // A process that was killed meanwhile only reports that it ended.
                Err(error) if error.raw_os_error() != Some(libc::ESRCH) => tracer.give_up(error),
                _ => {}
            }
        } else {
            tracer.ended(report.id);
            if report.id == id {
                status = Some(ExitStatus::from_raw(report.status));
            }
        }
    }
    let Tracer { calls, interrupted, failure, .. } = tracer;
    match failure {
        Some(failure) => Err(failure),
        None => {
            let status = status.expect("a process that has ended has a status");
            Ok(Traced { calls, interrupted, status })
        }
    }
}

/// The state of a thread that has not ended.
#[derive(Default)]
struct Thread {
    /// Whether it has stopped before.
    started: bool,
    /// The system call that it is in, for the observer.
    attempt: Option<Attempt>,
}

struct Tracer<'a> {
    below: &'a Path,
    interruption: Interruption,
    limit: Duration,
    observer: Option<&'a mut (dyn Observer + 'static)>,
    /// The process whose end means a timeout, while it is running.
    clock: Option<i32>,
    threads: BTreeMap<i32, Thread>,
    calls: Vec<Call>,
    interrupted: bool,
    /// Whether all of them are being killed.
    dying: bool,
    failure: Option<io::Error>,
}

impl Tracer<'_> {
    fn ended(&mut self, id: i32) {
        self.threads.remove(&id);
        if self.clock == Some(id) {
            self.clock = None;
            if !self.threads.is_empty() {
                let (limit, calls) = (self.limit, self.calls.len());
                let text = format!("killed after {limit:?} and {calls} calls");
                self.give_up(io::Error::new(io::ErrorKind::TimedOut, text));
            }
        } else if let (true, Some(clock)) = (self.threads.is_empty(), self.clock) {
            Tracee { id: clock }.kill();
        }
    }

    fn give_up(&mut self, error: io::Error) {
        self.failure.get_or_insert(error);
        self.kill_all();
    }

    fn kill_all(&mut self) {
        self.dying = true;
        for id in self.threads.keys() {
            Tracee { id: *id }.kill();
        }
    }

    fn stopped(&mut self, tracee: Tracee, status: i32) -> io::Result<()> {
        let started = std::mem::replace(&mut self.thread(tracee).started, true);
        if self.dying {
            tracee.kill();
            return Ok(());
        }
        let signal = libc::WSTOPSIG(status);
        match status >> 16 {
            0 => {}
            libc::PTRACE_EVENT_SECCOMP => return self.system_call(tracee),
            libc::PTRACE_EVENT_EXEC => {
                // A thread takes over the PID of its process, and the end of its own TID is not reported.
                let former = tracee.message()?;
                if former != tracee.id {
                    self.threads.remove(&former);
                }
                return tracee.resume(0);
            }
            _made => {
                let child = Tracee { id: tracee.message()? };
                self.thread(child);
                return tracee.resume(0);
            }
        }
        const SYSTEM_CALL: i32 = libc::SIGTRAP | 0x80;
        match signal {
            SYSTEM_CALL => return self.system_call(tracee),
            // The first stop of a traced process, of the command itself and of its children.
            libc::SIGTRAP if !started => tracee.configure()?,
            libc::SIGSTOP if !started => {}
            libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU
                if !tracee.signal_arrives() => {}
            _ => return tracee.resume(signal),
        }
        tracee.resume(0)
    }

    fn thread(&mut self, tracee: Tracee) -> &mut Thread {
        self.threads.entry(tracee.id).or_default()
    }

    fn system_call(&mut self, tracee: Tracee) -> io::Result<()> {
        let call = match tracee.system_call()? {
            SystemCall::Entry(entry) => {
                if let Some(observer) = &mut self.observer {
                    let attempt = calls::attempted(&entry);
                    if let Some(attempt) = &attempt {
                        observer.before(attempt)?;
                    }
                    self.thread(tracee).attempt = attempt;
                }
                calls::counted(&entry, self.below)
            }
            SystemCall::Exit(result) => {
                let attempt = self.thread(tracee).attempt.take();
                if let (Some(observer), Some(attempt)) = (&mut self.observer, attempt) {
                    observer.after(&attempt, result)?;
                }
                return tracee.resume(0);
            }
        };
        let Some(call) = call else { return self.go_on(tracee) };
        let (number, takes_space) = (self.calls.len(), call.takes_space);
        self.calls.push(call);
        let errno = match self.interruption {
            Interruption::KillBefore(call) if call == number => {
                self.interrupted = true;
                self.kill_all();
                return Ok(());
            }
            Interruption::FailAt { call, errno } if call == number => errno,
            Interruption::FailFrom { call, errno } if call <= number && takes_space => errno,
            _ => return self.go_on(tracee),
        };
        self.interrupted = true;
        self.thread(tracee).attempt = None;
        tracee.fail(errno)?;
        tracee.resume(0)
    }

    /// Lets a call proceed, and shows its end to an observer.
    fn go_on(&mut self, tracee: Tracee) -> io::Result<()> {
        if self.thread(tracee).attempt.is_some() { tracee.carry_out() } else { tracee.resume(0) }
    }
}
