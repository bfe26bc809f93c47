//! What fork means to initialisation: a child of a process whose other thread was opening a
//! backend would inherit the loader's lock, taken by a thread that does not exist, and a library
//! whose constructors ran half. So fork waits for that thread, and the child starts with a free
//! turn. A trace goes on in a directory of the child's own.

use crate::{init, trace};
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

/// What this thread, which is forking, has of the turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It is this thread that initialises: a backend's constructor forked.
    Own,
    Taken,
    /// Another thread is still at it.
    NotToBeHad,
}

thread_local! {
    static TURN: Cell<Turn> = const { Cell::new(Turn::Own) };
    /// Whether this thread has the turn to start and stop traces too, so that nobody is halfway.
    static TRACE_TURN: Cell<bool> = const { Cell::new(false) };
}

extern "C" fn prepare() {
    TURN.set(if init::here() {
        Turn::Own
    } else if init::TURN.take(PATIENCE) {
        Turn::Taken
    } else {
        Turn::NotToBeHad
    });
    TRACE_TURN.set(trace::TURN.take(PATIENCE));
}

extern "C" fn parent() {
    if TURN.get() == Turn::Taken {
        init::TURN.release();
    }
    if TRACE_TURN.get() {
        trace::TURN.release();
    }
}

extern "C" fn child() {
    match TURN.get() {
        Turn::Own => {}
        Turn::Taken => init::TURN.release(),
        Turn::NotToBeHad => {
            init::fail(format!(
                "no usable rocBLAS backend: this process was forked while another thread of its \
                 parent had been opening one for {} s, and has half of it",
                PATIENCE.as_secs()
            ));
            init::TURN.release();
        }
    }
    trace::TURN.release();
    trace::after_fork();
}
