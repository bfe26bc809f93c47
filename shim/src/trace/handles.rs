//! Describes a handle in the trace when it is first seen, and its device: a trace may start long after the
//! handle was created.

use super::{
    clock,
    events::append,
    recipe::{Recipe, flags},
    session::Session,
    thread::Thread,
};
use crate::{backend::hip::Hip, facts, route};
use core::{
    ffi::c_void,
    ptr::{null_mut, with_exposed_provenance, with_exposed_provenance_mut},
};
use rocblas_trace::layout::{ARGUMENTS, RESULT, event};

/// The number of low bits of an address that are the same for all handles, because handles are allocated.
pub(super) const SHIFT: u32 = 6;

/// Records the handle of a call that is about to be made, if it differs from that of the latest call.
#[cold]
pub(super) fn observe(session: &Session, thread: &mut Thread, handle: usize, begin: u64) {
    thread.handle = handle;
    let place = (handle >> SHIFT) % thread.recent.len();
    if handle != 0 && thread.recent[place] != handle && !session.to_stderr {
        thread.recent[place] = handle;
        append_handle(session, thread, handle, begin);
    }
}

/// Runs after a call that created or destroyed a handle, when its record is complete.
///
/// # Safety
/// `record` is a record of `rocblas_create_handle` or `rocblas_destroy_handle`.
#[cold]
pub(super) unsafe fn created_or_destroyed(
    session: &Session,
    thread: &mut Thread,
    recipe: &Recipe,
    record: *mut u64,
) {
    // SAFETY: by contract.
    let (status, argument) = unsafe { (*record.add(RESULT) as i32, *record.add(ARGUMENTS)) };
    if status != 0 {
        return;
    }
    thread.forget_handles();
    if recipe.has(flags::ENDS_HANDLE) {
        session.forget_handle(argument as usize);
    } else {
        // SAFETY: a successful call has stored a handle there.
        let handle = unsafe { *with_exposed_provenance::<usize>(argument as usize) };
        session.forget_handle(handle);
        append_handle(session, thread, handle, clock::now());
    }
}

/// Writes the description of a handle, unless another thread has.
#[cold]
fn append_handle(session: &Session, thread: &mut Thread, handle: usize, begin: u64) {
    if handle == 0 || !session.is_new_handle(handle) {
        return;
    }
    let backend = route::backend_of(handle).unwrap_or(session.backend);
    let hip = backend.compat.hip.as_ref();
    let (stream, modes, device) = thread.without_tracing(|_| {
        let functions = &backend.compat.functions;
        let raw: *mut c_void = with_exposed_provenance_mut(handle);
        let mut stream = null_mut();
        if let Some(get_stream) = functions.rocblas_get_stream {
            // SAFETY: the function's prototype; the handle is what the caller uses.
            unsafe { get_stream(raw, &raw mut stream) };
        }
        let get_modes = [functions.rocblas_get_pointer_mode, functions.rocblas_get_atomics_mode];
        let modes = get_modes.map(|get_mode| {
            let mut mode = -1;
            // SAFETY: as above.
            let status = get_mode.map(|get_mode| unsafe { get_mode(raw, &raw mut mode) });
            if status == Some(0) { mode } else { -1 }
        });
        let device = facts::device_of(handle).or_else(|| hip.and_then(Hip::current_device));
        (stream, modes, device.unwrap_or(-1))
    });
    let mut words = [0; event::HANDLE_WORDS];
    words[3] = handle as u64;
    words[4] = i64::from(device).cast_unsigned();
    words[5] = stream as u64;
    words[6] = i64::from(modes[0]).cast_unsigned();
    words[7] = i64::from(modes[1]).cast_unsigned();
    words[8] = u64::from(backend.slot);
    if backend.slot != 0 {
        thread.without_tracing(|_| session.describe_backend(backend));
    }
    append(session, thread, event::HANDLE, begin, &mut words);
    // In this order, so that a device that HIP cannot describe now is queried again later.
    if device >= 0
        && let Some(properties) = thread.without_tracing(|_| {
            facts::properties_of(device, || hip.and_then(|hip| hip.properties(device)))
        })
        && session.is_new_device(device)
    {
        let mut words = [0; event::DEVICE_WORDS];
        words[3] = device as u64;
        let texts = [properties.name(), properties.architecture()];
        for (words, text) in words[4..].chunks_exact_mut(event::TEXT / 8).zip(texts) {
            let mut bytes = [0; event::TEXT];
            let length = text.len().min(event::TEXT);
            bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
            for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
                *word = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
            }
        }
        append(session, thread, event::DEVICE, begin, &mut words);
    }
}
