//! Which backend made a handle, for the routed entries in `arch/x86_64/route.rs`: a table of handles and of
//! the functions of their backends, read without a lock.
//!
//! Handles are the backends' own pointers and are never looked into. `facts.rs` has all of them behind its
//! lock; this is a copy to be found by hash. A hash names a line of four places. Where a line is full the
//! table is made anew with twice as many lines, up to [`MOST_LINES`]: beyond that a handle is found in the
//! facts. A table that was replaced is never freed: a thread may be about to look at it.
//!
//! A place gets its functions before its handle, and loses the handle before the backend destroys it. So
//! whoever sees a handle that is alive sees its own functions. A place without a handle has functions too:
//! a null handle, which is found there, gets somebody's answer that it is none.

use crate::{
    backends::{self, Slot},
    facts,
    table::Table,
};
use core::{
    ptr::null_mut,
    sync::atomic::{AtomicPtr, AtomicUsize, Ordering},
};

/// What a handle is multiplied by, as the instruction sign-extends it: 2^32 divided by the golden ratio.
pub(crate) const MULTIPLIER: i32 = 0x9e37_79b1_u32.cast_signed();

/// How far the product is shifted: the bits from 32 on choose a line, which has [`LINE`] bytes.
pub(crate) const SHIFT: u32 = 32 - LINE.trailing_zeros();

/// Bytes of a line: of the processor's cache.
pub(crate) const LINE: usize = 64;

/// Bytes of a place: a handle, and the table of its backend.
pub(crate) const PLACE: usize = 16;

/// Where in a place the table is.
pub(crate) const TABLE: usize = 8;

/// Room for a few hundred handles, in 16 kB.
const LEAST_LINES: usize = 256;

/// A quarter of a megabyte. Handles that are five to a line even then were chosen to be.
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

/// Null while there is one backend. Before the lines comes one whose first word is the mask of what the
/// shifted product may be.
pub(crate) static OWNERS: AtomicPtr<Line> = AtomicPtr::new(null_mut());

/// Whether handles are looked up here.
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

    /// The one in use.
    fn current() -> Option<Self> {
        let first = OWNERS.load(Ordering::Acquire);
        if first.is_null() {
            return None;
        }
        // SAFETY: made by `new` and published by `publish`, never freed.
        let mask = unsafe { &*first }.0[0].handle.load(Ordering::Relaxed);
        // SAFETY: as many lines as the mask tells, and the one before them.
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

    /// Whether there was room.
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

/// Begins to keep owners: of the handles that are known, and of those that will be.
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

/// A handle has this owner, with the lock of the facts. Returns whether there was room; if not, and after
/// the lock, [`grow`] makes some.
pub(crate) fn insert(handle: usize, owner: Slot) -> bool {
    Lines::current().is_none_or(|lines| insert_into(lines, handle, owner))
}

/// A handle is about to be destroyed, with the lock of the facts.
pub(crate) fn remove(handle: usize) {
    if let Some(lines) = Lines::current() {
        let places = lines.of(handle).iter();
        for place in places.filter(|place| place.handle.load(Ordering::Relaxed) == handle) {
            place.handle.store(0, Ordering::Release);
        }
    }
}

/// Makes room for more handles, without the lock of the facts.
pub(crate) fn grow() {
    let Some(Lines(lines)) = Lines::current() else { return };
    let count = lines.len() - 1;
    if count < MOST_LINES {
        make(count * 2);
    }
}

/// The functions of a handle's backend, if it is found here. Waits for nothing.
pub(crate) fn table_of(handle: usize) -> Option<*const Table> {
    let places = Lines::current()?.of(handle).iter();
    let mut places = places.filter(|place| place.handle.load(Ordering::Acquire) == handle);
    places.next().map(|place| place.table.load(Ordering::Relaxed).cast_const())
}
