//! A filter that makes the kernel stop a process only at some system calls: most calls of a command only
//! read, and each stop costs two context switches.

use std::io;

/// A program of the kernel's packet filters (seccomp(2)): some calls stop for the tracer, others do not.
pub(super) struct Filter(Vec<libc::sock_filter>);

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// `AUDIT_ARCH_X86_64` of linux/audit.h.
const X86_64: u32 = 0xc000_003e;

impl Filter {
    /// Stops at the calls with these numbers.
    pub(super) fn new(numbers: &[u32]) -> Self {
        let load = |offset| instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset);
        let equal = |value, yes, no| {
            instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, yes, no, value)
        };
        let verdict = |what| instruction(libc::BPF_RET | libc::BPF_K, 0, 0, what);
        let count = u8::try_from(numbers.len()).expect("as many as a jump reaches over");
        // On another architecture the numbers mean other calls.
        let mut program = vec![load(ARCHITECTURE), equal(X86_64, 0, count + 1), load(NUMBER)];
        for (at, number) in (0..count).zip(numbers) {
            program.push(equal(*number, count - at, 0));
        }
        program.push(verdict(libc::SECCOMP_RET_ALLOW));
        program.push(verdict(libc::SECCOMP_RET_TRACE));
        Self(program)
    }

    /// Applies the filter to this thread and to all threads and processes that it creates. A call that would
    /// stop fails until the tracer has asked for these events.
    pub(super) fn install(&self) -> io::Result<()> {
        let length = self.0.len() as libc::c_ushort;
        let program = libc::sock_fprog { len: length, filter: self.0.as_ptr().cast_mut() };
        // Without this, only root may install filters.
        // SAFETY: no memory is involved.
        let set = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
        let mode = libc::SECCOMP_MODE_FILTER;
        // SAFETY: the program is copied, and has the stated length.
        match unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}
