//! Whose turn it is to initialise: a lock that one may stop waiting for.
//!
//! Opening a backend takes the loader's lock. A thread inside of another library's constructor
//! holds that lock when it makes its first rocBLAS call, so waiting for our own lock without end
//! would deadlock the two. Whoever has waited long enough does the work itself: initialisation is
//! idempotent up to its publication.

use core::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use std::time::Instant;

const FREE: u32 = 0;
const TAKEN: u32 = 1;

pub(crate) struct Turn(AtomicU32);

impl Turn {
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(FREE))
    }

    /// Whether the turn could be had within `patience`.
    pub(crate) fn take(&self, patience: Duration) -> bool {
        let start = Instant::now();
        loop {
            if self.0.compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return true;
            }
            let Some(remaining) = patience.checked_sub(start.elapsed()).filter(|d| !d.is_zero())
            else {
                return false;
            };
            self.wait(remaining);
        }
    }

    /// Gives the turn back, or declares it free in a forked child whose holder did not come along.
    pub(crate) fn release(&self) {
        self.0.store(FREE, Ordering::Release);
        // SAFETY: FUTEX_WAKE on our own word.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.0.as_ptr(),
                libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
                i32::MAX,
            )
        };
    }

    fn wait(&self, at_most: Duration) {
        let timeout = libc::timespec {
            tv_sec: at_most.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(at_most.subsec_nanos()),
        };
        // SAFETY: FUTEX_WAIT on our own word, with a valid relative timeout. Every way it can
        // return leads back to the loop in `take`.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.0.as_ptr(),
                libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                TAKEN,
                &raw const timeout,
            )
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_taken_turn_is_waited_for_and_patience_ends() {
        static TURN: Turn = Turn::new();
        assert!(TURN.take(Duration::ZERO));
        let start = Instant::now();
        assert!(!TURN.take(Duration::from_millis(20)));
        assert!(start.elapsed() >= Duration::from_millis(20));
        let waiter = thread::spawn(|| TURN.take(Duration::from_secs(60)));
        TURN.release();
        assert!(waiter.join().expect("no panic"));
    }
}
