//! One installer at a time per tree.
//!
//! The lock is taken on the directory of the libraries itself: it leaves no file behind, exists
//! before the store does and goes with the process, however that ends. Whoever may read the
//! directory may lock it too, so waiting has a limit, and who holds it is said.

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

/// How long another installer is waited for, where nothing else is said: longer than copying a
/// backend takes.
pub const USUAL_WAIT: Duration = Duration::from_secs(300);

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub struct Lock {
    #[expect(dead_code, reason = "open, and with it the lock held, as long as this")]
    directory: fs::File,
}

/// A process that holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// Its command line, as far as it may be read.
    pub command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)?;
        if self.command.is_empty() { Ok(()) } else { write!(f, " ({})", self.command) }
    }
}

/// Takes the lock; if another process has it, says so once and waits, at most so long.
pub fn take(lib: &LibDir, patience: Duration, say: impl FnOnce(&str)) -> Result<Lock> {
    let shown = lib.path().display();
    let cannot = || format!("cannot lock {shown}");
    // A descriptor of its own, since the lock belongs to the open file.
    let directory = fs::File::from(reopen(lib).with_context(cannot)?);
    let end = Instant::now() + patience;
    let mut say = Some(say);
    loop {
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {}
            // Some network file systems have no locks; being alone there is the caller's care.
            Err(Errno::NOTSUP | Errno::NOLCK) => break,
            other => {
                other.with_context(cannot)?;
                break;
            }
        }
        let holder = holder(&directory).map_or_else(
            || "a process that cannot be seen from here".to_owned(),
            |holder| holder.to_string(),
        );
        if Instant::now() >= end {
            let refusal = anyhow!(
                "{shown} is locked by {holder}, since more than {} s. If that is no installer, end \
                 it; to wait longer, give --lock-timeout SECONDS",
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

/// Who holds the lock now, if somebody does: another installer at work, most likely.
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

/// The holder by /proc/locks: `1: FLOCK  ADVISORY  WRITE 4711 fe:00:123456 0 EOF`, the last part of the
/// sixth field being the inode (proc(5)). Its device is another than stat(2) gives on Btrfs and
/// overlayfs, so the inode alone has to tell; this is for a message.
fn holder(directory: &fs::File) -> Option<Holder> {
    let inode = directory.metadata().ok()?.ino().to_string();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let pid: u32 = locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // A line with `->` is one who waits.
        let [_, "FLOCK", _, _, pid, file, ..] = fields[..] else { return None };
        (file.rsplit(':').next() == Some(inode.as_str())).then(|| pid.parse().ok()).flatten()
    })?;
    let command = fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline"));
    let command = command.unwrap_or_default();
    let words = command.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    Some(Holder { pid, command: words.collect::<Vec<_>>().join(" ").trim().to_owned() })
}
