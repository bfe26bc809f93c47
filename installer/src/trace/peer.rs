//! Which process is at the other end of a local socket.

use std::{
    io,
    os::{fd::AsRawFd, unix::net::UnixStream},
};

/// The number of the process that listens on the socket to which this one is connected; `None` if it has
/// none in this process's PID namespace (unix(7), `SO_PEERCRED`).
pub(super) fn process(stream: &UnixStream) -> io::Result<Option<u32>> {
    // Not rustix's function: in its type, no process has the number 0.
    let mut peer = libc::ucred { pid: 0, uid: libc::uid_t::MAX, gid: libc::gid_t::MAX };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: an open socket, and memory of that length for the result.
    let failed = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    };
    if failed != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u32::try_from(peer.pid).ok().filter(|pid| *pid != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_end_of_a_pair_is_this_process() {
        let (one, _other) = UnixStream::pair().expect("a pair");
        assert_eq!(process(&one).expect("known"), Some(std::process::id()));
    }
}
