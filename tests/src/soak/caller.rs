//! The program that makes the calls, with sixteen thread slots. A thread ends after some thousand calls, and
//! another one takes its slot. Some threads fork, and the children make calls too.

use super::{
    backends::{self, Backend, Library},
    calls::{Caller, Log, Shim, digest_of},
    shared::{Child, Mapping, THREADS, Thread, next},
};
use crate::words::Words;
use core::cell::Cell;
use std::{
    ffi::CString,
    io::{self, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// The number of calls after which a thread is replaced.
const LIFE: u64 = 8_000;

/// On average, a thread forks once in this many calls.
const FORKS: u64 = 3_000;

/// Makes calls with the shim in that library directory until the watching program requests a stop. It prints
/// `ready` for the watching program, and shares everything else through the file. The seed makes the calls
/// reproducible.
///
/// # Panics
/// If the shim or the backends cannot be used.
pub fn call_until_stopped(lib: &Path, file: &Path, seed: u64) {
    let shared = Mapping::open(file).expect("map what is shared");
    let library = Library::open(&lib.join("librocblas.so.5"));
    let shim = Shim::of(library);
    let backends = open_backends(lib, library);
    let mut places: Vec<Place> = (0..THREADS)
        .map(|place| {
            let seed = seed.wrapping_mul(1000).wrapping_add(place as u64);
            let caller = Caller::new(shim, backends.clone(), shared, seed);
            Place { caller: Some(caller), thread: None, shared, number: place }
        })
        .collect();
    println!("ready");
    io::stdout().flush().expect("it is told");
    let mut is_over = false;
    while !is_over {
        is_over = shared.stop.load(Ordering::Relaxed) != 0;
        for place in &mut places {
            place.renew(is_over);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Makes the shim open all backends, so that each can be queried for the calls that it received.
fn open_backends(lib: &Path, library: Library) -> Vec<Backend> {
    let switch = library.symbol(c"rocblas_shim_backend_use");
    // SAFETY: the function's prototype.
    let switch: extern "C" fn(*const libc::c_char) -> i32 = unsafe { core::mem::transmute(switch) };
    let open = |name: &str| {
        let c_name = CString::new(name).expect("no NUL");
        assert_eq!(switch(c_name.as_ptr()), 0, "{name}");
        Backend::of(lib, name)
    };
    backends::NAMES.map(open).to_vec()
}

/// A slot for a thread.
struct Place {
    /// `None` while a thread uses it.
    caller: Option<Caller>,
    thread: Option<(JoinHandle<Caller>, Arc<AtomicBool>)>,
    shared: Mapping,
    number: usize,
}

impl Place {
    /// If the slot's thread has ended, joins it and starts another one.
    fn renew(&mut self, is_over: bool) {
        let has_ended = |done: &Arc<AtomicBool>| done.load(Ordering::Acquire) || is_over;
        if self.thread.as_ref().is_some_and(|(_, done)| has_ended(done)) {
            let (thread, _) = self.thread.take().expect("there is one");
            self.caller = Some(thread.join().expect("no panic"));
        }
        if let (Some(mut caller), false) = (self.caller.take_if(|_| !is_over), is_over) {
            let (shared, number, done) =
                (self.shared, self.number, Arc::new(AtomicBool::new(false)));
            let ended = Arc::clone(&done);
            let live = move || {
                live(&mut caller, shared, &shared.threads[number]);
                done.store(true, Ordering::Release);
                caller
            };
            self.thread = Some((thread::spawn(live), ended));
        }
    }
}

/// The life of a thread.
fn live(caller: &mut Caller, shared: Mapping, place: &Thread) {
    place.take();
    for _ in 0..LIFE {
        if shared.stop.load(Ordering::Relaxed) != 0 {
            return caller.end(place);
        }
        if caller.random().chance(FORKS) {
            fork(caller, shared);
        }
        caller.act(place);
        place.calls.fetch_add(1, Ordering::Relaxed);
    }
}

/// Makes calls in a forked child, and waits for it.
fn fork(caller: &mut Caller, shared: Mapping) {
    let number = shared.forks.fetch_add(1, Ordering::SeqCst);
    let child = shared.child(number);
    // SAFETY: the child uses only the C library's memory, which survives a fork, and this thread's own data.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork");
    if pid == 0 {
        call_in_child(caller, child);
    }
    let mut status = 0;
    // SAFETY: it is our child, and there is memory for the result.
    let ended = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    if ended != pid || status != 0 {
        shared.wrong.fetch_add(1, Ordering::Relaxed);
        eprintln!("wrong: child {pid} ended with {status:#x}");
    }
    child.pid.store(pid, Ordering::Relaxed);
    child.end(number);
}

fn call_in_child(caller: &mut Caller, child: &Child) -> ! {
    // A hanging child is killed, which the parent counts as a fault.
    // SAFETY: no memory is involved.
    unsafe { libc::alarm(60) };
    let log = InChild { calls: Cell::new(0), chain: Cell::new(0) };
    let is_traced = caller.is_traced();
    for _ in 0..10 + caller.random().below(50) {
        caller.act(&log);
    }
    child.is_traced.store(u32::from(is_traced), Ordering::Relaxed);
    child.calls.store(log.calls.get(), Ordering::Relaxed);
    child.chain.store(log.chain.get(), Ordering::Relaxed);
    // SAFETY: it only ends this process.
    unsafe { libc::_exit(0) }
}

/// The log of a child's calls.
struct InChild {
    calls: Cell<u64>,
    chain: Cell<u64>,
}

impl Log for InChild {
    fn around(&self, name: &str, words: &Words, call: impl FnOnce() -> u64) -> u64 {
        self.calls.set(self.calls.get() + 1);
        self.chain.set(next(self.chain.get(), digest_of(name, words)));
        call()
    }
}
