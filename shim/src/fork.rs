//! Fork handlers. If another thread were opening a backend during a fork, the child would inherit a library
//! whose constructors have run in part, and locks of threads that do not exist. So fork waits for such
//! threads, and takes the shim's locks before and releases them after, in both processes. A trace continues
//! in the child in a directory of its own.

use crate::{backends, facts, init, table::ROUTING, trace};
use core::{
    cell::Cell,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use rocblas_contract::sentences;
use rocblas_sync::initialisation::Forking;

/// Long enough for the slowest backend from the slowest disk. Limited, because a thread that forks inside a
/// constructor holds the loader's lock, for which the opening thread waits.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// For the lock of the facts, which is held only while they are changed. Only a signal handler that interrupts
/// its holder and forks waits in vain.
const PATIENCE_FOR_FACTS: Duration = Duration::from_secs(1);

/// Registers the handlers once. They are not needed before the first initialisation.
pub(crate) fn protect() {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        // SAFETY: plain functions that stay mapped (the library is linked with -z nodelete).
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    }
}

thread_local! {
    /// The state of initialisation as the forking thread found it.
    static FORKING: Cell<Forking> = const { Cell::new(Forking::UnderWay) };
    /// Whether the forking thread also holds the lock for starting and stopping traces, so that no other thread
    /// is in the middle of that.
    static TRACE_LOCKED: Cell<bool> = const { Cell::new(false) };
}

extern "C" fn prepare() {
    FORKING.set(init::before_fork(PATIENCE));
    backends::before_fork();
    TRACE_LOCKED.set(ROUTING.before_fork(PATIENCE));
    facts::before_fork(PATIENCE_FOR_FACTS);
}

extern "C" fn parent() {
    facts::after_fork_in_parent();
    init::INITIALISATION.after_fork_in_parent(FORKING.get());
    ROUTING.after_fork_in_parent(TRACE_LOCKED.get());
    backends::after_fork_in_parent();
}

extern "C" fn child() {
    facts::after_fork_in_child();
    backends::after_fork_in_child();
    if !init::INITIALISATION.after_fork_in_child(FORKING.get()) {
        init::fail(sentences::forked(PATIENCE.as_secs()));
    }
    trace::after_fork();
}
