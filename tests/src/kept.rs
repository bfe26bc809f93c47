//! Temporary directories that several tests of a process share. They are removed when the process exits,
//! because a `static` is never dropped.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    sync::{Mutex, PoisonError},
};

/// The process that created them, and their paths.
static KEPT: Mutex<Option<(u32, Vec<PathBuf>)>> = Mutex::new(None);

/// A new directory that is removed when this process exits.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn directory() -> PathBuf {
    let directory = tempfile::tempdir().expect("make a directory").keep();
    until_exit(&directory);
    directory
}

/// Removes a directory when this process exits.
pub fn until_exit(directory: &Path) {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, all) = kept.get_or_insert_with(|| {
        // SAFETY: the function may be called at any time, and takes and returns nothing.
        unsafe { libc::atexit(remove) };
        (process::id(), Vec::new())
    });
    all.push(directory.to_owned());
}

extern "C" fn remove() {
    // A forked child has the list too. At exit, this must not wait for the holder of the lock.
    let Ok(mut kept) = KEPT.try_lock() else { return };
    let Some((owner, all)) = kept.take() else { return };
    if owner == process::id() {
        for directory in all {
            // An error can no longer be reported.
            let _ = fs::remove_dir_all(directory);
        }
    }
}
