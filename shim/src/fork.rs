//! What fork means to initialisation: a child of a process whose other thread was opening a
//! backend would inherit the loader's lock, taken by a thread that does not exist, and a library
//! whose constructors ran half. So fork waits for that thread, and the child starts with a free
//! turn.

use crate::init;
use core::{
    cell::Cell,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// Long enough for the slowest backend from the slowest disk; not for ever, because a thread that
/// forks inside of a constructor holds the loader's lock that the other one waits for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Registers the handlers, once. Before the first initialisation there is nothing to protect.
pub(crate) fn protect() {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        // SAFETY: plain functions that stay mapped (the library is linked with -z nodelete).
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    }
}

thread_local! {
    /// Whether this thread, which is forking, took the turn in `prepare`.
    static HOLDS: Cell<bool> = const { Cell::new(false) };
}

extern "C" fn prepare() {
    // A backend's constructor may fork (system(), a helper process): the turn is its own thread's.
    let holds = !init::here() && init::TURN.take(PATIENCE);
    HOLDS.set(holds);
}

extern "C" fn parent() {
    if HOLDS.replace(false) {
        init::TURN.release();
    }
}

extern "C" fn child() {
    HOLDS.set(false);
    // Either this thread holds the turn, or a thread did that is not in the child.
    if !init::here() {
        init::TURN.release();
    }
}
