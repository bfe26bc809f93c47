//! The values of alpha, beta and results that are in host memory.
//!
//! rocBLAS reads a scalar only after its other checks, so an address that a caller passes need not be
//! readable, and a tracer must not crash if the library does not. The caller's own stack above the call
//! is readable; all other addresses are read through the kernel, which returns an error instead.

use super::{
    recipe::{Captured, Recipe},
    session::Session,
    thread::Thread,
};
use core::{ffi::c_void, ptr};
use rocblas_trace::layout::{ARGUMENTS, Mode, NOTE, Note};

/// Values of `rocblas_pointer_mode`.
pub(super) const HOST: i32 = 0;
const DEVICE: i32 = 1;

/// Writes the pointer mode and the scalars that the function reads into a record.
///
/// # Safety
/// `record` is a record of this recipe, with its arguments; `stack` is the caller's stack pointer.
pub(super) unsafe fn at_entry(
    session: &Session,
    thread: &Thread,
    recipe: &Recipe,
    record: *mut u64,
    stack: usize,
) {
    // SAFETY: by contract: the handle comes first.
    unsafe {
        let mode = mode_of(session, *record.add(ARGUMENTS));
        in_mode(mode, thread, recipe, record, stack);
    }
}

/// The same with a pointer mode that has been queried: the backend's number, or any other number if the query
/// failed.
///
/// # Safety
/// As of [`at_entry`].
pub(super) unsafe fn in_mode(
    mode: i32,
    thread: &Thread,
    recipe: &Recipe,
    record: *mut u64,
    stack: usize,
) {
    let mode = match mode {
        HOST => Mode::Host,
        DEVICE => Mode::Device,
        _ => Mode::Unknown,
    };
    let mut note = (mode as u64) << Note::MODE;
    if mode == Mode::Host {
        // SAFETY: by contract.
        note |= unsafe { capture(thread, recipe.at_entry(), record, stack) } << Note::ENTRY;
    }
    // SAFETY: by contract.
    unsafe { *record.add(NOTE) |= note };
}

/// Writes the scalars that the function has written into a record.
///
/// # Safety
/// As of [`at_entry`].
pub(super) unsafe fn at_exit(thread: &Thread, recipe: &Recipe, record: *mut u64, stack: usize) {
    // SAFETY: by contract.
    unsafe {
        let note = Note(*record.add(NOTE));
        if note.mode() == Mode::Host {
            let captured = capture(thread, recipe.at_exit(), record, stack);
            *record.add(NOTE) = note.0 | captured << Note::EXIT;
        }
    }
}

/// The backend's current mode of a handle: other threads and C++ functions may have changed it. Not a valid
/// mode if the query fails.
fn mode_of(session: &Session, handle: u64) -> i32 {
    const NONE: i32 = -1;
    let Some(get_mode) = session.get_pointer_mode().filter(|_| handle != 0) else {
        return NONE;
    };
    let mut mode = NONE;
    // SAFETY: the function's prototype; the caller is about to use the same handle.
    let status =
        unsafe { get_mode(ptr::with_exposed_provenance_mut(handle as usize), &raw mut mode) };
    if status == 0 { mode } else { NONE }
}

/// Captures scalars. Returns a bit for each one that could be read.
///
/// # Safety
/// As of [`at_entry`].
#[inline]
unsafe fn capture(thread: &Thread, scalars: &[Captured], record: *mut u64, stack: usize) -> u64 {
    // The part of the thread's own stack above the caller's stack pointer, less the largest scalar; empty
    // for a caller that runs on another stack.
    let above = if stack < thread.lowest { stack..stack } else { stack..thread.highest };
    let mut captured = 0;
    for scalar in scalars {
        // SAFETY: by contract: an argument, and the scalar's place behind the arguments.
        let (from, to) = unsafe {
            (
                *record.add(ARGUMENTS + usize::from(scalar.parameter)) as usize,
                record.add(usize::from(scalar.word)),
            )
        };
        let is_above = above.contains(&from);
        // SAFETY: `LARGEST` bytes above the caller's stack pointer stay valid during the call; the record has
        // room for the scalar.
        let is_read = unsafe {
            match scalar.size {
                size @ 1..=8 if is_above => {
                    let word = ptr::with_exposed_provenance::<u64>(from).read_unaligned();
                    *to = word & (u64::MAX >> (64 - 8 * u32::from(size)));
                    true
                }
                16 if is_above => {
                    let words = ptr::with_exposed_provenance::<[u64; 2]>(from).read_unaligned();
                    to.cast::<[u64; 2]>().write(words);
                    true
                }
                _ => read_by_the_kernel(from, to.cast(), usize::from(scalar.size)),
            }
        };
        captured |= u64::from(is_read) << scalar.number;
    }
    captured
}

/// The largest scalar in bytes: five doubles.
pub(super) const LARGEST: usize = 40;

/// Copies bytes from an address that may not be readable.
///
/// # Safety
/// `to` has room for that many bytes.
#[cold]
pub(super) unsafe fn read_by_the_kernel(from: usize, to: *mut c_void, size: usize) -> bool {
    if from == 0 {
        return false;
    }
    let local = libc::iovec { iov_base: to, iov_len: size };
    let remote = libc::iovec { iov_base: from as *mut c_void, iov_len: size };
    // SAFETY: the kernel reads this process's memory and returns EFAULT if it is not mapped.
    let read = super::thread::preserving_errno(|| unsafe {
        libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0)
    });
    read == size as isize
}
