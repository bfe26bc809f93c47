//! Models of the table and the trace that a call sees.
//!
//! The stub and the thunk are assembly. `call` represents them with the same loads in the same order: the
//! table, and in a thunk the session, which `record::begin` loads again if it is not the thread's. The stores
//! of a record are those of the thunk and of `record`, in the same order: x86-64 does not reorder them.

use super::{ENDLESS, explore, leaked};
use crate::routing::Routing;
use loom::{
    cell::UnsafeCell,
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    thread,
};

const LOOKS: u32 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Cold,
    Direct,
    Thunk,
}

/// A value that is complete before it is published: loom reports a read that may happen earlier.
struct Complete<V>(UnsafeCell<Option<V>>);

// SAFETY: written once, before it is published, as the models check.
unsafe impl<V> Sync for Complete<V> {}

impl<V: Copy + 'static> Complete<V> {
    fn new(value: V) -> &'static Self {
        let new = leaked(Self(UnsafeCell::new(None)));
        // SAFETY: no other thread has it yet.
        new.0.with_mut(|place| unsafe { *place = Some(value) });
        new
    }

    fn get(&self) -> V {
        // SAFETY: loom reports a concurrent write.
        self.0.with(|place| unsafe { *place }).expect("complete")
    }
}

type Table = Complete<Entry>;
type Session = Complete<u64>;
type Calls = Routing<Table, Session>;

fn new() -> &'static Calls {
    leaked(Routing::new(Table::new(Entry::Cold)))
}

/// Starts a trace while none is on.
fn start(calls: &Calls, number: u64) {
    let switching = calls.published(LOOKS).and_then(|published| published.switching(ENDLESS));
    switching.expect("published").start(Table::new(Entry::Thunk), Session::new(number));
}

/// Stops the current trace.
fn stop(calls: &Calls) {
    let switching = calls.published(LOOKS).and_then(|published| published.switching(ENDLESS));
    switching.expect("published").stop(Table::new(Entry::Direct));
}

/// Makes a call. Returns where it went, and the trace in which it was recorded.
fn call(calls: &Calls) -> (Entry, Option<u64>) {
    let entry = calls.table().get();
    (entry, if entry == Entry::Thunk { in_thunk(calls) } else { None })
}

/// The rest of a call that is in a thunk.
fn in_thunk(calls: &Calls) -> Option<u64> {
    calls.session().map(Complete::get)
}

#[test]
fn a_call_goes_through_a_complete_table() {
    explore("routing: publication and two callers", None, || {
        let calls = new();
        let cold = thread::spawn(|| {
            // A cold call waits for the table, then goes through it.
            let published = calls.published(LOOKS).expect("it is about to be published");
            assert_eq!(published.table().get(), Entry::Direct);
            assert_eq!(call(calls), (Entry::Direct, None));
        });
        let caller = thread::spawn(|| {
            let entries = [(); 3].map(|()| call(calls).0);
            assert!(entries.is_sorted_by_key(|entry| *entry == Entry::Direct), "{entries:?}");
        });
        calls.publish(Table::new(Entry::Direct), None);
        cold.join().expect("no panic");
        caller.join().expect("no panic");
    });
}

#[test]
fn a_trace_from_the_start_has_every_call_that_is_not_cold() {
    explore("routing: publication with a trace", None, || {
        let calls = new();
        let callers = [(); 2].map(|()| {
            thread::spawn(move || {
                for _ in 0..2 {
                    assert!([(Entry::Cold, None), (Entry::Thunk, Some(1))].contains(&call(calls)));
                }
            })
        });
        calls.publish(Table::new(Entry::Thunk), Some(Session::new(1)));
        for caller in callers {
            caller.join().expect("no panic");
        }
    });
}

#[test]
fn a_trace_started_at_publication_is_not_undone_by_it() {
    explore("routing: publication against start", None, || {
        let calls = new();
        let starting = thread::spawn(|| start(calls, 1));
        calls.publish(Table::new(Entry::Direct), None);
        starting.join().expect("no panic");
        assert_eq!(call(calls), (Entry::Thunk, Some(1)));
    });
}

#[test]
fn a_thread_in_a_thunk_is_recorded_without_a_gap() {
    explore("routing: start against a thread in a thunk", None, || {
        let calls = new();
        calls.publish(Table::new(Entry::Direct), None);
        // It entered a thunk during the previous trace.
        let caller = thread::spawn(|| {
            let recorded = [in_thunk(calls), call(calls).1, call(calls).1];
            // Once a call is recorded, all later calls are.
            assert!(recorded.is_sorted_by_key(Option::is_some), "{recorded:?}");
        });
        start(calls, 1);
        caller.join().expect("no panic");
    });
}

#[test]
fn a_stopped_trace_gets_no_further_calls() {
    explore("routing: start and stop against a caller", None, || {
        let calls = new();
        calls.publish(Table::new(Entry::Direct), None);
        let caller = thread::spawn(|| {
            let recorded = [(); 4].map(|()| call(calls).1.is_some());
            // The calls of a trace are contiguous.
            let changes = recorded.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert!(changes <= usize::from(!recorded[0]) + 1, "{recorded:?}");
        });
        start(calls, 1);
        stop(calls);
        assert_eq!(call(calls), (Entry::Direct, None));
        caller.join().expect("no panic");
    });
}

#[test]
fn a_fork_sees_a_trace_as_a_whole() {
    explore("routing: start and stop against fork", None, || {
        let calls = new();
        calls.publish(Table::new(Entry::Direct), None);
        let switching = thread::spawn(|| {
            start(calls, 1);
            stop(calls);
        });
        let is_locked = calls.before_fork(ENDLESS);
        let (table, session) = (calls.table().get(), calls.session());
        calls.after_fork_in_parent(is_locked);
        assert_eq!(table == Entry::Thunk, session.is_some());
        switching.join().expect("no panic");
    });
}

/// A record's words: the argument represents everything between head and end.
#[derive(Default)]
struct Record {
    head: AtomicU64,
    argument: AtomicU64,
    result: AtomicU64,
    end: AtomicU64,
}

#[test]
fn a_record_that_is_seen_is_whole_also_after_a_stop() {
    explore("routing: stop and a reader against a thread that records", None, || {
        let calls = new();
        calls.publish(Table::new(Entry::Thunk), Some(Session::new(1)));
        let record: &'static Record = leaked(Record::default());
        let caller = thread::spawn(|| {
            if call(calls).1.is_some() {
                record.argument.store(5, Relaxed);
                record.end.store(0, Relaxed);
                record.head.store(1, Release);
                // The function returns; then the second half is stored, whatever trace is on now.
                record.result.store(6, Relaxed);
                record.end.store(2, Release);
            }
        });
        stop(calls);
        // A reader loads in the order of `rocblas_trace::read`: head, then end, then the rest.
        if record.head.load(Acquire) != 0 {
            assert_eq!(record.argument.load(Relaxed), 5);
            if record.end.load(Acquire) != 0 {
                assert_eq!(record.result.load(Relaxed), 6);
            }
        }
        caller.join().expect("no panic");
    });
}
