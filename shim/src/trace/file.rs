//! A thread's file: mapped up to its maximum size, and extended step by step.
//!
//! Every page is allocated (`fallocate`) before it is written, because a store to a page for which a full
//! disk has no room raises SIGBUS. No descriptor is kept open, because a program may close all descriptors
//! that it did not open: the file is reopened by name, and used only if it is still the mapped one.

use super::{
    clock,
    descriptor::{Descriptor, FileId, longest_file},
    directory::{Directory, Error, reopen},
    session::Session,
    stop_this,
};
use core::{
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicU64, Ordering},
};
use rocblas_contract::sentences;
use rocblas_trace::layout::{
    ClockPoint, FileHeader, HEADER_SIZE, MAGIC, SEGMENT_MAGIC, SEGMENT_SIZE, SegmentHeader, State,
    VERSION, table_identity,
};
use std::{
    io,
    path::{Path, PathBuf},
};

/// The maximum number of segments by which a file grows at once: a megabyte.
const MAX_GROWTH: usize = (1 << 20) / SEGMENT_SIZE;

/// `MADV_POPULATE_WRITE`, since Linux 5.14. On older kernels each page faults when it is first written.
const MADV_POPULATE_WRITE: i32 = 23;

/// A file that this thread writes.
#[derive(Debug)]
pub(super) struct TraceFile {
    path: PathBuf,
    /// The file that is mapped.
    file: FileId,
    session: &'static Session,
    /// The number of the thread in its trace.
    ordinal: u32,
    /// The mapping.
    base: *mut u8,
    length: usize,
    /// The number of allocated segments.
    allocated: usize,
    /// The maximum number of segments.
    max_segments: usize,
    /// The segment that is being written.
    segment: usize,
    /// The number of segments started so far.
    number: u64,
    ring: bool,
}

/// Space for records: a range of words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    pub(super) from: *mut u64,
    pub(super) to: *mut u64,
}

impl TraceFile {
    /// Creates a file in a session's directory, with room for a first segment.
    pub(super) fn create(
        session: &'static Session,
        directory: &Directory,
        ordinal: u32,
    ) -> Result<Self, Error> {
        let name = rocblas_trace::process::thread_file(ordinal);
        let file = directory.create_file(&name)?;
        let ring = session.options.ring;
        let max_segments = ring.unwrap_or(session.options.limit) as usize / SEGMENT_SIZE;
        let (base, max_segments) = map(&file, max_segments)?;
        let mut made = Self {
            path: directory.path().join(&name),
            file: file.file(),
            session,
            ordinal,
            base,
            length: HEADER_SIZE + max_segments * SEGMENT_SIZE,
            allocated: 0,
            max_segments,
            segment: 0,
            number: 0,
            ring: ring.is_some(),
        };
        if let Err(e) = made.grow_in(&file, 1) {
            // The file is empty, so it may be removed.
            let _ = directory.remove(&name);
            made.unmap();
            return Err(e.into());
        }
        made.write_header(ordinal);
        Ok(made)
    }

    #[allow(clippy::cast_ptr_alignment, reason = "a mapping begins at a page")]
    fn header(&self) -> *mut FileHeader {
        self.base.cast()
    }

    fn write_header(&self, ordinal: u32) {
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
            table: identity_of_table(),
            ..FileHeader::default()
        };
        // SAFETY: the first page of the mapping, allocated, aligned, and this thread's alone.
        unsafe {
            self.header().write(header);
            ptr::write_volatile(&raw mut (*self.header()).magic, MAGIC);
        }
    }

    /// The number of the thread in its trace.
    pub(super) fn ordinal(&self) -> u32 {
        self.ordinal
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

    /// The next segment's space, for records from a sequence number on. `None` if there is none because
    /// the limit is reached or the disk is full; then the header gives the reason.
    pub(super) fn next_segment(&mut self, sequence: u64) -> Option<Space> {
        let next = if self.number == 0 { 0 } else { self.segment + 1 };
        let next = if self.ring && next == self.max_segments { 0 } else { next };
        if next >= self.allocated
            && let Err(stop) = self.grow()
        {
            self.stop(&stop);
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
        // SAFETY: an allocated segment of the mapping. The old first record is invalidated first.
        unsafe {
            ptr::write_volatile(from, 0);
            ptr::write_volatile(start.cast::<SegmentHeader>(), header.checked());
        }
        // The last word is reserved for the zero after the last record.
        Some(Space { from, to: start.wrapping_add(SEGMENT_SIZE / 8 - 1) })
    }

    /// Extends the file; at first each time to twice its length.
    fn grow(&mut self) -> Result<(), Stop> {
        let more = self.allocated.clamp(1, MAX_GROWTH).min(self.max_segments - self.allocated);
        if more == 0 {
            return Err(Stop::Limit);
        }
        let file = reopen(&self.path, self.file)?;
        Ok(self.grow_in(&file, more)?)
    }

    /// Records that no more is written, and why. If the file was replaced, the whole trace is stopped.
    fn stop(&self, stop: &Stop) {
        self.set_state(stop.state(), stop.errno());
        self.session.report_once(&stop.complaint(&self.path));
        if let Stop::Failed(why @ Error::Replaced { .. }) = stop {
            stop_this(self.session, &why.to_string());
        }
    }

    fn grow_in(&mut self, file: &Descriptor, more: usize) -> io::Result<()> {
        let header = if self.allocated == 0 { HEADER_SIZE } else { 0 };
        let bytes = header + more * SEGMENT_SIZE;
        let offset = if header > 0 { 0 } else { HEADER_SIZE + self.allocated * SEGMENT_SIZE };
        let made = match self.session.reserve(bytes as u64) {
            true => allocate(file, offset, bytes),
            false => Err(io::ErrorKind::QuotaExceeded.into()),
        };
        if made.is_err() {
            self.session.unreserve(bytes as u64);
            return made;
        }
        // SAFETY: a range of the mapping; a kernel that does not know the advice refuses it.
        unsafe { libc::madvise(self.base.add(offset).cast(), bytes, MADV_POPULATE_WRITE) };
        if !self.ring && self.allocated > MAX_GROWTH {
            // Pages that were written long ago need not stay in this process's memory.
            let old = HEADER_SIZE + (self.allocated - MAX_GROWTH) * SEGMENT_SIZE;
            let length = old.saturating_sub(HEADER_SIZE).min(MAX_GROWTH * SEGMENT_SIZE);
            // SAFETY: a range of the mapping, which is shared with the file, so no data is lost.
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

    /// Finishes the file of a thread that has ended after that many records. `end` points after the last
    /// record, or outside the file if the file could not grow; then its state is kept.
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
            match reopen(&self.path, self.file) {
                // If the file cannot be truncated, it keeps its length.
                Ok(file) => {
                    let _ = truncate(&file, length);
                }
                Err(why @ Error::Replaced { .. }) => self.stop(&Stop::Failed(why)),
                Err(Error::System(_)) => {}
            }
        }
    }

    /// Unmaps the file.
    pub(super) fn unmap(&mut self) {
        // SAFETY: the mapping, which this thread alone uses; the callers have no pointer into it left.
        unsafe { libc::munmap(self.base.cast::<c_void>(), self.length) };
    }
}

/// Why a file does not grow.
#[derive(Debug)]
enum Stop {
    Limit,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error {
            Error::System(e) => e.into(),
            replaced @ Error::Replaced { .. } => Self::Failed(replaced),
        }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        // The shim's own error has no error number; the system's has one.
        match error.kind() {
            io::ErrorKind::QuotaExceeded if error.raw_os_error().is_none() => Self::Limit,
            _ => Self::Failed(error.into()),
        }
    }
}

impl Stop {
    fn state(&self) -> State {
        match self {
            Self::Limit => State::Limit,
            Self::Failed(_) => State::Failed,
        }
    }

    fn errno(&self) -> i32 {
        match self {
            Self::Limit => 0,
            Self::Failed(Error::Replaced { .. }) => libc::ESTALE,
            Self::Failed(Error::System(e)) => e.raw_os_error().unwrap_or(libc::EIO),
        }
    }

    fn complaint(&self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Limit => sentences::trace_limit(path),
            Self::Failed(why @ Error::Replaced { .. }) => sentences::trace_replaced(why),
            Self::Failed(Error::System(e)) => sentences::trace_stopped(path, e),
        }
    }
}

/// Maps a file with that many segments, or with as many as the process may map.
fn map(file: &Descriptor, mut segments: usize) -> io::Result<(*mut u8, usize)> {
    loop {
        let number = file.number()?;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                HEADER_SIZE + segments * SEGMENT_SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_NORESERVE,
                number,
                0,
            )
        };
        if base != libc::MAP_FAILED {
            return Ok((base.cast(), segments));
        }
        let error = io::Error::last_os_error();
        // In a process with a limited address space the mapping is shorter.
        if error.raw_os_error() != Some(libc::ENOMEM) || segments <= 64 {
            return Err(error);
        }
        segments /= 8;
    }
}

/// Allocates disk space, by writing zeros if the file system does not support `fallocate`.
fn allocate(file: &Descriptor, offset: usize, length: usize) -> io::Result<()> {
    // Exceeding the limit on file sizes would raise a signal, which ends the process by default.
    if (offset + length) as u64 > longest_file() {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    loop {
        let number = file.number()?;
        // SAFETY: an open file.
        let failed =
            unsafe { libc::fallocate(number, 0, offset as libc::off_t, length as libc::off_t) };
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
                return file.write_all_at(&vec![0; length], offset);
            }
            e => return Err(e),
        }
    }
}

fn truncate(file: &Descriptor, length: usize) -> io::Result<()> {
    let number = file.number()?;
    // SAFETY: an open file.
    let failed = unsafe { libc::ftruncate(number, length as libc::off_t) };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The identity of the table of functions, for readers; computed once. Not a `OnceLock`, in which a child that
/// is forked meanwhile would wait for a thread that does not exist.
fn identity_of_table() -> u64 {
    static KNOWN: AtomicU64 = AtomicU64::new(0);
    match KNOWN.load(Ordering::Relaxed) {
        0 => {
            let identity = table_identity();
            KNOWN.store(identity, Ordering::Relaxed);
            identity
        }
        known => known,
    }
}

fn thread_name() -> [u8; 16] {
    let mut name = [0; 16];
    // SAFETY: memory of the 16 bytes that the call writes.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    name
}
