//! Which process is at the other end of a local socket.

use std::{
    io,
    os::{fd::AsRawFd, unix::net::UnixStream},
};

/// The PID of the process that listens on the socket to which this one is connected; `None` if it has no PID
/// in this process's PID namespace (unix(7), `SO_PEERCRED`).
pub(super) fn process(stream: &UnixStream) -> io::Result<Option<u32>> {
    // Not rustix's function: its type does not allow a PID of 0.
    let mut peer = libc::ucred { pid: 0, uid: libc::uid_t::MAX, gid: libc::gid_t::MAX };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the socket is open, and the result has memory of the given length.
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
