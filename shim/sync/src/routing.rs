//! Where calls go: the table that stubs jump through, and the trace that thunks record in.
//!
//! The stub's load of the table and the thunk's of the session are in assembly; x86-64's loads acquire.
//! Everything that stores either of the two is here.

use crate::{
    primitives::{AtomicPtr, Ordering, yield_now},
    timed_lock::TimedLock,
};
use core::{ptr, time::Duration};

/// A table and a session. What they point to is never freed: a thread may be about to look at it.
#[repr(C)]
pub struct Routing<T: 'static, S: 'static> {
    /// Never null.
    table: AtomicPtr<T>,
    /// Null while no trace is on.
    session: AtomicPtr<S>,
    /// The table before anything is published.
    cold: &'static T,
    /// Held by whoever starts or stops a trace. Not a mutex, since a forked child has to be able to free
    /// it.
    lock: TimedLock,
}

#[cfg(not(all(test, loom)))]
impl<T, S> Routing<T, S> {
    /// Where assembly finds the pointer to the table, in bytes.
    pub const TABLE: usize = core::mem::offset_of!(Self, table);
    /// Where assembly finds the pointer to the session, in bytes.
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

    /// The table that calls go through.
    pub fn table(&self) -> &'static T {
        // SAFETY: never null, and to what is never freed.
        unsafe { &*self.table.load(Ordering::Acquire) }
    }

    /// The trace that is on.
    pub fn session(&self) -> Option<&'static S> {
        // SAFETY: null, or to what is never freed.
        unsafe { self.session.load(Ordering::Acquire).as_ref() }
    }

    /// Publishes a first table, by the one thread that may: whose outcome became the outcome. With a trace
    /// from the start if there is a session: no thread is in a thunk yet, and whoever reaches one is
    /// recorded.
    pub fn publish(&self, table: &'static T, session: Option<&'static S>) {
        if let Some(session) = session {
            self.store_session(Some(session));
        }
        self.store_table(table);
    }

    /// The right to what needs a published table; `None` if there is none after that many looks.
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

    /// In a thread that is about to fork: waits until nobody is starting or stopping a trace. Returns
    /// whether that could be had.
    #[must_use]
    pub fn before_fork(&self, patience: Duration) -> bool {
        self.lock.lock_within(patience)
    }

    /// In the process that forked, with what `before_fork` has returned.
    pub fn after_fork_in_parent(&self, is_locked: bool) {
        if is_locked {
            self.lock.unlock();
        }
    }

    /// In the child, where nobody else is starting or stopping a trace. One that is on goes on in a
    /// session of the child's own.
    pub fn after_fork_in_child(&self, own: impl FnOnce(&'static S) -> &'static S) {
        self.lock.unlock();
        if let Some(session) = self.session() {
            self.store_session(Some(own(session)));
        }
    }
}

/// That a table has been published. So no trace can be started that publication would then undo.
pub struct Published<'a, T: 'static, S: 'static> {
    routing: &'a Routing<T, S>,
    table: &'static T,
}

impl<'a, T: Sync, S: Sync> Published<'a, T, S> {
    /// The table as it was then.
    pub fn table(&self) -> &'static T {
        self.table
    }

    /// The right to start or stop a trace, if it could be had within `patience`.
    pub fn switching(&self, patience: Duration) -> Option<Switching<'a, T, S>> {
        self.routing.lock.lock_within(patience).then_some(Switching(self.routing))
    }
}

/// The right to start or stop a trace, until it is dropped.
#[must_use]
pub struct Switching<'a, T: Sync + 'static, S: Sync + 'static>(&'a Routing<T, S>);

impl<T: Sync, S: Sync> Switching<'_, T, S> {
    /// Starts a trace; there is none.
    pub fn start(&self, table: &'static T, session: &'static S) {
        // In this order, because a thread may be in a thunk since the trace before: once a call of its is
        // recorded in this one, so are the next.
        self.0.store_table(table);
        self.0.store_session(Some(session));
    }

    /// Exchanges the table; a trace that is on goes on.
    pub fn redirect(&self, table: &'static T) {
        self.0.store_table(table);
    }

    /// Stops the trace that is on. Calls that are under way are still completed in it.
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
