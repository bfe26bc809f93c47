//! Streams. All work on them has already been done, so they are never busy. With `Settings::capturing` they
//! only report that they are being captured; actual captures are in [`graphs`].

use crate::{
    answer::{hip_functions, put},
    devices,
    errors::{Answer, HipError},
    events, graphs,
    handles::Table,
    log::StreamName,
    settings::settings,
};
use std::{
    ffi::c_void,
    sync::{LazyLock, Mutex, MutexGuard, PoisonError},
};

/// The properties of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    pub(crate) name: StreamName,
    pub(crate) device: i32,
    flags: u32,
    priority: i32,
}

impl Stream {
    /// Whether it and the default stream wait for each other.
    pub(crate) fn is_blocking(&self) -> bool {
        /// `hipStreamNonBlocking`
        const NON_BLOCKING: u32 = 1;
        self.flags & NON_BLOCKING == 0
    }
}

/// `hipStreamLegacy` and `hipStreamPerThread`, numbers in place of pointers.
const LEGACY: usize = 1;
const PER_THREAD: usize = 2;
/// The lowest and the highest priority.
const PRIORITIES: (i32, i32) = (1, -1);

fn streams() -> MutexGuard<'static, Table<Stream>> {
    static STREAMS: LazyLock<Mutex<Table<Stream>>> =
        LazyLock::new(|| Mutex::new(Table::new(0x5_0000)));
    STREAMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The stream of a handle. The default stream is that of the calling thread's device.
pub(crate) fn check(handle: *mut c_void) -> Answer<Stream> {
    let default = |name| Stream { name, device: devices::current(), flags: 0, priority: 0 };
    match handle.addr() {
        0 | LEGACY => Ok(default(StreamName::Number(0))),
        PER_THREAD => Ok(default(StreamName::PerThread)),
        _ => streams().get(handle).copied().ok_or(HipError::CONTEXT_IS_DESTROYED),
    }
}

/// Whether a handle is that of the default stream, which waits for others.
pub(crate) fn is_default(handle: *mut c_void) -> bool {
    handle.addr() <= LEGACY
}

/// Creates a stream and stores its handle in `result`.
///
/// # Safety
/// `result` is null or may be written.
unsafe fn create(result: *mut *mut c_void, flags: u32, priority: i32) -> Answer {
    if result.is_null() || flags > 1 {
        return Err(HipError::INVALID_VALUE);
    }
    let device = devices::current();
    let priority = priority.clamp(PRIORITIES.1, PRIORITIES.0);
    let stream = streams().add(|number| Stream {
        name: StreamName::Number(number as u32),
        device,
        flags,
        priority,
    });
    // SAFETY: guaranteed by the caller.
    unsafe { put(result, stream) }
}

hip_functions! {
    fn hipStreamCreate(result: *mut *mut c_void) {
        // SAFETY: the caller's out-parameter.
        unsafe { create(result, 0, 0) }
    }

    fn hipStreamCreateWithFlags(result: *mut *mut c_void, flags: u32) {
        // SAFETY: the caller's out-parameter.
        unsafe { create(result, flags, 0) }
    }

    fn hipStreamCreateWithPriority(result: *mut *mut c_void, flags: u32, priority: i32) {
        // SAFETY: the caller's out-parameter.
        unsafe { create(result, flags, priority) }
    }

    fn hipStreamDestroy(stream: *mut c_void) {
        if stream.addr() <= PER_THREAD {
            return Err(HipError::INVALID_HANDLE);
        }
        streams().remove(stream).map(|_| ()).ok_or(HipError::CONTEXT_IS_DESTROYED)
    }

    fn hipStreamQuery(stream: *mut c_void) {
        check(stream)?;
        graphs::refuse_while_capturing(stream)
    }

    fn hipStreamSynchronize(stream: *mut c_void) {
        check(stream)?;
        graphs::refuse_while_capturing(stream)
    }

    fn hipStreamWaitEvent(stream: *mut c_void, event: *mut c_void, _flags: u32) {
        check(stream)?;
        events::check(event)
    }

    fn hipStreamIsCapturing(stream: *mut c_void, status: *mut i32) {
        check(stream)?;
        // SAFETY: the caller's out-parameter.
        unsafe { put(status, graphs::status(stream)?.max(settings().capturing.into())) }
    }

    fn hipStreamGetFlags(stream: *mut c_void, flags: *mut u32) {
        // SAFETY: the caller's out-parameter.
        unsafe { put(flags, check(stream)?.flags) }
    }

    fn hipStreamGetPriority(stream: *mut c_void, priority: *mut i32) {
        // SAFETY: the caller's out-parameter.
        unsafe { put(priority, check(stream)?.priority) }
    }

    fn hipStreamGetDevice(stream: *mut c_void, device: *mut i32) {
        // SAFETY: the caller's out-parameter.
        unsafe { put(device, check(stream)?.device) }
    }

    fn hipDeviceGetStreamPriorityRange(least: *mut i32, greatest: *mut i32) {
        // SAFETY: the caller's out-parameters, either of which may be null.
        unsafe {
            if !least.is_null() {
                put(least, PRIORITIES.0)?;
            }
            if !greatest.is_null() {
                put(greatest, PRIORITIES.1)?;
            }
        }
        Ok(())
    }
}

/// Returns a device, not an error code; -1 for a stream that does not exist.
#[unsafe(no_mangle)]
extern "C" fn hipGetStreamDeviceId(stream: *mut c_void) -> i32 {
    check(stream).map_or(-1, |stream| stream.device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;

    #[test]
    fn streams_are_named_in_order_of_creation() {
        let mut handles = [ptr::null_mut(); 2];
        for handle in &mut handles {
            // SAFETY: `handle` is what the function fills.
            assert_eq!(unsafe { hipStreamCreateWithFlags(handle, 1) }, 0);
        }
        // Other tests create streams too, so only the order is certain.
        let [StreamName::Number(first), StreamName::Number(second)] =
            handles.map(|handle| check(handle).expect("just created").name)
        else {
            panic!("created streams have numbers");
        };
        assert!(0 < first && first < second);
        // SAFETY: only handles are passed, no memory.
        unsafe {
            assert_eq!(hipStreamDestroy(handles[0]), 0);
            assert_eq!(hipStreamSynchronize(handles[0]), 709);
            assert_eq!(hipStreamDestroy(handles[1]), 0);
            assert_eq!(hipStreamDestroy(ptr::null_mut()), 400);
        }
    }

    #[test]
    fn the_default_streams_always_exist() {
        assert_eq!(check(ptr::null_mut()).expect("default").name, StreamName::Number(0));
        let legacy = check(ptr::without_provenance_mut(1)).expect("legacy");
        assert_eq!(legacy.name, StreamName::Number(0));
        let own = check(ptr::without_provenance_mut(2)).expect("per thread");
        assert_eq!(own.name, StreamName::PerThread);
        assert_eq!(hipGetStreamDeviceId(ptr::without_provenance_mut(0x123)), -1);
    }
}
