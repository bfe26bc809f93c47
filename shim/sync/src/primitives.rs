//! Atomics, a futex and a deadline: the system's, or loom's.

#[cfg(not(all(test, loom)))]
pub(crate) use system::*;

#[cfg(all(test, loom))]
pub(crate) use modelled::*;

#[cfg(not(all(test, loom)))]
mod system {
    pub(crate) use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering, fence};
    pub(crate) use std::thread::yield_now;
    use std::time::{Duration, Instant};

    /// A word that threads wait at until it changes.
    #[repr(transparent)]
    pub(crate) struct Futex(AtomicU32);

    impl Futex {
        pub(crate) const fn new(value: u32) -> Self {
            Self(AtomicU32::new(value))
        }

        pub(crate) fn word(&self) -> &AtomicU32 {
            &self.0
        }

        /// Waits while the word has this value: until a wake-up, a timeout of `at_most`, or a spurious wake-up.
        pub(crate) fn wait(&self, value: u32, at_most: Duration) {
            let timeout = libc::timespec {
                tv_sec: at_most.as_secs() as libc::time_t,
                tv_nsec: libc::c_long::from(at_most.subsec_nanos()),
            };
            // SAFETY: FUTEX_WAIT on our own word, with a valid relative timeout.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.0.as_ptr(),
                    libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                    value,
                    &raw const timeout,
                )
            };
        }

        /// Wakes all waiting threads.
        pub(crate) fn wake(&self) {
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
    }

    /// The time at which patience ends.
    pub(crate) struct Deadline {
        start: Instant,
        patience: Duration,
    }

    impl Deadline {
        pub(crate) fn after(patience: Duration) -> Self {
            Self { start: Instant::now(), patience }
        }

        /// The remaining time; `None` if the deadline has passed.
        pub(crate) fn remaining(&self) -> Option<Duration> {
            self.patience.checked_sub(self.start.elapsed()).filter(|time| !time.is_zero())
        }
    }

    /// Sleeps on a futex that no thread wakes.
    pub(crate) fn pause(time: Duration) {
        const VALUE: u32 = 0;
        Futex::new(VALUE).wait(VALUE, time);
    }
}

#[cfg(all(test, loom))]
mod modelled {
    use loom::sync::{Condvar, Mutex};
    pub(crate) use loom::{
        sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering, fence},
        thread::yield_now,
    };
    use std::time::Duration;

    /// Models the kernel's futex: it compares the word and puts the thread to sleep under the lock of the
    /// queue, and wakes under the same lock. Waits do not time out, so a lost wake-up is a deadlock, which
    /// loom reports.
    pub(crate) struct Futex {
        word: AtomicU32,
        queue: Mutex<()>,
        woken: Condvar,
    }

    impl Futex {
        pub(crate) fn new(value: u32) -> Self {
            Self { word: AtomicU32::new(value), queue: Mutex::new(()), woken: Condvar::new() }
        }

        pub(crate) fn word(&self) -> &AtomicU32 {
            &self.word
        }

        pub(crate) fn wait(&self, value: u32, _at_most: Duration) {
            let queue = self.queue.lock().expect("no panic");
            if self.word.load(Ordering::Relaxed) == value {
                drop(self.woken.wait(queue).expect("no panic"));
            }
        }

        pub(crate) fn wake(&self) {
            let _queue = self.queue.lock().expect("no panic");
            self.woken.notify_all();
        }
    }

    /// Either no patience or endless patience. A thread whose wait times out is equivalent to one that starts
    /// later without patience.
    pub(crate) struct Deadline(Duration);

    impl Deadline {
        pub(crate) fn after(patience: Duration) -> Self {
            Self(patience)
        }

        pub(crate) fn remaining(&self) -> Option<Duration> {
            (!self.0.is_zero()).then_some(self.0)
        }
    }

    pub(crate) fn pause(_time: Duration) {
        yield_now();
    }
}
