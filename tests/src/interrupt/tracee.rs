//! A process under ptrace: the requests that tracing needs, and access to its memory.

use super::filter::Filter;
use rustix::fs::{Access, access};
use std::{
    env,
    ffi::OsStr,
    fs::File,
    io,
    os::unix::{ffi::OsStringExt, fs::FileExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command},
    ptr,
    sync::atomic::{AtomicBool, Ordering},
};

/// Traces all children and threads as well, and kills all of them if the tracer ends.
const OPTIONS: i32 = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_TRACESECCOMP
    | libc::PTRACE_O_EXITKILL;

/// Starts a command that the calling thread traces. It stops once its program is loaded, and at the calls
/// of a filter from then on.
pub(super) fn spawn(command: &mut Command, filter: Filter) -> io::Result<Child> {
    // A child that fails to execute its program could not report that, because its `write` would fail.
    if !is_executable(command.get_program()) {
        return Err(io::ErrorKind::NotFound.into());
    }
    // Set only in the child, whose memory is a copy: if a command is run again, `pre_exec` runs again, and the
    // kernel refuses a second request.
    static ASKED: AtomicBool = AtomicBool::new(false);
    let ask = move || {
        if ASKED.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        request(libc::PTRACE_TRACEME, 0, 0, ptr::null_mut())?;
        filter.install()
    };
    // SAFETY: it makes system calls, touches an atomic and reads memory that was there before.
    unsafe { command.pre_exec(ask) };
    command.spawn()
}

/// Whether a program can be executed by its path, or by a name in `PATH`.
fn is_executable(program: &OsStr) -> bool {
    let may = |path: &Path| access(path, Access::EXEC_OK).is_ok();
    let program = Path::new(program);
    if program.components().count() > 1 {
        return may(program);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| may(&directory.join(program)))
}

fn request(request: u32, id: i32, address: usize, data: *mut libc::c_void) -> io::Result<i64> {
    // SAFETY: callers pass memory of the size that the request writes or reads.
    match unsafe { libc::ptrace(request, id, address, data) } {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}

/// A thread of a process. Every request fails with `ESRCH` unless it is stopped.
#[derive(Clone, Copy)]
pub(super) struct Tracee {
    pub(super) id: i32,
}

/// A system call that a thread is about to make.
pub(super) struct Entry {
    pub(super) tracee: Tracee,
    pub(super) number: i64,
    pub(super) arguments: [u64; 6],
}

/// Where a thread stopped for a system call.
pub(super) enum SystemCall {
    Entry(Entry),
    /// With the call's result: a negative error number if it failed.
    Exit(i64),
}

impl Tracee {
    /// Sets the tracing options of it and its children.
    pub(super) fn configure(self) -> io::Result<()> {
        // The options are passed in place of a pointer.
        let options = ptr::without_provenance_mut(OPTIONS as usize);
        request(libc::PTRACE_SETOPTIONS, self.id, 0, options).map(|_| ())
    }

    /// Resumes it, with a signal or 0, until the next call of the filter.
    pub(super) fn resume(self, signal: i32) -> io::Result<()> {
        let signal = ptr::without_provenance_mut(signal as usize);
        request(libc::PTRACE_CONT, self.id, 0, signal).map(|_| ())
    }

    /// At the entry of a system call: resumes it until the exit.
    pub(super) fn carry_out(self) -> io::Result<()> {
        request(libc::PTRACE_SYSCALL, self.id, 0, ptr::null_mut()).map(|_| ())
    }

    /// Kills its process. If it is at the entry of a system call, that call is not carried out.
    pub(super) fn kill(self) {
        // SAFETY: no memory is involved. It may have ended already.
        unsafe { libc::kill(self.id, libc::SIGKILL) };
    }

    /// Whether a stop by a stop signal is the arrival of the signal, and not its effect.
    pub(super) fn signal_arrives(self) -> bool {
        // SAFETY: plain numbers, for which zero is a value.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        request(libc::PTRACE_GETSIGINFO, self.id, 0, (&raw mut info).cast()).is_ok()
    }

    /// At an event: the TID of the new thread, or the former TID of the thread itself.
    pub(super) fn message(self) -> io::Result<i32> {
        let mut message: libc::c_ulong = 0;
        request(libc::PTRACE_GETEVENTMSG, self.id, 0, (&raw mut message).cast())?;
        Ok(message as i32)
    }

    /// Which system call it stopped for, and on which side of it.
    pub(super) fn system_call(self) -> io::Result<SystemCall> {
        // SAFETY: plain numbers, for which zero is a value.
        let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
        let size = size_of_val(&info);
        request(libc::PTRACE_GET_SYSCALL_INFO, self.id, size, (&raw mut info).cast())?;
        if info.op != libc::PTRACE_SYSCALL_INFO_SECCOMP {
            // SAFETY: at an exit, this is what the kernel fills; elsewhere it is zero.
            return Ok(SystemCall::Exit(unsafe { info.u.exit }.sval));
        }
        // SAFETY: at the stop of a filter, this is what the kernel fills.
        let entry = unsafe { info.u.seccomp };
        let number = entry.nr as i64;
        Ok(SystemCall::Entry(Entry { tracee: self, number, arguments: entry.args }))
    }

    /// At the entry of a system call: skips the call and makes it fail.
    pub(super) fn fail(self, errno: i32) -> io::Result<()> {
        // SAFETY: plain numbers, for which zero is a value.
        let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        request(libc::PTRACE_GETREGS, self.id, 0, (&raw mut registers).cast())?;
        // No call has this number, so the kernel skips it and returns the value in rax.
        registers.orig_rax = u64::MAX;
        registers.rax = -i64::from(errno) as u64;
        request(libc::PTRACE_SETREGS, self.id, 0, (&raw mut registers).cast()).map(|_| ())
    }

    /// Its directory in `/proc`.
    pub(super) fn proc(self) -> PathBuf {
        format!("/proc/{}", self.id).into()
    }

    /// A path in its memory; `None` if the kernel could not read it either.
    pub(super) fn path(self, address: u64) -> Option<PathBuf> {
        let mut bytes = vec![0; libc::PATH_MAX as usize];
        // Shorter if its mapping ends.
        let length = File::open(self.proc().join("mem")).ok()?.read_at(&mut bytes, address).ok()?;
        bytes.truncate(bytes[..length].iter().position(|byte| *byte == 0)?);
        Some(std::ffi::OsString::from_vec(bytes).into())
    }

    /// Eight bytes of its memory.
    pub(super) fn word(self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        File::open(self.proc().join("mem")).ok()?.read_exact_at(&mut bytes, address).ok()?;
        Some(u64::from_ne_bytes(bytes))
    }
}
