//! What happens at the first call, once, whoever comes first.
//!
//! The result is published in [`OUTCOME`] by whoever finishes first; the table that the stubs jump
//! through follows it. Usually one thread works and the others wait for it. No thread waits
//! without end, because the work calls the loader and a waiter may be inside of the loader itself
//! (see [`crate::timed_lock`]); one that lost patience does the same work again, and the first to publish
//! wins. A call that the backend's own constructor makes, while it is being loaded by this very
//! thread, is answered with the backend's own function.

use crate::{
    backend::{
        Backend, Took,
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
    compat,
    config::{self, OnError, Problem, Settings},
    diagnostics, exports, fork,
    missing::{self, Why},
    table::{self, COLD, CURRENT, Target},
    timed_lock::{self, TimedLock},
    trace,
};
use core::{
    cell::Cell,
    ffi::CStr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};
use once_cell::race::OnceBox;
use rocblas_contract::{libraries, sentences, store, variables};
use std::{ffi::CString, os::unix::ffi::OsStrExt, thread, time::Instant};
use tracing::{debug, error, info, warn};

/// How initialisation ended; never changes once set.
pub(crate) enum Outcome {
    Ready {
        backend: Box<Backend>,
        on_error: OnError,
        /// Whether another process may start a trace.
        listens: bool,
    },
    /// The message that was printed.
    Failed { message: String, on_error: OnError },
}

static OUTCOME: OnceBox<Outcome> = OnceBox::new();

/// Held by the thread that initialises, unless it lost patience with another one that does.
pub(crate) static LOCK: TimedLock = TimedLock::new();

/// How many threads are initialising, with the lock and without.
static INITIALISING: AtomicUsize = AtomicUsize::new(0);

/// How many threads are forking that have the lock, or are about to have it.
static FORKING: AtomicUsize = AtomicUsize::new(0);

/// How long to wait for the thread that has the lock. Longer than opening a backend usually takes,
/// and short enough for the rare thread that waits for nothing.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often to look whether the table has been published: far more often than it takes, and not
/// without end in a child that was forked just then.
const PUBLISHING: u32 = 100_000;

/// What this thread is doing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Calling,
    Initialising,
    /// Loading the library at that path; its constructors may call.
    Opening(*const libc::c_char),
}

thread_local! {
    static STAGE: Cell<Stage> = const { Cell::new(Stage::Calling) };
}

/// Whether this thread is initialising.
pub(crate) fn is_initialising() -> bool {
    STAGE.get() != Stage::Calling
}

/// The outcome, initialising if need be; `None` within initialisation itself, and before libc is up if
/// that kept it from succeeding.
pub(crate) fn outcome() -> Option<&'static Outcome> {
    OUTCOME.get().or_else(|| if is_initialising() { None } else { attempt(Occasion::Call) })
}

/// The outcome if there is one by now, without doing anything.
pub(crate) fn published_outcome() -> Option<&'static Outcome> {
    OUTCOME.get()
}

/// Initialises while the shim is being loaded. A failure is left to the first call.
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

/// Where a call of the export with that index goes. Never null, never back into the shim's table.
pub(crate) fn target(index: usize) -> Target {
    if let Stage::Opening(path) = STAGE.get()
        && OUTCOME.get().is_none()
    {
        return while_opening(index, path);
    }
    match outcome() {
        Some(Outcome::Ready { backend, on_error, .. }) => match published(index) {
            Some(target) => target,
            None if backend.table[index] != COLD[index] => backend.table[index],
            None => missing_of(index, backend, *on_error),
        },
        Some(Outcome::Failed { on_error, .. }) => {
            abort_if(*on_error);
            missing::answer(index, Why::Backend).0
        }
        None => missing::answer(index, Why::Backend).0,
    }
}

/// The entry of the table that stubs jump through by now: a trace may be on. `None` where it is the
/// cold one, because the backend lacks the function.
fn published(index: usize) -> Option<Target> {
    // The thread that has published the outcome is about to publish the table.
    for _ in 0..PUBLISHING {
        let current = CURRENT.load(Ordering::Acquire);
        if !core::ptr::eq(current, &raw const COLD) {
            // SAFETY: a table that is never freed.
            let target = unsafe { (*current)[index] };
            return (target != COLD[index]).then_some(target);
        }
        thread::yield_now();
    }
    None
}

/// What a thunk calls when nothing is recorded.
pub(crate) fn traced_target(index: usize) -> Target {
    match OUTCOME.get() {
        Some(Outcome::Ready { backend, .. }) if backend.table[index] != COLD[index] => {
            backend.table[index]
        }
        _ => missing(index),
    }
}

/// The answer for a function that the backend in use lacks, with a message the first time.
pub(crate) fn missing(index: usize) -> Target {
    match OUTCOME.get() {
        Some(Outcome::Ready { backend, on_error, .. }) => missing_of(index, backend, *on_error),
        _ => missing::answer(index, Why::Backend).0,
    }
}

fn missing_of(index: usize, backend: &Backend, on_error: OnError) -> Target {
    let (target, answer) = missing::answer(index, Why::Function);
    report_missing(index, backend, answer);
    abort_if(on_error);
    target
}

/// A call from a constructor of the library that this thread is loading.
fn while_opening(index: usize, path: *const libc::c_char) -> Target {
    // SAFETY: set by `load` below, whose frame owns the string and is still running.
    let path = unsafe { CStr::from_ptr(path) };
    open::already_open(path)
        .and_then(|backend| backend.own_symbol(table::name(index)))
        .unwrap_or_else(|| missing::answer(index, Why::Backend).0)
}

fn report_missing(index: usize, backend: &Backend, answer: &str) {
    if missing::first_report(index) {
        let (name, path) = (table::name(index).to_string_lossy(), backend.path.display());
        error!("{}", sentences::missing_function(name, &backend.name, path, answer));
    }
}

fn abort_if(on_error: OnError) {
    if on_error == OnError::Abort {
        error!("{}", sentences::aborting(variables::ON_ERROR));
        std::process::abort();
    }
}

/// Counts this thread among those that initialise, however the attempt ends.
struct Initialising;

impl Initialising {
    fn start() -> Self {
        // Before `FORKING` is read, as `lock_for_fork` has the two the other way round: one of them
        // sees the other.
        INITIALISING.fetch_add(1, Ordering::SeqCst);
        STAGE.set(Stage::Initialising);
        Self
    }
}

impl Drop for Initialising {
    fn drop(&mut self) {
        STAGE.set(Stage::Calling);
        INITIALISING.fetch_sub(1, Ordering::Release);
    }
}

fn attempt(occasion: Occasion) -> Option<&'static Outcome> {
    fork::protect();
    let mut has_lock = LOCK.lock_within(PATIENCE);
    let outcome = OUTCOME.get().or_else(|| {
        let mut initialising = Initialising::start();
        if !has_lock && FORKING.load(Ordering::SeqCst) != 0 {
            // Not without the lock while fork has it, which is not for long.
            drop(initialising);
            has_lock = LOCK.lock_within(fork::PATIENCE);
            initialising = Initialising::start();
        }
        let outcome = OUTCOME.get().or_else(|| work(occasion));
        // What the shim has looked for in vain is no concern of the program's.
        open::clear_error();
        drop(initialising);
        outcome
    });
    if has_lock {
        LOCK.unlock();
    }
    outcome
}

/// Takes the lock for a fork and waits for those who initialise without it. Returns whether nobody is
/// halfway now; [`release_after_fork`] follows either way.
pub(crate) fn lock_for_fork(patience: Duration) -> bool {
    let start = Instant::now();
    FORKING.fetch_add(1, Ordering::SeqCst);
    if !LOCK.lock_within(patience) {
        FORKING.fetch_sub(1, Ordering::SeqCst);
        return false;
    }
    while INITIALISING.load(Ordering::SeqCst) != 0 {
        if start.elapsed() >= patience {
            release_after_fork();
            return false;
        }
        timed_lock::pause(Duration::from_millis(1));
    }
    true
}

/// Ends what [`lock_for_fork`] began.
pub(crate) fn release_after_fork() {
    FORKING.fetch_sub(1, Ordering::SeqCst);
    LOCK.unlock();
}

/// In a forked child, where nobody initialises but this thread if it did before, and nobody forks: the
/// other threads did not come along.
pub(crate) fn forget_other_threads() {
    INITIALISING.store(usize::from(is_initialising()), Ordering::SeqCst);
    FORKING.store(0, Ordering::SeqCst);
}

/// Releases the lock in a forked child, where its holder may be a thread that does not exist.
pub(crate) fn unlock_in_child() {
    LOCK.unlock();
}

fn work(occasion: Occasion) -> Option<&'static Outcome> {
    let settings = config::read();
    diagnostics::install(settings.log);
    match open_first(&settings) {
        Ok(backend) => {
            let backend = Box::new(backend);
            let Settings { on_error, listens, .. } = settings;
            let ready = Outcome::Ready { backend, on_error, listens };
            Some(publish(ready, &settings, occasion))
        }
        Err(_) if occasion == Occasion::Load => {
            debug!("no backend at load; the first call will try again");
            None
        }
        Err(tried) => {
            let message = failure(&settings, &tried);
            // Before libc is up too much is different, and out of file descriptors or memory
            // nothing was learnt: such a failure is not final.
            if !config::environ_is_up() || tried.iter().any(|tried| tried.refusal.transient) {
                static SAID: AtomicBool = AtomicBool::new(false);
                if !SAID.swap(true, Ordering::Relaxed) {
                    error!("{message}");
                }
                return None;
            }
            let failed = Outcome::Failed { message, on_error: settings.on_error };
            Some(publish(failed, &settings, occasion))
        }
    }
}

/// Makes an outcome the outcome, unless another thread was first. Whoever was first has also
/// printed what there is to say.
fn publish(outcome: Outcome, settings: &Settings, occasion: Occasion) -> &'static Outcome {
    // Before: whoever sees the backend may use its data. Another thread that is here too has the same
    // library, so it stores the same.
    if let Outcome::Ready { backend, .. } = &outcome {
        fill_data(backend);
    }
    let first = OUTCOME.set(Box::new(outcome)).is_ok();
    let outcome = OUTCOME.get().expect("set just now, or before");
    if !first && let Outcome::Ready { backend, .. } = outcome {
        // Unless settings changed in between and this thread's was another library.
        fill_data(backend);
    }
    if first {
        match outcome {
            Outcome::Ready { backend, .. } => {
                let wanted =
                    settings.trace.clone().map(|sink| (sink, settings.trace_options.clone()));
                let table = trace::table_for(backend, wanted);
                CURRENT.store(table, Ordering::Release);
                announce(backend, settings, occasion);
            }
            Outcome::Failed { message, .. } => error!("{message}"),
        }
    }
    outcome
}

/// Publishes that there is no backend, unless an outcome has been published.
pub(crate) fn fail(message: String) {
    // An error means that there is an outcome, and nothing to fail.
    let _ = OUTCOME.set(Box::new(Outcome::Failed { message, on_error: OnError::Status }));
}

fn announce(backend: &Backend, settings: &Settings, occasion: Occasion) {
    for Problem { text, own } in &settings.problems {
        // Every program that merely loads the shim reads the file; what it prints then may be read
        // by a script.
        if *own || occasion == Occasion::Call {
            error!("{}", sentences::setting_ignored(text));
        } else {
            warn!("{}", sentences::setting_ignored(text));
        }
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
            load(candidate, settings).map_err(|refusal| Tried { place, refusal })
        }) {
            Ok(backend) => return Ok(backend),
            Err(failed) => tried.push(failed),
        }
    }
    Err(tried)
}

fn load(candidate: Candidate, settings: &Settings) -> Result<Backend, Refusal> {
    let library = inspect::inspect(&candidate.path)?;
    // Absolute: a relative path would mean another file after chdir, and one without a slash
    // would be searched for.
    let path = std::path::absolute(&candidate.path).map_err(|e| e.to_string())?;
    let c_path = CString::new(path.as_os_str().as_bytes()).map_err(|e| e.to_string())?;

    let start = Instant::now();
    STAGE.set(Stage::Opening(c_path.as_ptr()));
    open::beside(&library.needed);
    let opened = open::open(&c_path);
    STAGE.set(Stage::Initialising);
    let handle = opened.map_err(|text| needs::explain(&text, &library))?;
    let opened = Instant::now();
    let bindings = bindings_of(handle)?;
    let changed = bindings.apply()?;
    debug!("rebound {changed} of the backend's references");
    let adapted = Instant::now();
    hip::refuse_a_second_runtime(handle)?;
    let mut table = resolve::resolve(handle)?;
    let hip = Hip::of(handle);
    let Settings { promises, listens, .. } = *settings;
    let compat = compat::install(&library.soname, handle, promises, hip, listens, &mut table);
    let took = Took { open: opened - start, adapt: adapted - opened, resolve: adapted.elapsed() };
    let environment = environment::View::of(&path, &compat);
    let data = read_data(handle);
    let name = candidate.name;
    let missing = resolve::missing(&table);
    let overwritten = bindings.restore()?;
    debug!("{overwritten} of them were overwritten meanwhile");
    Ok(Backend { name, path, table, missing, data, compat, bindings, environment, took })
}

/// What the backend's references to itself and to `getenv` are to be.
fn bindings_of(handle: Handle) -> Result<Bindings, String> {
    let map = handle.link_map().ok_or_else(sentences::not_listed)?;
    // SAFETY: the map of a library that is loaded and never closed.
    let object = unsafe { adapt::Object::of(&map) }.ok_or_else(sentences::not_listed)?;
    let exported = |name: &CStr| {
        table::index(name).is_some() || exports::data().iter().any(|(data, _)| *data == name)
    };
    Ok(object.plan(exported, &environment::filter()))
}

/// Binds references of the backend again that the loader has overwritten since.
pub(crate) fn hold_bindings() {
    let Some(Outcome::Ready { backend, .. }) = OUTCOME.get() else {
        return;
    };
    match backend.bindings.restore() {
        Ok(0) => {}
        Ok(overwritten) => debug!("{overwritten} of the backend's references were overwritten"),
        Err(why) => warn!("{}", sentences::bindings_lost(why)),
    }
}

/// The backend's words of the exported data.
fn read_data(handle: Handle) -> Vec<Option<Vec<usize>>> {
    let read = |(name, words): (&CStr, &[AtomicUsize])| {
        let source = handle.own_symbol(name)?.0.cast::<usize>();
        // SAFETY: an object of that size, by the table's contract, and aligned as a vtable is.
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

/// What a user reads when there is no backend.
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
