//! A lock with a timeout.
//!
//! Opening a backend takes the loader's lock. A thread inside another library's constructor holds that
//! lock when it makes its first rocBLAS call, so waiting indefinitely for the shim's lock would deadlock
//! the two. After the timeout a thread does the work itself: initialisation is idempotent until its
//! outcome is published.

use crate::primitives::{self, Deadline, Futex, Ordering};
use core::time::Duration;

const FREE: u32 = 0;
const HELD: u32 = 1;

/// A lock without an owner: any thread that knows that the holder is gone may release it.
pub struct TimedLock(Futex);

impl TimedLock {
    constructor! {
        /// An unlocked lock.
        #[allow(clippy::new_without_default, reason = "for statics")]
        pub fn new() -> Self {
            Self(Futex::new(FREE))
        }
    }

    /// Takes the lock. Returns whether that succeeded within `patience`.
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

/// Sleeps. libc's functions are not used, because they are cancellation points and locks are held here.
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
