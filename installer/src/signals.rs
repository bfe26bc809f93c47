//! Signals that a command waits for instead of being terminated by them.

use rustix::process::Signal;
use std::{io, mem::MaybeUninit, ptr, time::Duration};

/// Changes which signals this thread blocks. Returns the previous set.
///
/// # Errors
/// Any error from the system.
pub(crate) fn block(how: libc::c_int, set: &libc::sigset_t) -> io::Result<libc::sigset_t> {
    let mut before = MaybeUninit::zeroed();
    // SAFETY: a complete set, and memory for the old one. Zeros are valid.
    let (error, before) = unsafe {
        let error = libc::pthread_sigmask(how, set, before.as_mut_ptr());
        (error, before.assume_init())
    };
    if error == 0 { Ok(before) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// A set of these signals.
pub(crate) fn set_of(signals: impl Iterator<Item = Signal>) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: memory for a set, which the first call initialises; the others get valid numbers.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal.as_raw());
        }
        set.assume_init()
    }
}

/// Whether this process was started with a signal ignored, as by nohup(1).
pub(crate) fn is_ignored(signal: Signal) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: memory for the previous action; nothing is set. Zeros are valid.
    let action = unsafe {
        libc::sigaction(signal.as_raw(), ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

/// A received signal.
pub(crate) struct Arrived {
    /// Its number.
    pub(crate) signal: Signal,
    /// Whether the terminal sent it, so that the program received it too.
    pub(crate) by_terminal: bool,
}

/// Waits for one of these signals, which are blocked, up to a limit.
pub(crate) fn arrival(set: &libc::sigset_t, limit: Option<Duration>) -> Option<Arrived> {
    let limit = limit.map(|limit| libc::timespec {
        tv_sec: limit.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: limit.subsec_nanos().into(),
    });
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    loop {
        let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: a complete set, memory for the signal's information, and a limit, or null for none.
        let number = unsafe { libc::sigtimedwait(set, info.as_mut_ptr(), limit) };
        if number > 0 {
            // SAFETY: the call has filled it, and zeros are valid.
            let info = unsafe { info.assume_init() };
            let by_terminal = info.si_code == libc::SI_KERNEL;
            return Some(Arrived { signal: Signal::from_named_raw(number)?, by_terminal });
        }
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return None;
        }
    }
}
