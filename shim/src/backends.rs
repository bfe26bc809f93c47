//! The open backends: the one that initialisation opened, and others that were requested later.
//!
//! Each keeps its slot for the life of the process. One of them makes new handles; [`crate::route`] finds
//! the backend of an existing handle.

use crate::{
    arch::without_cancellation,
    backend::{Backend, locate},
    config::Choice,
    init::{self, Outcome},
    route,
    table::Table,
};
use core::{
    cell::Cell,
    ptr,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};
use once_cell::race::OnceBox;
use rocblas_contract::sentences;
use rocblas_sync::timed_lock::TimedLock;
use rocblas_trace::process::MOST_BACKENDS;
use std::ffi::OsStr;

/// The maximum number of backends in a process.
pub(crate) const MOST: usize = MOST_BACKENDS;

/// The slot of a backend.
pub(crate) type Slot = u8;

/// The backends in the slots from 1 on, in the order of opening.
static OTHERS: [OnceBox<Backend>; MOST - 1] = [const { OnceBox::new() }; MOST - 1];

/// Means that there is no slot.
const NONE: u8 = u8::MAX;

/// The slot of the backend that was chosen at run time for new handles.
static IN_USE: AtomicU8 = AtomicU8::new(NONE);

/// Held while a backend other than the first is opened. The wait for it is limited: a thread in a constructor
/// holds the loader's lock, for which the opening thread may be waiting.
static OPENING: TimedLock = TimedLock::new();

/// Longer than opening takes, even from the slowest disk.
const PATIENCE: Duration = Duration::from_secs(10);

thread_local! {
    /// Whether this thread holds [`OPENING`] to open a backend.
    static OPENS: Cell<bool> = const { Cell::new(false) };
    /// Whether this thread holds [`OPENING`] to fork.
    static FORKS: Cell<bool> = const { Cell::new(false) };
}

/// The backend that was opened first.
pub(crate) fn first() -> Option<&'static Backend> {
    match init::published_outcome()? {
        Outcome::Ready { backend, .. } => Some(backend),
        Outcome::Failed { .. } => None,
    }
}

/// The backend in that slot.
pub(crate) fn get(slot: Slot) -> Option<&'static Backend> {
    match usize::from(slot).checked_sub(1) {
        None => first(),
        Some(place) => OTHERS.get(place)?.get(),
    }
}

/// All open backends, in the order of opening.
pub(crate) fn all() -> impl Iterator<Item = &'static Backend> {
    (0..MOST as Slot).map_while(get)
}

/// The backend whose table this is.
pub(crate) fn of_table(table: *const Table) -> Option<&'static Backend> {
    all().find(|backend| ptr::eq(&raw const *backend.table, table))
}

/// The backend that was chosen at run time, if any.
pub(crate) fn in_use() -> Option<&'static Backend> {
    get(IN_USE.load(Ordering::Acquire))
}

/// The backend that gets handles whose maker is not known.
pub(crate) fn default() -> Option<&'static Backend> {
    in_use().or_else(first)
}

/// Makes new handles belong to the backend `value`, a name or a path given by `source`, and opens it if it is
/// not open; if `value` is empty, the settings choose again. On failure returns a message and changes nothing.
pub(crate) fn switch_to_named(value: &OsStr, source: &str) -> Result<(), String> {
    if init::outcome().is_none() {
        return Err(sentences::no_first_backend());
    }
    let slot = if value.is_empty() {
        NONE
    } else {
        let source = source.to_owned();
        let choice = Choice { value: value.to_owned(), source, directory: None };
        without_cancellation(|| open(&choice))?.slot
    };
    IN_USE.store(slot, Ordering::Release);
    Ok(())
}

/// Opens the backend of that choice, if it is not open. The error is a message.
pub(crate) fn open(choice: &Choice) -> Result<&'static Backend, String> {
    let Some(Outcome::Ready { settings, .. }) = init::outcome() else {
        return Err(sentences::no_first_backend());
    };
    let candidate = locate::chosen(choice)
        .map_err(|tried| sentences::not_opened(&tried.place, &tried.refusal))?;
    let place = candidate.path.display().to_string();
    let opened = || all().find(|backend| backend.is_at(&candidate.path));
    if let Some(known) = opened() {
        return Ok(known);
    }
    let _opening =
        Opening::start().ok_or_else(|| sentences::opening_takes_long(PATIENCE.as_secs()))?;
    if let Some(known) = opened() {
        return Ok(known);
    }
    let slot = all().count();
    let Some(free) = slot.checked_sub(1).and_then(|place| OTHERS.get(place)) else {
        return Err(sentences::too_many_backends(MOST));
    };
    let backend = init::load_another(candidate.clone(), settings, slot as Slot)
        .map_err(|refusal| sentences::not_opened(&place, refusal))?;
    route::start()?;
    // With the lock held, no other thread sets it.
    Ok(free.get_or_init(|| Box::new(backend)))
}

/// The right to open a backend.
struct Opening;

impl Opening {
    /// `None` after waiting too long, or if this thread is opening one already: a constructor of a backend
    /// must not open another one.
    fn start() -> Option<Self> {
        if OPENS.get() || !OPENING.lock_within(PATIENCE) {
            return None;
        }
        OPENS.set(true);
        Some(Self)
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        OPENS.set(false);
        OPENING.unlock();
    }
}

/// In a thread that is about to fork: waits until no other thread is opening a backend.
pub(crate) fn before_fork() {
    FORKS.set(!OPENS.get() && OPENING.lock_within(PATIENCE));
}

/// In the parent after a fork.
pub(crate) fn after_fork_in_parent() {
    if FORKS.get() {
        OPENING.unlock();
    }
}

/// In the child after a fork, where no other thread exists.
pub(crate) fn after_fork_in_child() {
    if !OPENS.get() {
        OPENING.unlock();
    }
}
