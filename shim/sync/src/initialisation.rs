//! Who initialises, what the others do meanwhile, and what a fork waits for.
//!
//! Usually one thread works and the others wait for it. No thread waits without end (see
//! [`crate::timed_lock`]): one that lost patience does the same work again, and the first to publish an
//! outcome wins. A fork waits for all of them, with the lock and without.

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

/// What this thread, which is forking, has to do with initialisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Forking {
    /// It is this thread that initialises: a backend's constructor forked.
    Own {
        /// Whether it has the lock.
        has_lock: bool,
    },
    /// Nobody is at it, and this thread has its lock.
    Locked,
    /// Another thread is still at it.
    UnderWay,
}

/// One initialisation and its outcome.
pub struct Initialisation<O: 'static> {
    /// Null until there is one; then the same for good.
    outcome: AtomicPtr<O>,
    /// Held by the thread that initialises, unless it lost patience with another one that does.
    lock: TimedLock,
    /// How many threads are initialising, with the lock and without.
    initialising: AtomicUsize,
    /// How many threads are forking that have the lock, or are about to have it.
    forking: AtomicUsize,
}

/// Counts this thread among those that initialise, however the attempt ends.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(initialising: &'a AtomicUsize) -> Self {
        initialising.fetch_add(1, Ordering::Relaxed);
        // Before `forking` is read, as `lock_for_fork` has the two the other way round: one of them sees
        // the other.
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
        /// One that nobody has begun.
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

    /// The outcome if there is one by now.
    pub fn outcome(&self) -> Option<&'static O> {
        // SAFETY: null, or a value that was leaked.
        unsafe { self.outcome.load(Ordering::Acquire).as_ref() }
    }

    /// The outcome, by `work` if there is none yet, which is told whether this thread has the lock.
    pub fn attempt(
        &self,
        patience: Patience,
        work: impl FnOnce(bool) -> Option<&'static O>,
    ) -> Option<&'static O> {
        let mut has_lock = self.lock.lock_within(patience.usual);
        let outcome = self.outcome().or_else(|| {
            let mut counted = Counted::new(&self.initialising);
            if !has_lock && self.forking.load(Ordering::Acquire) != 0 {
                // Not without the lock while fork has it, which is not for long.
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

    /// Makes an outcome the outcome, unless another thread was first. `fill` stores what is to be there
    /// with it; `first` is for what only the first has to do.
    pub fn publish(
        &self,
        outcome: O,
        fill: impl Fn(&O),
        first: impl FnOnce(&'static O),
    ) -> &'static O {
        // Before: whoever sees the outcome may use the data. Another thread that is here too has the same
        // library, so it stores the same.
        fill(&outcome);
        match self.set(outcome) {
            Ok(outcome) => {
                first(outcome);
                outcome
            }
            Err(outcome) => {
                // Unless settings changed in between and this thread's was another library.
                fill(outcome);
                outcome
            }
        }
    }

    /// Makes an outcome the outcome. The error is the one that there was.
    pub fn set(&self, outcome: O) -> Result<&'static O, &'static O> {
        let new = Box::into_raw(Box::new(outcome));
        match self.outcome.compare_exchange(null_mut(), new, Ordering::Release, Ordering::Acquire) {
            // SAFETY: leaked just now.
            Ok(_) => Ok(unsafe { &*new }),
            Err(known) => {
                // SAFETY: made above, and nobody has seen it.
                drop(unsafe { Box::from_raw(new) });
                // SAFETY: not null, so a value that was leaked.
                Err(unsafe { &*known })
            }
        }
    }

    /// In a thread that is about to fork: waits until nobody is halfway. `own` is given by a thread that
    /// initialises itself: whether it has the lock.
    pub fn before_fork(&self, own: Option<bool>, patience: Duration) -> Forking {
        match own {
            Some(has_lock) => Forking::Own { has_lock },
            None if self.lock_for_fork(patience) => Forking::Locked,
            None => Forking::UnderWay,
        }
    }

    /// Takes the lock for a fork and waits for those who initialise without it. Returns whether nobody is
    /// halfway now.
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

    /// In the process that forked, after it did.
    pub fn after_fork_in_parent(&self, forking: Forking) {
        if forking == Forking::Locked {
            self.release();
        }
    }

    /// In the child, where nobody initialises but this thread if it did before, and nobody forks: the
    /// other threads did not come along. Returns whether initialisation can go on; it cannot where another
    /// thread was halfway.
    #[must_use]
    pub fn after_fork_in_child(&self, forking: Forking) -> bool {
        let is_own = matches!(forking, Forking::Own { .. });
        self.initialising.store(usize::from(is_own), Ordering::Relaxed);
        self.forking.store(0, Ordering::Relaxed);
        // Its holder is this thread, which releases it when it is done, or does not exist.
        if forking != (Forking::Own { has_lock: true }) {
            self.lock.unlock();
        }
        forking != Forking::UnderWay
    }

    /// What `attempt` does after its work, in a child that was forked meanwhile.
    #[cfg(all(test, loom))]
    pub(crate) fn end_attempt(&self, has_lock: bool) {
        drop(Counted(&self.initialising));
        if has_lock {
            self.lock.unlock();
        }
    }

    /// All of it as a forked child has it: with the outcome, what that points to.
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
