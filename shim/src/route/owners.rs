//! The map from a handle to the backend that made it, for the routed entries in `arch/x86_64/route.rs`: a hash
//! table of handles and their backends' function tables, read without a lock.
//!
//! Handles are pointers of the backends and are never dereferenced. `facts.rs` has all of them behind its
//! lock; this is a copy for lookup by hash. A hash selects a line of four places. If a line is full, the
//! table is rebuilt with twice as many lines, up to [`MOST_LINES`]; a handle that does not fit then is found
//! in the facts. A replaced table is never freed, because a thread may be about to read it.
//!
//! A place gets its function table before its handle, and loses the handle before the backend destroys it. So
//! a thread that sees a live handle sees its function table. An empty place has a function table too: a null
//! handle matches it, and a backend returns the status for an invalid handle.

use crate::{
    backends::{self, Slot},
    facts,
    table::Table,
};
use core::{
    ptr::null_mut,
    sync::atomic::{AtomicPtr, AtomicUsize, Ordering},
};

/// The multiplier of the hash, which the instruction sign-extends: 2^32 divided by the golden ratio.
pub(crate) const MULTIPLIER: i32 = 0x9e37_79b1_u32.cast_signed();

/// The shift of the product: the bits from 32 on select a line, which has [`LINE`] bytes.
pub(crate) const SHIFT: u32 = 32 - LINE.trailing_zeros();

/// Bytes of a line, which is one cache line.
pub(crate) const LINE: usize = 64;

/// Bytes of a place: a handle and the function table of its backend.
pub(crate) const PLACE: usize = 16;

/// The offset of the function table in a place.
pub(crate) const TABLE: usize = 8;

/// Room for a few hundred handles, in 16 kB.
const LEAST_LINES: usize = 256;

/// A quarter of a megabyte. Five handles in one line of so many do not occur by chance.
const MOST_LINES: usize = 4096;

/// Four places.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Line([Place; LINE / PLACE]);

#[derive(Debug, Default)]
#[repr(C)]
struct Place {
    handle: AtomicUsize,
    table: AtomicPtr<Table>,
}

const _: () = assert!(size_of::<Line>() == LINE && size_of::<Place>() == PLACE);

/// The lines; null while there is one backend. The line before them holds, in its first word, the mask for
/// the shifted product.
pub(crate) static OWNERS: AtomicPtr<Line> = AtomicPtr::new(null_mut());

/// Whether the table is in use.
pub(crate) fn are_kept() -> bool {
    !OWNERS.load(Ordering::Acquire).is_null()
}

/// A table under construction, or in use.
#[derive(Clone, Copy)]
struct Lines(&'static [Line]);

impl Lines {
    fn new(count: usize, table: *const Table) -> Self {
        let mut lines: Vec<Line> = Vec::new();
        lines.resize_with(count + 1, Line::default);
        *lines[0].0[0].handle.get_mut() = (count - 1) * LINE;
        for place in lines[1..].iter_mut().flat_map(|line| &mut line.0) {
            *place.table.get_mut() = table.cast_mut();
        }
        Self(lines.leak())
    }

    /// The table in use.
    fn current() -> Option<Self> {
        let first = OWNERS.load(Ordering::Acquire);
        if first.is_null() {
            return None;
        }
        // SAFETY: made by `new` and published by `publish`, never freed.
        let mask = unsafe { &*first }.0[0].handle.load(Ordering::Relaxed);
        // SAFETY: as many lines as the mask implies, and the one before them.
        Some(Self(unsafe { core::slice::from_raw_parts(first, mask / LINE + 2) }))
    }

    fn publish(self) {
        OWNERS.store(self.0.as_ptr().cast_mut(), Ordering::Release);
    }

    /// The line of a handle.
    fn of(self, handle: usize) -> &'static [Place] {
        let mask = self.0[0].0[0].handle.load(Ordering::Relaxed);
        let product = (handle as u64).wrapping_mul(i64::from(MULTIPLIER).cast_unsigned());
        &self.0[1 + ((product >> SHIFT) as usize & mask) / LINE].0
    }

    /// Returns whether there was room.
    fn insert(self, handle: usize, table: *const Table) -> bool {
        let line = self.of(handle);
        let holds = |wanted| line.iter().find(|p| p.handle.load(Ordering::Relaxed) == wanted);
        let Some(place) = holds(handle).or_else(|| holds(0)) else { return false };
        place.handle.store(0, Ordering::Relaxed);
        place.table.store(table.cast_mut(), Ordering::Release);
        place.handle.store(handle, Ordering::Release);
        true
    }
}

/// Starts using the table, with the known handles and all later ones.
pub(crate) fn keep() {
    if !are_kept() {
        make(LEAST_LINES);
    }
}

fn make(mut count: usize) {
    let Some(first) = backends::first() else { return };
    loop {
        let lines = Lines::new(count, &raw const *first.table);
        let mut all_fit = true;
        facts::with_owners(
            |handle, owner| all_fit &= insert_into(lines, handle, owner),
            || {
                lines.publish();
            },
        );
        if all_fit || count >= MOST_LINES {
            return;
        }
        count *= 2;
    }
}

fn insert_into(lines: Lines, handle: usize, owner: Slot) -> bool {
    backends::get(owner).is_none_or(|backend| lines.insert(handle, &raw const *backend.table))
}

/// Inserts a handle with this owner while the lock of the facts is held. Returns whether there was room; if not,
/// the caller releases the lock and calls [`grow`].
pub(crate) fn insert(handle: usize, owner: Slot) -> bool {
    Lines::current().is_none_or(|lines| insert_into(lines, handle, owner))
}

/// Removes a handle that is about to be destroyed, while the lock of the facts is held.
pub(crate) fn remove(handle: usize) {
    if let Some(lines) = Lines::current() {
        let places = lines.of(handle).iter();
        for place in places.filter(|place| place.handle.load(Ordering::Relaxed) == handle) {
            place.handle.store(0, Ordering::Release);
        }
    }
}

/// Makes room for more handles. The lock of the facts must not be held.
pub(crate) fn grow() {
    let Some(Lines(lines)) = Lines::current() else { return };
    let count = lines.len() - 1;
    if count < MOST_LINES {
        make(count * 2);
    }
}

/// The function table of a handle's backend, if the handle is in the table. Does not block.
pub(crate) fn table_of(handle: usize) -> Option<*const Table> {
    let places = Lines::current()?.of(handle).iter();
    let mut places = places.filter(|place| place.handle.load(Ordering::Acquire) == handle);
    places.next().map(|place| place.table.load(Ordering::Relaxed).cast_const())
}
