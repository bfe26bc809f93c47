//! Initialisation, which runs once, at the first call of any thread.
//!
//! The first thread to finish publishes its result in [`INITIALISATION`], and then the table that the
//! stubs jump through. [`rocblas_sync::initialisation`] decides which threads work and which wait. A
//! call from the backend's own constructor, while the same thread is loading the backend, goes to the
//! backend's function.

use crate::{
    backend::{
        self, Backend, Texts, Took,
        adapt::{self, Bindings},
        environment,
        hip::{self, Hip},
        inspect,
        locate::{self, Candidate, Tried},
        needs,
        open::{self, Handle},
        refusal::Refusal,
        resolve,
    },
    backends::{self, Slot},
    compat,
    config::{self, OnError, Problem, Settings},
    diagnostics::{self, debug, error, info, warning},
    exports, fork,
    missing::{self, Why},
    route::{self, Registers},
    table::{self, COLD, LOOKS, ROUTING, Target},
    trace,
};
use core::{
    cell::Cell,
    ffi::CStr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};
use rocblas_abi::PRESENTED;
use rocblas_contract::{libraries, sentences, store, variables};
use rocblas_sync::initialisation::{Forking, Initialisation, Patience};
use std::{ffi::CString, os::unix::ffi::OsStrExt, path::Path, time::Instant};
use tracing::level_filters::LevelFilter;

/// How initialisation ended; never changes once set.
pub(crate) enum Outcome {
    Ready {
        /// The backend that was opened first.
        backend: Box<Backend>,
        /// The settings, which also apply to backends that are opened later.
        settings: Box<Settings>,
    },
    /// The message that was printed.
    Failed { message: String, on_error: OnError },
}

pub(crate) static INITIALISATION: Initialisation<Outcome> = Initialisation::new();

/// How long to wait for the thread that initialises: longer than opening a backend usually takes, and short
/// enough for the rare case that the wait is a deadlock.
const PATIENCE: Patience =
    Patience { usual: Duration::from_millis(500), while_forking: fork::PATIENCE };

/// The stage of initialisation that this thread is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Calling,
    Initialising,
    /// Loading the library at that path; its constructors may call rocBLAS.
    Opening(*const libc::c_char),
}

thread_local! {
    static STAGE: Cell<Stage> = const { Cell::new(Stage::Calling) };
    /// Whether this thread, if it initialises, holds the lock.
    static HAS_LOCK: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is initialising.
pub(crate) fn is_initialising() -> bool {
    STAGE.get() != Stage::Calling
}

/// The outcome, after initialising if necessary; `None` within initialisation itself, and if it failed because
/// libc is not initialised yet.
pub(crate) fn outcome() -> Option<&'static Outcome> {
    INITIALISATION
        .outcome()
        .or_else(|| if is_initialising() { None } else { attempt(Occasion::Call) })
}

/// The outcome if there is one already; does not initialise.
pub(crate) fn published_outcome() -> Option<&'static Outcome> {
    INITIALISATION.outcome()
}

/// Initialises while the shim is being loaded. A failure is ignored; the first call tries again.
pub(crate) fn early() {
    if !is_initialising() {
        attempt(Occasion::Load);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Occasion {
    Load,
    Call,
}

/// The target for a call of the export with that index. Never null, never an entry of the shim's own table.
pub(crate) fn target(index: usize, registers: &Registers) -> Target {
    if let Stage::Opening(path) = STAGE.get()
        && INITIALISATION.outcome().is_none()
    {
        return while_opening(index, path);
    }
    match outcome() {
        Some(Outcome::Ready { .. }) if route::is_on() => {
            route::target(index, registers).unwrap_or_else(|| missing(index))
        }
        Some(Outcome::Ready { backend, .. }) => match published(index) {
            Some(target) => target,
            None if backend.table[index] != COLD[index] => backend.table[index],
            None => missing_of(index, backend),
        },
        Some(Outcome::Failed { on_error, .. }) => {
            abort_if(*on_error);
            missing::substitute(index, Why::Backend).0
        }
        None => missing::substitute(index, Why::Backend).0,
    }
}

/// The entry of the current table, which is a thunk while a trace is on. `None` if it is the cold entry,
/// because the backend lacks the function.
fn published(index: usize) -> Option<Target> {
    // The thread that has published the outcome publishes the table next.
    let target = ROUTING.published(LOOKS)?.table()[index];
    (target != COLD[index]).then_some(target)
}

/// The function that a thunk calls when nothing is recorded.
pub(crate) fn traced_target(index: usize) -> Target {
    match route::direct() {
        // A cold entry finds the backend by the call.
        Some(direct) if route::is_on() || direct[index] != COLD[index] => direct[index],
        _ => missing(index),
    }
}

/// The substitute for a function that the first backend lacks; reports it the first time.
pub(crate) fn missing(index: usize) -> Target {
    match backends::first() {
        Some(backend) => missing_of(index, backend),
        None => missing::substitute(index, Why::Backend).0,
    }
}

/// The substitute for a function that a backend lacks; reports it the first time.
pub(crate) fn missing_of(index: usize, backend: &Backend) -> Target {
    let (target, returned) = missing::substitute(index, Why::Function);
    report_missing(index, backend, returned);
    if let Some(Outcome::Ready { settings, .. }) = INITIALISATION.outcome() {
        abort_if(settings.on_error);
    }
    target
}

/// A call from a constructor of the library that this thread is loading.
fn while_opening(index: usize, path: *const libc::c_char) -> Target {
    // SAFETY: set by `load` below, which owns the string and has not returned.
    let path = unsafe { CStr::from_ptr(path) };
    open::already_open(path)
        .and_then(|backend| backend.own_symbol(table::name(index)))
        .unwrap_or_else(|| missing::substitute(index, Why::Backend).0)
}

fn report_missing(index: usize, backend: &Backend, returned: &str) {
    if missing::first_report(index) {
        let (name, path) = (table::name(index).to_string_lossy(), backend.path.display());
        error!("{}", sentences::missing_function(name, &backend.name, path, returned));
    }
}

fn abort_if(on_error: OnError) {
    if on_error == OnError::Abort {
        error!("{}", sentences::aborting(variables::ON_ERROR));
        std::process::abort();
    }
}

/// Marks this thread as initialising until it is dropped.
struct Initialising;

impl Initialising {
    fn start(has_lock: bool) -> Self {
        HAS_LOCK.set(has_lock);
        STAGE.set(Stage::Initialising);
        Self
    }
}

impl Drop for Initialising {
    fn drop(&mut self) {
        STAGE.set(Stage::Calling);
    }
}

fn attempt(occasion: Occasion) -> Option<&'static Outcome> {
    fork::protect();
    INITIALISATION.attempt(PATIENCE, |has_lock| {
        let _initialising = Initialising::start(has_lock);
        let outcome = work(occasion);
        // The program must not see errors from the shim's own lookups.
        open::clear_error();
        outcome
    })
}

/// In a thread that is about to fork: waits until no other thread is initialising.
pub(crate) fn before_fork(patience: Duration) -> Forking {
    // Opening another backend is not part of initialisation.
    let initialises = is_initialising() && INITIALISATION.outcome().is_none();
    INITIALISATION.before_fork(initialises.then(|| HAS_LOCK.get()), patience)
}

fn work(occasion: Occasion) -> Option<&'static Outcome> {
    let settings = config::read();
    diagnostics::install(settings.log);
    match open_first(&settings) {
        Ok(backend) => Some(publish(
            Outcome::Ready { backend: Box::new(backend), settings: Box::new(settings) },
            occasion,
        )),
        Err(_) if occasion == Occasion::Load => {
            debug!("no backend at load; the first call will try again");
            None
        }
        Err(tried) => {
            let message = failure(&settings, &tried);
            // A failure is not final if libc was not initialised yet, or if the process was out of file
            // descriptors or memory.
            if !config::environ_is_up() || tried.iter().any(|tried| tried.refusal.transient) {
                static REPORTED: AtomicBool = AtomicBool::new(false);
                if !REPORTED.swap(true, Ordering::Relaxed) {
                    error!("{message}");
                }
                return None;
            }
            let failed = Outcome::Failed { message, on_error: settings.on_error };
            Some(publish(failed, occasion))
        }
    }
}

/// Publishes an outcome, unless another thread was first. The thread that was first also prints its
/// messages.
fn publish(outcome: Outcome, occasion: Occasion) -> &'static Outcome {
    let fill = |outcome: &Outcome| {
        if let Outcome::Ready { backend, .. } = outcome {
            fill_data(backend);
        }
    };
    INITIALISATION.publish(outcome, fill, |outcome| match outcome {
        Outcome::Ready { backend, settings } => {
            let wanted = settings.trace.clone().map(|sink| (sink, settings.trace_options.clone()));
            trace::publish(backend, wanted);
            announce(backend, settings, occasion);
        }
        Outcome::Failed { message, .. } => error!("{message}"),
    })
}

/// Publishes that there is no backend, unless an outcome has been published.
pub(crate) fn fail(message: String) {
    // An error means that there is an outcome, and nothing to fail.
    let _ = INITIALISATION.set(Outcome::Failed { message, on_error: OnError::Status });
}

fn announce(backend: &Backend, settings: &Settings, occasion: Occasion) {
    for Problem { text, own } in &settings.problems {
        // A file's problems are not reported at load: every program that loads the shim reads the file, and
        // its output may be parsed by a script.
        if *own || occasion == Occasion::Call {
            error!("{}", sentences::setting_ignored(text));
        } else {
            warning!("{}", sentences::setting_ignored(text));
        }
    }
    // What follows is work at start-up, and hardly anybody reads it.
    if settings.log < LevelFilter::INFO {
        return;
    }
    let Took { open, adapt, resolve } = backend.took;
    info!(
        "backend {} ({}) lacks {} of {} functions; promises kept for it: {}; opened in {open:?}, adapted in {adapt:?}, resolved in {resolve:?}; it is rocBLAS {}",
        backend.name,
        backend.path.display(),
        backend.missing.len(),
        rocblas_abi::EXPORTS,
        backend.compat.active.names().join(", "),
        backend.compat.generation.map_or("of unknown version".to_owned(), |g| g.to_string()),
    );
    for index in &backend.missing {
        debug!("missing: {}", table::name(usize::from(*index)).to_string_lossy());
    }
}

fn open_first(settings: &Settings) -> Result<Backend, Vec<Tried>> {
    let mut tried = Vec::new();
    for place in locate::places(settings) {
        match place.and_then(|candidate| {
            let place = candidate.path.display().to_string();
            load(candidate, settings, 0).map_err(|refusal| Tried { place, refusal })
        }) {
            Ok(backend) => return Ok(backend),
            Err(failed) => tried.push(failed),
        }
    }
    Err(tried)
}

/// Opens another backend. The caller holds the right to open one.
pub(crate) fn load_another(
    candidate: Candidate,
    settings: &Settings,
    slot: Slot,
) -> Result<Backend, Refusal> {
    let _initialising = Initialising::start(false);
    let loaded = load(candidate, settings, slot);
    open::clear_error();
    loaded
}

/// Refuses a backend that would share data with an open one.
fn refuse_joined_symbols(path: &Path) -> Result<(), Refusal> {
    let own = inspect::unique_symbols(path)?;
    if own.is_empty() {
        return Ok(());
    }
    for open in backends::all() {
        // An open backend whose file cannot be read any more is skipped.
        let theirs = inspect::unique_symbols(&open.path).unwrap_or_default();
        if let Some(symbol) = own.iter().find(|symbol| theirs.contains(symbol)) {
            return Err(sentences::joined_symbol(symbol, &open.name).into());
        }
    }
    Ok(())
}

fn load(candidate: Candidate, settings: &Settings, slot: Slot) -> Result<Backend, Refusal> {
    let library = inspect::inspect(&candidate.path)?;
    if slot != 0 {
        refuse_joined_symbols(&candidate.path)?;
    }
    // Absolute: after chdir a relative path would name another file, and the loader would search for a
    // name without a slash.
    let path = std::path::absolute(&candidate.path).map_err(|e| e.to_string())?;
    let c_path = CString::new(path.as_os_str().as_bytes()).map_err(|e| e.to_string())?;

    let start = Instant::now();
    STAGE.set(Stage::Opening(c_path.as_ptr()));
    open::preload(&library.needed);
    let opened = open::open(&c_path);
    STAGE.set(Stage::Initialising);
    let handle = opened.map_err(|text| needs::explain(&text, &library))?;
    let opened = Instant::now();
    let dynamic = handle.link_map().map_or(0, |map| map.dynamic.addr());
    // The loader compares names first, even if another file has the name now.
    if let Some(open) = backends::all().find(|open| open.dynamic == dynamic && open.slot != slot) {
        return Err(sentences::replaced_file(&open.name).into());
    }
    let bindings = bindings_of(handle, slot)?;
    let changed = bindings.apply()?;
    debug!("rebound {changed} of the backend's references");
    let adapted = Instant::now();
    hip::refuse_a_second_runtime(handle)?;
    let mut table = resolve::resolve(handle)?;
    let hip = Hip::of(handle);
    let presents = settings.presents.as_deref().unwrap_or(PRESENTED);
    let wanted = (settings.promises, presents);
    let compat = compat::install(&library.soname, handle, wanted, hip, &mut table);
    let took = Took { open: opened - start, adapt: adapted - opened, resolve: adapted.elapsed() };
    let environment = environment::View::of(&path, &compat);
    let data = read_data(handle);
    let name = candidate.name;
    let missing = resolve::missing(&table);
    let overwritten = bindings.restore()?;
    debug!("{overwritten} of them were overwritten meanwhile");
    let (texts, identity) = (Texts::of(&name, &path, compat.active), backend::identity(&path));
    Ok(Backend {
        slot,
        name,
        path,
        texts,
        dynamic,
        identity,
        table,
        missing,
        data,
        compat,
        bindings,
        environment,
        took,
    })
}

/// The required values of the backend's references to itself and to `getenv`.
fn bindings_of(handle: Handle, slot: Slot) -> Result<Bindings, String> {
    let map = handle.link_map().ok_or_else(sentences::not_listed)?;
    // SAFETY: the map of a library that is loaded and never closed.
    let object = unsafe { adapt::Object::of(&map) }.ok_or_else(sentences::not_listed)?;
    let exported = |name: &CStr| {
        table::index(name).is_some() || exports::data().iter().any(|(data, _)| *data == name)
    };
    Ok(object.plan(exported, &environment::filter(slot)))
}

/// Restores references of a backend that the loader has overwritten.
pub(crate) fn restore_bindings(backend: &Backend) {
    match backend.bindings.restore() {
        Ok(0) => {}
        Ok(overwritten) => debug!("{overwritten} of the backend's references were overwritten"),
        Err(why) => warning!("{}", sentences::bindings_lost(why)),
    }
}

/// The backend's words of the exported data.
fn read_data(handle: Handle) -> Vec<Option<Vec<usize>>> {
    let read = |(name, words): (&CStr, &[AtomicUsize])| {
        let source = handle.own_symbol(name)?.0.cast::<usize>();
        // SAFETY: an object of that size according to the ABI table, aligned like a vtable.
        Some(unsafe { core::slice::from_raw_parts(source, words.len()) }.to_vec())
    };
    exports::data().map(read).into()
}

/// Fills the exported data with the backend's words.
fn fill_data(backend: &Backend) {
    for ((name, place), words) in exports::data().into_iter().zip(&backend.data) {
        match words {
            Some(words) => {
                for (place, word) in place.iter().zip(words) {
                    place.store(*word, Ordering::Relaxed);
                }
            }
            None => debug!("missing: {}", name.to_string_lossy()),
        }
    }
}

/// The message for the user if there is no backend.
fn failure(settings: &Settings, tried: &[Tried]) -> String {
    let mut lines = vec![sentences::no_backend()];
    lines.extend(settings.problems.iter().map(|p| sentences::setting_ignored(&p.text)));
    lines.extend(tried.iter().map(|t| sentences::tried_line(&t.place, &t.refusal)));
    if !settings.guess && settings.backend.is_none() {
        lines.push(sentences::nothing_tried_for_settings());
    } else if tried.is_empty() {
        lines.push(sentences::nothing_tried_for_directory());
    }
    let file = settings.files.first().map(|file| file.display().to_string());
    lines.push(sentences::how_to_choose(
        variables::BACKEND,
        format_args!("/opt/rocm-6.3.0/lib/{}", libraries::BACKEND_SONAME),
        format_args!("{}/{}", store::STORE, store::BACKENDS),
        file.as_deref().unwrap_or(store::SETTINGS),
    ));
    if config::is_secure() {
        lines.push(sentences::privileged());
    }
    lines.join("\n  ")
}
