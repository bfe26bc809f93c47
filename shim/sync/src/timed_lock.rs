//! A lock that a thread may stop waiting for.
//!
//! Opening a backend takes the loader's lock. A thread inside of another library's constructor
//! holds that lock when it makes its first rocBLAS call, so waiting for our own lock without end
//! would deadlock the two. Whoever has waited long enough does the work itself: initialisation is
//! idempotent up to its publication.

use crate::primitives::{self, Deadline, Futex, Ordering};
use core::time::Duration;

const FREE: u32 = 0;
const HELD: u32 = 1;

/// A lock without an owner: whoever knows that the holder is gone may release it.
pub struct TimedLock(Futex);

impl TimedLock {
    constructor! {
        /// A lock that is free.
        #[allow(clippy::new_without_default, reason = "for statics")]
        pub fn new() -> Self {
            Self(Futex::new(FREE))
        }
    }

    /// Whether the lock could be had within `patience`.
    pub fn lock_within(&self, patience: Duration) -> bool {
        let deadline = Deadline::after(patience);
        loop {
            let word = self.0.word();
            if word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return true;
            }
            let Some(remaining) = deadline.remaining() else { return false };
            self.0.wait(HELD, remaining);
        }
    }

    /// Releases the lock; also in a forked child, where the thread that held it does not exist.
    pub fn unlock(&self) {
        self.0.word().store(FREE, Ordering::Release);
        self.0.wake();
    }

    /// The lock as a forked child has it.
    #[cfg(all(test, loom))]
    pub(crate) fn copy(&self) -> Self {
        Self(Futex::new(self.0.word().load(Ordering::Relaxed)))
    }
}

/// Sleeps. Not by the function of libc's, which is a cancellation point: locks are held meanwhile.
pub fn pause(time: Duration) {
    primitives::pause(time);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::{thread, time::Instant};

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
