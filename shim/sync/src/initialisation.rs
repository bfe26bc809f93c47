//! Initialisation by one of several threads, and how the other threads and a fork wait for it.
//!
//! Usually one thread works and the others wait for it. No thread waits forever (see
//! [`crate::timed_lock`]): a thread whose wait times out does the same work again, and the first one to
//! publish an outcome wins. A fork waits for all of them, with and without the lock.

use crate::{
    primitives::{AtomicPtr, AtomicUsize, Deadline, Ordering, fence},
    timed_lock::{TimedLock, pause},
};
use core::{ptr::null_mut, time::Duration};

/// How long a thread waits for the one that initialises.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the lock.
    pub usual: Duration,
    /// For the lock while a thread that is forking has it, or is about to.
    pub while_forking: Duration,
}

/// The state of initialisation, as seen by a forking thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Forking {
    /// The forking thread is initialising: a backend's constructor forked.
    Own {
        /// Whether it has the lock.
        has_lock: bool,
    },
    /// No thread is initialising, and the forking thread holds the lock.
    Locked,
    /// Another thread is still initialising.
    UnderWay,
}

/// One initialisation and its outcome.
pub struct Initialisation<O: 'static> {
    /// Null at first; set once and never changed.
    outcome: AtomicPtr<O>,
    /// Held by the thread that initialises, unless its wait for another such thread timed out.
    lock: TimedLock,
    /// The number of threads that are initialising, with and without the lock.
    initialising: AtomicUsize,
    /// The number of forking threads that hold the lock or are about to take it.
    forking: AtomicUsize,
}

/// Counts this thread among the initialising ones until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(initialising: &'a AtomicUsize) -> Self {
        initialising.fetch_add(1, Ordering::Relaxed);
        // `initialising` is written before `forking` is read; `lock_for_fork` does it the other way round. So
        // at least one of the two sees the other.
        fence(Ordering::SeqCst);
        Self(initialising)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl<O: Send + Sync> Initialisation<O> {
    constructor! {
        /// An initialisation that has not started.
        #[allow(clippy::new_without_default, reason = "for statics")]
        pub fn new() -> Self {
            Self {
                outcome: AtomicPtr::new(null_mut()),
                lock: TimedLock::new(),
                initialising: AtomicUsize::new(0),
                forking: AtomicUsize::new(0),
            }
        }
    }

    /// The outcome, if there is one already.
    pub fn outcome(&self) -> Option<&'static O> {
        // SAFETY: null, or a value that was leaked.
        unsafe { self.outcome.load(Ordering::Acquire).as_ref() }
    }

    /// Returns the outcome; if there is none yet, calls `work` with whether this thread holds the lock.
    pub fn attempt(
        &self,
        patience: Patience,
        work: impl FnOnce(bool) -> Option<&'static O>,
    ) -> Option<&'static O> {
        let mut has_lock = self.lock.lock_within(patience.usual);
        let outcome = self.outcome().or_else(|| {
            let mut counted = Counted::new(&self.initialising);
            if !has_lock && self.forking.load(Ordering::Acquire) != 0 {
                // While a fork holds the lock, which is not for long, no thread works without it.
                drop(counted);
                has_lock = self.lock.lock_within(patience.while_forking);
                counted = Counted::new(&self.initialising);
            }
            let outcome = self.outcome().or_else(|| work(has_lock));
            drop(counted);
            outcome
        });
        if has_lock {
            self.lock.unlock();
        }
        outcome
    }

    /// Publishes an outcome, unless another thread was first. `fill` stores data that must be visible with the
    /// outcome; `first` is called only if this thread was first.
    pub fn publish(
        &self,
        outcome: O,
        fill: impl Fn(&O),
        first: impl FnOnce(&'static O),
    ) -> &'static O {
        // Stored first, because a thread that sees the outcome may use the data. If another thread is here at
        // the same time, it has the same library, so it stores the same data.
        fill(&outcome);
        match self.set(outcome) {
            Ok(outcome) => {
                first(outcome);
                outcome
            }
            Err(outcome) => {
                // If settings changed in between, this thread may have had another library.
                fill(outcome);
                outcome
            }
        }
    }

    /// Publishes an outcome. The error is the existing outcome.
    pub fn set(&self, outcome: O) -> Result<&'static O, &'static O> {
        let new = Box::into_raw(Box::new(outcome));
        match self.outcome.compare_exchange(null_mut(), new, Ordering::Release, Ordering::Acquire) {
            // SAFETY: leaked just now.
            Ok(_) => Ok(unsafe { &*new }),
            Err(known) => {
                // SAFETY: allocated above and never published.
                drop(unsafe { Box::from_raw(new) });
                // SAFETY: not null, so a value that was leaked.
                Err(unsafe { &*known })
            }
        }
    }

    /// In a thread that is about to fork: waits until no other thread is initialising. `own` is set if this
    /// thread is initialising itself: whether it holds the lock.
    pub fn before_fork(&self, own: Option<bool>, patience: Duration) -> Forking {
        match own {
            Some(has_lock) => Forking::Own { has_lock },
            None if self.lock_for_fork(patience) => Forking::Locked,
            None => Forking::UnderWay,
        }
    }

    /// Takes the lock for a fork and waits for threads that initialise without it. Returns whether no thread is
    /// initialising any more.
    fn lock_for_fork(&self, patience: Duration) -> bool {
        let deadline = Deadline::after(patience);
        self.forking.fetch_add(1, Ordering::Relaxed);
        // See `Counted`.
        fence(Ordering::SeqCst);
        if !self.lock.lock_within(patience) {
            self.forking.fetch_sub(1, Ordering::Release);
            return false;
        }
        while self.initialising.load(Ordering::Acquire) != 0 {
            if deadline.remaining().is_none() {
                self.release();
                return false;
            }
            pause(Duration::from_millis(1));
        }
        true
    }

    fn release(&self) {
        self.forking.fetch_sub(1, Ordering::Release);
        self.lock.unlock();
    }

    /// In the parent, after a fork.
    pub fn after_fork_in_parent(&self, forking: Forking) {
        if forking == Forking::Locked {
            self.release();
        }
    }

    /// In the child, after a fork. Only this thread exists there, so no other thread initialises or forks.
    /// Returns whether initialisation can continue; it cannot if another thread was in the middle of it.
    #[must_use]
    pub fn after_fork_in_child(&self, forking: Forking) -> bool {
        let is_own = matches!(forking, Forking::Own { .. });
        self.initialising.store(usize::from(is_own), Ordering::Relaxed);
        self.forking.store(0, Ordering::Relaxed);
        // The lock's holder is either this thread, which releases it later, or does not exist.
        if forking != (Forking::Own { has_lock: true }) {
            self.lock.unlock();
        }
        forking != Forking::UnderWay
    }

    /// The steps of `attempt` after its work, in a child that was forked meanwhile.
    #[cfg(all(test, loom))]
    pub(crate) fn end_attempt(&self, has_lock: bool) {
        drop(Counted(&self.initialising));
        if has_lock {
            self.lock.unlock();
        }
    }

    /// A copy, as a forked child has it. It shares the outcome, which is never freed.
    #[cfg(all(test, loom))]
    pub(crate) fn copy(&self) -> Self {
        Self {
            outcome: AtomicPtr::new(self.outcome.load(Ordering::Acquire)),
            lock: self.lock.copy(),
            initialising: AtomicUsize::new(self.initialising.load(Ordering::Relaxed)),
            forking: AtomicUsize::new(self.forking.load(Ordering::Relaxed)),
        }
    }
}
