//! What fork means to the shim. A child of a process whose other thread was opening a backend would
//! inherit a library whose constructors ran half, and locks of threads that do not exist. So fork waits
//! for such threads, and takes the shim's locks before and releases them after, in both processes. A
//! trace goes on in a directory of the child's own.

use crate::{facts, init, trace};
use core::{
    cell::Cell,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use rocblas_contract::sentences;

/// Long enough for the slowest backend from the slowest disk; not for ever, because a thread that
/// forks inside of a constructor holds the loader's lock that the other one waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// For the lock of the facts, which nobody holds for longer than it takes to change them. Only a signal
/// handler that forks within that time waits in vain.
const PATIENCE_FOR_FACTS: Duration = Duration::from_secs(1);

/// Registers the handlers, once. Before the first initialisation there is nothing to protect.
pub(crate) fn protect() {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        // SAFETY: plain functions that stay mapped (the library is linked with -z nodelete).
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    }
}

/// What this thread, which is forking, has to do with initialisation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Initialisation {
    /// It is this thread that initialises: a backend's constructor forked.
    Own,
    /// Nobody is at it, and this thread has its lock.
    Locked,
    /// Another thread is still at it.
    UnderWay,
}

thread_local! {
    static INITIALISATION: Cell<Initialisation> = const { Cell::new(Initialisation::Own) };
    /// Whether this thread also holds the lock for starting and stopping traces, so that nobody is halfway.
    static TRACE_LOCKED: Cell<bool> = const { Cell::new(false) };
}

extern "C" fn prepare() {
    INITIALISATION.set(if init::is_initialising() {
        Initialisation::Own
    } else if init::lock_for_fork(PATIENCE) {
        Initialisation::Locked
    } else {
        Initialisation::UnderWay
    });
    TRACE_LOCKED.set(trace::SWITCH_LOCK.lock_within(PATIENCE));
    facts::before_fork(PATIENCE_FOR_FACTS);
}

extern "C" fn parent() {
    facts::after_fork_in_parent();
    if INITIALISATION.get() == Initialisation::Locked {
        init::release_after_fork();
    }
    if TRACE_LOCKED.get() {
        trace::SWITCH_LOCK.unlock();
    }
}

extern "C" fn child() {
    facts::after_fork_in_child();
    init::forget_other_threads();
    match INITIALISATION.get() {
        Initialisation::Own => {}
        Initialisation::Locked => init::unlock_in_child(),
        Initialisation::UnderWay => {
            init::fail(sentences::forked(PATIENCE.as_secs()));
            init::unlock_in_child();
        }
    }
    trace::SWITCH_LOCK.unlock();
    trace::after_fork();
}
