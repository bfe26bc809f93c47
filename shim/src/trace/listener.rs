//! Starting and stopping a trace from another process, by `installer trace`.
//!
//! With its first handle a process begins to listen on a socket, in a thread that sleeps until somebody
//! connects: programs that only link rocBLAS do not get one. The socket has an abstract name, so that
//! it needs no directory that can be written: `rocblas-shim/NAMESPACE/PID`, the number of the name
//! space that the process's number is of, and that number. Who connects has to be the same user or
//! root; the kernel says who it is.
//!
//! A request is words ended by NUL, up to the end of what is sent: `start`, a directory (or `stderr`),
//! options as `ROCBLAS_SHIM_TRACE_OPTIONS` has them; `stop`; `status`. The answer is `ok` or `error`,
//! and then the directory of the trace (empty for none) and its number of threads, or a sentence.

use super::{Options, Sink, Status};
use crate::{
    config,
    init::{self, Outcome},
};
use core::{
    mem::{MaybeUninit, size_of},
    sync::atomic::{AtomicBool, AtomicI32, Ordering},
};
use std::{
    ffi::OsStr,
    fs,
    io::{self, Read, Write},
    os::{
        fd::AsRawFd,
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            fs::MetadataExt,
            net::{SocketAddr, UnixListener, UnixStream},
        },
    },
    path::PathBuf,
    thread,
    time::Duration,
};
use tracing::debug;

/// Whether this process listens, or has tried to.
static LISTENING: AtomicBool = AtomicBool::new(false);

/// The descriptor of the socket; -1 for none.
static SOCKET: AtomicI32 = AtomicI32::new(-1);

/// Who connects and says nothing does not keep others waiting.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest request, in bytes.
const LONGEST: u64 = 64 << 10;

/// Begins to listen, once. What goes wrong is said only to those who want to know everything: the
/// program itself works without.
pub(crate) fn listen() {
    if LISTENING.load(Ordering::Relaxed) || LISTENING.swap(true, Ordering::Relaxed) {
        return;
    }
    let Some(Outcome::Ready { listens: true, .. }) = init::settled() else { return };
    if config::is_secure() {
        return;
    }
    if let Err(e) = begin() {
        debug!("cannot listen for who wants to trace this process: {e}");
    }
}

fn begin() -> io::Result<()> {
    let namespace = fs::metadata("/proc/self/ns/pid")?.ino();
    let name = format!("rocblas-shim/{namespace}/{}", std::process::id());
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
    let inode = inode(listener.as_raw_fd())?;
    SOCKET.store(listener.as_raw_fd(), Ordering::Relaxed);
    without_signals(|| {
        let builder = thread::Builder::new().name("rocblas-shim".to_owned()).stack_size(256 << 10);
        builder.spawn(move || serve(&listener, inode)).map(drop)
    })
}

/// Runs something with all signals blocked, which threads inherit: handlers of the program's are not
/// to run in a thread that it does not know.
fn without_signals<T>(work: impl FnOnce() -> T) -> T {
    let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: memory for sets of signals, which the calls fill.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let result = work();
    // SAFETY: the set that was there before.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), core::ptr::null_mut()) };
    result
}

/// In a forked child: the socket is the parent's, and so is the thread.
pub(super) fn after_fork() {
    let socket = SOCKET.swap(-1, Ordering::Relaxed);
    if socket >= 0 {
        // SAFETY: the descriptor of the listener, whose owner, the thread, does not exist here.
        unsafe { libc::close(socket) };
    }
    LISTENING.store(false, Ordering::Relaxed);
}

/// The number of the file behind a descriptor.
fn inode(descriptor: i32) -> io::Result<u64> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: memory for the answer.
    if unsafe { libc::fstat(descriptor, stat.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: filled, as the call succeeded.
    Ok(unsafe { stat.assume_init() }.st_ino)
}

fn serve(listener: &UnixListener, own: u64) {
    loop {
        // A program that closes all descriptors closes ours; its next one of that number is not ours.
        if inode(listener.as_raw_fd()).ok() != Some(own) {
            return;
        }
        match listener.accept() {
            Ok((stream, _)) => {
                // Whoever connected and left does not get an answer.
                let _ = answer(stream);
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if is_passing(&e) => thread::sleep(Duration::from_millis(100)),
            Err(_) => return,
        }
    }
}

/// Whether the error is of the machine's present state: too many open files, too little memory.
fn is_passing(error: &io::Error) -> bool {
    let codes = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS, libc::ECONNABORTED];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

fn answer(mut stream: UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let reply = match peer(&stream) {
        Ok(uid) if may(uid) => {
            let mut request = Vec::new();
            (&mut stream).take(LONGEST).read_to_end(&mut request)?;
            carry_out(&request)
        }
        Ok(_) => Err("only root and the user that the process runs as may trace it".to_owned()),
        Err(e) => Err(format!("who you are is not to be found out: {e}")),
    };
    let (word, rest) = match reply {
        Ok(rest) => ("ok", rest),
        Err(why) => ("error", why.into_bytes()),
    };
    stream.write_all(&[word.as_bytes(), b"\0", &rest].concat())
}

fn may(uid: libc::uid_t) -> bool {
    // SAFETY: no arguments.
    uid == 0 || uid == unsafe { libc::geteuid() }
}

/// The user at the other end, as the kernel has it from when it connected.
fn peer(stream: &UnixStream) -> io::Result<libc::uid_t> {
    let mut credentials = libc::ucred { pid: 0, uid: libc::uid_t::MAX, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: an open socket, and memory of that length for the answer.
    let failed = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut length,
        )
    };
    if failed == 0 { Ok(credentials.uid) } else { Err(io::Error::last_os_error()) }
}

fn carry_out(request: &[u8]) -> Result<Vec<u8>, String> {
    let request = request.strip_suffix(b"\0").unwrap_or(request);
    let words: Vec<&[u8]> = request.split(|byte| *byte == 0).collect();
    match words.as_slice() {
        [b"start", place, list] => {
            let list = core::str::from_utf8(list).map_err(|_| "options are no text".to_owned())?;
            start(OsStr::from_bytes(place), list).map(|directory| told(directory, 0))
        }
        [b"stop"] => super::stop("installer trace stop").map(|status| told_of(&status)),
        [b"status"] => Ok(super::status().map_or_else(Vec::new, |status| told_of(&status))),
        _ => Err(format!(
            "shim {} does not know this request; take the installer that came with it",
            env!("CARGO_PKG_VERSION")
        )),
    }
}

/// Starts a trace by words of a person. The error is a sentence.
pub(crate) fn start(place: &OsStr, list: &str) -> Result<Option<PathBuf>, String> {
    let mut options = Options::default();
    options.set_all(list)?;
    let sink = Sink::of(place).ok_or("no directory is named")?;
    match init::outcome() {
        Some(Outcome::Ready { backend, .. }) => super::start(backend, sink, options),
        _ => Err("there is no backend whose calls could be traced".to_owned()),
    }
}

fn told_of(status: &Status) -> Vec<u8> {
    told(status.directory.clone(), status.threads)
}

fn told(directory: Option<PathBuf>, threads: u32) -> Vec<u8> {
    let directory = directory.unwrap_or_default();
    [directory.as_os_str().as_bytes(), b"\0", threads.to_string().as_bytes(), b"\0"].concat()
}
