//! One installer at a time per tree.
//!
//! The lock is on the library directory itself: it leaves no file behind, exists before the store does, and
//! is released when the process ends in any way. Whoever may read the directory may also lock it, so waiting
//! has a limit, and the holder is named.

use crate::{
    lib_dir::LibDir,
    output::{Code, WithCode},
};
use anyhow::{Context, Result, anyhow};
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// How long to wait for another installer by default: longer than it takes to copy a backend.
pub const USUAL_WAIT: Duration = Duration::from_secs(300);

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub struct Lock {
    #[expect(dead_code, reason = "keeps the file open, and so the lock held")]
    directory: fs::File,
}

/// A process that holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its PID.
    pub pid: u32,
    /// Its command line, if readable.
    pub command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)?;
        if self.command.is_empty() { Ok(()) } else { write!(f, " ({})", self.command) }
    }
}

/// Takes the lock; if another process has it, reports that once and waits up to a limit.
pub fn take(lib: &LibDir, patience: Duration, say: impl FnOnce(&str)) -> Result<Lock> {
    let shown = lib.path().display();
    let cannot = || format!("cannot lock {shown}");
    // A new descriptor, since the lock belongs to the open file.
    let directory = fs::File::from(reopen(lib).with_context(cannot)?);
    let end = Instant::now() + patience;
    let mut say = Some(say);
    loop {
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {}
            // Some network file systems have no locks; callers then have to ensure exclusive use.
            Err(Errno::NOTSUP | Errno::NOLCK) => break,
            other => {
                other.with_context(cannot)?;
                break;
            }
        }
        let holder = holder(&directory).map_or_else(
            || "a process that is not visible from here".to_owned(),
            |holder| holder.to_string(),
        );
        if Instant::now() >= end {
            let refusal = anyhow!(
                "{shown} has been locked by {holder} for more than {} s. If that is not an installer, end \
                 it; to wait longer, pass --lock-timeout SECONDS",
                patience.as_secs()
            );
            return Err(refusal).code(Code::Busy);
        }
        if let Some(say) = say.take() {
            say(&format!(
                "{shown} is locked by {holder}; waiting up to {} s for it (--lock-timeout).",
                patience.as_secs()
            ));
        }
        thread::sleep(Duration::from_millis(100).min(end - Instant::now().min(end)));
    }
    Ok(Lock { directory })
}

/// The current holder of the lock, if any: most likely another installer.
pub fn held_by(lib: &LibDir) -> io::Result<Option<Option<Holder>>> {
    let directory = fs::File::from(reopen(lib)?);
    match flock(&directory, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => Ok(Some(holder(&directory))),
        _ => Ok(None),
    }
}

fn reopen(lib: &LibDir) -> io::Result<rustix::fd::OwnedFd> {
    use rustix::fs::{Mode, OFlags, openat};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(lib.directory(), c".", flags, Mode::empty())?)
}

/// The holder according to /proc/locks: `1: FLOCK  ADVISORY  WRITE 4711 fe:00:123456 0 EOF`, where the last
/// part of the sixth field is the inode (proc(5)). On Btrfs and overlayfs its device differs from stat(2)'s,
/// so only the inode is compared; the result is used only in a message.
fn holder(directory: &fs::File) -> Option<Holder> {
    let inode = directory.metadata().ok()?.ino().to_string();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let pid: u32 = locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // A line with `->` is a waiting process.
        let [_, "FLOCK", _, _, pid, file, ..] = fields[..] else { return None };
        (file.rsplit(':').next() == Some(inode.as_str())).then(|| pid.parse().ok()).flatten()
    })?;
    let command = fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline"));
    let command = command.unwrap_or_default();
    let words = command.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    Some(Holder { pid, command: words.collect::<Vec<_>>().join(" ").trim().to_owned() })
}
