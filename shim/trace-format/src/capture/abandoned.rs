//! Removes capture files whose writer was killed. A writer holds a lock on its file (flock(2)), which is
//! released when the process ends in any way, so a file that can be locked has no writer.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// The extension of unfinished files.
const UNFINISHED: &str = "unfinished";

/// How often to create a file anew if another process removes it before it is locked.
const ATTEMPTS: u32 = 10;

/// Distinguishes the unfinished files of a process.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Creates a locked file for a capture of that name: `.call-1-7.4711.0.unfinished`.
pub(super) fn create(directory: &Path, name: &str) -> io::Result<(PathBuf, File)> {
    let pid = std::process::id();
    for _ in 0..ATTEMPTS {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!(".{name}.{pid}.{number}.{UNFINISHED}"));
        let file = File::options().write(true).create_new(true).open(&path)?;
        match file.try_lock() {
            // Another process holds the lock: it mistakes the file for an abandoned one.
            Err(TryLockError::WouldBlock) => continue,
            // The file system does not support locks: nobody can lock the file, so nobody removes it.
            Err(TryLockError::Error(_)) => {}
            Ok(()) if file.metadata()?.nlink() == 0 => continue,
            Ok(()) => {}
        }
        return Ok((path, file));
    }
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        "other processes remove what is being written",
    ))
}

/// Removes unfinished captures in a directory whose writers are gone, and returns them. Files that cannot be
/// examined or removed are left alone.
#[must_use]
pub fn remove_abandoned(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let unfinished = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        is_of_a_capture(entry.file_name().to_str()?).then(|| entry.path())
    });
    unfinished.filter(|path| is_abandoned(path) == Some(true)).collect()
}

/// Removes a file if no process has it locked. Returns whether it did; `None` if the lock could not be
/// checked.
fn is_abandoned(path: &Path) -> Option<bool> {
    let mut options = File::options();
    // It may be anything: this does not follow a symlink and does not block on a pipe.
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = options.open(path).ok()?;
    file.metadata().ok().filter(|metadata| metadata.file_type().is_file())?;
    file.try_lock().ok()?;
    Some(fs::remove_file(path).is_ok())
}

/// Whether a name has the form that [`create`] uses: `.NAME.PID.NUMBER.unfinished`.
fn is_of_a_capture(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = name.rsplit('.');
    let end = parts.next();
    let numbers = [parts.next(), parts.next()];
    end == Some(UNFINISHED)
        && numbers.into_iter().all(|part| part.is_some_and(is_number))
        && name.starts_with('.')
        && parts.next().is_some_and(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_files_of_writers_that_are_gone_are_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = directory.path();
        let (written, lock) = create(place, "call-1-7").expect("make");
        let abandoned = [".call-2-9.4711.0.unfinished", ".a.b-minimal.1.12.unfinished"];
        let others = [
            "call-1-7.safetensors",
            ".call-1-7.unfinished",
            ".call-1-7.4711.x.unfinished",
            ".4711.0.unfinished",
            "call-1-7.4711.0.unfinished",
            "process.unfinished",
        ];
        for name in abandoned.iter().chain(&others) {
            fs::write(place.join(name), "").expect("write");
        }
        let link = place.join(".call-3-1.4711.1.unfinished");
        symlink(place.join(others[0]), &link).expect("link");
        let mut removed = remove_abandoned(place);
        removed.sort();
        let mut expected = abandoned.map(|name| place.join(name));
        expected.sort();
        assert_eq!(removed, expected);
        assert!(written.exists() && link.is_symlink());
        assert!(others.iter().all(|name| place.join(name).exists()));
        // A writer that ends in any way releases its lock.
        drop(lock);
        assert_eq!(remove_abandoned(place), [written]);
        assert_eq!(remove_abandoned(&place.join("none")), [""; 0].map(PathBuf::from));
    }
}
