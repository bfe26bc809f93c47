//! A call whose operands are checked or saved: its description, and the places of the copies.

use crate::{backend::Backend, trace::session::Session};
use core::{
    ffi::c_void,
    ptr::null_mut,
    sync::atomic::{AtomicU64, Ordering},
};
use rocblas_abi::operands::{Batch, Layout, Operand, Operands, Part};
use rocblas_trace::{
    capture::Time,
    layout::{MOST_SCALARS, MOST_WORDS, Skipped},
    numbers::Elements,
};

/// The maximum number of operands of a call.
pub(super) const OPERANDS: usize = 6;

/// The offset of data in a slot's memory: after the flag and the word that it is copied from.
const DATA: usize = 64;
/// The alignment of data.
const ALIGNMENT: usize = 64;

/// A slot's memory: a flag that the GPU sets after its copies, the flag's value, and from [`DATA`] on the copies.
#[derive(Debug)]
pub(super) struct Memory {
    base: *mut u8,
    size: usize,
    /// The source of the flag, on the device, where HIP cannot write it: so setting the flag is a copy like the others.
    /// A copy from host memory would make HIP wait for the stream. `None` until it has its value.
    pub(super) word: Option<*mut c_void>,
}

/// The flag's value once everything before it is done.
pub(super) const DONE: u64 = 0x_d09e;

impl Memory {
    /// # Safety
    /// `base` points to that many bytes at a multiple of 64, freed only after [`Self::take`].
    pub(super) unsafe fn new(base: *mut u8, size: usize) -> Self {
        let memory = Self { base, size, word: None };
        // SAFETY: by contract.
        unsafe { memory.constant().write(DONE) };
        memory
    }

    /// Transfers the memory to the caller.
    pub(super) fn take(&mut self) -> (*mut u8, usize) {
        (core::mem::replace(&mut self.base, null_mut()), core::mem::take(&mut self.size))
    }

    /// The flag that the GPU sets.
    #[allow(clippy::cast_ptr_alignment, reason = "the memory begins at a multiple of 64")]
    pub(super) fn flag(&self) -> *mut u64 {
        self.base.cast()
    }

    /// The flag's final value, on the host.
    pub(super) fn constant(&self) -> *mut u64 {
        self.flag().wrapping_add(1)
    }

    /// The address of an offset in the data.
    pub(super) fn data(&self, offset: usize) -> *mut u8 {
        self.base.wrapping_add(DATA + offset)
    }

    pub(super) fn set_flag(&self, is_done: bool) {
        // SAFETY: the flag, in memory that exists.
        unsafe {
            AtomicU64::from_ptr(self.flag())
                .store(if is_done { DONE } else { 0 }, Ordering::Release);
        };
    }

    fn is_flag_set(&self) -> bool {
        // SAFETY: as above. The GPU writes it, or did.
        unsafe { AtomicU64::from_ptr(self.flag()).load(Ordering::Acquire) == DONE }
    }

    fn bytes(&self, offset: usize, length: usize) -> &[u8] {
        // SAFETY: within the memory, as `Pieces::add` ensures, and no longer written to.
        unsafe { core::slice::from_raw_parts(self.data(offset), length) }
    }
}

/// The size of a slot for that many bytes of data.
pub(super) fn slot_size(data: usize) -> usize {
    data.saturating_add(DATA)
}

/// How an operand is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// As it is in memory, with gaps, from this address on.
    Whole(u64),
    /// The columns of a matrix without the gaps between them: `height` columns from this address on, with this pitch
    /// in bytes.
    Columns { from: u64, pitch: usize, width: usize, height: usize },
    /// Each problem from its own address on. The array of the addresses is at `from`; the array of their destinations
    /// is at offset `places`.
    Pointers { from: u64, places: usize },
    /// A scalar in host memory, which has its value once the function has returned.
    Host(u64),
}

/// A copy of an operand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// The number of the operand; scalars are numbered from [`OPERANDS`] on.
    pub(super) operand: usize,
    pub(super) time: Time,
    pub(super) how: How,
    /// Its offset in the data.
    pub(super) offset: usize,
    /// The size of all problems together.
    pub(super) bytes: usize,
    /// With pointers: the size of each problem, from its address on.
    pub(super) each: usize,
}

/// The maximum number of copies: each operand before and after, and each scalar.
const PIECES: usize = 2 * OPERANDS + MOST_SCALARS;

/// Copies of the operands of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pieces {
    all: [Option<Piece>; PIECES],
    count: usize,
    /// The bytes of data so far.
    pub(super) bytes: usize,
}

impl Pieces {
    pub(super) const NONE: Self = Self { all: [None; PIECES], count: 0, bytes: 0 };

    pub(super) fn iter(&self) -> impl Iterator<Item = &Piece> {
        self.all.iter().flatten()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::NONE;
    }

    /// Reserves space in the data. `None` if the size overflows.
    pub(super) fn reserve(&mut self, bytes: usize) -> Option<usize> {
        let offset = self.bytes;
        self.bytes = offset.checked_add(bytes)?.checked_next_multiple_of(ALIGNMENT)?;
        Some(offset)
    }

    /// Adds a copy of an operand, if it has elements. `whole`: with gaps. `on_host`: it is a scalar in host memory.
    pub(super) fn add(
        &mut self,
        (number, operand): (usize, &Operand),
        time: Time,
        address: u64,
        (whole, on_host): (bool, bool),
    ) -> Result<(), Skipped> {
        let Some(span) = operand.span().filter(|_| address != 0) else { return Ok(()) };
        let size = operand.element.size();
        let bytes = |elements: i64| {
            usize::try_from(elements)
                .ok()
                .and_then(|n| n.checked_mul(size))
                .ok_or(Skipped::TooLarge)
        };
        let behind =
            |elements: i64| address.wrapping_add_signed(elements.wrapping_mul(size as i64));
        let mut each = 0;
        let (how, bytes) = match operand.batch {
            Batch::Pointers { count } => {
                each = bytes(span.first + span.len)?;
                let count = usize::try_from(count).map_err(|_| Skipped::TooLarge)?;
                let of_places = count.checked_mul(8).ok_or(Skipped::TooLarge)?;
                let places = self.reserve(of_places).ok_or(Skipped::TooLarge)?;
                let all = each.checked_mul(count).ok_or(Skipped::TooLarge)?;
                (How::Pointers { from: address, places }, all)
            }
            _ if on_host => (How::Host(behind(span.first)), bytes(span.len)?),
            _ => match columns(operand).filter(|_| !whole) {
                Some((ld, rows, columns)) => {
                    let [pitch, width, height] = [ld, rows, columns].map(bytes);
                    let (pitch, width, height) = (pitch?, width?, height? / size);
                    let how = How::Columns { from: address, pitch, width, height };
                    (how, width.checked_mul(height).ok_or(Skipped::TooLarge)?)
                }
                None => (How::Whole(behind(span.first)), bytes(span.len)?),
            },
        };
        let offset = self.reserve(bytes).ok_or(Skipped::TooLarge)?;
        self.push(Piece { operand: number, time, how, offset, bytes, each });
        Ok(())
    }

    /// Adds a copy of a scalar in device memory.
    pub(super) fn add_scalar(&mut self, number: usize, address: u64, bytes: usize) {
        if let Some(offset) = self.reserve(bytes).filter(|_| address != 0) {
            let (operand, how) = (OPERANDS + number, How::Whole(address));
            self.push(Piece { operand, time: Time::Before, how, offset, bytes, each: 0 });
        }
    }

    fn push(&mut self, piece: Piece) {
        if let Some(place) = self.all.get_mut(self.count) {
            *place = Some(piece);
            self.count += 1;
        }
    }

    /// Removes the copies for that time.
    pub(super) fn remove(&mut self, time: Time) {
        for piece in &mut self.all {
            piece.take_if(|piece| piece.time == time);
        }
    }
}

/// The distance of the columns of an operand, their length and their number, if more than half of the range from its
/// first to its last element is gaps.
fn columns(operand: &Operand) -> Option<(i64, i64, i64)> {
    let Layout::Matrix { rows, columns, ld, part: Part::All } = operand.layout else { return None };
    let columns = match operand.batch {
        Batch::One => columns,
        // All problems' columns are equally spaced.
        Batch::Strided { count, stride } if stride >= 0 && stride % ld == 0 => {
            (stride / ld).checked_mul(count - 1)?.checked_add(columns)?
        }
        _ => return None,
    };
    (ld / 2 > rows && columns > 1).then_some((ld, rows, columns))
}

/// What to do with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Check its outputs.
    pub(super) check: bool,
    /// Save it.
    pub(super) save: bool,
    /// It is saved as one of a limited number of calls.
    pub(super) is_counted: bool,
}

/// A call whose operands are copied.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) session: &'static Session,
    pub(super) backend: &'static Backend,
    /// The number of its thread in the trace, and its number in the thread.
    pub(super) call: (u32, u64),
    pub(super) function: usize,
    /// A copy of its record from when the function returned.
    pub(super) words: [u64; MOST_WORDS],
    pub(super) status: i32,
    pub(super) operands: Operands,
    /// Which operands are read.
    pub(super) is_read: [bool; OPERANDS],
    pub(super) pieces: Pieces,
    pub(super) wanted: Wanted,
    /// Whether its inputs were copied, or need not be.
    pub(super) has_inputs: bool,
    /// Whether its operands are too large to be copied.
    pub(super) is_too_large: bool,
    /// The handle's atomics mode and math mode.
    pub(super) modes: [Option<i32>; 2],
}

/// The contents of a slot.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) memory: Memory,
    /// Whether its result is no longer wanted.
    pub(super) is_abandoned: bool,
    pub(super) watched: Option<Watched>,
}

impl Job {
    pub(super) fn new(memory: Memory) -> Self {
        Self { memory, is_abandoned: false, watched: None }
    }

    /// Whether the GPU is done with it.
    pub(super) fn is_done(&self) -> bool {
        self.memory.is_flag_set()
    }

    /// The bytes of a copy, once the GPU is done.
    pub(super) fn bytes(&self, piece: &Piece) -> &[u8] {
        self.memory.bytes(piece.offset, piece.bytes)
    }

    /// The elements of a copy.
    pub(super) fn elements(&self, operand: &Operand, piece: &Piece) -> Elements<'_> {
        let size = operand.element.size() as i64;
        let first = operand.span().map_or(0, |span| span.first);
        let (mut layout, mut stride) = (operand.layout, 0);
        if let Batch::Strided { stride: of_batch, .. } = operand.batch {
            stride = of_batch;
        }
        let first = match piece.how {
            How::Whole(_) | How::Host(_) => first,
            How::Pointers { .. } => {
                stride = piece.each as i64 / size.max(1);
                0
            }
            How::Columns { pitch, width, .. } => {
                if let Layout::Matrix { rows, ld, .. } = &mut layout {
                    *ld = *rows;
                }
                stride = stride / (pitch as i64 / size).max(1) * (width as i64 / size);
                0
            }
        };
        let problems = operand.batch.count();
        Elements {
            bytes: self.bytes(piece),
            element: operand.element,
            layout,
            problems,
            stride,
            first,
        }
    }
}
