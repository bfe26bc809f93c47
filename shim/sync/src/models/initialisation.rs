//! Models of initialisation: there is one outcome, which is complete when a thread sees it, even if waits time
//! out.

use super::{ENDLESS, NONE, explore, leaked};
use crate::initialisation::{Initialisation, Patience};
use core::time::Duration;
use loom::{
    cell::UnsafeCell,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

/// The published value: loom reports a read that may happen before it is complete.
pub(super) struct Outcome {
    contents: UnsafeCell<usize>,
}

// SAFETY: written once, before it is published, as the models check.
unsafe impl Sync for Outcome {}
// SAFETY: as above.
unsafe impl Send for Outcome {}

impl Outcome {
    pub(super) fn of(contents: usize) -> Self {
        let outcome = Self { contents: UnsafeCell::new(0) };
        // SAFETY: no other thread has it yet.
        outcome.contents.with_mut(|place| unsafe { *place = contents });
        outcome
    }

    pub(super) fn contents(&self) -> usize {
        // SAFETY: loom reports a concurrent write.
        self.contents.with(|place| unsafe { *place })
    }
}

/// An initialisation, the exported data that belongs to it, and counters of the work.
struct Process {
    initialisation: Initialisation<Outcome>,
    data: AtomicUsize,
    worked: AtomicUsize,
    published: AtomicUsize,
}

impl Process {
    fn new() -> Self {
        Self {
            initialisation: Initialisation::new(),
            data: AtomicUsize::new(0),
            worked: AtomicUsize::new(0),
            published: AtomicUsize::new(0),
        }
    }

    fn attempt(&self, usual: Duration) {
        let patience = Patience { usual, while_forking: ENDLESS };
        let outcome = self.initialisation.attempt(patience, |_| {
            self.worked.fetch_add(1, Relaxed);
            let fill = |_: &Outcome| self.data.store(1, Relaxed);
            let first = |_: &'static Outcome| {
                self.published.fetch_add(1, Relaxed);
            };
            Some(self.initialisation.publish(Outcome::of(7), fill, first))
        });
        assert_eq!(outcome.map(Outcome::contents), Some(7));
        self.look();
    }

    /// Like a call in any thread: checks that everything is complete if there is an outcome.
    fn look(&self) {
        if let Some(outcome) = self.initialisation.outcome() {
            assert_eq!(outcome.contents(), 7);
            assert_eq!(self.data.load(Relaxed), 1);
        }
    }
}

#[test]
fn those_who_wait_use_the_outcome_of_the_one_who_worked() {
    explore("initialisation: three patient threads", Some(3), || {
        let process = leaked(Process::new());
        let others = [(); 2].map(|()| thread::spawn(|| process.attempt(ENDLESS)));
        process.attempt(ENDLESS);
        for other in others {
            other.join().expect("no panic");
        }
        assert_eq!(process.worked.load(Relaxed), 1);
        assert_eq!(process.published.load(Relaxed), 1);
    });
}

#[test]
fn of_two_who_work_one_publishes_and_the_other_uses_it() {
    explore("initialisation: two impatient threads and one that looks", Some(2), || {
        let process = leaked(Process::new());
        let other = thread::spawn(|| process.attempt(NONE));
        let looking = thread::spawn(|| process.look());
        process.attempt(NONE);
        other.join().expect("no panic");
        looking.join().expect("no panic");
        assert_eq!(process.published.load(Relaxed), 1);
    });
}
