//! A thread's file: mapped as far as it may ever grow, and made longer a piece at a time.
//!
//! Every page that is written is allocated first (`fallocate`), because a store to a page that a full
//! disk has no room for is a SIGBUS. No descriptor is kept: a program that closes all descriptors it
//! did not open would make a later one of that number ours.

use super::{clock, session::Session};
use core::{ffi::c_void, ptr};
use rocblas_trace::layout::{
    ClockPoint, FileHeader, HEADER_SIZE, MAGIC, SEGMENT_MAGIC, SEGMENT_SIZE, SegmentHeader, State,
    VERSION, table_identity,
};
use std::{
    fs::{File, OpenOptions},
    io,
    os::{fd::AsRawFd, unix::fs::FileExt},
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The most segments that a file grows by at once: a megabyte.
const MOST_SEGMENTS: usize = (1 << 20) / SEGMENT_SIZE;

/// `MADV_POPULATE_WRITE`: since Linux 5.14; older ones fault each page in when it is written first.
const POPULATE: i32 = 23;

/// A file that this thread writes.
#[derive(Debug)]
pub(super) struct TraceFile {
    path: PathBuf,
    /// The mapping.
    base: *mut u8,
    length: usize,
    /// Segments that are allocated.
    allocated: usize,
    /// Segments at the most.
    most: usize,
    /// The segment that is being written.
    segment: usize,
    /// The number of segments begun.
    number: u64,
    ring: bool,
}

/// Where records go: words from one to before another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    pub(super) from: *mut u64,
    pub(super) to: *mut u64,
}

impl TraceFile {
    /// Makes a file in a session's directory, with room for a first segment.
    pub(super) fn make(session: &Session, directory: &Path, ordinal: u32) -> io::Result<Self> {
        let path = directory.join(rocblas_trace::process::thread_file(ordinal));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        let ring = session.options.ring;
        let most = ring.unwrap_or(session.options.limit) as usize / SEGMENT_SIZE;
        let (base, most) = map(&file, most)?;
        let mut made = Self {
            path,
            base,
            length: HEADER_SIZE + most * SEGMENT_SIZE,
            allocated: 0,
            most,
            segment: 0,
            number: 0,
            ring: ring.is_some(),
        };
        if let Err(e) = made.grow_in(&file, session, 1) {
            // Nothing was written: nobody misses it.
            let _ = std::fs::remove_file(&made.path);
            made.unmap();
            return Err(e);
        }
        made.write_header(ordinal);
        Ok(made)
    }

    #[allow(clippy::cast_ptr_alignment, reason = "a mapping begins at a page")]
    fn header(&self) -> *mut FileHeader {
        self.base.cast()
    }

    fn write_header(&self, ordinal: u32) {
        static TABLE: OnceLock<u64> = OnceLock::new();
        let point = clock::point();
        let header = FileHeader {
            magic: 0,
            version: VERSION,
            header_size: HEADER_SIZE as u32,
            segment_size: SEGMENT_SIZE as u32,
            ordinal,
            // SAFETY: no arguments.
            tid: unsafe { libc::gettid() }.cast_unsigned(),
            pid: std::process::id(),
            name: thread_name(),
            start: ClockPoint { ticks: point.ticks, monotonic: point.monotonic },
            table: *TABLE.get_or_init(table_identity),
            ..FileHeader::default()
        };
        // SAFETY: the first page of the mapping, allocated, aligned, and this thread's alone.
        unsafe {
            self.header().write(header);
            ptr::write_volatile(&raw mut (*self.header()).magic, MAGIC);
        }
    }

    /// Adds to one of the header's counters.
    pub(super) fn count(&self, filtered: u64, untraced: u64) {
        // SAFETY: as in `write_header`.
        unsafe {
            (*self.header()).filtered += filtered;
            (*self.header()).untraced += untraced;
        }
    }

    fn set_state(&self, state: State, errno: i32) {
        // SAFETY: as in `write_header`.
        unsafe {
            (*self.header()).errno = errno.cast_unsigned();
            ptr::write_volatile(&raw mut (*self.header()).state, state as u32);
        }
    }

    /// The next segment's space, for records from a sequence number on. `None`, the header saying
    /// why, where there is none: the limit is reached, or the disk is full.
    pub(super) fn next_segment(&mut self, session: &Session, sequence: u64) -> Option<Space> {
        let next = if self.number == 0 { 0 } else { self.segment + 1 };
        let next = if self.ring && next == self.most { 0 } else { next };
        if next >= self.allocated
            && let Err(stop) = self.grow(session)
        {
            self.set_state(stop.state, stop.errno);
            session.complain(&stop.complaint(&self.path));
            return None;
        }
        self.segment = next;
        self.number += 1;
        #[allow(clippy::cast_ptr_alignment, reason = "segments begin at multiples of 4 KiB")]
        let start = self.base.wrapping_add(HEADER_SIZE + next * SEGMENT_SIZE).cast::<u64>();
        let from = start.wrapping_add(size_of::<SegmentHeader>() / 8);
        let clock = ClockPoint { ticks: clock::now(), monotonic: clock::monotonic() };
        let header =
            SegmentHeader { magic: SEGMENT_MAGIC, number: self.number, sequence, clock, check: 0 };
        // SAFETY: an allocated segment of the mapping. First of all the old first record goes.
        unsafe {
            ptr::write_volatile(from, 0);
            ptr::write_volatile(start.cast::<SegmentHeader>(), header.checked());
        }
        // The last word is left for the zero behind the last record.
        Some(Space { from, to: start.wrapping_add(SEGMENT_SIZE / 8 - 1) })
    }

    /// Makes the file longer, twice as long at first.
    fn grow(&mut self, session: &Session) -> Result<(), Stop> {
        let more = self.allocated.clamp(1, MOST_SEGMENTS).min(self.most - self.allocated);
        if more == 0 {
            return Err(Stop { state: State::Limit, errno: 0 });
        }
        let file = OpenOptions::new().read(true).write(true).open(&self.path);
        let grown = file.and_then(|file| self.grow_in(&file, session, more));
        grown.map_err(|e| match e.kind() {
            io::ErrorKind::QuotaExceeded if e.raw_os_error().is_none() => {
                Stop { state: State::Limit, errno: 0 }
            }
            _ => Stop { state: State::Failed, errno: e.raw_os_error().unwrap_or(libc::EIO) },
        })
    }

    fn grow_in(&mut self, file: &File, session: &Session, more: usize) -> io::Result<()> {
        let header = if self.allocated == 0 { HEADER_SIZE } else { 0 };
        let bytes = header + more * SEGMENT_SIZE;
        let offset = if header > 0 { 0 } else { HEADER_SIZE + self.allocated * SEGMENT_SIZE };
        let made = match session.take(bytes as u64) {
            true => allocate(file, offset, bytes),
            false => Err(io::ErrorKind::QuotaExceeded.into()),
        };
        if made.is_err() {
            session.give_back(bytes as u64);
            return made;
        }
        // SAFETY: a range of the mapping; a kernel that does not know the advice refuses it.
        unsafe { libc::madvise(self.base.add(offset).cast(), bytes, POPULATE) };
        if !self.ring && self.allocated > MOST_SEGMENTS {
            // What was written long ago need not stay in this process's memory.
            let old = HEADER_SIZE + (self.allocated - MOST_SEGMENTS) * SEGMENT_SIZE;
            let length = old.saturating_sub(HEADER_SIZE).min(MOST_SEGMENTS * SEGMENT_SIZE);
            // SAFETY: a range of the mapping, shared with the file: nothing is lost by it.
            unsafe {
                libc::madvise(self.base.add(old - length).cast(), length, libc::MADV_DONTNEED)
            };
        }
        self.allocated += more;
        Ok(())
    }

    /// Whether an address is in the mapping.
    pub(super) fn holds(&self, word: *const u64) -> bool {
        let base = self.base as usize;
        (base..base + self.length).contains(&(word as usize))
    }

    /// The thread has ended after that many records: no more is written. `end` is behind the last one,
    /// or nowhere if the file could not grow, which it goes on to say then.
    pub(super) fn close(&self, end: *const u64, records: u64) {
        let point = clock::point();
        // SAFETY: as in `write_header`.
        let state = unsafe {
            (*self.header()).end = ClockPoint { ticks: point.ticks, monotonic: point.monotonic };
            (*self.header()).records = records;
            (*self.header()).state
        };
        if state == State::Running as u32 {
            self.set_state(State::Ended, 0);
        }
        if !self.holds(end) {
            return;
        }
        let used = end as usize - self.base as usize + 8;
        let whole = used.saturating_sub(HEADER_SIZE).div_ceil(SEGMENT_SIZE);
        if !self.ring && whole < self.allocated {
            let length = HEADER_SIZE + whole * SEGMENT_SIZE;
            let file = OpenOptions::new().write(true).open(&self.path);
            // Where it cannot be cut, it stays as long as it is.
            let _ = file.and_then(|file| file.set_len(length as u64));
        }
    }

    /// Gives the mapping up.
    pub(super) fn unmap(&mut self) {
        // SAFETY: the mapping, which this thread alone uses; the callers have no pointer into it left.
        unsafe { libc::munmap(self.base.cast::<c_void>(), self.length) };
    }
}

/// Why a file does not grow.
#[derive(Clone, Copy, Debug)]
struct Stop {
    state: State,
    errno: i32,
}

impl Stop {
    fn complaint(self, path: &Path) -> String {
        let path = path.display();
        match self.state {
            State::Limit => format!(
                "the trace has reached its limit; calls from here on are not in {path}. A larger \
                 one: limit=SIZE; the last calls only: ring=SIZE"
            ),
            _ => format!(
                "the trace cannot go on: {path}: {}; calls from here on are not in it",
                io::Error::from_raw_os_error(self.errno)
            ),
        }
    }
}

/// Maps a file up to that many segments, or to as many as the process may map.
fn map(file: &File, mut segments: usize) -> io::Result<(*mut u8, usize)> {
    loop {
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                HEADER_SIZE + segments * SEGMENT_SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_NORESERVE,
                file.as_raw_fd(),
                0,
            )
        };
        if base != libc::MAP_FAILED {
            return Ok((base.cast(), segments));
        }
        let error = io::Error::last_os_error();
        // A process whose address space is limited gets a shorter one.
        if error.raw_os_error() != Some(libc::ENOMEM) || segments <= 64 {
            return Err(error);
        }
        segments /= 8;
    }
}

/// Makes room on disk, by writing zeros where the file system has no other way.
fn allocate(file: &File, offset: usize, length: usize) -> io::Result<()> {
    // A process whose files may not be as long gets a signal for trying, which would end it.
    if (offset + length) as u64 > longest_file() {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    loop {
        // SAFETY: an open file.
        let failed = unsafe {
            libc::fallocate(file.as_raw_fd(), 0, offset as libc::off_t, length as libc::off_t)
        };
        if failed == 0 {
            return Ok(());
        }
        match io::Error::last_os_error() {
            e if e.kind() == io::ErrorKind::Interrupted => {}
            e if matches!(
                e.raw_os_error(),
                Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL)
            ) =>
            {
                let zeros = vec![0; length];
                return file.write_all_at(&zeros, offset as u64);
            }
            e => return Err(e),
        }
    }
}

/// The longest file that this process may write, in bytes (`ulimit -f`).
fn longest_file() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: 0 };
    // SAFETY: memory for the answer.
    unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) };
    limit.rlim_cur
}

fn thread_name() -> [u8; 16] {
    let mut name = [0; 16];
    // SAFETY: memory of the 16 bytes that the call writes.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    name
}
