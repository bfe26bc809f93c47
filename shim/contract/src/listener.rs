//! The protocol by which another process starts and stops a trace or selects another backend: the socket's
//! name, requests and replies.
//!
//! A process that uses the shim listens on a Unix socket with an abstract name, so that it needs no
//! writable directory. The client sends one request, shuts down its sending side and reads one reply. Both
//! are words, each followed by NUL; only the message of a refusal has no NUL.

/// The name of the listening thread, as `ps -L` shows it.
pub const THREAD: &str = "rocblas-shim";

/// The longest request, in bytes.
pub const MOST_REQUEST: u64 = 64 << 10;

/// The longest reply, in bytes.
pub const MOST_REPLY: u64 = 1 << 20;

/// The name of a process's socket, in the abstract namespace. `namespace` is the inode of
/// `/proc/PID/ns/pid`, and `process` is the PID in that namespace: a PID alone is not unique if containers
/// share a network namespace.
#[must_use]
pub fn socket_name(namespace: u64, process: u32) -> String {
    format!("rocblas-shim/{namespace}/{process}")
}

const START: &[u8] = b"start";
const STOP: &[u8] = b"stop";
const STATUS: &[u8] = b"status";
const USE: &[u8] = b"use";
const OK: &[u8] = b"ok";
const ERROR: &[u8] = b"error";

/// A request of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Start a trace.
    Start {
        /// A directory, or `stderr`.
        place: &'a [u8],
        /// In the syntax of `ROCBLAS_SHIM_TRACE_OPTIONS`.
        options: &'a [u8],
    },
    /// Stop the trace.
    Stop,
    /// Report whether there is a trace.
    Status,
    /// Use another backend for new handles.
    Use {
        /// A name or a path, as in `ROCBLAS_SHIM_BACKEND`; empty for the backend that the settings choose.
        backend: &'a [u8],
    },
}

impl<'a> Request<'a> {
    /// The bytes to send.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Start { place, options } => words(&[START, place, options]),
            Self::Stop => words(&[STOP]),
            Self::Status => words(&[STATUS]),
            Self::Use { backend } => words(&[USE, backend]),
        }
    }

    /// The request in these bytes; `None` if this version does not know it.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        let mut words = bytes.split(|byte| *byte == 0);
        let request = match words.next()? {
            START => Self::Start { place: words.next()?, options: words.next()? },
            STOP => Self::Stop,
            STATUS => Self::Status,
            USE => Self::Use { backend: words.next()? },
            _ => return None,
        };
        words.next().is_none().then_some(request)
    }
}

/// The process's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// The request was carried out.
    Done {
        /// The trace's directory; empty if there is none.
        directory: &'a [u8],
        /// How many threads have been recorded.
        threads: u32,
    },
    /// The request was refused, for the reason in this message.
    Refused(&'a [u8]),
}

impl<'a> Reply<'a> {
    /// The bytes to send.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Done { directory, threads } => {
                words(&[OK, directory, threads.to_string().as_bytes()])
            }
            Self::Refused(why) => [ERROR, b"\0", why].concat(),
        }
    }

    /// The reply in these bytes; `None` if they are not a reply. A missing word is empty or 0.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut words = bytes.split(|byte| *byte == 0);
        match words.next()? {
            OK => {
                let directory = words.next().unwrap_or_default();
                let threads = words.next().and_then(|word| core::str::from_utf8(word).ok());
                let threads = threads.and_then(|word| word.parse().ok()).unwrap_or(0);
                Some(Self::Done { directory, threads })
            }
            ERROR => Some(Self::Refused(words.next().unwrap_or_default())),
            _ => None,
        }
    }
}

fn words(words: &[&[u8]]) -> Vec<u8> {
    words.iter().flat_map(|word| [*word, b"\0"]).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_they_were_written() {
        let start = Request::Start { place: b"/tmp/t", options: b"ring=64M" };
        assert_eq!(start.to_bytes(), b"start\0/tmp/t\0ring=64M\0");
        let bare = Request::Start { place: b"stderr", options: b"" };
        let switch = Request::Use { backend: b"6.3.0" };
        for request in [start, bare, Request::Stop, Request::Status, switch] {
            assert_eq!(Request::parse(&request.to_bytes()), Some(request));
        }
        for other in [&b""[..], b"start", b"start\0/tmp", b"stop\0now\0", b"use", b"GET / HTTP/1.1"]
        {
            assert_eq!(Request::parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn replies_are_read_as_they_were_written() {
        let done = Reply::Done { directory: b"/tmp/t/x-1", threads: 3 };
        assert_eq!(done.to_bytes(), b"ok\0/tmp/t/x-1\x003\0");
        assert_eq!(Reply::Refused(b"why").to_bytes(), b"error\0why");
        let none = Reply::Done { directory: b"", threads: 0 };
        for reply in [done, none, Reply::Refused(b"why")] {
            assert_eq!(Reply::parse(&reply.to_bytes()), Some(reply));
        }
        assert_eq!(Reply::parse(b"ok\0"), Some(none));
        assert_eq!(Reply::parse(b"ok"), Some(none));
        assert_eq!(Reply::parse(b""), None);
        assert_eq!(Reply::parse(b"HTTP/1.1"), None);
    }

    #[test]
    fn a_socket_is_named_after_the_namespace_and_the_process() {
        assert_eq!(socket_name(4026531836, 17), "rocblas-shim/4026531836/17");
    }
}
