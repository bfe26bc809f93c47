//! Copies and fills. They happen immediately on any stream that is not being captured, and are checked as by
//! the real runtime: null pointers, directions, and sizes beyond an allocation.

use crate::{
    answer::hip_functions,
    errors::{Answer, HipError},
    graphs,
    log::{self, Entry, StreamName},
    memory, streams,
};
use std::{
    ffi::c_void,
    ptr::{self, with_exposed_provenance, with_exposed_provenance_mut},
};

/// A stream's name and handle; `None` if the caller waits for the work.
type Queue = Option<(StreamName, *mut c_void)>;

fn queue(stream: *mut c_void) -> Answer<Queue> {
    Ok(Some((streams::check(stream)?.name, stream)))
}

fn name(queue: Queue) -> Option<StreamName> {
    queue.map(|(name, _)| name)
}

/// Logs an entry and does its work, now or whenever a graph that contains it is launched.
fn submit(queue: Queue, entry: &Entry<'_>, work: impl Fn() + Send + Sync + 'static) -> Answer {
    let line = entry.to_string();
    let Some((_, stream)) = queue else {
        graphs::refuse_unsafe()?;
        log::write(&line);
        work();
        return Ok(());
    };
    graphs::submit(stream, &line.clone(), move || {
        log::write(&line);
        work();
        Ok(())
    })
}

/// `hipMemcpyKind` by name.
fn kind_name(kind: i32) -> Answer<&'static str> {
    match kind {
        0 => Ok("H2H"),
        1 => Ok("H2D"),
        2 => Ok("D2H"),
        3 => Ok("D2D"),
        4 => Ok("default"),
        1024 => Ok("D2D-no-CU"),
        _ => Err(HipError::INVALID_MEMCPY_DIRECTION),
    }
}

/// Checks a copy of this many bytes. The error is the reason why it is refused.
fn check(to: *const c_void, from: *const c_void, bytes: usize, kind: i32) -> Answer<&'static str> {
    if to.is_null() || from.is_null() {
        return Err(HipError::INVALID_VALUE);
    }
    let name = kind_name(kind)?;
    let ends = [memory::bytes_from(to), memory::bytes_from(from)];
    if ends.iter().flatten().any(|&rest| bytes > rest) {
        return Err(HipError::INVALID_VALUE);
    }
    // Between two unknown addresses only host copies are allowed, unless the device can access all host
    // memory, which an MI50 cannot.
    if ends == [None, None] && kind != 0 && kind != 4 {
        return Err(HipError::INVALID_VALUE);
    }
    Ok(name)
}

/// Copies bytes.
///
/// # Safety
/// Memory that the runtime did not allocate must be as large as the caller claims.
unsafe fn copy(
    to: *mut c_void,
    from: *const c_void,
    bytes: usize,
    kind: i32,
    queue: Queue,
) -> Answer {
    if bytes == 0 {
        return Ok(());
    }
    let kind = check(to, from, bytes, kind)?;
    let entry = Entry::Memcpy { kind, bytes, stream: name(queue) };
    let (to, from) = (to.expose_provenance(), from.expose_provenance());
    submit(queue, &entry, move || {
        let (from, to) = (with_exposed_provenance::<u8>(from), with_exposed_provenance_mut(to));
        // SAFETY: within allocations by the check above; elsewhere the caller guarantees it.
        unsafe { ptr::copy(from, to, bytes) };
    })
}

/// Copies rows of bytes.
///
/// # Safety
/// As for [`copy`].
unsafe fn copy_rows(
    (to, to_pitch): (*mut c_void, usize),
    (from, from_pitch): (*const c_void, usize),
    (width, height): (usize, usize),
    kind: i32,
    queue: Queue,
) -> Answer {
    if width == 0 || height == 0 {
        return Ok(());
    }
    if width > to_pitch || width > from_pitch {
        return Err(HipError::INVALID_PITCH_VALUE);
    }
    let extent = |pitch: usize| (height - 1).checked_mul(pitch).and_then(|n| n.checked_add(width));
    let (Some(to_bytes), Some(from_bytes)) = (extent(to_pitch), extent(from_pitch)) else {
        return Err(HipError::INVALID_VALUE);
    };
    let kind = check(to, from, to_bytes.min(from_bytes), kind)?;
    let beyond = |end: Option<usize>, bytes: usize| end.is_some_and(|rest| bytes > rest);
    if beyond(memory::bytes_from(to), to_bytes) || beyond(memory::bytes_from(from), from_bytes) {
        return Err(HipError::INVALID_VALUE);
    }
    let entry = Entry::Memcpy2d { kind, width, height, stream: name(queue) };
    let (to, from) = (to.expose_provenance(), from.expose_provenance());
    submit(queue, &entry, move || {
        for row in 0..height {
            let from = with_exposed_provenance::<u8>(from + row * from_pitch);
            let to = with_exposed_provenance_mut(to + row * to_pitch);
            // SAFETY: both extents have been checked, or the caller guarantees them.
            unsafe { ptr::copy(from, to, width) };
        }
    })
}

/// Fills memory with a value of one, two or four bytes.
///
/// # Safety
/// As for [`copy`].
unsafe fn fill(to: *mut c_void, value: u32, unit: usize, count: usize, queue: Queue) -> Answer {
    if count == 0 {
        return Ok(());
    }
    if to.is_null() {
        return Err(HipError::INVALID_VALUE);
    }
    let bytes = count.checked_mul(unit).ok_or(HipError::INVALID_VALUE)?;
    // A device cannot fill ordinary host memory.
    if memory::bytes_from(to).is_none_or(|rest| bytes > rest) {
        return Err(HipError::INVALID_VALUE);
    }
    let entry = Entry::Memset { value, bytes, stream: name(queue) };
    let to = to.expose_provenance();
    submit(queue, &entry, move || {
        let pattern = &value.to_ne_bytes()[..unit];
        let to = with_exposed_provenance_mut::<u8>(to);
        // SAFETY: within the allocation by the check above.
        let memory = unsafe { std::slice::from_raw_parts_mut(to, bytes) };
        match *pattern {
            [byte] => memory.fill(byte),
            _ => memory.chunks_exact_mut(unit).for_each(|place| place.copy_from_slice(pattern)),
        }
    })
}

hip_functions! {
    fn hipMemcpy(to: *mut c_void, from: *const c_void, bytes: usize, kind: i32) {
        // SAFETY: the caller's memory.
        unsafe { copy(to, from, bytes, kind, None) }
    }

    fn hipMemcpyAsync(
        to: *mut c_void,
        from: *const c_void,
        bytes: usize,
        kind: i32,
        stream: *mut c_void,
    ) {
        let queue = queue(stream)?;
        // SAFETY: the caller's memory.
        unsafe { copy(to, from, bytes, kind, queue) }
    }

    fn hipMemcpyWithStream(
        to: *mut c_void,
        from: *const c_void,
        bytes: usize,
        kind: i32,
        stream: *mut c_void,
    ) {
        let queue = queue(stream)?;
        // SAFETY: the caller's memory.
        unsafe { copy(to, from, bytes, kind, queue) }
    }

    fn hipMemcpyHtoD(to: *mut c_void, from: *const c_void, bytes: usize) {
        // SAFETY: the caller's memory.
        unsafe { copy(to, from, bytes, 1, None) }
    }

    fn hipMemcpyDtoH(to: *mut c_void, from: *const c_void, bytes: usize) {
        // SAFETY: the caller's memory.
        unsafe { copy(to, from, bytes, 2, None) }
    }

    fn hipMemcpyDtoD(to: *mut c_void, from: *const c_void, bytes: usize) {
        // SAFETY: the caller's memory.
        unsafe { copy(to, from, bytes, 3, None) }
    }

    fn hipMemcpyPeer(
        to: *mut c_void,
        _to_device: i32,
        from: *const c_void,
        _from_device: i32,
        bytes: usize,
    ) {
        // SAFETY: the caller's memory.
        unsafe { copy(to, from, bytes, 3, None) }
    }

    fn hipMemcpyPeerAsync(
        to: *mut c_void,
        _to_device: i32,
        from: *const c_void,
        _from_device: i32,
        bytes: usize,
        stream: *mut c_void,
    ) {
        let queue = queue(stream)?;
        // SAFETY: the caller's memory.
        unsafe { copy(to, from, bytes, 3, queue) }
    }

    fn hipMemcpy2D(
        to: *mut c_void,
        to_pitch: usize,
        from: *const c_void,
        from_pitch: usize,
        width: usize,
        height: usize,
        kind: i32,
    ) {
        // SAFETY: the caller's memory.
        unsafe { copy_rows((to, to_pitch), (from, from_pitch), (width, height), kind, None) }
    }

    fn hipMemcpy2DAsync(
        to: *mut c_void,
        to_pitch: usize,
        from: *const c_void,
        from_pitch: usize,
        width: usize,
        height: usize,
        kind: i32,
        stream: *mut c_void,
    ) {
        let queue = queue(stream)?;
        // SAFETY: the caller's memory.
        unsafe { copy_rows((to, to_pitch), (from, from_pitch), (width, height), kind, queue) }
    }

    fn hipMemset(to: *mut c_void, value: i32, bytes: usize) {
        // SAFETY: the caller's memory.
        unsafe { fill(to, value as u32 & 0xff, 1, bytes, None) }
    }

    fn hipMemsetAsync(to: *mut c_void, value: i32, bytes: usize, stream: *mut c_void) {
        let queue = queue(stream)?;
        // SAFETY: the caller's memory.
        unsafe { fill(to, value as u32 & 0xff, 1, bytes, queue) }
    }

    fn hipMemsetD8(to: *mut c_void, value: u8, count: usize) {
        // SAFETY: the caller's memory.
        unsafe { fill(to, value.into(), 1, count, None) }
    }

    fn hipMemsetD16(to: *mut c_void, value: u16, count: usize) {
        // SAFETY: the caller's memory.
        unsafe { fill(to, value.into(), 2, count, None) }
    }

    fn hipMemsetD32(to: *mut c_void, value: i32, count: usize) {
        // SAFETY: the caller's memory.
        unsafe { fill(to, value as u32, 4, count, None) }
    }

    fn hipMemsetD32Async(to: *mut c_void, value: i32, count: usize, stream: *mut c_void) {
        let queue = queue(stream)?;
        // SAFETY: the caller's memory.
        unsafe { fill(to, value as u32, 4, count, queue) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{hipFree, hipMalloc};

    struct Device(*mut c_void);

    impl Device {
        fn new(bytes: usize) -> Self {
            let mut memory = ptr::null_mut();
            // SAFETY: `memory` is what the function fills.
            assert_eq!(unsafe { hipMalloc(&raw mut memory, bytes) }, 0);
            Self(memory)
        }
    }

    impl Drop for Device {
        fn drop(&mut self) {
            // SAFETY: allocated above and freed once.
            unsafe { hipFree(self.0) };
        }
    }

    #[test]
    fn what_was_copied_in_comes_back_out() {
        let device = Device::new(16);
        let data = *b"0123456789abcdef";
        let mut back = [0_u8; 16];
        // SAFETY: all of it is sixteen bytes.
        unsafe {
            assert_eq!(hipMemcpy(device.0, data.as_ptr().cast(), 16, 1), 0);
            assert_eq!(hipMemsetD32(device.0, 0x7a7a_7a7a, 1), 0);
            assert_eq!(hipMemcpy(back.as_mut_ptr().cast(), device.0, 16, 2), 0);
        }
        assert_eq!(&back, b"zzzz456789abcdef");
    }

    #[test]
    fn rows_keep_their_pitches() {
        let device = Device::new(12);
        let data = *b"abXcdX";
        let mut back = [b'.'; 5];
        // SAFETY: two rows of two bytes: 5 of 6 bytes read, 6 of 12 written, then 5 written.
        unsafe {
            assert_eq!(hipMemcpy2D(device.0, 4, data.as_ptr().cast(), 3, 2, 2, 1), 0);
            assert_eq!(hipMemcpy2D(back.as_mut_ptr().cast(), 3, device.0, 4, 2, 2, 2), 0);
        }
        assert_eq!(&back, b"ab.cd");
    }

    #[test]
    fn what_the_real_runtime_refuses_is_refused() {
        let device = Device::new(16);
        let mut host = [0_u8; 64];
        let host = host.as_mut_ptr().cast::<c_void>();
        // SAFETY: all of these are refused before any memory is touched, or copy nothing.
        unsafe {
            assert_eq!(hipMemcpy(device.0, host, 17, 1), 1, "beyond the allocation");
            assert_eq!(hipMemcpy(device.0, ptr::null(), 16, 1), 1, "null");
            assert_eq!(hipMemcpy(ptr::null_mut(), ptr::null(), 0, 1), 0, "nothing");
            assert_eq!(hipMemcpy(device.0, host, 16, 9), 21, "no such direction");
            assert_eq!(hipMemcpy(host, host, 16, 1), 1, "host memory as a device's");
            assert_eq!(hipMemcpy2D(device.0, 4, host, 4, 5, 1, 1), 12, "wider than its pitch");
            assert_eq!(hipMemcpy2D(device.0, 8, host, 4, 4, 3, 1), 1, "beyond the allocation");
            assert_eq!(hipMemset(device.0, 0, 17), 1, "beyond the allocation");
            assert_eq!(hipMemset(host, 0, 1), 1, "host memory");
        }
    }
}
