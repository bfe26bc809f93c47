//! Communicates with a process that uses the shim, to start and stop a trace while it runs, or to give its
//! handles another backend.
//!
//! The shim listens on an abstract socket named after the process's PID in its own PID namespace; see
//! `shim/src/trace/listener.rs`. Abstract socket names belong to a network namespace: a container may use a
//! different one from this program, and where containers share one, any process in them may have taken the
//! name. Nothing is therefore sent until the kernel has confirmed that the intended process is the listener.
//!
//! A process without a handle has bound its socket but does not read from it until it creates one.

use super::peer;
use anyhow::{Context, Result, anyhow, bail};
use rocblas_contract::{
    libraries::ROCBLAS,
    listener::{MOST_REPLY, Reply, Request, THREAD, socket_name},
};
use rocblas_trace::options::{Options, Place};
use serde::Serialize;
use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{self, Read, Write},
    net::Shutdown,
    ops::Not,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::{OsStrExt, OsStringExt},
            fs::MetadataExt,
            net::{SocketAddr, UnixStream},
        },
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The process only creates a directory before it replies.
const PATIENCE: Duration = Duration::from_secs(15);

/// The process first opens a library, which may be on a slow disk.
const PATIENCE_FOR_OPENING: Duration = Duration::from_secs(120);

/// How often to check whether the process has a thread that can reply.
const INTERVAL: Duration = Duration::from_millis(100);

/// The state of a process's trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The directory of the trace; `None` if there is no trace, or one to stderr.
    #[serde(serialize_with = "crate::output::json::optional_path")]
    pub directory: Option<PathBuf>,
    /// How many threads were recorded.
    pub threads: u32,
    /// The process has created no handle yet; it carries out requests when it creates its first one.
    #[serde(rename = "waits_for_handle", skip_serializing_if = "Not::not")]
    pub waits: bool,
}

impl Answer {
    /// The state of a process that has created no handle.
    const WAITS: Self = Self { directory: None, threads: 0, waits: true };
}

/// Starts a trace into a directory, or to the process's stderr.
///
/// # Errors
/// Fails if the options have no effect, or if the process does not listen or refuses the request. The message
/// says what to do.
pub fn start(pid: u32, place: &Path, options: &Options) -> Result<Answer> {
    let (place, kind) = if place == Path::new("stderr") {
        (place.to_owned(), Place::Stderr)
    } else {
        let absolute = std::path::absolute(place);
        (absolute.with_context(|| format!("cannot use {}", place.display()))?, Place::Directory)
    };
    // A process without a handle would refuse them only once it creates one.
    options.check(kind).map_err(|why| anyhow!(why))?;
    let (place, options) = (place.as_os_str().as_bytes(), options.to_string());
    ask(pid, Request::Start { place, options: options.as_bytes() })
}

/// Stops the trace.
///
/// # Errors
/// As for [`start`].
pub fn stop(pid: u32) -> Result<Answer> {
    ask(pid, Request::Stop)
}

/// Queries the trace.
///
/// # Errors
/// As for [`start`].
pub fn status(pid: u32) -> Result<Answer> {
    ask(pid, Request::Status)
}

/// Makes a process use another backend for the handles that it creates from now on: a name, a path that
/// contains a `/`, or `-` for the configured backend.
///
/// # Errors
/// As for [`start`].
pub fn use_backend(pid: u32, name: &str) -> Result<Answer> {
    let is_path = name.contains('/');
    let path = is_path.then(|| std::path::absolute(name)).transpose().context("no such path")?;
    let name = match &path {
        Some(path) => path.as_os_str(),
        None if name == "-" => OsStr::new(""),
        None => OsStr::new(name),
    };
    ask(pid, Request::Use { backend: name.as_bytes() })
}

/// Whether a process has the thread that replies. It starts with the first handle, whereas the socket exists
/// earlier.
fn has_listener(pid: u32) -> bool {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.into_iter().any(|name| name.trim_end() == THREAD)
}

/// The PIDs of the process.
struct Process {
    /// Its PID in the innermost PID namespace.
    inner: u32,
    /// The inode of that namespace.
    namespace: u64,
    /// Its PID in this program's PID namespace.
    own: u32,
}

fn process(pid: u32) -> Result<Process> {
    let directory = PathBuf::from(format!("/proc/{pid}"));
    let status = match fs::read_to_string(directory.join("status")) {
        Ok(status) => status,
        Err(e) if e.kind() == io::ErrorKind::NotFound => bail!("there is no process {pid}"),
        Err(e) => return Err(e).with_context(|| format!("cannot examine process {pid}")),
    };
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let inner = numbers.and_then(|numbers| numbers.split_whitespace().last()?.parse().ok());
    let inner = inner.unwrap_or(pid);
    let namespace = fs::metadata(directory.join("ns/pid"));
    let namespace = namespace.with_context(|| {
        format!("no permission to examine process {pid}: run this as its user, or as root (sudo)")
    })?;
    let namespace = namespace.ino();
    // /proc may belong to a different PID namespace than this program: `nsenter --pid` does not change it.
    let is_in_same = fs::metadata("/proc/self/ns/pid").is_ok_and(|own| own.ino() == namespace);
    Ok(Process { inner, namespace, own: if is_in_same { inner } else { pid } })
}

fn ask(pid: u32, request: Request<'_>) -> Result<Answer> {
    let Process { inner, namespace, own } = process(pid)?;
    let name = socket_name(namespace, inner);
    let address = SocketAddr::from_abstract_name(name).context("no name for a socket")?;
    let mut stream = match UnixStream::connect_addr(&address) {
        Ok(stream) => stream,
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => bail!(unheard(pid)),
        Err(e) => return Err(e).with_context(|| format!("cannot connect to process {pid}")),
    };
    let listener = peer::process(&stream)
        .with_context(|| format!("cannot tell which process listens in the place of {pid}"))?;
    match listener {
        Some(listener) if listener == own => {}
        Some(other) => bail!(
            "process {other} listens in the place of process {pid}, so nothing was sent: it has taken \
             the name of the other's socket (`ps -f -p {other}`)"
        ),
        None => bail!(
            "a process of another PID namespace listens in the place of process {pid}, so nothing was \
             sent: it is in a container that shares this network namespace"
        ),
    }
    // Nothing would read the request, and the socket's queue is limited.
    if request == Request::Status && !has_listener(pid) {
        return Ok(Answer::WAITS);
    }
    let patience = match request {
        Request::Use { .. } => PATIENCE_FOR_OPENING,
        Request::Start { .. } | Request::Stop | Request::Status => PATIENCE,
    };
    let mut talk = || -> io::Result<Option<Vec<u8>>> {
        stream.set_read_timeout(Some(INTERVAL))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        // A process that refuses does not read the request: it may have closed the connection already, but
        // its reply has been sent.
        let request = request.to_bytes();
        let sent = stream.write_all(&request).and_then(|()| stream.shutdown(Shutdown::Write));
        let (mut reply, start) = (Vec::new(), Instant::now());

        loop {
            match (&mut stream).take(MOST_REPLY).read_to_end(&mut reply) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && start.elapsed() < patience => {
                    if reply.is_empty() && sent.is_ok() && !has_listener(pid) {
                        return Ok(None);
                    }
                }
                Err(e) if reply.is_empty() => return Err(sent.err().unwrap_or(e)),
                _ => return Ok(Some(reply)),
            }
        }
    };
    match talk().with_context(|| format!("process {pid} does not respond"))? {
        Some(reply) => answer(&reply),
        None => Ok(Answer::WAITS),
    }
}

fn answer(reply: &[u8]) -> Result<Answer> {
    match Reply::parse(reply) {
        Some(Reply::Done { directory, threads }) => Ok(Answer {
            directory: (!directory.is_empty())
                .then(|| PathBuf::from(OsString::from_vec(directory.to_vec()))),
            threads,
            waits: false,
        }),
        Some(Reply::Refused(why)) => bail!("{}", String::from_utf8_lossy(why)),
        None => {
            bail!("the process sent an invalid reply: is it another version of the shim?")
        }
    }
}

/// Why a process may not be listening, and what to do.
fn unheard(pid: u32) -> String {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let paths = maps.lines().filter_map(|line| line.find('/').map(|start| &line[start..]));
    let mut libraries: Vec<&str> = paths
        .filter(|path| path.rsplit('/').next().is_some_and(|name| name.starts_with(ROCBLAS)))
        .collect();
    libraries.sort_unstable();
    libraries.dedup();
    let same_network = |of: &str| fs::metadata(format!("/proc/{of}/ns/net")).ok().map(|m| m.ino());
    if same_network(&pid.to_string()) != same_network("self") {
        return format!(
            "process {pid} is in another network namespace, a container's: run this in there \
             (docker exec CONTAINER installer trace ..., with its number there), or \
             `nsenter --pid --net --target {pid} installer trace ...` as root"
        );
    }
    if libraries.is_empty() {
        return format!(
            "process {pid} has no librocblas loaded, or is another user's: name the process that \
             computes (pgrep -a llama-server)"
        );
    }
    format!(
        "process {pid} does not listen. It has {} loaded: if the shim is among these, it listens from its \
         start, unless ROCBLAS_SHIM_LISTEN=off or `listen = \"off\"` in shim.toml is set. If it was forked, or \
         has closed its descriptors, it listens from its first handle on. From its start it is traced with \
         ROCBLAS_SHIM_TRACE=DIR",
        libraries.join(" and ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read() {
        let ok = answer(b"ok\0/tmp/t/x-1\x003\0").expect("an answer");
        assert_eq!((ok.directory.as_deref(), ok.threads), (Some(Path::new("/tmp/t/x-1")), 3));
        assert_eq!(answer(b"ok\0").expect("an answer").directory, None);
        assert_eq!(answer(b"error\0why").expect_err("an error").to_string(), "why");
        assert!(answer(b"").is_err() && answer(b"HTTP/1.1").is_err());
    }

    #[test]
    fn a_process_without_the_shim_is_said_to_have_none() {
        let why = status(std::process::id()).expect_err("it has none").to_string();
        assert!(why.contains("has no librocblas loaded"), "{why}");
        assert!(status(u32::MAX).expect_err("none").to_string().contains("there is no process"));
    }
}
