//! One installer at a time per tree.
//!
//! The lock is taken on the directory of the libraries itself: it leaves no file behind, exists
//! before the store does and goes with the process, however that ends.

use crate::root::Root;
use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};
use std::{fs::File, path::Path};

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub struct Lock(
    #[expect(dead_code, reason = "open, and with it the lock held, as long as this")] File,
);

/// Takes the lock; if another installer has it, says so once and waits.
pub fn take(root: &Root, lib: &Path, say: impl FnOnce(&str)) -> Result<Lock> {
    let path = root.on_machine(lib);
    let directory = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => {
            say(&format!("Another installer is at work in {}; waiting for it.", lib.display()));
            flock(&directory, FlockOperation::LockExclusive)
                .with_context(|| format!("cannot lock {}", path.display()))?;
        }
        // Some network file systems have no locks; being alone there is the caller's care.
        Err(rustix::io::Errno::NOTSUP | rustix::io::Errno::NOLCK) => {}
        other => other.with_context(|| format!("cannot lock {}", path.display()))?,
    }
    Ok(Lock(directory))
}
