//! Temporary directories that several tests of a process share. What a `static` holds is never dropped, so
//! they are removed when the process exits.

use std::{
    fs,
    path::{Path, PathBuf},
    process,
    sync::{Mutex, PoisonError},
};

/// The process that made them, and their paths.
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
    // A forked child has the list too, and whoever holds the lock is not waited for at the end.
    let Ok(mut kept) = KEPT.try_lock() else { return };
    let Some((owner, all)) = kept.take() else { return };
    if owner == process::id() {
        for directory in all {
            // Nobody is left to be told.
            let _ = fs::remove_dir_all(directory);
        }
    }
}
