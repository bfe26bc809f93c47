//! Temporary directories in memory. The installer syncs each file that it writes, which takes milliseconds on a disk and
//! is half of the time of the tests that run it some ten thousand times.

use crate::heartbeat;
use rustix::fs::{StatVfsMountFlags, XattrFlags, setxattr, statvfs};
use std::{
    env,
    path::{Path, PathBuf},
    sync::OnceLock,
};
use tempfile::TempDir;

/// The file system in memory that glibc uses for shared memory.
const MEMORY: &str = "/dev/shm";

/// What the tests of a process use at most, in bytes.
const ROOM: u64 = 2 << 30;

/// A new directory in memory, if there is enough; otherwise where `TMPDIR` says or in `/tmp`.
///
/// # Panics
/// When it cannot be created.
#[must_use]
pub fn directory() -> TempDir {
    named("")
}

/// As [`directory`], with a name that begins with `prefix`.
///
/// # Panics
/// When it cannot be created.
#[must_use]
pub fn named(prefix: &str) -> TempDir {
    heartbeat::start();
    static PARENT: OnceLock<PathBuf> = OnceLock::new();
    let parent = PARENT.get_or_init(|| {
        let memory = PathBuf::from(MEMORY);
        let is_usable = env::var_os("TMPDIR").is_none() && is_usable(&memory);
        if is_usable { memory } else { env::temp_dir() }
    });
    tempfile::Builder::new().prefix(prefix).tempdir_in(parent).expect("make a directory")
}

/// Whether a directory has room, runs programs and keeps extended attributes, which Linux has in memory since 6.6.
fn is_usable(directory: &Path) -> bool {
    let has_room = statvfs(directory).is_ok_and(|space| {
        space.f_bavail * space.f_frsize >= ROOM && !space.f_flag.contains(StatVfsMountFlags::NOEXEC)
    });
    has_room
        && tempfile::NamedTempFile::new_in(directory).is_ok_and(|file| {
            setxattr(file.path(), c"user.tests", b"1", XattrFlags::empty()).is_ok()
        })
}
