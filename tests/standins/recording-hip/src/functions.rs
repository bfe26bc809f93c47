//! Queries about kernels: attributes, and how many blocks a multiprocessor holds.

use crate::{
    answer::{hip_functions, put},
    devices,
    errors::{Answer, HipError},
    layouts::FunctionAttributes,
    modules, registration,
    settings::settings,
};
use std::ffi::c_void;

/// The number of blocks that a multiprocessor holds, limited by its threads and its shared memory. Registers
/// are not considered, because the kernels' register counts are unknown here.
fn blocks_per_multiprocessor(block: i32, shared: usize) -> Answer<i32> {
    let threads = u64::try_from(block).ok().filter(|&n| n > 0).ok_or(HipError::INVALID_VALUE)?;
    if threads > devices::max_threads_per_block() {
        return Err(HipError::INVALID_VALUE);
    }
    let model = settings().target().model();
    let warp = model.warp as u64;
    let by_threads = model.threads as u64 / threads.next_multiple_of(warp);
    let by_memory = match shared as u64 {
        0 => u64::MAX,
        bytes => devices::shared_memory() / bytes,
    };
    Ok(by_threads.min(by_memory) as i32)
}

fn check_kernel(stub: *const c_void) -> Answer {
    let kernel = registration::kernel(stub).ok_or(HipError::INVALID_DEVICE_FUNCTION)?;
    if kernel.has_code() { Ok(()) } else { Err(HipError::INVALID_DEVICE_FUNCTION) }
}

fn check_function(function: *mut c_void) -> Answer {
    modules::function_name(function).map(|_| ()).ok_or(HipError::INVALID_HANDLE)
}

hip_functions! {
    fn hipFuncGetAttributes(result: *mut FunctionAttributes, stub: *const c_void) {
        check_kernel(stub)?;
        let attributes = FunctionAttributes {
            binary_version: 40,
            max_dynamic_shared_size_bytes: devices::shared_memory() as i32,
            max_threads_per_block: devices::max_threads_per_block() as i32,
            num_regs: 32,
            ptx_version: 30,
            ..FunctionAttributes::default()
        };
        // SAFETY: the caller's out-parameter.
        unsafe { put(result, attributes) }
    }

    fn hipFuncSetAttribute(stub: *const c_void, _attribute: i32, _value: i32) {
        check_kernel(stub)
    }

    fn hipOccupancyMaxActiveBlocksPerMultiprocessor(
        blocks: *mut i32,
        stub: *const c_void,
        block: i32,
        shared: usize,
    ) {
        check_kernel(stub)?;
        // SAFETY: the caller's out-parameter.
        unsafe { put(blocks, blocks_per_multiprocessor(block, shared)?) }
    }

    fn hipModuleOccupancyMaxActiveBlocksPerMultiprocessor(
        blocks: *mut i32,
        function: *mut c_void,
        block: i32,
        shared: usize,
    ) {
        check_function(function)?;
        // SAFETY: the caller's out-parameter.
        unsafe { put(blocks, blocks_per_multiprocessor(block, shared)?) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn occupancy_is_limited_by_threads_and_shared_memory() {
        assert_eq!(blocks_per_multiprocessor(256, 0), Ok(10));
        assert_eq!(blocks_per_multiprocessor(65, 0), Ok(20));
        assert_eq!(blocks_per_multiprocessor(64, 32 << 10), Ok(2));
        for block in [0, -1, 1025] {
            assert_eq!(blocks_per_multiprocessor(block, 0), Err(HipError::INVALID_VALUE));
        }
    }
}
