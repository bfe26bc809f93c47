//! Models of the lock: it excludes other threads, and wakes every waiting thread.

use super::{ENDLESS, NONE, explore, leaked};
use crate::timed_lock::TimedLock;
use loom::{cell::UnsafeCell, thread};

#[test]
fn one_thread_at_a_time_has_the_lock_and_each_gets_it() {
    explore("timed_lock: three threads", Some(3), || {
        let lock = leaked(TimedLock::new());
        let count = leaked(UnsafeCell::new(0));
        // SAFETY: the lock is held; loom reports a concurrent access.
        let add = |count: &UnsafeCell<i32>| count.with_mut(|count| unsafe { *count += 1 });
        let waiting = thread::spawn(move || {
            assert!(lock.lock_within(ENDLESS));
            add(count);
            lock.unlock();
        });
        let impatient = thread::spawn(move || {
            let has_lock = lock.lock_within(NONE);
            if has_lock {
                add(count);
                lock.unlock();
            }
            has_lock
        });
        assert!(lock.lock_within(ENDLESS));
        add(count);
        lock.unlock();
        waiting.join().expect("no panic");
        let also = impatient.join().expect("no panic");
        // SAFETY: the other threads have ended.
        assert_eq!(count.with(|count| unsafe { *count }), 2 + i32::from(also));
    });
}
