//! Copies operands into a slot's memory, after the work that is already on their stream.
//!
//! Nothing here waits for the GPU, and nothing is done on a stream that captures a graph. Of a batch whose problems'
//! addresses are in device memory the host does not know where to copy from: the backend's own
//! `rocblas_scopy_batched` reads them there.
//!
//! Such a batch is left out, and counted, where the bytes of a problem are no multiple of four. Of rocBLAS's routines
//! only `copy` keeps all bits, and its smallest element has four bytes. A word more would reach beyond the problem, and
//! where that ends with its allocation and does not begin at a multiple of four, beyond that: a fault of the GPU's. The
//! last two bytes alone are not to be had either: the place of each problem is known to the device only, and a stride
//! counts whole words from there. `axpy_batched_ex` has elements of two bytes, and loses the sign of a zero and what a
//! NaN has in it. Waiting for the addresses would be waiting for the GPU.

use super::{
    job::{DONE, How, Job, Memory, Piece, Watched},
    pool::Home,
};
use crate::{
    backend::{
        Backend,
        hip::{Hip, Staging, Stream},
    },
    trace::scalars::read_by_the_kernel,
};
use core::{
    alloc::Layout,
    ffi::c_void,
    ptr::{null_mut, with_exposed_provenance, with_exposed_provenance_mut},
    sync::atomic::{AtomicBool, Ordering},
};
use rocblas_trace::{capture::Time, layout::Skipped};
use std::alloc;

/// Values of `hipMemcpyKind`. With the last one, HIP determines the direction from the addresses.
const HOST_TO_DEVICE: i32 = 1;
const DEVICE_TO_HOST: i32 = 2;
const ANYWHERE: i32 = 4;

/// How operands of a call are copied.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// Immediately: the backend computes on the host, and is done when its function has returned.
    Host,
    /// On the call's stream.
    Stream {
        hip: &'static Hip,
        staging: Staging,
        stream: Stream,
        backend: &'static Backend,
        handle: usize,
    },
}

/// Set if `rocblas_scopy_batched` has failed; then it is not tried again.
static CANNOT_COPY_BATCHES: AtomicBool = AtomicBool::new(false);

/// Set if HIP has failed to write a flag, or cannot; then flags are copied.
static CANNOT_WRITE_FLAGS: AtomicBool = AtomicBool::new(false);

impl Way {
    /// The way for a call with a handle. The error is why there is none.
    pub(super) fn of(backend: &'static Backend, handle: usize) -> Result<Self, Skipped> {
        let Some(hip) = &backend.compat.hip else { return Ok(Self::Host) };
        let (Some(staging), Some(get_stream)) =
            (hip.staging, backend.compat.functions.rocblas_get_stream)
        else {
            return Err(Skipped::Unable);
        };
        let mut stream = null_mut();
        // SAFETY: the function's prototype; the caller uses the same handle.
        if unsafe { get_stream(with_exposed_provenance_mut(handle), &raw mut stream) } != 0 {
            return Err(Skipped::Unable);
        }
        // The default stream is queried too: HIP returns an error while another stream is being captured, and a copy
        // on the default stream would invalidate that capture.
        if staging.undisturbed(|| hip.is_capturing(stream)) != Some(false) {
            return Err(Skipped::Capturing);
        }
        Ok(Self::Stream { hip, staging, stream, backend, handle })
    }

    /// The location of its slots' memory.
    pub(super) fn home(&self) -> Home {
        match self {
            Self::Host => Home::Host,
            Self::Stream { hip, .. } => Home::Device(hip.current_device().unwrap_or(0).max(0)),
        }
    }

    /// Allocates memory for a slot.
    pub(super) fn allocate(&self, size: usize) -> Option<Job> {
        let base: *mut u8 = match self {
            Self::Host => {
                // SAFETY: the size is not zero.
                unsafe { alloc::alloc_zeroed(layout(size)?) }
            }
            Self::Stream { staging, .. } => {
                staging.undisturbed(|| staging.relaxed(|| staging.host(size)))?.cast()
            }
        };
        if base.is_null() {
            return None;
        }
        // SAFETY: memory of that size; HIP's memory is page-aligned.
        Some(Job::new(unsafe { Memory::new(base, size) }))
    }

    /// Frees a slot's memory, which is no longer in use.
    pub(super) fn release(&self, job: &mut Job) {
        let (base, size) = job.memory.take();
        match self {
            Self::Host => {
                if let Some(layout) = layout(size) {
                    // SAFETY: memory of `allocate`, of that size.
                    unsafe { alloc::dealloc(base, layout) };
                }
            }
            Self::Stream { staging, .. } => {
                // SAFETY: as above, with no copy in progress.
                let free = || unsafe { staging.free_host(base.cast()) };
                staging.undisturbed(|| staging.relaxed(free));
            }
        }
    }

    /// Makes the copies for that time.
    ///
    /// # Safety
    /// The addresses are those of a call that is about to be made, or has returned successfully, and the pieces are
    /// within the slot's memory.
    pub(super) unsafe fn copy(
        &self,
        memory: &Memory,
        time: Time,
        watched: &Watched,
    ) -> Result<(), Skipped> {
        let copy = |piece: &Piece| {
            let problems = watched.operands.get(piece.operand).map_or(0, |o| o.batch.count());
            // SAFETY: by contract.
            unsafe { self.copy_piece(memory, piece, problems) }
        };
        let mut pieces = watched.pieces.iter().filter(|piece| piece.time == time);
        let done = match self {
            Self::Host => pieces.all(copy),
            Self::Stream { staging, .. } => staging.undisturbed(|| pieces.all(copy)),
        };
        if done { Ok(()) } else { Err(Skipped::Unable) }
    }

    /// # Safety
    /// As of [`Self::copy`].
    unsafe fn copy_piece(&self, memory: &Memory, piece: &Piece, problems: i64) -> bool {
        let to = memory.data(piece.offset);
        // SAFETY: by contract; what is in host memory may not be there, so the kernel reads it.
        unsafe {
            match (self, piece.how) {
                (Self::Host, how) | (_, how @ How::Host(_)) => {
                    copy_on_host(memory, piece, how, problems)
                }
                (Self::Stream { hip, stream, .. }, How::Whole(from)) => {
                    let from = with_exposed_provenance(from as usize);
                    hip.copy(to.cast(), from, piece.bytes, ANYWHERE, Some(*stream)) == 0
                }
                (Self::Stream { hip, stream, .. }, How::Columns { from, pitch, width, height }) => {
                    let from = with_exposed_provenance(from as usize);
                    let size = (width, height);
                    hip.copy_2d((to.cast(), width), (from, pitch), size, ANYWHERE, Some(*stream))
                        == 0
                }
                (Self::Stream { .. }, How::Pointers { from, places }) => {
                    self.copy_problems(memory, piece, (from, places), problems)
                }
            }
        }
    }

    /// Copies problems whose addresses are in device memory, as words of four bytes.
    ///
    /// # Safety
    /// As of [`Self::copy`].
    unsafe fn copy_problems(
        &self,
        memory: &Memory,
        piece: &Piece,
        (from, places): (u64, usize),
        problems: i64,
    ) -> bool {
        const WORD: usize = 4;
        let Self::Stream { staging, backend, handle, .. } = self else { return false };
        let (Some(copy), Ok(words), Ok(problems)) = (
            backend.compat.functions.rocblas_scopy_batched,
            i32::try_from(piece.each / WORD),
            i32::try_from(problems),
        ) else {
            return false;
        };
        if !piece.each.is_multiple_of(WORD) || CANNOT_COPY_BATCHES.load(Ordering::Relaxed) {
            return false;
        }
        #[allow(clippy::cast_ptr_alignment, reason = "data begin at multiples of 64")]
        let array = memory.data(places).cast::<*mut f32>();
        let before = staging.last_error();
        // SAFETY: by contract. Both arrays have as many pointers.
        let status = unsafe {
            for problem in 0..problems as usize {
                array.add(problem).write(memory.data(piece.offset + problem * piece.each).cast());
            }
            let from = with_exposed_provenance::<*const f32>(from as usize);
            copy(with_exposed_provenance_mut(*handle), words, from, 1, array, 1, problems)
        };
        // rocBLAS returns success even if the kernel could not be launched.
        let is_copied = status == 0 && staging.last_error() == before;
        if !is_copied {
            CANNOT_COPY_BATCHES.store(true, Ordering::Relaxed);
        }
        is_copied
    }

    /// Enqueues setting the slot's flag once the copies are done. Returns whether that succeeded.
    ///
    /// # Safety
    /// The slot's memory exists, and its flag is not set.
    pub(super) unsafe fn set_flag_behind(&self, memory: &mut Memory) -> bool {
        let Self::Stream { hip, staging, stream, .. } = *self else {
            memory.set_flag(true);
            return true;
        };
        let (flag, constant) = (memory.flag(), memory.constant());
        // One operation of the queue, where a copy takes a copy engine and waits for it. HIP promises the order, and
        // AMD's tests write into host memory in this way.
        if !CANNOT_WRITE_FLAGS.load(Ordering::Relaxed) {
            // SAFETY: the flag is in memory of `Staging::host`.
            let write = || unsafe { staging.write_value(flag, DONE, stream) };
            if staging.undisturbed(write) {
                return true;
            }
            CANNOT_WRITE_FLAGS.store(true, Ordering::Relaxed);
        }
        // SAFETY: eight bytes each, the word on a device.
        let copy = |to: *mut c_void, from: *const c_void, kind| unsafe {
            hip.copy(to, from, 8, kind, Some(stream)) == 0
        };
        staging.undisturbed(|| {
            let is_primed = memory.word.is_some();
            let word = memory.word.or_else(|| staging.relaxed(|| staging.device(8)));
            let Some(word) = word else { return false };
            let is_set = (is_primed || copy(word, constant.cast(), HOST_TO_DEVICE))
                && copy(flag.cast(), word, DEVICE_TO_HOST);
            // Other threads use it only after they have seen this flag, when the word has its value.
            memory.word = Some(word).filter(|_| is_set);
            is_set
        })
    }
}

fn layout(size: usize) -> Option<Layout> {
    const ALIGNMENT: usize = 64;
    Layout::from_size_align(size, ALIGNMENT).ok().filter(|_| size > 0)
}

/// Copies on the host through the kernel, so that unmapped memory is an error and not a signal. Returns whether
/// everything was copied.
///
/// # Safety
/// As of [`Way::copy`], with addresses of the host.
unsafe fn copy_on_host(memory: &Memory, piece: &Piece, how: How, problems: i64) -> bool {
    let copy = |offset: usize, from: u64, bytes| {
        // SAFETY: within the slot's memory by contract.
        unsafe {
            read_by_the_kernel(from as usize, memory.data(piece.offset + offset).cast(), bytes)
        }
    };
    match how {
        How::Whole(from) | How::Host(from) => copy(0, from, piece.bytes),
        How::Columns { from, pitch, width, height } => {
            (0..height).all(|column| copy(column * width, from + (column * pitch) as u64, width))
        }
        How::Pointers { from, .. } => (0..usize::try_from(problems).unwrap_or(0)).all(|problem| {
            let mut address = 0_u64;
            // SAFETY: room for an address.
            let is_read = unsafe {
                read_by_the_kernel(from as usize + problem * 8, (&raw mut address).cast(), 8)
            };
            is_read && copy(problem * piece.each, address, piece.each)
        }),
    }
}

#[cfg(test)]
mod tests;
