//! The thread that checks copied operands and writes its findings.
//!
//! It runs while a trace checks operands. It polls the slots and sleeps in between, longer and longer while there is
//! nothing to do. It calls no function of HIP or of the backend.

use super::{
    job::{Job, OPERANDS, Piece, Watched},
    pool, save,
};
use crate::{
    diagnostics::{error, print_traced},
    table::ROUTING,
    trace::{
        clock, events, listener::without_signals, session::Session, stop_this, thread::attach_own,
    },
};
use core::{
    ptr::{self, null_mut},
    sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, Ordering},
    time::Duration,
};
use rocblas_abi::params;
use rocblas_contract::sentences;
use rocblas_sync::timed_lock::pause;
use rocblas_trace::{
    call::scalar_kind,
    capture::Time,
    layout::{ARGUMENTS, Due, MOST_WORDS, Skipped, event},
    numbers::{Digest, Elements},
    options::{Check, OnBad},
};
use std::{
    thread::{self, Thread},
    time::Instant,
};

/// The thread's name.
const NAME: &str = "rocblas-check";
/// The size of the stack, which is only reserved: for writing captures and for the thread's own trace file.
const STACK: usize = 1 << 20;

/// How long it sleeps between polls of the slots.
const SHORTEST: Duration = Duration::from_micros(50);
const LONGEST: Duration = Duration::from_millis(10);
/// How long it keeps running without a trace that needs it.
const IDLE: Duration = Duration::from_secs(1);
/// How often it writes how many calls were checked or skipped.
const INTERVAL: Duration = Duration::from_millis(100);

/// How long the end of a trace or of the process waits for calls that are being checked.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it then waits for results to be written.
const PATIENCE_FOR_WRITING: Duration = Duration::from_millis(500);

/// Whether the thread is running, and its number and handle.
static IS_RUNNING: AtomicBool = AtomicBool::new(false);
static NUMBER: AtomicI32 = AtomicI32::new(0);
static THREAD: AtomicPtr<Thread> = AtomicPtr::new(null_mut());

/// How often the thread was asked to write all results, and how often it has done so.
static ASKED: AtomicU32 = AtomicU32::new(0);
static WRITTEN: AtomicU32 = AtomicU32::new(0);

/// Whether the thread itself is stopping a trace; another thread that stops one must not wait for it.
static IS_STOPPING: AtomicBool = AtomicBool::new(false);

/// The trace in which a call was submitted or skipped most recently.
static LATEST: AtomicPtr<Session> = AtomicPtr::new(null_mut());

/// Starts the thread, unless it is running.
pub(super) fn start(session: &Session) {
    LATEST.store(ptr::from_ref(session).cast_mut(), Ordering::Relaxed);
    if IS_RUNNING.load(Ordering::SeqCst) || IS_RUNNING.swap(true, Ordering::SeqCst) {
        return;
    }
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        // SAFETY: a plain function that stays mapped (the library is linked with -z nodelete). HIP has registered its
        // handler before, so HIP is torn down afterwards.
        unsafe { libc::atexit(at_exit) };
    }
    let spawned = without_signals(|| {
        thread::Builder::new().name(NAME.to_owned()).stack_size(STACK).spawn(run)
    });
    match spawned {
        Ok(thread) => {
            let thread = Box::into_raw(Box::new(thread.thread().clone()));
            // Another thread may be waking the previous thread, so its handle is not freed.
            THREAD.store(thread, Ordering::Release);
        }
        Err(_) => IS_RUNNING.store(false, Ordering::SeqCst),
    }
}

/// Wakes the thread.
pub(super) fn hurry() {
    // SAFETY: null, or a handle that is never freed.
    if let Some(thread) = unsafe { THREAD.load(Ordering::Acquire).as_ref() } {
        thread.unpark();
    }
}

/// In a forked child, where the thread does not exist.
pub(in crate::trace::around) fn after_fork() {
    pool::after_fork();
    THREAD.store(null_mut(), Ordering::Relaxed);
    LATEST.store(null_mut(), Ordering::Relaxed);
    NUMBER.store(0, Ordering::Relaxed);
    IS_STOPPING.store(false, Ordering::Relaxed);
    IS_RUNNING.store(false, Ordering::Relaxed);
}

/// Runs when a trace or the process ends: waits a short time until its results are written.
pub(in crate::trace::around) fn finish() {
    // SAFETY: no arguments.
    let is_own = unsafe { libc::gettid() } == NUMBER.load(Ordering::Relaxed);
    if is_own || !IS_RUNNING.load(Ordering::SeqCst) {
        return;
    }
    let wait = |patience, is_over: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !is_over() && start.elapsed() < patience && !IS_STOPPING.load(Ordering::Relaxed) {
            hurry();
            pause(Duration::from_micros(200));
        }
    };
    let now = pool::now();
    wait(PATIENCE, &|| pool::is_idle(now));
    let number = ASKED.fetch_add(1, Ordering::SeqCst) + 1;
    wait(PATIENCE_FOR_WRITING, &|| {
        WRITTEN.load(Ordering::Acquire).wrapping_sub(number) as i32 >= 0
    });
}

extern "C" fn at_exit() {
    finish();
}

fn run() {
    // SAFETY: no arguments.
    NUMBER.store(unsafe { libc::gettid() }, Ordering::Relaxed);
    let (mut ready, mut writer) = (Vec::new(), Writer::default());
    let (mut nap, mut last_needed) = (SHORTEST, Instant::now());
    loop {
        let asked = ASKED.load(Ordering::SeqCst);
        pool::ready(&mut ready);
        for (_, number) in &ready {
            if let Some(mut taken) = pool::take_ready(*number) {
                look_at(&taken, &mut writer);
                taken.watched = None;
            }
        }
        if asked != WRITTEN.load(Ordering::Relaxed) {
            give_up_on_the_rest();
            writer.write_totals();
            WRITTEN.store(asked, Ordering::Release);
        } else if writer.last.elapsed() >= INTERVAL {
            writer.write_totals();
        }
        if ROUTING.session().is_some_and(|session| session.watch.is_on) || !pool::is_idle(u64::MAX)
        {
            last_needed = Instant::now();
        } else if last_needed.elapsed() >= IDLE && leave() {
            return;
        }
        nap = if ready.is_empty() { (nap * 2).min(LONGEST) } else { SHORTEST };
        thread::park_timeout(nap);
    }
}

/// Whether the thread may end. A call may be submitted at this moment by a thread that has seen it running.
fn leave() -> bool {
    IS_RUNNING.store(false, Ordering::SeqCst);
    pool::is_idle(u64::MAX) || IS_RUNNING.swap(true, Ordering::SeqCst)
}

/// Handles a call whose copies are done.
fn look_at(job: &Job, writer: &mut Writer) {
    let Some(watched) = job.watched.as_ref().filter(|_| !job.is_abandoned) else { return };
    let (session, wanted) = (watched.session, watched.wanted);
    writer.turn_to(session);
    let checked = wanted.check.then(|| check(job, watched, session.options.check, writer));
    let Checked { bad, is_looked_for } = checked.unwrap_or_default();
    let mut is_saved = wanted.save || is_looked_for;
    if let Some(bad) = &bad {
        is_saved |= react(watched, bad);
    }
    if is_saved {
        match save::save(job, watched, bad.as_deref().unwrap_or_default()) {
            Ok(()) => writer.append(session, event::SAVED, &call_words(watched)),
            Err(why) => {
                session.report_once(&why);
                session.watch.skip(session, Due::Save, Skipped::Unable);
            }
        }
    }
}

/// Reports that an output is bad, and stops the trace if requested. Returns whether the call is to be saved.
fn react(watched: &Watched, bad: &str) -> bool {
    let (session, shared) = (watched.session, &watched.session.watch);
    let is_first = !shared.has_reported.swap(true, Ordering::Relaxed);
    if session.to_stderr {
        print_traced(format_args!("{bad}"));
    } else if is_first {
        error!("{bad}");
    }
    match session.options.on_bad {
        OnBad::Report => false,
        OnBad::Capture => watched.has_inputs && !shared.has_captured.swap(true, Ordering::Relaxed),
        OnBad::Stop => {
            IS_STOPPING.store(true, Ordering::Relaxed);
            stop_this(session, bad);
            IS_STOPPING.store(false, Ordering::Relaxed);
            false
        }
    }
}

fn call_words(watched: &Watched) -> [u64; 2] {
    [u64::from(watched.call.0), watched.call.1]
}

/// The result of checking a call.
#[derive(Debug, Default)]
struct Checked {
    /// A message about the first bad output.
    bad: Option<String>,
    /// Whether an output has a digest whose call is to be saved.
    is_looked_for: bool,
}

/// Checks the outputs of a call, and records digests of what it was given if these are wanted.
fn check(job: &Job, watched: &Watched, check: Check, writer: &mut Writer) -> Checked {
    let mut checked = Checked::default();
    let outputs = writer.outputs;
    let [thread, sequence] = call_words(watched);
    if check.inputs {
        for piece in watched.pieces.iter().filter(|piece| piece.time == Time::Before) {
            let input = match watched.operands.get(piece.operand) {
                Some(operand) => Some((operand.parameter, job.elements(operand, piece))),
                None => scalar(job, watched, piece),
            };
            if let Some((parameter, elements)) = input {
                let parameter = u64::from(parameter) | event::BEFORE;
                writer.append_digest(watched, parameter, &elements.digest());
            }
        }
    }
    for piece in watched.pieces.iter().filter(|piece| piece.time == Time::After) {
        let Some(operand) = watched.operands.get(piece.operand) else { continue };
        let elements = job.elements(operand, piece);
        writer.outputs += 1;
        let parameter = u64::from(operand.parameter);
        if check.digest {
            let digest = elements.digest();
            writer.append_digest(watched, parameter, &digest);
            // Without its inputs, another call with the digest is as good as none.
            checked.is_looked_for |=
                watched.has_inputs && watched.session.watch.takes_digest(digest.hash);
        }
        if !check.nan && !check.inf {
            continue;
        }
        let bad = elements.bad(check);
        if let Some(number) = bad.first {
            let words = [thread, sequence, parameter, bad.nan, bad.inf, number];
            writer.append(watched.session, event::FINDING, &words);
            checked.bad.get_or_insert_with(|| {
                let function = rocblas_abi::c_name(watched.function).to_string_lossy();
                let name = params(watched.function).nth(usize::from(operand.parameter));
                // Lines on stderr do not number threads.
                let call = match thread {
                    0 => sequence.to_string(),
                    _ => format!("{thread}:{sequence}"),
                };
                sentences::bad_output(
                    name.map_or("?", |p| p.name),
                    function,
                    call,
                    bad.nan,
                    bad.inf,
                )
            });
        }
    }
    writer.checked += u64::from(writer.outputs > outputs);
    checked
}

/// A scalar that was copied from device memory, with its parameter.
fn scalar<'a>(job: &'a Job, watched: &Watched, piece: &Piece) -> Option<(u8, Elements<'a>)> {
    let scalars = watched.session.functions.shape(watched.function).scalars();
    let parameter = scalars.get(piece.operand.checked_sub(OPERANDS)?)?.parameter;
    let param = params(watched.function).nth(usize::from(parameter))?;
    let argument = |position: usize| watched.words[ARGUMENTS + position];
    let kind = scalar_kind(watched.function, &param, &argument)?;
    Some((parameter, Elements::one(job.bytes(piece), kind.element())))
}

/// Gives up on calls whose copies are not done.
fn give_up_on_the_rest() {
    pool::abandon_waiting(|watched| {
        watched.session.watch.skip_all(watched.session, watched.wanted, Skipped::Ended);
    });
}

/// Writes events into the thread's own file of a trace.
struct Writer {
    /// When totals were last written.
    last: Instant,
    /// The trace of the calls that were checked since then, their number, and that of their outputs.
    session: Option<&'static Session>,
    checked: u64,
    outputs: u64,
}

impl Default for Writer {
    fn default() -> Self {
        Self { last: Instant::now(), session: None, checked: 0, outputs: 0 }
    }
}

impl Writer {
    /// Appends an event with these words after its head.
    fn append(&mut self, session: &'static Session, kind: u8, payload: &[u64]) {
        const PAYLOAD: usize = 3;
        if session.to_stderr || session.watch.is_closed() {
            return;
        }
        let (Some(thread), Some(length)) = (attach_own(session), event::words(kind)) else {
            return;
        };
        let mut words = [0; MOST_WORDS];
        for (word, value) in words[PAYLOAD..length].iter_mut().zip(payload) {
            *word = *value;
        }
        events::append(session, thread, kind, clock::now(), &mut words[..length]);
    }

    /// Appends a digest of an operand, whose parameter's word that is.
    fn append_digest(&mut self, watched: &Watched, parameter: u64, digest: &Digest) {
        let [thread, sequence] = call_words(watched);
        let words = [
            thread,
            sequence,
            parameter,
            digest.hash,
            digest.not_finite,
            digest.sum.to_bits(),
            digest.absolute.to_bits(),
            digest.projection.to_bits(),
            digest.largest.to_bits(),
        ];
        self.append(watched.session, event::DIGEST, &words);
    }

    /// The next calls are of this trace. Those of one that was stopped may come after those of the next.
    fn turn_to(&mut self, session: &'static Session) {
        if self.session.is_some_and(|before| !ptr::eq(before, session)) {
            self.write_totals();
        }
        self.session = Some(session);
    }

    /// Appends how many calls were checked and how many skipped.
    fn write_totals(&mut self) {
        self.last = Instant::now();
        // SAFETY: null, or a session, which is never freed.
        let latest = unsafe { LATEST.load(Ordering::Relaxed).as_ref() };
        let counted = self.session;
        if let Some(session) = counted.filter(|_| self.checked > 0) {
            self.append(session, event::CHECKED, &[self.checked, self.outputs]);
            (self.checked, self.outputs) = (0, 0);
        }
        let others = latest.filter(|latest| counted.is_none_or(|of| !ptr::eq(*latest, of)));
        for session in counted.into_iter().chain(others) {
            for (due, reason, count) in session.watch.take_skipped() {
                self.append(session, event::SKIPPED, &[(due as u64) << 32 | reason, count]);
            }
        }
    }
}
