//! The routing of calls: the table that stubs jump through, and the trace that thunks record to.
//!
//! The stub's load of the table and the thunk's load of the session are in assembly; x86-64 loads have
//! acquire semantics. All stores to the two are here.

use crate::{
    primitives::{AtomicPtr, Ordering, yield_now},
    timed_lock::TimedLock,
};
use core::{ptr, time::Duration};

/// A table and a session. Neither target is ever freed, because a thread may be about to read it.
#[repr(C)]
pub struct Routing<T: 'static, S: 'static> {
    /// Never null.
    table: AtomicPtr<T>,
    /// Null while no trace is on.
    session: AtomicPtr<S>,
    /// The table before anything is published.
    cold: &'static T,
    /// Held while a trace is started or stopped. Not a mutex, because a forked child must be able to release
    /// it.
    lock: TimedLock,
}

#[cfg(not(all(test, loom)))]
impl<T, S> Routing<T, S> {
    /// The offset of the pointer to the table, for assembly.
    pub const TABLE: usize = core::mem::offset_of!(Self, table);
    /// The offset of the pointer to the session, for assembly.
    pub const SESSION: usize = core::mem::offset_of!(Self, session);
}

impl<T: Sync, S: Sync> Routing<T, S> {
    constructor! {
        /// Begins with that table and no session.
        pub fn new(cold: &'static T) -> Self {
            Self {
                table: AtomicPtr::new(ptr::from_ref(cold).cast_mut()),
                session: AtomicPtr::new(ptr::null_mut()),
                cold,
                lock: TimedLock::new(),
            }
        }
    }

    /// The current table.
    pub fn table(&self) -> &'static T {
        // SAFETY: never null, and its target is never freed.
        unsafe { &*self.table.load(Ordering::Acquire) }
    }

    /// The current trace.
    pub fn session(&self) -> Option<&'static S> {
        // SAFETY: null, or its target is never freed.
        unsafe { self.session.load(Ordering::Acquire).as_ref() }
    }

    /// Publishes the first table. Only the thread that has published the outcome may call this. If there is a
    /// session, it is published first: no thread is in a thunk yet, and every call through a thunk is recorded.
    pub fn publish(&self, table: &'static T, session: Option<&'static S>) {
        if let Some(session) = session {
            self.store_session(Some(session));
        }
        self.store_table(table);
    }

    /// A token that a table has been published; `None` if there is none after that many checks.
    pub fn published(&self, looks: u32) -> Option<Published<'_, T, S>> {
        for _ in 0..looks {
            let table = self.table();
            if !ptr::eq(table, self.cold) {
                return Some(Published { routing: self, table });
            }
            yield_now();
        }
        None
    }

    fn store_table(&self, table: &'static T) {
        self.table.store(ptr::from_ref(table).cast_mut(), Ordering::Release);
    }

    fn store_session(&self, session: Option<&'static S>) {
        let session = session.map_or(ptr::null(), ptr::from_ref);
        self.session.store(session.cast_mut(), Ordering::Release);
    }

    /// In a thread that is about to fork: waits until no thread is starting or stopping a trace. Returns
    /// whether the wait succeeded.
    #[must_use]
    pub fn before_fork(&self, patience: Duration) -> bool {
        self.lock.lock_within(patience)
    }

    /// In the parent, after a fork. `is_locked` is what `before_fork` returned.
    pub fn after_fork_in_parent(&self, is_locked: bool) {
        if is_locked {
            self.lock.unlock();
        }
    }

    /// In the child, after a fork, where no other thread is starting or stopping a trace. A current trace
    /// continues in a session of the child's own.
    pub fn after_fork_in_child(&self, own: impl FnOnce(&'static S) -> &'static S) {
        self.lock.unlock();
        if let Some(session) = self.session() {
            self.store_session(Some(own(session)));
        }
    }
}

/// Proof that a table has been published, so that publication cannot undo the start of a trace.
pub struct Published<'a, T: 'static, S: 'static> {
    routing: &'a Routing<T, S>,
    table: &'static T,
}

impl<'a, T: Sync, S: Sync> Published<'a, T, S> {
    /// The table at that time.
    pub fn table(&self) -> &'static T {
        self.table
    }

    /// The right to start or stop a trace; `None` if it was not available within `patience`.
    pub fn switching(&self, patience: Duration) -> Option<Switching<'a, T, S>> {
        self.routing.lock.lock_within(patience).then_some(Switching(self.routing))
    }
}

/// The right to start or stop a trace, until it is dropped.
#[must_use]
pub struct Switching<'a, T: Sync + 'static, S: Sync + 'static>(&'a Routing<T, S>);

impl<T: Sync, S: Sync> Switching<'_, T, S> {
    /// Starts a trace. There must be none.
    pub fn start(&self, table: &'static T, session: &'static S) {
        // In this order, because a thread may be in a thunk since the previous trace: once one of its calls is
        // recorded in this trace, all later ones are.
        self.0.store_table(table);
        self.0.store_session(Some(session));
    }

    /// Replaces the table. A current trace continues.
    pub fn redirect(&self, table: &'static T) {
        self.0.store_table(table);
    }

    /// Stops the current trace. Calls in flight are still completed in it.
    pub fn stop(&self, direct: &'static T) {
        self.0.store_table(direct);
        self.0.store_session(None);
    }
}

impl<T: Sync, S: Sync> Drop for Switching<'_, T, S> {
    fn drop(&mut self) {
        self.0.lock.unlock();
    }
}
