//! A lock that a thread may stop waiting for.
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
const HELD: u32 = 1;

/// A lock without an owner: whoever knows that the holder is gone may release it.
pub(crate) struct TimedLock(AtomicU32);

impl TimedLock {
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(FREE))
    }

    /// Whether the lock could be had within `patience`.
    pub(crate) fn lock_within(&self, patience: Duration) -> bool {
        let start = Instant::now();
        loop {
            if self.0.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return true;
            }
            let Some(remaining) = patience.checked_sub(start.elapsed()).filter(|d| !d.is_zero())
            else {
                return false;
            };
            self.wait(remaining);
        }
    }

    /// Releases the lock; also in a forked child, where the thread that held it does not exist.
    pub(crate) fn unlock(&self) {
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
        // return leads back to the loop in `lock_within`.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.0.as_ptr(),
                libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                HELD,
                &raw const timeout,
            )
        };
    }
}

/// Sleeps. Not by the function of libc's, which is a cancellation point: locks are held meanwhile.
pub(crate) fn pause(time: Duration) {
    TimedLock(AtomicU32::new(HELD)).wait(time);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_held_lock_is_waited_for_and_patience_ends() {
        static LOCK: TimedLock = TimedLock::new();
        assert!(LOCK.lock_within(Duration::ZERO));
        let start = Instant::now();
        assert!(!LOCK.lock_within(Duration::from_millis(20)));
        assert!(start.elapsed() >= Duration::from_millis(20));
        let waiter = thread::spawn(|| LOCK.lock_within(Duration::from_secs(60)));
        LOCK.unlock();
        assert!(waiter.join().expect("no panic"));
    }
}
