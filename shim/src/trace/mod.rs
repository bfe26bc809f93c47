//! Tracing: every call of the C functions into files, or as a line to stderr.
//!
//! A trace is started when a backend is opened, if a setting asks for it, or at any time later by
//! [`listener`]. Starting publishes a table whose entries are thunks; stopping publishes the backend's
//! own table again. So nothing of this costs anything while no trace is on.
//!
//! The path of a traced call: `arch::thunks` (keeps the arguments, calls `record::begin`, the function,
//! and `record::end`; `thunk` has what it needs to know of Rust) -> `record` (writes the two halves) -> `thread` (where this thread writes) -> `file`
//! (a file that is mapped and grows) -> `session` (one trace: its settings and what its threads share).
//! Beside it: `recipe` (how calls of each function are recorded), `directory` (where the files of a trace
//! are), `about` (what a trace says of its process), `scalars` (host values of alpha and results),
//! `handles` (what is told of a handle that is new), `capture` (whether a call goes into a graph), `descriptor` (descriptors in the program's table),
//! `clock`, `live` (lines to stderr), `listener` (start and stop from another process).

mod about;
mod capture;
mod clock;
mod descriptor;
mod directory;
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

/// Long enough for making a directory on a slow disk.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The tables that were made, to be used again by traces of the same functions.
static TABLES: Mutex<Vec<&'static Table>> = Mutex::new(Vec::new());

/// What may be known of a trace that is on.
#[derive(Clone, Debug)]
pub(crate) struct Status {
    /// Its directory, once it has one; none for lines to stderr.
    pub(crate) directory: Option<PathBuf>,
    /// How many threads have been traced.
    pub(crate) threads: u32,
}

/// Publishes the table of the backend that was opened: with a trace from the start if it is asked for.
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

/// Starts a trace. Returns its directory, none for lines to stderr. The error is a sentence.
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
    // Now, so that whoever starts the trace learns what is wrong with the directory.
    let directory = session.directory()?.map(|directory| directory.path().to_owned());
    switching.start(table, Box::leak(Box::new(session)));
    drop(switching);
    Ok(directory)
}

/// Stops the trace that is on. Calls that are under way are still completed in it.
pub(crate) fn stop(why: &str) -> Result<Status, String> {
    const NONE: &str = "this process is not being traced";
    if ROUTING.session().is_none() {
        return Err(NONE.to_owned());
    }
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
    session.end(why);
    status_of(session)
}

/// Lets calls go on to the functions of another table, with a trace or without. `publish` is called when
/// traced calls do, and before others do. The error is a sentence.
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

/// The trace that is on.
pub(crate) fn status() -> Option<Status> {
    ROUTING.session().map(status_of)
}

fn status_of(session: &Session) -> Status {
    Status {
        directory: session.created_directory().map(ToOwned::to_owned),
        threads: session.threads(),
    }
}

/// The directory of the trace that is on, if one has been made for it.
pub(crate) fn directory() -> Option<&'static CStr> {
    ROUTING.session()?.created_directory_c_str()
}

/// The table with thunks for the functions that a trace is of.
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
    // The thread that has published the outcome is about to publish the table.
    let published = ROUTING.published(LOOKS).ok_or("the backend is still being opened")?;
    published
        .switching(TIMEOUT)
        .ok_or_else(|| "another thread has been starting or stopping a trace for 10 s".to_owned())
}

/// In a forked child: a trace goes on in a directory of its own, and nothing of the parent's files is
/// touched.
pub(crate) fn after_fork() {
    thread::reset_after_fork();
    listener::after_fork();
    ROUTING.after_fork_in_child(|session| Box::leak(Box::new(session.for_child())));
}
