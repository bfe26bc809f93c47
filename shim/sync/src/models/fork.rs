//! Models of fork. loom cannot fork: the child is a copy of the state between the fork handlers, with the
//! forking thread as its only thread.

use super::{ENDLESS, NONE, explore, initialisation::Outcome, leaked};
use crate::initialisation::{Forking, Initialisation, Patience};
use core::time::Duration;
use loom::{cell::UnsafeCell, thread};

/// An initialisation, and the state that each initialising thread changes.
struct Process {
    initialisation: Initialisation<Outcome>,
    changed: [UnsafeCell<usize>; 2],
}

// SAFETY: loom reports concurrent accesses.
unsafe impl Sync for Process {}

/// The state of a thread's work before it starts, in the middle, and after it is done.
const BEFORE: usize = 0;
const HALFWAY: usize = 1;
const AFTER: usize = 2;

impl Process {
    fn new() -> Self {
        Self {
            initialisation: Initialisation::new(),
            changed: [(); 2].map(|()| UnsafeCell::new(0)),
        }
    }

    fn attempt(&self, number: usize, usual: Duration) {
        let patience = Patience { usual, while_forking: ENDLESS };
        let outcome = self.initialisation.attempt(patience, |_| {
            let place = &self.changed[number];
            for stage in [HALFWAY, AFTER] {
                // SAFETY: loom reports a concurrent access.
                place.with_mut(|place| unsafe { *place = stage });
            }
            Some(self.initialisation.publish(Outcome::of(7), |_| {}, |_| {}))
        });
        assert_eq!(outcome.map(Outcome::contents), Some(7));
    }

    /// Forks, and initialises in the child.
    fn fork(&self) {
        let forking = self.initialisation.before_fork(None, ENDLESS);
        assert_eq!(forking, Forking::Locked);
        for place in &self.changed {
            // SAFETY: as above.
            assert!([BEFORE, AFTER].contains(&place.with(|place| unsafe { *place })));
        }
        let child = self.initialisation.copy();
        self.initialisation.after_fork_in_parent(forking);
        assert!(child.after_fork_in_child(forking));
        initialise_in(&child);
    }
}

/// Initialises in a child, where no other thread exists: a held lock is a deadlock. Then it forks.
fn initialise_in(child: &Initialisation<Outcome>) {
    let patience = Patience { usual: ENDLESS, while_forking: ENDLESS };
    let work = |_| Some(child.publish(Outcome::of(7), |_| {}, |_| {}));
    assert_eq!(child.attempt(patience, work).map(Outcome::contents), Some(7));
    let forking = child.before_fork(None, ENDLESS);
    assert_eq!(forking, Forking::Locked);
    child.after_fork_in_parent(forking);
}

#[test]
fn a_fork_finds_nobody_halfway_who_has_the_lock() {
    explore("fork: one patient thread", Some(3), || {
        let process = leaked(Process::new());
        let other = thread::spawn(|| process.attempt(0, ENDLESS));
        process.fork();
        other.join().expect("no panic");
    });
}

#[test]
fn a_fork_finds_nobody_halfway_who_lost_patience() {
    explore("fork: one patient and one impatient thread", Some(2), || {
        let process = leaked(Process::new());
        let others = [(0, ENDLESS), (1, NONE)]
            .map(|(number, patience)| thread::spawn(move || process.attempt(number, patience)));
        process.fork();
        for other in others {
            other.join().expect("no panic");
        }
    });
}

#[test]
fn forks_of_two_threads_at_once_go_on() {
    explore("fork: two forking threads and one impatient", Some(2), || {
        let process = leaked(Process::new());
        let others = [thread::spawn(|| process.fork()), thread::spawn(|| process.attempt(0, NONE))];
        process.fork();
        for other in others {
            other.join().expect("no panic");
        }
    });
}

#[test]
fn the_child_of_a_thread_that_initialises_goes_on() {
    explore("fork: within initialisation, beside another thread", Some(3), || {
        let process = leaked(Process::new());
        let other = thread::spawn(|| process.attempt(0, ENDLESS));
        let patience = Patience { usual: NONE, while_forking: ENDLESS };
        let own = &process.initialisation;
        own.attempt(patience, |has_lock| {
            let forking = own.before_fork(Some(has_lock), ENDLESS);
            let child = own.copy();
            own.after_fork_in_parent(forking);
            assert!(child.after_fork_in_child(forking));
            child.end_attempt(has_lock);
            initialise_in(&child);
            Some(own.publish(Outcome::of(7), |_| {}, |_| {}))
        });
        other.join().expect("no panic");
    });
}
