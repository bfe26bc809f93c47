//! Slots for copied operands: pinned memory that is allocated once and reused by later calls.
//!
//! A slot belongs to a call from the time that it is taken until the checker is done with it. There are only a few of
//! each size, so that memory does not grow while the GPU lags behind. A call that finds no free slot waits a short time
//! for the checker, and is then skipped.

use super::{
    checker,
    job::{Job, Watched},
};
use core::{
    ops::{Deref, DerefMut},
    ptr::null_mut,
    sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};
use rocblas_sync::timed_lock::pause;
use rocblas_trace::layout::Skipped;
use std::time::Instant;

/// The maximum number of slots.
const MOST: usize = 256;
/// The maximum number of slots of one size.
const MOST_OF_A_SIZE: usize = 16;
/// The smallest slot, in bytes.
const SMALLEST: usize = 64 << 10;

/// How long a call waits for a slot. Only a GPU that lags far behind makes it wait so long. The wait is limited because
/// the GPU may be waiting for this thread.
const PATIENCE: Duration = Duration::from_secs(1);

/// The states of a slot, in the order of its life.
const EMPTY: u32 = 0;
const FREE: u32 = 1;
const TAKEN: u32 = 2;
const WAITING: u32 = 3;
const LOOKED_AT: u32 = 4;
const LOST: u32 = 5;

/// The location of a slot's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// The backend computes on the host.
    Host,
    /// Pinned, with a word on this device.
    Device(i32),
}

/// A slot for a call.
struct Slot {
    state: AtomicU32,
    /// The device of its memory, or [`HOST`].
    home: AtomicI32,
    /// The size of its memory in bytes; 0 while it is empty.
    size: AtomicUsize,
    /// Null while it is empty.
    job: AtomicPtr<Job>,
    /// The position of its call in the order of submission. It is not part of the job, because threads other than the
    /// owner read it.
    ticket: AtomicU64,
}

/// No device.
const HOST: i32 = -1;

static SLOTS: [Slot; MOST] = [const {
    Slot {
        state: AtomicU32::new(EMPTY),
        home: AtomicI32::new(HOST),
        size: AtomicUsize::new(0),
        job: AtomicPtr::new(null_mut()),
        ticket: AtomicU64::new(0),
    }
}; MOST];

/// How many slots have been used, counted from the first one.
static USED: AtomicUsize = AtomicUsize::new(0);
/// The size of all slots in bytes.
static BYTES: AtomicUsize = AtomicUsize::new(0);
/// Whether a thread is allocating.
static GROWING: AtomicBool = AtomicBool::new(false);
/// Whether a wait has timed out since the checker was last done with a slot.
static STALLED: AtomicBool = AtomicBool::new(false);
/// The order in which calls were submitted.
static TICKETS: AtomicU64 = AtomicU64::new(0);

/// A slot that one thread owns.
pub(super) struct Taken {
    slot: &'static Slot,
    job: *mut Job,
}

impl core::fmt::Debug for Taken {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Taken").field(&self.job).finish()
    }
}

// SAFETY: its owner has exclusive access to the job.
unsafe impl Send for Taken {}

impl Deref for Taken {
    type Target = Job;

    fn deref(&self) -> &Job {
        // SAFETY: a job that is never freed, and that this thread owns.
        unsafe { &*self.job }
    }
}

impl DerefMut for Taken {
    fn deref_mut(&mut self) -> &mut Job {
        // SAFETY: as above.
        unsafe { &mut *self.job }
    }
}

impl Taken {
    fn pass_on(self, state: u32) {
        let Self { slot, job } = self;
        core::mem::forget(self);
        // In a child that was forked meanwhile, the slot has been cleared.
        slot.job.store(job, Ordering::Relaxed);
        slot.state.store(state, Ordering::SeqCst);
    }

    /// Passes it to the checker.
    pub(super) fn submit(self) {
        self.slot.ticket.store(TICKETS.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        let session = self.watched.as_ref().map(|watched| watched.session);
        self.pass_on(WAITING);
        if let Some(session) = session {
            checker::start(session);
        }
    }

    /// Never uses it again, because the GPU may still write to it.
    pub(super) fn lose(self) {
        self.pass_on(LOST);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.slot.job.store(self.job, Ordering::Relaxed);
        self.slot.state.store(FREE, Ordering::SeqCst);
    }
}

fn used() -> &'static [Slot] {
    &SLOTS[..USED.load(Ordering::Acquire).min(MOST)]
}

impl Slot {
    fn take(&'static self, from: u32) -> Option<Taken> {
        let to = if from == WAITING { LOOKED_AT } else { TAKEN };
        let taken = self.state.compare_exchange(from, to, Ordering::SeqCst, Ordering::Relaxed);
        taken.ok().map(|_| Taken { slot: self, job: self.job.load(Ordering::Relaxed) })
    }

    /// The home and the size of a slot that has memory.
    fn memory(&self) -> Option<(Home, usize)> {
        let size = Some(self.size.load(Ordering::Acquire)).filter(|size| *size > 0)?;
        let home = match self.home.load(Ordering::Relaxed) {
            HOST => Home::Host,
            device => Home::Device(device),
        };
        Some((home, size))
    }
}

/// Takes a slot of that many bytes; allocates one if necessary and allowed. `most` is the maximum size of all slots
/// together; `allocate` allocates the memory and may fail.
pub(super) fn take(
    bytes: usize,
    home: Home,
    most: usize,
    allocate: &dyn Fn(usize) -> Option<Job>,
    release: &dyn Fn(&mut Job),
) -> Result<Taken, Skipped> {
    let size = bytes.max(SMALLEST).next_power_of_two();
    let mut start = None;
    loop {
        if let Some(taken) = smallest(size, home) {
            return Ok(taken);
        }
        if let Some(grown) = grow(size, home, most, allocate, release) {
            return grown.ok_or(Skipped::Unable);
        }
        let start = *start.get_or_insert_with(Instant::now);
        if STALLED.load(Ordering::Relaxed) {
            return Err(Skipped::Busy);
        }
        if start.elapsed() >= PATIENCE {
            STALLED.store(true, Ordering::Relaxed);
        }
        checker::hurry();
        pause(Duration::from_micros(20));
    }
}

/// The smallest free slot that is large enough.
fn smallest(size: usize, home: Home) -> Option<Taken> {
    loop {
        let free = used().iter().filter(|slot| slot.state.load(Ordering::Relaxed) == FREE);
        let fitting = free.filter_map(|slot| Some((slot.memory()?, slot)));
        let fitting = fitting.filter(|((its_home, its), _)| *its_home == home && *its >= size);
        let (_, slot) = fitting.min_by_key(|((_, size), _)| *size)?;
        if let Some(taken) = slot.take(FREE) {
            return Some(taken);
        }
    }
}

/// Adds a slot. `None` if the limit is reached or another thread is allocating; `Some(None)` if there is no memory.
fn grow(
    size: usize,
    home: Home,
    most: usize,
    allocate: &dyn Fn(usize) -> Option<Job>,
    release: &dyn Fn(&mut Job),
) -> Option<Option<Taken>> {
    if GROWING.swap(true, Ordering::Acquire) {
        return None;
    }
    let grown = grow_alone(size, home, most, allocate, release);
    GROWING.store(false, Ordering::Release);
    grown
}

fn grow_alone(
    size: usize,
    home: Home,
    most: usize,
    allocate: &dyn Fn(usize) -> Option<Job>,
    release: &dyn Fn(&mut Job),
) -> Option<Option<Taken>> {
    let alike = used().iter().filter(|slot| slot.memory() == Some((home, size))).count();
    if alike >= MOST_OF_A_SIZE {
        return None;
    }
    // If there is not enough memory, unused slots of other sizes are freed.
    while BYTES.load(Ordering::Relaxed) + size > most {
        let mut free = used().iter().filter(|slot| slot.memory().is_some_and(|(of, _)| of == home));
        let mut taken = free.find_map(|slot| slot.take(FREE))?;
        BYTES.fetch_sub(taken.slot.size.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        release(&mut taken);
        taken.pass_on(EMPTY);
    }
    let is_empty = |slot: &&Slot| slot.state.load(Ordering::Relaxed) == EMPTY;
    let slot = match used().iter().find(is_empty) {
        Some(slot) => slot,
        None => {
            let next = SLOTS.get(USED.load(Ordering::Relaxed))?;
            USED.fetch_add(1, Ordering::Release);
            next
        }
    };
    let Some(job) = allocate(size) else { return Some(None) };
    BYTES.fetch_add(size, Ordering::Relaxed);
    // The job of a released slot is small, so it is not freed.
    let job = Box::into_raw(Box::new(job));
    slot.job.store(job, Ordering::Relaxed);
    slot.state.store(TAKEN, Ordering::Relaxed);
    slot.home.store(
        match home {
            Home::Host => HOST,
            Home::Device(device) => device,
        },
        Ordering::Relaxed,
    );
    slot.size.store(size, Ordering::Release);
    Some(Some(Taken { slot, job }))
}

/// The calls that are ready for the checker, in order.
pub(super) fn ready(into: &mut Vec<(u64, usize)>) {
    into.clear();
    for (number, slot) in used().iter().enumerate() {
        if slot.state.load(Ordering::SeqCst) == WAITING {
            // SAFETY: a job is not changed while it waits.
            let job = unsafe { &*slot.job.load(Ordering::Relaxed) };
            if job.is_done() {
                into.push((slot.ticket.load(Ordering::Relaxed), number));
            }
        }
    }
    into.sort_unstable();
}

/// Takes one of the ready calls.
pub(super) fn take_ready(number: usize) -> Option<Taken> {
    STALLED.store(false, Ordering::Relaxed);
    used().get(number)?.take(WAITING)
}

/// Abandons all waiting calls, and calls `visit` for each.
pub(super) fn abandon_waiting(mut visit: impl FnMut(&Watched)) {
    for slot in used() {
        if let Some(mut taken) = slot.take(WAITING) {
            if let Some(watched) = taken.watched.as_ref().filter(|_| !taken.is_abandoned) {
                visit(watched);
            }
            taken.is_abandoned = true;
            taken.pass_on(WAITING);
        }
    }
}

/// The current position in the order of submission.
pub(super) fn now() -> u64 {
    TICKETS.load(Ordering::Relaxed)
}

/// Whether all calls that were submitted before that position are done.
pub(super) fn is_idle(before: u64) -> bool {
    used().iter().all(|slot| match slot.state.load(Ordering::SeqCst) {
        // If a later call has taken the slot since, this is its ticket, and the earlier call is done.
        WAITING => slot.ticket.load(Ordering::Relaxed) >= before,
        LOOKED_AT => false,
        _ => true,
    })
}

/// In a forked child: no other thread owns a slot, and pinned memory is not available.
pub(super) fn after_fork() {
    for slot in used() {
        let is_of_host = slot.memory().is_some_and(|(home, _)| home == Home::Host);
        if !is_of_host || slot.state.load(Ordering::Relaxed) != FREE {
            slot.size.store(0, Ordering::Relaxed);
            slot.job.store(null_mut(), Ordering::Relaxed);
            slot.state.store(EMPTY, Ordering::Relaxed);
        }
    }
    let bytes = used().iter().filter_map(Slot::memory).map(|(_, size)| size).sum();
    BYTES.store(bytes, Ordering::Relaxed);
    GROWING.store(false, Ordering::Relaxed);
    STALLED.store(false, Ordering::Relaxed);
}
