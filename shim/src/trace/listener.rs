//! Requests of other processes: `installer trace` starts and stops traces, and `installer backends use --pid`
//! selects another backend.
//!
//! The socket is bound when the shim is loaded. When it creates its first handle, the process starts a thread
//! that sleeps until a client connects; programs that only link rocBLAS do not get one. Earlier requests wait
//! in the socket's queue and are carried out before the first handle is returned, so that a trace includes
//! the calls that follow. The socket has an abstract name, so that it needs no writable directory:
//! `rocblas-shim/NAMESPACE/PID`, the inode of the PID namespace and the PID in it. According to the kernel's
//! credentials, the client must be the same user or root, and in a PID namespace that this process can see:
//! abstract names belong to a network namespace, which containers may share, and in another container the
//! same user ID may be another user.
//!
//! The listener's descriptors are in the program's table (see `descriptor`). If the program closes the socket,
//! the thread listens on a new one.
//!
//! The protocol is in [`rocblas_contract::listener`].

use super::{
    Options, Sink, Status,
    descriptor::{Descriptor, Inherited},
};
use crate::{
    arch::without_cancellation,
    backends, config,
    diagnostics::debug,
    init::{self, Outcome},
};
use core::{
    mem::{MaybeUninit, size_of},
    ptr::null_mut,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};
use rocblas_contract::listener::{self as protocol, Reply, Request};
use std::{
    ffi::OsStr,
    fs,
    io::{self, Read, Write},
    os::{
        fd::{FromRawFd, OwnedFd},
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            fs::MetadataExt,
            net::{SocketAddr, UnixListener},
        },
    },
    path::PathBuf,
    thread,
    time::Duration,
};

/// Whether this process listens, or has tried to.
static LISTENING: AtomicBool = AtomicBool::new(false);

/// The socket, and the connection that is being served.
static SOCKET: Inherited = Inherited::none();
static CONNECTION: Inherited = Inherited::none();

/// The process that bound the socket when it loaded the shim; 0 for none.
static BOUND_BY: AtomicU32 = AtomicU32::new(0);

/// A silent client must not block others for longer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The same for clients that connected before the first handle: the thread that creates it waits for them,
/// and they have had time to send.
const SHORT_TIMEOUT: Duration = Duration::from_millis(100);

/// Binds the socket while the shim is loaded.
pub(crate) fn bind_early() {
    if !may_listen() {
        return;
    }
    match bind() {
        Ok(socket) => {
            BOUND_BY.store(std::process::id(), Ordering::Relaxed);
            // `SOCKET` owns it from now on.
            core::mem::forget(socket);
        }
        Err(e) => debug!("cannot listen for `installer trace start` yet: {e}"),
    }
}

fn may_listen() -> bool {
    matches!(init::published_outcome(), Some(Outcome::Ready { settings, .. }) if settings.listens)
        && !config::is_secure()
}

/// Starts to listen, once. An error is only logged at debug level, because the program works without a
/// listener.
pub(crate) fn listen() {
    if LISTENING.load(Ordering::Relaxed) || LISTENING.swap(true, Ordering::Relaxed) {
        return;
    }
    if !may_listen() {
        return;
    }
    if let Err(e) = without_cancellation(spawn) {
        debug!("cannot listen for `installer trace start`: {e}");
        // The process may have been out of descriptors; the next handle tries again.
        LISTENING.store(false, Ordering::Relaxed);
    }
}

/// The size of the stack, which is only reserved: a request for another backend runs a library's constructors.
const STACK: usize = 8 << 20;

fn spawn() -> io::Result<()> {
    let socket = match bound_early() {
        Some(socket) => socket,
        None => bind()?,
    };
    answer_waiting(&socket);
    let spawned = without_signals(|| {
        let builder = thread::Builder::new().name(protocol::THREAD.to_owned()).stack_size(STACK);
        builder.spawn(move || serve(socket)).map(drop)
    });
    if spawned.is_err() {
        // The socket is closed now.
        SOCKET.clear();
    }
    spawned
}

fn bind() -> io::Result<Descriptor> {
    let namespace = fs::metadata("/proc/self/ns/pid")?.ino();
    let name = protocol::socket_name(namespace, std::process::id());
    // A fork waits for this lock, so that no child has an unknown copy of the socket.
    let _switching = super::switching().map_err(io::Error::other)?;
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
    let socket = Descriptor::new(listener)?;
    SOCKET.set(&socket);
    Ok(socket)
}

/// The socket that was bound early, unless the program has closed it. A child that was created without the
/// shim's fork handlers has its parent's socket.
fn bound_early() -> Option<Descriptor> {
    let by = BOUND_BY.swap(0, Ordering::Relaxed);
    // A fork waits for this lock, as in `bind`.
    let _switching = super::switching().ok()?;
    let socket = SOCKET.take().filter(|socket| by != 0 && socket.number().is_ok())?;
    (by == std::process::id()).then(|| {
        SOCKET.set(&socket);
        socket
    })
}

/// Carries out the requests that have arrived so far.
fn answer_waiting(socket: &Descriptor) {
    while has_waiting(socket) && answer_one(socket, SHORT_TIMEOUT).is_ok() {}
}

fn has_waiting(socket: &Descriptor) -> bool {
    let Ok(fd) = socket.number() else { return false };
    let mut waiting = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure; the call does not wait.
    unsafe { libc::poll(&raw mut waiting, 1, 0) == 1 && waiting.revents == libc::POLLIN }
}

/// Runs something with all signals blocked, which new threads inherit: the program's signal handlers must
/// not run in a thread that the program does not know.
pub(super) fn without_signals<T>(work: impl FnOnce() -> T) -> T {
    let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: memory for sets of signals, which the calls fill.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let result = work();
    // SAFETY: the previous set.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), null_mut()) };
    result
}

/// In a forked child: the sockets belong to the parent, and the thread does not exist.
pub(super) fn after_fork() {
    drop(SOCKET.take());
    drop(CONNECTION.take());
    BOUND_BY.store(0, Ordering::Relaxed);
    LISTENING.store(false, Ordering::Relaxed);
}

fn serve(mut socket: Descriptor) {
    loop {
        match answer_one(&socket, TIMEOUT) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if is_transient(&e) => thread::sleep(Duration::from_millis(100)),
            Err(e) if socket.number().is_ok() => {
                drop(socket);
                SOCKET.clear();
                return debug!("stopped listening: {e}");
            }
            // The program has closed the socket.
            Err(_) => {
                SOCKET.clear();
                match bind() {
                    Ok(new) => socket = new,
                    Err(e) => {
                        debug!("cannot listen again: {e}");
                        // The next handle tries again.
                        return LISTENING.store(false, Ordering::Relaxed);
                    }
                }
            }
        }
    }
}

/// Waits for a client and responds to it. The error is that of accepting the connection.
fn answer_one(socket: &Descriptor, timeout: Duration) -> io::Result<()> {
    let connection = accept(socket)?;
    CONNECTION.set(&connection.0);
    // The client may have disconnected.
    let _ = respond(&connection, timeout);
    drop(connection);
    CONNECTION.clear();
    Ok(())
}

fn accept(socket: &Descriptor) -> io::Result<Connection> {
    let number = socket.number()?;
    // SAFETY: an open socket; null means that the peer's address is not returned.
    let accepted = unsafe { libc::accept4(number, null_mut(), null_mut(), libc::SOCK_CLOEXEC) };
    if accepted < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and not owned elsewhere.
    Ok(Connection(Descriptor::new(unsafe { OwnedFd::from_raw_fd(accepted) })?))
}

/// Whether the error is due to a temporary state of the machine: too many open files, too little memory.
fn is_transient(error: &io::Error) -> bool {
    let codes = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS, libc::ECONNABORTED];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// A connected socket.
struct Connection(Descriptor);

impl Connection {
    /// Sets the timeout of receiving and sending.
    fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        let timeout = libc::timeval {
            tv_sec: timeout.as_secs() as libc::time_t,
            tv_usec: timeout.subsec_micros().into(),
        };
        for option in [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO] {
            // SAFETY: an open socket, and a structure of that size.
            let failed = unsafe {
                libc::setsockopt(
                    self.0.number()?,
                    libc::SOL_SOCKET,
                    option,
                    (&raw const timeout).cast(),
                    size_of::<libc::timeval>() as libc::socklen_t,
                )
            };
            if failed != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    /// The credentials of the peer when it connected (unix(7), `SO_PEERCRED`). The PID is 0 if the peer has
    /// none in this process's PID namespace.
    fn peer(&self) -> io::Result<libc::ucred> {
        let mut peer = libc::ucred { pid: 0, uid: libc::uid_t::MAX, gid: libc::gid_t::MAX };
        let mut length = size_of::<libc::ucred>() as libc::socklen_t;
        // SAFETY: an open socket, and memory of that length for the result.
        let failed = unsafe {
            libc::getsockopt(
                self.0.number()?,
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut peer).cast(),
                &raw mut length,
            )
        };
        if failed == 0 { Ok(peer) } else { Err(io::Error::last_os_error()) }
    }

    /// Signals the end of the reply to the peer, even if a forked child has a copy of the socket.
    fn finish(&self) -> io::Result<()> {
        let number = self.0.number()?;
        // SAFETY: an open socket.
        let failed = unsafe { libc::shutdown(number, libc::SHUT_WR) };
        if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Read for &Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let number = self.0.number()?;
        // SAFETY: memory of that length. If the number is not a socket, the call returns an error.
        let received = unsafe { libc::recv(number, buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    }
}

impl Write for &Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let number = self.0.number()?;
        // SAFETY: as above. A peer that has left is an error and no signal.
        let sent =
            unsafe { libc::send(number, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn respond(mut connection: &Connection, timeout: Duration) -> io::Result<()> {
    connection.set_timeout(timeout)?;
    let reply = match connection.peer() {
        Ok(peer) => match authorise(&peer) {
            Ok(()) => {
                let mut request = Vec::new();
                connection.take(protocol::MOST_REQUEST).read_to_end(&mut request)?;
                execute(&request)
            }
            Err(why) => Err(why.to_owned()),
        },
        Err(e) => Err(format!("cannot read the client's credentials: {e}")),
    };
    let reply = reply.unwrap_or_else(|why| Reply::Refused(why.as_bytes()).to_bytes());
    connection.write_all(&reply)?;
    connection.finish()
}

fn authorise(peer: &libc::ucred) -> Result<(), &'static str> {
    if peer.pid == 0 {
        return Err(
            "the client is in another PID namespace than this process, where its user may be \
                    another one: run `installer trace` in the container of the process (docker exec), or \
                    by `nsenter --pid --net --target PID`",
        );
    }
    // SAFETY: no arguments.
    if peer.uid != 0 && peer.uid != unsafe { libc::geteuid() } {
        return Err(
            "only root and the user that the process runs as may trace it or change its backend",
        );
    }
    Ok(())
}

fn execute(request: &[u8]) -> Result<Vec<u8>, String> {
    match Request::parse(request) {
        Some(Request::Start { place, options }) => {
            let list =
                core::str::from_utf8(options).map_err(|_| "options are no text".to_owned())?;
            start(OsStr::from_bytes(place), list)
                .map(|directory| encode(&Status { directory, threads: 0 }))
        }
        Some(Request::Stop) => super::stop("installer trace stop").map(|status| encode(&status)),
        Some(Request::Status) => {
            let no_trace = Status { directory: None, threads: 0 };
            Ok(encode(&super::status().unwrap_or(no_trace)))
        }
        Some(Request::Use { backend }) => {
            backends::switch_to_named(OsStr::from_bytes(backend), "installer backends use")?;
            let status = super::status().unwrap_or(Status { directory: None, threads: 0 });
            Ok(encode(&status))
        }
        None => Err(format!(
            "shim {} does not know this request; take the installer that came with it",
            env!("CARGO_PKG_VERSION")
        )),
    }
}

/// Starts a trace, with the place and the options as the user wrote them. The error is a message.
pub(crate) fn start(place: &OsStr, list: &str) -> Result<Option<PathBuf>, String> {
    let mut options = Options::default();
    options.set_all(list)?;
    let sink = Sink::of(place).ok_or("no directory is named")?;
    options.check(sink.place())?;
    match init::outcome() {
        Some(Outcome::Ready { backend, .. }) => super::start(backend, sink, options),
        _ => Err("there is no backend whose calls could be traced".to_owned()),
    }
}

fn encode(status: &Status) -> Vec<u8> {
    let directory =
        status.directory.as_deref().map_or(&b""[..], |path| path.as_os_str().as_bytes());
    Reply::Done { directory, threads: status.threads }.to_bytes()
}
