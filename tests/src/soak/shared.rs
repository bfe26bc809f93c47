//! The data shared by the calling and the watching program: a file that both map.

use std::{
    fs::File,
    io,
    ops::Deref,
    os::fd::AsRawFd,
    path::Path,
    ptr::null_mut,
    sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering},
};

/// The number of calling threads.
pub(super) const THREADS: usize = 16;

/// The number of calls that are remembered per slot: more than a thread makes during the longest trace.
pub(super) const REMEMBERED: u64 = 1 << 17;

/// The number of successive threads that are remembered per slot: as many as one trace may see.
const LIVES: usize = 64;

/// The number of forked children that are remembered: far more than one trace may see.
const CHILDREN: usize = 1 << 14;

/// The contents of the file. Each number has one writer, unless its comment says that all threads update it.
#[repr(C)]
pub(super) struct Shared {
    /// Set once by the watching program.
    pub(super) stop: AtomicU32,
    /// Calls that did not arrive unchanged, exactly once and at the right backend; updated by all threads.
    pub(super) wrong: AtomicU64,
    /// The number of handles created; updated by all threads.
    pub(super) handles: AtomicU64,
    /// The number of functions called; updated by all threads.
    pub(super) functions: AtomicU64,
    pub(super) threads: [Thread; THREADS],
    /// The number of children so far; updated by all threads.
    pub(super) forks: AtomicU32,
    children: [Child; CHILDREN],
}

/// A slot for a thread.
#[repr(C)]
pub(super) struct Thread {
    /// The number of all calls.
    pub(super) calls: AtomicU64,
    /// The number of calls of functions that traces record: those that have begun and those that have
    /// returned.
    pub(super) begun: AtomicU64,
    pub(super) ended: AtomicU64,
    lives: AtomicU64,
    life: [Life; LIVES],
    latest: [AtomicU64; REMEMBERED as usize],
}

/// A thread that uses a slot.
#[repr(C)]
struct Life {
    tid: AtomicU32,
    from: AtomicU64,
}

/// A forked process.
#[repr(C)]
pub(super) struct Child {
    /// Its number plus one, once it has ended; before, that of an earlier child in its place.
    ended: AtomicU32,
    pub(super) pid: AtomicI32,
    pub(super) is_traced: AtomicU32,
    /// The number of calls of functions that traces record.
    pub(super) calls: AtomicU64,
    /// A hash of all of these calls.
    pub(super) chain: AtomicU64,
}

impl Shared {
    /// The place of the child with that number.
    pub(super) fn child(&self, number: u32) -> &Child {
        &self.children[number as usize % CHILDREN]
    }
}

impl Child {
    /// Notes that the child with that number has ended.
    pub(super) fn end(&self, number: u32) {
        self.ended.store(number + 1, Ordering::SeqCst);
    }

    /// Whether the child with that number has ended.
    pub(super) fn has_ended(&self, number: u32) -> bool {
        self.ended.load(Ordering::SeqCst) == number + 1
    }
}

/// A digest of a call. The upper bits are the function's index, so that calls of some functions can be
/// selected.
pub(super) fn digest(index: u16, words: &[u64]) -> u64 {
    u64::from(index) << INDEX_SHIFT
        | words.iter().fold(0, |chain, word| next(chain, *word)) >> (64 - INDEX_SHIFT)
}

/// The function of a digest.
pub(super) fn function(digest: u64) -> usize {
    (digest >> INDEX_SHIFT) as usize
}

const INDEX_SHIFT: u32 = 52;

/// Extends the hash of a sequence by a word.
pub(super) fn next(chain: u64, word: u64) -> u64 {
    (chain ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

impl Thread {
    /// Assigns this slot to the calling thread.
    pub(super) fn take(&self) {
        let number = self.lives.load(Ordering::Relaxed);
        let life = &self.life[number as usize % LIVES];
        // SAFETY: it takes no arguments and cannot fail.
        life.tid.store(unsafe { libc::gettid() } as u32, Ordering::Relaxed);
        life.from.store(self.begun.load(Ordering::Relaxed), Ordering::Relaxed);
        self.lives.store(number + 1, Ordering::Release);
    }

    /// Logs the begin of a call that traces record.
    pub(super) fn begin(&self, digest: u64) {
        let number = self.begun.load(Ordering::Relaxed);
        self.latest[(number % REMEMBERED) as usize].store(digest, Ordering::Relaxed);
        self.begun.store(number + 1, Ordering::SeqCst);
    }

    /// Logs its return.
    pub(super) fn end(&self) {
        self.ended.store(self.begun.load(Ordering::Relaxed), Ordering::SeqCst);
    }

    /// How many threads have used this slot.
    pub(super) fn count(&self) -> u64 {
        self.lives.load(Ordering::Acquire)
    }

    /// The calls from that number to the latest, if they are still remembered.
    pub(super) fn since(&self, from: u64) -> Option<Vec<u64>> {
        let end = self.begun.load(Ordering::SeqCst);
        let calls = (from..end)
            .map(|n| self.latest[(n % REMEMBERED) as usize].load(Ordering::Relaxed))
            .collect();
        (self.begun.load(Ordering::SeqCst) <= from + REMEMBERED).then_some(calls)
    }

    /// The latest threads that used this slot, the oldest first, with the number of the first call of each.
    pub(super) fn lives(&self) -> Vec<(u32, u64)> {
        let end = self.lives.load(Ordering::Acquire);
        let numbers = end.saturating_sub(LIVES as u64)..end;
        let lives = numbers.map(|number| &self.life[number as usize % LIVES]);
        lives
            .map(|life| (life.tid.load(Ordering::Relaxed), life.from.load(Ordering::Relaxed)))
            .collect()
    }
}

/// A mapping of the file, for the life of the process.
#[derive(Clone, Copy)]
pub(super) struct Mapping(&'static Shared);

impl Mapping {
    /// Creates the file and maps it.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        File::create_new(path)?.set_len(size_of::<Shared>() as u64)?;
        Self::open(path)
    }

    /// Maps an existing file.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: this creates a new mapping at an address that the system chooses.
        let memory = unsafe {
            libc::mmap(null_mut(), size_of::<Shared>(), access, kind, file.as_raw_fd(), 0)
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the mapping is large enough, page-aligned, never unmapped or truncated, and initially zero;
        // atomics are valid with any bits.
        Ok(Self(unsafe { &*memory.cast::<Shared>() }))
    }
}

impl Deref for Mapping {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        self.0
    }
}
