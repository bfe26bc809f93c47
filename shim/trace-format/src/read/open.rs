//! Opens the files of a trace's directory. The directory is not trusted and may contain anything: opening
//! a pipe would wait for a writer, a device never ends, and a sparse file of a hundred gigabytes uses no
//! disk space.

use rustix::{
    fs::{OFlags, SeekFrom, seek},
    io::Errno,
};
use std::{fs::File, io, os::unix::fs::OpenOptionsExt, path::Path};

/// Opens a regular file for reading, and nothing else.
///
/// # Errors
/// Any error from opening, and a file of another kind.
pub fn regular(path: &Path) -> io::Result<File> {
    // Opening some devices has side effects. O_NONBLOCK is for a pipe that replaces the file meanwhile.
    if path.metadata()?.is_file() {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = File::options().read(true).custom_flags(flags).open(path)?;
        if file.metadata()?.is_file() {
            return Ok(file);
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
}

/// The next offset at which a file has data; `None` if there is only a hole up to the end.
pub(super) fn next_data(file: &File, offset: u64) -> Option<u64> {
    match seek(file, SeekFrom::Data(offset)) {
        Ok(data) => Some(data.max(offset)),
        Err(Errno::NXIO) => None,
        // If the file system does not support SEEK_DATA, assume data everywhere.
        Err(_) => Some(offset),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Trace,
        testing::{Writer, reader},
    };
    use crate::{
        layout::{HEADER_SIZE, SEGMENT_SIZE},
        process::{PROCESS, thread_file},
    };
    use rustix::fs::{CWD, FileType, mknodat};
    use std::{
        fs::{self, File},
        os::unix::fs::{FileExt, symlink},
        path::Path,
        time::{Duration, Instant},
    };

    /// Far less than reading or waiting would take.
    const LIMIT: Duration = Duration::from_secs(10);

    fn write(directory: &Path, ordinal: u32) {
        let mut writer = Writer::new();
        writer.call("rocblas_sscal", &[1, 2, 3, 4, 1]).end().write(directory, ordinal);
    }

    #[test]
    fn pipes_devices_and_directories_are_not_waited_for() {
        let directory = tempfile::tempdir().expect("a directory");
        let directory = directory.path();
        write(directory, 1);
        let place = |ordinal| directory.join(thread_file(ordinal));
        let pipe = |path: &Path| {
            mknodat(CWD, path, FileType::Fifo, 0o600.into(), 0).expect("a pipe");
        };
        pipe(&place(2));
        symlink("/dev/zero", place(3)).expect("link");
        fs::create_dir(place(4)).expect("make");
        symlink("absent", place(5)).expect("link");
        pipe(&directory.join(PROCESS));
        let start = Instant::now();
        let trace = Trace::open(directory).expect("there is a thread's file");
        assert!(trace.complaint().is_some_and(|text| text.contains("not a regular file")));
        let (threads, unreadable) = trace.threads().expect("readable");
        assert_eq!((threads.len(), unreadable.len()), (1, 4), "{unreadable:?}");
        let texts: Vec<String> = unreadable.iter().map(ToString::to_string).collect();
        assert!(texts[..3].iter().all(|text| text.contains("not a regular file")), "{texts:?}");
        assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    }

    #[test]
    fn a_header_of_any_length_is_read_up_to_a_limit() {
        let directory = tempfile::tempdir().expect("a directory");
        write(directory.path(), 1);
        let header = File::create(directory.path().join(PROCESS)).expect("create");
        header.set_len(100 << 30).expect("a sparse file");
        let trace = Trace::open(directory.path()).expect("there is a thread's file");
        assert!(trace.complaint().is_some_and(|text| text.contains("larger than 16 MiB")));
    }

    #[test]
    fn holes_take_no_time_and_records_behind_them_are_found() {
        let mut writer = Writer::new();
        writer.call("rocblas_sscal", &[1, 2, 3, 4, 1]).end();
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(thread_file(1));
        fs::write(&path, &writer.bytes).expect("write");
        let file = File::options().write(true).open(&path).expect("open");
        // A segment far beyond it, with a record of the next number.
        let far = (HEADER_SIZE + (3 << 20) * SEGMENT_SIZE) as u64;
        let mut other = Writer::new();
        other.sequence = 1;
        other.call("rocblas_sscal", &[5, 6, 7, 8, 1]);
        file.write_all_at(&other.bytes[HEADER_SIZE..], far).expect("write");
        file.set_len(100 << 30).expect("a sparse file");
        let start = Instant::now();
        let trace = Trace::open(directory.path()).expect("there is a thread's file");
        let (mut threads, _) = trace.threads().expect("readable");
        let mut count = 0;
        while threads[0].next().expect("readable").is_some() {
            count += 1;
        }
        assert_eq!(count, 2, "{:?}", threads[0].problems());
        assert!(start.elapsed() < LIMIT, "{:?}", start.elapsed());
    }

    #[test]
    fn only_some_problems_are_kept() {
        let mut writer = Writer::new();
        writer.call("rocblas_sscal", &[1, 2, 3, 4, 1]);
        for _ in 0..1500 {
            let end = writer.bytes.len();
            writer.bytes.resize(end + SEGMENT_SIZE, 0);
            writer.bytes[end] = 1;
        }
        let reader = reader(&writer.bytes);
        let problems = reader.problems();
        assert_eq!((problems.len(), problems[999].further), (1000, 500));
        assert!(problems[999].to_string().ends_with(", and 500 places behind it"));
    }
}
