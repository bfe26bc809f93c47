//! Devices: their number, the current device of a thread, and their properties.

use crate::{
    answer::{hip_functions, put},
    errors::{Answer, HipError},
    graphs,
    layouts::DeviceProperties,
    settings::settings,
};
use std::{
    cell::Cell,
    ffi::{c_char, c_void},
    ptr,
};

thread_local! {
    static CURRENT: Cell<i32> = const { Cell::new(0) };
}

/// `major * 10,000,000 + minor * 100,000 + patch` of HIP 7.2.53211.
const VERSION: i32 = 70_253_211;
const SHARED_MEMORY: usize = 64 << 10;
const REGISTERS: i32 = 65_536;
const MAX_THREADS: i32 = 1024;

/// The calling thread's device.
pub(crate) fn current() -> i32 {
    CURRENT.get()
}

/// Fails for a device that does not exist.
pub(crate) fn check(device: i32) -> Answer {
    if (0..settings().devices).contains(&device) { Ok(()) } else { Err(HipError::INVALID_DEVICE) }
}

/// The maximum number of threads in a block.
pub(crate) fn max_threads_per_block() -> u64 {
    MAX_THREADS as u64
}

/// The maximum shared memory of a block.
pub(crate) fn shared_memory() -> u64 {
    SHARED_MEMORY as u64
}

/// Memory of one device.
pub(crate) fn total_memory() -> usize {
    // Real devices report a little less than their physical memory.
    ((settings().target().model().memory << 30) - (16 << 20)) as usize
}

fn fill(field: &mut [c_char], text: &str) {
    let room = field.len() - 1;
    for (to, from) in field[..room].iter_mut().zip(text.bytes()) {
        *to = from as c_char;
    }
}

/// The properties that `hipGetDevicePropertiesR0600` returns for a device.
pub(crate) fn properties(device: i32) -> DeviceProperties {
    let target = settings().target_of(device);
    let model = target.model();
    let (major, minor) = target.version();
    let mut p = DeviceProperties::zeroed();
    fill(&mut p.name, model.name);
    fill(&mut p.gcn_arch_name, &target.full_name());
    p.uuid[15] = device as u8;
    p.total_global_mem = total_memory();
    p.shared_mem_per_block = SHARED_MEMORY;
    p.regs_per_block = REGISTERS;
    p.warp_size = model.warp;
    p.mem_pitch = i32::MAX as usize;
    p.max_threads_per_block = MAX_THREADS;
    p.max_threads_dim = [MAX_THREADS; 3];
    p.max_grid_size = [i32::MAX, 65_536, 65_536];
    p.clock_rate = 1_725_000;
    p.total_const_mem = i32::MAX as usize;
    p.major = major;
    p.minor = minor;
    p.texture_alignment = 256;
    p.texture_pitch_alignment = 256;
    p.device_overlap = 1;
    p.multi_processor_count = model.multiprocessors;
    p.can_map_host_memory = 1;
    p.surface_alignment = 256;
    p.concurrent_kernels = 1;
    p.pci_bus_id = 3 + device;
    p.async_engine_count = 2;
    p.unified_addressing = 1;
    p.memory_clock_rate = 1_000_000;
    p.memory_bus_width = 4096;
    p.l2_cache_size = 4 << 20;
    p.max_threads_per_multi_processor = model.threads;
    p.stream_priorities_supported = 1;
    p.shared_mem_per_multiprocessor = SHARED_MEMORY;
    p.regs_per_multiprocessor = REGISTERS;
    p.managed_memory = 1;
    p.cooperative_launch = 1;
    p.shared_mem_per_block_optin = SHARED_MEMORY;
    p.max_blocks_per_multi_processor = 2;
    p.host_register_supported = 1;
    p.memory_pools_supported = 1;
    p.max_shared_memory_per_multi_processor = SHARED_MEMORY;
    p.clock_instruction_rate = 1_000_000;
    // Atomics, doubles, votes, ballots, shuffles, system fences and 3D grids.
    p.arch = 0x97ff;
    p.is_large_bar = 1;
    p.asic_revision = 1;
    p
}

/// The value that `hipDeviceGetAttribute` returns, by the numbers of HIP 7.2's enumeration. An unknown attribute is
/// zero, like one that a device does not have.
fn attribute(number: i32, device: i32) -> Answer<i32> {
    let p = properties(device);
    let small = |bytes: usize| i32::try_from(bytes).unwrap_or(i32::MAX);
    Ok(match number {
        2 => p.async_engine_count,
        3 => p.can_map_host_memory,
        5 => p.clock_rate,
        8 => p.concurrent_kernels,
        10 => p.cooperative_launch,
        19 => p.l2_cache_size,
        23 => p.major,
        24 => p.managed_memory,
        25 => p.max_blocks_per_multi_processor,
        26 | 55 => p.max_threads_dim[0],
        27 => p.max_threads_dim[1],
        28 => p.max_threads_dim[2],
        29 => p.max_grid_size[0],
        30 => p.max_grid_size[1],
        31 => p.max_grid_size[2],
        56 => p.max_threads_per_block,
        57 => p.max_threads_per_multi_processor,
        58 => small(p.mem_pitch),
        59 => p.memory_bus_width,
        60 => p.memory_clock_rate,
        61 => p.minor,
        63 | 10_015 => p.multi_processor_count,
        67 => p.pci_bus_id,
        68 => p.pci_device_id,
        69 => p.pci_domain_id,
        71 => p.regs_per_block,
        72 => p.regs_per_multiprocessor,
        74 => small(p.shared_mem_per_block),
        75 => small(p.shared_mem_per_block_optin),
        76 => small(p.shared_mem_per_multiprocessor),
        78 => p.stream_priorities_supported,
        79 => small(p.surface_alignment),
        81 => small(p.texture_alignment),
        82 => small(p.texture_pitch_alignment),
        83 => small(p.total_const_mem),
        84 => small(p.total_global_mem),
        85 => p.unified_addressing,
        87 => p.warp_size,
        88 => p.memory_pools_supported,
        90 => p.host_register_supported,
        10_000 => p.clock_instruction_rate,
        10_002 => small(p.max_shared_memory_per_multi_processor),
        10_011 => p.is_large_bar,
        10_012 => p.asic_revision,
        10_017 => 100_000,
        10_018 => 1,
        0..=94 | 10_000..=10_020 => 0,
        _ => return Err(HipError::INVALID_VALUE),
    })
}

hip_functions! {
    fn hipInit(flags: u32) {
        if flags == 0 { Ok(()) } else { Err(HipError::INVALID_VALUE) }
    }

    fn hipDriverGetVersion(version: *mut i32) {
        // SAFETY: the caller's out-parameter.
        unsafe { put(version, VERSION) }
    }

    fn hipRuntimeGetVersion(version: *mut i32) {
        // SAFETY: the caller's out-parameter.
        unsafe { put(version, VERSION) }
    }

    fn hipGetDeviceCount(count: *mut i32) {
        let devices = settings().devices;
        // SAFETY: the caller's out-parameter.
        unsafe { put(count, devices) }?;
        if devices == 0 { Err(HipError::NO_DEVICE) } else { Ok(()) }
    }

    fn hipGetDevice(device: *mut i32) {
        // SAFETY: the caller's out-parameter.
        unsafe { put(device, current()) }
    }

    fn hipSetDevice(device: i32) {
        check(device)?;
        CURRENT.set(device);
        Ok(())
    }

    fn hipDeviceGet(device: *mut i32, ordinal: i32) {
        check(ordinal)?;
        // SAFETY: the caller's out-parameter.
        unsafe { put(device, ordinal) }
    }

    fn hipGetDevicePropertiesR0600(result: *mut DeviceProperties, device: i32) {
        if result.is_null() {
            return Err(HipError::INVALID_VALUE);
        }
        check(device)?;
        // SAFETY: the caller's out-parameter.
        unsafe { put(result, properties(device)) }
    }

    fn hipDeviceGetAttribute(result: *mut i32, number: i32, device: i32) {
        if result.is_null() {
            return Err(HipError::INVALID_VALUE);
        }
        check(device)?;
        // SAFETY: the caller's out-parameter.
        unsafe { put(result, attribute(number, device)?) }
    }

    fn hipDeviceGetName(name: *mut c_char, length: i32, device: i32) {
        if name.is_null() || length <= 0 {
            return Err(HipError::INVALID_VALUE);
        }
        check(device)?;
        let full = properties(device).name;
        let room = (length as usize).min(full.len()) - 1;
        // SAFETY: the caller has `length` bytes, of which at most all are written.
        unsafe {
            ptr::copy_nonoverlapping(full.as_ptr(), name, room);
            name.add(room).write(0);
        }
        Ok(())
    }

    fn hipDeviceTotalMem(bytes: *mut usize, device: i32) {
        check(device)?;
        // SAFETY: the caller's out-parameter.
        unsafe { put(bytes, total_memory()) }
    }

    fn hipDeviceGetPCIBusId(text: *mut c_char, length: i32, device: i32) {
        check(device)?;
        let id = format!("0000:{:02x}:00.0\0", properties(device).pci_bus_id);
        if text.is_null() || (length as usize) < id.len() || length < 0 {
            return Err(HipError::INVALID_VALUE);
        }
        // SAFETY: the caller has `length` bytes, and the text with its NUL is no longer.
        unsafe { ptr::copy_nonoverlapping(id.as_ptr(), text.cast(), id.len()) };
        Ok(())
    }

    fn hipDeviceSynchronize() {
        graphs::refuse_unsafe()
    }

    fn hipDeviceReset() {
        Ok(())
    }

    fn hipSetDeviceFlags(_flags: u32) {
        Ok(())
    }

    fn hipDeviceCanAccessPeer(can: *mut i32, device: i32, peer: i32) {
        check(device).and(check(peer))?;
        // SAFETY: the caller's out-parameter.
        unsafe { put(can, i32::from(device != peer)) }
    }

    fn hipDeviceEnablePeerAccess(peer: i32, _flags: u32) {
        check(peer)
    }

    fn hipDeviceDisablePeerAccess(peer: i32) {
        check(peer)
    }

    fn hipDeviceGetDefaultMemPool(pool: *mut *mut c_void, device: i32) {
        check(device)?;
        // SAFETY: the caller's out-parameter.
        unsafe { put(pool, ptr::without_provenance_mut(FIRST_POOL + device as usize)) }
    }

    fn hipMemPoolTrimTo(pool: *mut c_void, _keep: usize) {
        let device = pool.addr().checked_sub(FIRST_POOL).ok_or(HipError::INVALID_VALUE)?;
        check(i32::try_from(device).map_err(|_| HipError::INVALID_VALUE)?)
            .map_err(|_| HipError::INVALID_VALUE)
    }
}

/// Handles of pools, which are numbers that are not valid addresses.
const FIRST_POOL: usize = 0x100;

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn properties_are_those_of_an_mi50() {
        let mut p = DeviceProperties::zeroed();
        // SAFETY: `p` is what the function fills.
        let status = unsafe { hipGetDevicePropertiesR0600(&raw mut p, 0) };
        assert_eq!(status, 0);
        // SAFETY: the string has a NUL, since the last byte is never filled.
        let arch = unsafe { CStr::from_ptr(p.gcn_arch_name.as_ptr()) };
        assert_eq!(arch, c"gfx906:sramecc+:xnack-");
        assert_eq!((p.warp_size, p.multi_processor_count), (64, 60));
        assert_eq!((p.major, p.minor), (9, 0));
        assert_eq!(p.shared_mem_per_block, 65_536);
        assert_eq!(p.max_grid_size, [2_147_483_647, 65_536, 65_536]);
    }

    #[test]
    fn attributes_agree_with_the_properties() {
        let ask = |number| {
            let mut value = -1;
            // SAFETY: `value` is what the function fills.
            (unsafe { hipDeviceGetAttribute(&raw mut value, number, 0) }, value)
        };
        assert_eq!(ask(87), (0, 64));
        assert_eq!(ask(63), (0, 60));
        assert_eq!(ask(74), (0, 65_536));
        assert_eq!(ask(0), (0, 0));
        assert_eq!(ask(9_999), (1, -1));
    }

    #[test]
    fn a_device_that_does_not_exist_is_refused() {
        let mut p = DeviceProperties::zeroed();
        // SAFETY: `p` is what the function fills, null what it refuses.
        unsafe {
            assert_eq!(hipSetDevice(1), 101);
            assert_eq!(hipGetDevicePropertiesR0600(&raw mut p, -1), 101);
            assert_eq!(hipGetDevicePropertiesR0600(ptr::null_mut(), 0), 1);
        }
        assert_eq!(current(), 0);
    }

    #[test]
    fn a_name_is_cut_to_the_room_there_is() {
        let mut name = [1; 4];
        // SAFETY: the buffer has the four bytes that are passed as its length.
        assert_eq!(unsafe { hipDeviceGetName(name.as_mut_ptr(), 4, 0) }, 0);
        assert_eq!(name, [b'A' as c_char, b'M' as c_char, b'D' as c_char, 0]);
    }
}
