//! Tracing: records every call of the C functions in files, or prints it as a line to stderr.
//!
//! A trace starts when a backend is opened, if a setting requests it, or at any later time through
//! [`listener`]. Starting publishes a table whose entries are thunks; stopping publishes the backend's
//! own table again. So tracing costs nothing while no trace is on.
//!
//! The path of a traced call: `arch::thunks` (saves the arguments, calls `record::begin`, the function, and
//! `record::end`; `thunk` has the offsets and functions that it needs) -> `record` (writes the two halves) ->
//! `thread` (per-thread state) -> `file` (a mapped file that grows) -> `session` (one trace: its settings and
//! shared state). Not on the path: `recipe` (how calls of each function are recorded), `directory` (the
//! directory of a trace), `about` (the description of the process), `scalars` (host values of alpha and
//! results), `handles` (descriptions of new handles), `around` (measurements before and after a call: GPU
//! time, HIP's last error, operands, call stacks), `events` (records that are not calls), `capture` (whether a call becomes
//! part of a graph), `descriptor` (descriptors in the program's table), `clock`, `live` (lines to stderr),
//! `listener` (requests of other processes).

mod about;
mod around;
mod capture;
mod clock;
mod descriptor;
mod directory;
mod events;
mod file;
mod handles;
pub(crate) mod listener;
pub(crate) mod live;
mod recipe;
mod record;
mod scalars;
mod session;
mod thread;
pub(crate) mod thunk;

pub(crate) use rocblas_trace::options::Options;
pub(crate) use session::{Session, Sink};

use crate::{
    backend::Backend,
    route,
    table::{LOOKS, ROUTING, Table, name},
};
use core::{ffi::CStr, time::Duration};
use rocblas_sync::routing;
use std::{path::PathBuf, sync::Mutex};

/// Long enough to create a directory on a slow disk.
const TIMEOUT: Duration = Duration::from_secs(10);

/// All tables that were built, to be reused by traces of the same functions.
static TABLES: Mutex<Vec<&'static Table>> = Mutex::new(Vec::new());

/// The status of a running trace.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    /// Its directory, once it has one; `None` for a trace to stderr.
    pub(crate) directory: Option<PathBuf>,
    /// The number of threads that have been traced.
    pub(crate) threads: u32,
}

/// Publishes the table of the backend that was opened, with a trace from the start if requested.
pub(crate) fn publish(backend: &'static Backend, wanted: Option<(Sink, Options)>) {
    match wanted {
        Some((sink, options)) => {
            let table = table_of(&backend.table, &options);
            let session = Box::leak(Box::new(Session::new(backend, sink, options)));
            ROUTING.publish(table, Some(session));
        }
        None => ROUTING.publish(&backend.table, None),
    }
}

/// Starts a trace. Returns its directory, or `None` for a trace to stderr. The error is a message.
pub(crate) fn start(
    backend: &'static Backend,
    sink: Sink,
    options: Options,
) -> Result<Option<PathBuf>, String> {
    let switching = switching()?;
    if let Some(Status { directory, .. }) = status() {
        let place = directory.map_or("stderr".to_owned(), |path| path.display().to_string());
        return Err(format!("this process is being traced already, to {place}; stop that first"));
    }
    let table = table_of(route::direct().unwrap_or(&backend.table), &options);
    let session = Session::new(backend, sink, options);
    // Created now, so that an error is returned to whoever starts the trace.
    let directory = session.directory()?.map(|directory| directory.path().to_owned());
    switching.start(table, Box::leak(Box::new(session)));
    drop(switching);
    Ok(directory)
}

/// Stops the running trace. Calls in flight are still completed in it.
pub(crate) fn stop(why: &str) -> Result<Status, String> {
    const NONE: &str = "this process is not being traced";
    let session = ROUTING.session().ok_or(NONE)?;
    thread::finish_own(session);
    let switching = switching()?;
    Ok(stop_session(&switching, ROUTING.session().ok_or(NONE)?, why))
}

/// Stops this trace, unless it has been stopped already.
fn stop_this(session: &Session, why: &str) {
    let Ok(switching) = switching() else { return };
    if ROUTING.session().is_some_and(|current| core::ptr::eq(current, session)) {
        stop_session(&switching, session, why);
    }
}

fn stop_session(switching: &Switching, session: &Session, why: &str) -> Status {
    switching.stop(route::direct().unwrap_or(&session.backend.table));
    around::end(session);
    session.end(why);
    status_of(session)
}

/// Redirects calls to the functions of another table, whether a trace is running or not. `publish` is called after
/// traced calls are redirected, and before the others are. The error is a message.
pub(crate) fn redirect(direct: &'static Table, publish: impl FnOnce()) -> Result<(), String> {
    let switching = switching()?;
    recipe::redirect(direct);
    publish();
    let table = ROUTING.session().map_or(direct, |session| {
        session.redirect(direct);
        table_of(direct, &session.options)
    });
    switching.redirect(table);
    Ok(())
}

/// The status of the running trace.
pub(crate) fn status() -> Option<Status> {
    ROUTING.session().map(status_of)
}

fn status_of(session: &Session) -> Status {
    Status {
        directory: session.created_directory().map(ToOwned::to_owned),
        threads: session.threads(),
    }
}

/// The directory of the running trace, if it has been created.
pub(crate) fn directory() -> Option<&'static CStr> {
    ROUTING.session()?.created_directory_c_str()
}

/// The table with thunks for the functions that a trace records.
fn table_of(direct: &Table, options: &Options) -> &'static Table {
    let mut table = Box::new(*direct);
    for (index, thunk) in crate::arch::thunks() {
        if options.wants(name(index).to_str().unwrap_or_default()) {
            table[index] = thunk;
        }
    }
    let mut tables = TABLES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = tables.iter().find(|known| ***known == *table) {
        return known;
    }
    let table: &Table = Box::leak(table);
    tables.push(table);
    table
}

type Switching = routing::Switching<'static, Table, Session>;

/// The right to start or stop a trace, until it is dropped.
fn switching() -> Result<Switching, String> {
    // The thread that has published the outcome publishes the table next.
    let published = ROUTING.published(LOOKS).ok_or("the backend is still being opened")?;
    published
        .switching(TIMEOUT)
        .ok_or_else(|| "another thread has been starting or stopping a trace for 10 s".to_owned())
}

/// In a forked child: a running trace continues in its own directory, and the parent's files are not touched.
pub(crate) fn after_fork() {
    thread::reset_after_fork();
    listener::after_fork();
    around::after_fork();
    ROUTING.after_fork_in_child(|session| Box::leak(Box::new(session.for_child())));
}
