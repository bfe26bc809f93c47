//! The interface of an observer of a command: it sees each system call that changes files, while the calling
//! thread is stopped before and after it, so that its descriptors and files can be inspected.

use std::{ffi::OsString, io, path::PathBuf};

/// Receives the calls of a command in the order of their starts and ends.
pub(crate) trait Observer: Send {
    /// The call is about to be made.
    fn before(&mut self, attempt: &Attempt) -> io::Result<()>;

    /// The call was made; `result` is negative if it failed.
    fn after(&mut self, attempt: &Attempt, result: i64) -> io::Result<()>;
}

/// A system call that changes files, below the watched directory or elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// The thread that makes it.
    pub(crate) thread: i32,
    /// Its name, `renameat2`.
    pub(crate) name: &'static str,
    /// What it changes.
    pub(crate) spots: Vec<Spot>,
    /// The flags of `open` or `renameat2`; 0 for other calls.
    pub(crate) flags: u64,
}

/// A file named by an argument of a system call. Paths go through `/proc/PID`, so that they resolve as in the
/// process, even after a `chroot` or the renaming of a directory.
#[derive(Clone, Debug)]
pub(crate) enum Spot {
    /// A name in a directory.
    Entry {
        /// A path as seen by this process.
        directory: PathBuf,
        /// The last component.
        name: OsString,
    },
    /// An open descriptor, by its link in `/proc`.
    Opened(PathBuf),
}
