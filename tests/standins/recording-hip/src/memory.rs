//! Memory: allocations of device, host and managed memory, all of them pages of the host, and the attributes
//! that `hipPointerGetAttributes` returns for an address.
//!
//! New memory is zero and only reserved until it is used, so the large workspaces that real libraries allocate
//! cost nothing.

use crate::{
    answer::{hip_functions, put},
    devices,
    errors::{Answer, HipError},
    graphs,
    layouts::PointerAttributes,
    streams,
};
use std::{
    collections::BTreeMap,
    ffi::c_void,
    ptr,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The kind of an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Device,
    Host,
    Managed,
    /// The program's own memory, registered with `hipHostRegister`.
    Registered,
}

/// One allocation.
#[derive(Clone, Copy, Debug)]
struct Allocation {
    size: usize,
    place: Place,
    device: i32,
    flags: u32,
}

/// All allocations, by their first address.
static ALLOCATIONS: Mutex<BTreeMap<usize, Allocation>> = Mutex::new(BTreeMap::new());

fn allocations() -> MutexGuard<'static, BTreeMap<usize, Allocation>> {
    ALLOCATIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The allocation that contains an address, and its number of bytes from there on.
fn find(address: usize) -> Option<(Allocation, usize)> {
    let allocations = allocations();
    let (&start, &allocation) = allocations.range(..=address).next_back()?;
    let offset = address - start;
    (offset < allocation.size).then(|| (allocation, allocation.size - offset))
}

/// The number of bytes of an allocation from an address on; `None` outside all allocations.
pub(crate) fn bytes_from(address: *const c_void) -> Option<usize> {
    find(address.addr()).map(|(_, rest)| rest)
}

fn used(of: i32) -> usize {
    let on_device = |a: &&Allocation| a.place == Place::Device && a.device == of;
    allocations().values().filter(on_device).map(|a| a.size).sum()
}

fn allocate(size: usize, place: Place, flags: u32) -> Answer<*mut c_void> {
    if size == 0 {
        return Ok(ptr::null_mut());
    }
    let device = devices::current();
    if size > devices::total_memory().saturating_sub(used(device)) {
        return Err(HipError::OUT_OF_MEMORY);
    }
    // SAFETY: a new anonymous mapping does not affect existing memory.
    let memory = unsafe {
        libc::mmap(
            ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if memory == libc::MAP_FAILED {
        return Err(HipError::OUT_OF_MEMORY);
    }
    allocations().insert(memory.addr(), Allocation { size, place, device, flags });
    Ok(memory)
}

fn release(memory: *mut c_void) -> Answer {
    if memory.is_null() {
        return Ok(());
    }
    let mut allocations = allocations();
    let allocation = match allocations.get(&memory.addr()) {
        Some(found) if found.place != Place::Registered => *found,
        _ => return Err(HipError::INVALID_VALUE),
    };
    allocations.remove(&memory.addr());
    // SAFETY: our own mapping of this size, removed from the table so that it is unmapped only once.
    unsafe { libc::munmap(memory, allocation.size) };
    Ok(())
}

/// The attributes of an address. For one outside all allocations the runtime returns success and
/// "unregistered", with device -2. (Public source of the runtime, release 7.)
fn attributes_of(address: *const c_void) -> PointerAttributes {
    let address = address.cast_mut();
    match find(address.addr()) {
        None => PointerAttributes {
            kind: 0,
            device: -2,
            device_pointer: ptr::null_mut(),
            host_pointer: ptr::null_mut(),
            is_managed: 0,
            allocation_flags: 0,
        },
        Some((allocation, _)) => PointerAttributes {
            kind: match allocation.place {
                Place::Host | Place::Registered => 1,
                Place::Device => 2,
                Place::Managed => 3,
            },
            device: allocation.device,
            device_pointer: address,
            host_pointer: if allocation.place == Place::Device { ptr::null_mut() } else { address },
            is_managed: i32::from(allocation.place == Place::Managed),
            allocation_flags: allocation.flags,
        },
    }
}

/// Fails if the stream is being captured: graphs of this runtime have no nodes that allocate or free.
fn refuse_as_node(stream: *mut c_void) -> Answer {
    if graphs::status(stream) == Ok(0) { Ok(()) } else { Err(HipError::NOT_SUPPORTED) }
}

/// Allocates memory and stores its address in `result`.
///
/// # Safety
/// `result` is null or may be written.
unsafe fn give(result: *mut *mut c_void, size: usize, place: Place, flags: u32) -> Answer {
    if result.is_null() {
        return Err(HipError::INVALID_VALUE);
    }
    // SAFETY: guaranteed by the caller.
    unsafe { put(result, allocate(size, place, flags)?) }
}

hip_functions! {
    fn hipMalloc(result: *mut *mut c_void, size: usize) {
        graphs::refuse_unsafe()?;
        // SAFETY: the caller's out-parameter.
        unsafe { give(result, size, Place::Device, 0) }
    }

    fn hipExtMallocWithFlags(result: *mut *mut c_void, size: usize, flags: u32) {
        graphs::refuse_unsafe()?;
        // SAFETY: the caller's out-parameter.
        unsafe { give(result, size, Place::Device, flags) }
    }

    fn hipMallocAsync(result: *mut *mut c_void, size: usize, stream: *mut c_void) {
        streams::check(stream)?;
        refuse_as_node(stream)?;
        // SAFETY: the caller's out-parameter.
        unsafe { give(result, size, Place::Device, 0) }
    }

    fn hipMallocManaged(result: *mut *mut c_void, size: usize, flags: u32) {
        graphs::refuse_unsafe()?;
        // SAFETY: the caller's out-parameter.
        unsafe { give(result, size, Place::Managed, flags) }
    }

    fn hipHostMalloc(result: *mut *mut c_void, size: usize, flags: u32) {
        graphs::refuse_unsafe()?;
        // SAFETY: the caller's out-parameter.
        unsafe { give(result, size, Place::Host, flags) }
    }

    fn hipHostAlloc(result: *mut *mut c_void, size: usize, flags: u32) {
        graphs::refuse_unsafe()?;
        // SAFETY: the caller's out-parameter.
        unsafe { give(result, size, Place::Host, flags) }
    }

    fn hipMallocHost(result: *mut *mut c_void, size: usize) {
        graphs::refuse_unsafe()?;
        // SAFETY: the caller's out-parameter.
        unsafe { give(result, size, Place::Host, 0) }
    }

    fn hipFree(memory: *mut c_void) {
        graphs::refuse_unsafe()?;
        release(memory)
    }

    fn hipFreeAsync(memory: *mut c_void, stream: *mut c_void) {
        streams::check(stream)?;
        refuse_as_node(stream)?;
        if memory.is_null() {
            return Err(HipError::INVALID_VALUE);
        }
        release(memory)
    }

    fn hipHostFree(memory: *mut c_void) {
        graphs::refuse_unsafe()?;
        release(memory)
    }

    fn hipFreeHost(memory: *mut c_void) {
        graphs::refuse_unsafe()?;
        release(memory)
    }

    fn hipHostRegister(memory: *mut c_void, size: usize, flags: u32) {
        if memory.is_null() || size == 0 || find(memory.addr()).is_some() {
            return Err(HipError::INVALID_VALUE);
        }
        let device = devices::current();
        let allocation = Allocation { size, place: Place::Registered, device, flags };
        allocations().insert(memory.addr(), allocation);
        Ok(())
    }

    fn hipHostUnregister(memory: *mut c_void) {
        let mut allocations = allocations();
        match allocations.get(&memory.addr()) {
            Some(found) if found.place == Place::Registered => {
                allocations.remove(&memory.addr());
                Ok(())
            }
            _ => Err(HipError::INVALID_VALUE),
        }
    }

    fn hipHostGetDevicePointer(result: *mut *mut c_void, memory: *mut c_void, _flags: u32) {
        find(memory.addr()).ok_or(HipError::INVALID_VALUE)?;
        // SAFETY: the caller's out-parameter.
        unsafe { put(result, memory) }
    }

    fn hipMemGetInfo(free: *mut usize, total: *mut usize) {
        let all = devices::total_memory();
        // SAFETY: the caller's out-parameters.
        unsafe {
            put(free, all.saturating_sub(used(devices::current())))?;
            put(total, all)
        }
    }

    fn hipPointerGetAttributes(result: *mut PointerAttributes, address: *const c_void) {
        if result.is_null() || address.is_null() {
            return Err(HipError::INVALID_VALUE);
        }
        // SAFETY: the caller's out-parameter.
        unsafe { put(result, attributes_of(address)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_memory_is_known_from_its_first_byte_to_its_last() {
        let memory = allocate(4097, Place::Device, 0).expect("room for two pages");
        assert_eq!(bytes_from(memory), Some(4097));
        let last = memory.wrapping_byte_add(4096);
        assert_eq!(bytes_from(last), Some(1));
        let inside = attributes_of(last);
        assert_eq!((inside.kind, inside.device), (2, 0));
        assert_eq!((inside.device_pointer, inside.host_pointer), (last, ptr::null_mut()));
        assert_eq!(attributes_of(memory.wrapping_byte_add(4097)).kind, 0);
        assert_eq!(release(memory), Ok(()));
        assert_eq!(bytes_from(memory), None);
        assert_eq!(release(memory), Err(HipError::INVALID_VALUE));
    }

    #[test]
    fn host_and_managed_memory_have_two_pointers() {
        for (place, kind, managed) in [(Place::Host, 1, 0), (Place::Managed, 3, 1)] {
            let memory = allocate(64, place, 7).expect("room");
            let known = attributes_of(memory);
            assert_eq!((known.kind, known.is_managed, known.allocation_flags), (kind, managed, 7));
            assert_eq!((known.device_pointer, known.host_pointer), (memory, memory));
            assert_eq!(release(memory), Ok(()));
        }
    }

    #[test]
    fn a_programs_own_memory_is_unregistered_and_no_error() {
        let own = 1_u64;
        let mut found = attributes_of(ptr::null());
        // SAFETY: `found` is what the function fills.
        let status =
            unsafe { hipPointerGetAttributes(&raw mut found, (&raw const own).cast::<c_void>()) };
        assert_eq!((status, found.kind, found.device), (0, 0, -2));
        // SAFETY: the function refuses null.
        assert_eq!(unsafe { hipPointerGetAttributes(&raw mut found, ptr::null()) }, 1);
    }

    #[test]
    fn registered_memory_is_host_memory_until_it_is_unregistered() {
        let mut own = [0_u64; 4];
        let address = own.as_mut_ptr().cast::<c_void>();
        // SAFETY: the functions only store the address.
        unsafe {
            assert_eq!(hipHostRegister(address, 32, 0), 0);
            assert_eq!(attributes_of(address.wrapping_byte_add(31)).kind, 1);
            assert_eq!(hipFree(address), 1);
            assert_eq!(hipHostUnregister(address), 0);
        }
        assert_eq!(attributes_of(address).kind, 0);
    }

    #[test]
    fn more_than_the_device_has_is_out_of_memory() {
        let too_much = devices::total_memory() + 1;
        assert_eq!(allocate(too_much, Place::Device, 0), Err(HipError::OUT_OF_MEMORY));
        assert_eq!(allocate(0, Place::Device, 0), Ok(ptr::null_mut()));
    }
}
