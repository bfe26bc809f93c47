//! What fork means to the shim. A child of a process whose other thread was opening a backend would
//! inherit a library whose constructors ran half, and locks of threads that do not exist. So fork waits
//! for such threads, and takes the shim's locks before and releases them after, in both processes. A
//! trace goes on in a directory of the child's own.

use crate::{backends, facts, init, table::ROUTING, trace};
use core::{
    cell::Cell,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use rocblas_contract::sentences;
use rocblas_sync::initialisation::Forking;

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

thread_local! {
    /// What this thread, which is forking, has to do with initialisation.
    static FORKING: Cell<Forking> = const { Cell::new(Forking::UnderWay) };
    /// Whether this thread also holds the lock for starting and stopping traces, so that nobody is halfway.
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
