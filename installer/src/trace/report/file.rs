//! Writes a file atomically.

use std::{
    fs::{File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

/// Replaces the file at a path by one with these bytes, atomically: a reader sees either the old file or the
/// whole new one. Pipes and devices are written to instead.
///
/// # Errors
/// Any error from writing, which leaves the old file in place.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A symlink stays a symlink.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    // Replacing /dev/stdout by a file would be surprising, and harmful as root.
    if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return File::options().write(true).open(&path)?.write_all(bytes);
    }
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .prefix(".rocblas-report-")
        // As for any new file, the umask is applied.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.persist(&path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink, thread};

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("readable");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("readable").file_name().display().to_string())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_a_link_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let (file, link) = (directory.path().join("page"), directory.path().join("link"));
        replace(&file, b"a long text").expect("write");
        symlink("page", &link).expect("link");
        // A process that has it open keeps the old one.
        let old = File::open(&file).expect("open");
        replace(&link, b"new").expect("write");
        assert_eq!(fs::read(&file).expect("read"), b"new");
        assert_eq!(io::read_to_string(old).expect("read"), "a long text");
        assert!(link.is_symlink());
        assert_eq!(names(directory.path()), ["link", "page"], "nothing else is left");
    }

    #[test]
    fn others_may_read_it_as_any_new_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let (page, plain) = (directory.path().join("page"), directory.path().join("plain"));
        replace(&page, b"").expect("write");
        fs::write(&plain, b"").expect("write");
        let mode = |path: &Path| path.metadata().expect("there").permissions().mode();
        assert_eq!(mode(&page), mode(&plain));
    }

    #[test]
    fn a_pipe_is_written_to() {
        let directory = tempfile::tempdir().expect("a directory");
        let pipe = directory.path().join("pipe");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, 0o600.into(), 0).expect("a pipe");
        let reader = thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe)
        });
        replace(&pipe, b"page").expect("write");
        // Joined only if it was written to: the reader of a pipe without a writer blocks for ever.
        assert_eq!(names(directory.path()), ["pipe"]);
        assert!(!pipe.metadata().expect("there").is_file());
        assert_eq!(reader.join().expect("no panic").expect("read"), b"page");
    }

    #[test]
    fn where_no_file_can_be_nothing_is_left() {
        let directory = tempfile::tempdir().expect("a directory");
        assert!(replace(directory.path(), b"page").is_err(), "a directory");
        assert!(replace(&directory.path().join("no/page"), b"page").is_err());
        assert!(names(directory.path()).is_empty());
    }
}
