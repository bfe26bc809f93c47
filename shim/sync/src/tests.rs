//! Tests on the system's atomics and threads, also under Miri, which covers what loom's models omit: the
//! futex, the clock, allocations.

use crate::{
    initialisation::{Forking, Initialisation, Patience},
    routing::Routing,
};
use core::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};
use std::{thread, time::Instant};

const THREADS: usize = if cfg!(miri) { 3 } else { 8 };
const CALLS: usize = if cfg!(miri) { 5 } else { 20_000 };
const SWITCHES: usize = if cfg!(miri) { 2 } else { 2_000 };
const LOOKS: u32 = 1_000_000;
const LONG: Duration = Duration::from_secs(60);

#[derive(Debug, PartialEq, Eq)]
enum Table {
    Cold,
    Direct,
    Thunk,
}

static COLD: Table = Table::Cold;

struct Process {
    initialisation: Initialisation<Table>,
    routing: Routing<Table, usize>,
    published: AtomicUsize,
    halfway: AtomicUsize,
}

impl Process {
    fn call(&self, patience: Duration) {
        match self.routing.table() {
            Table::Cold => {
                let patience = Patience { usual: patience, while_forking: LONG };
                let outcome = self.initialisation.attempt(patience, |_| {
                    self.halfway.fetch_add(1, Ordering::Relaxed);
                    let outcome = self.initialisation.publish(
                        Table::Direct,
                        |_| {},
                        |outcome| {
                            self.published.fetch_add(1, Ordering::Relaxed);
                            self.routing.publish(outcome, None);
                        },
                    );
                    self.halfway.fetch_sub(1, Ordering::Relaxed);
                    Some(outcome)
                });
                assert_eq!(outcome, Some(&Table::Direct));
                assert_ne!(self.routing.published(LOOKS).expect("published").table(), &Table::Cold);
            }
            Table::Direct => {}
            Table::Thunk => assert_eq!(self.routing.session().unwrap_or(&7), &7),
        }
    }

    fn switch(&self, thunks: &'static Table, session: &'static usize) {
        let published = self.routing.published(LOOKS).expect("published");
        published.switching(LONG).expect("the others are not that slow").start(thunks, session);
        let direct = self.initialisation.outcome().expect("published");
        published.switching(LONG).expect("as before").stop(direct);
    }

    /// Runs the fork handlers of the parent and checks their guarantees.
    fn fork(&self) {
        let forking = self.initialisation.before_fork(None, LONG);
        let is_locked = self.routing.before_fork(LONG);
        assert_eq!((forking, is_locked), (Forking::Locked, true));
        assert_eq!(self.halfway.load(Ordering::Relaxed), 0);
        let is_traced = self.routing.table() == &Table::Thunk;
        assert_eq!(self.routing.session().is_some(), is_traced);
        self.initialisation.after_fork_in_parent(forking);
        self.routing.after_fork_in_parent(is_locked);
    }
}

#[test]
fn threads_call_while_others_initialise_trace_and_fork() {
    let process: &'static Process = Box::leak(Box::new(Process {
        initialisation: Initialisation::new(),
        routing: Routing::new(&COLD),
        published: AtomicUsize::new(0),
        halfway: AtomicUsize::new(0),
    }));
    let callers: Vec<_> = (0..THREADS)
        .map(|number| {
            let patience = if number % 2 == 0 { LONG } else { Duration::ZERO };
            thread::spawn(move || (0..CALLS).for_each(|_| process.call(patience)))
        })
        .collect();
    let forking = thread::spawn(|| (0..SWITCHES).for_each(|_| process.fork()));
    process.call(LONG);
    let (thunks, session) = (Box::leak(Box::new(Table::Thunk)), Box::leak(Box::new(7)));
    (0..SWITCHES).for_each(|_| process.switch(thunks, session));
    for thread in callers.into_iter().chain([forking]) {
        thread.join().expect("no panic");
    }
    assert_eq!(process.published.load(Ordering::Relaxed), 1);
    assert_eq!(process.routing.table(), &Table::Direct);
}

#[test]
fn a_fork_gives_up_on_a_thread_that_stays_halfway() {
    static INITIALISATION: Initialisation<Table> = Initialisation::new();
    static HALFWAY: AtomicBool = AtomicBool::new(false);
    static GAVE_UP: AtomicBool = AtomicBool::new(false);
    let wait = |for_what: &AtomicBool| {
        let start = Instant::now();
        while !for_what.load(Ordering::Acquire) {
            assert!(start.elapsed() < LONG);
            thread::yield_now();
        }
    };
    let other = thread::spawn(move || {
        let patience = Patience { usual: LONG, while_forking: LONG };
        INITIALISATION.attempt(patience, |_| {
            HALFWAY.store(true, Ordering::Release);
            wait(&GAVE_UP);
            None
        })
    });
    wait(&HALFWAY);
    let forking = INITIALISATION.before_fork(None, Duration::from_millis(20));
    assert_eq!(forking, Forking::UnderWay);
    INITIALISATION.after_fork_in_parent(forking);
    GAVE_UP.store(true, Ordering::Release);
    assert_eq!(other.join().expect("no panic"), None);
    let forking = INITIALISATION.before_fork(None, LONG);
    assert_eq!(forking, Forking::Locked);
    INITIALISATION.after_fork_in_parent(forking);
}
