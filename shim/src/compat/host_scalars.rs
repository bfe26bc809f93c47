//! Brings alpha and beta to the host, where the shim's replacements can read them.
//!
//! In device pointer mode they are copied to the host on the handle's stream, as rocBLAS does in the
//! functions that are replaced, and the backend's functions are then called in host pointer mode.
//! While the stream is being captured, a copy would run at each replay instead of now, and waiting for it
//! would invalidate the capture, so the call is refused.

use super::{Compat, handles::Handle, status, transfers};
use crate::diagnostics::error;
use core::{
    ffi::c_void,
    ptr::null_mut,
    sync::atomic::{AtomicBool, Ordering},
};
use rocblas_abi::value::pointer_mode;
use rocblas_contract::sentences;

/// A guard that sets a handle in device pointer mode to host pointer mode, and restores it when dropped.
pub(super) struct HostMode<'a> {
    compat: &'a Compat,
    handle: Handle,
    was_device: bool,
}

impl<'a> HostMode<'a> {
    /// The error is the backend's status.
    pub(super) fn enter(compat: &'a Compat, handle: Handle) -> Result<Self, i32> {
        let was_device = is_device_mode(compat, handle)?;
        let entered = Self { compat, handle, was_device };
        if was_device {
            entered.set(pointer_mode::HOST)?;
        }
        Ok(entered)
    }

    /// Whether the scalars were in device memory.
    pub(super) fn was_device(&self) -> bool {
        self.was_device
    }

    fn set(&self, mode: i32) -> Result<(), i32> {
        let set = self.compat.functions.rocblas_set_pointer_mode;
        let set = set.ok_or(status::NOT_IMPLEMENTED)?;
        // SAFETY: the caller's handle, under the vendor's contract.
        match unsafe { set(self.handle, mode) } {
            status::SUCCESS => Ok(()),
            error => Err(error),
        }
    }
}

impl Drop for HostMode<'_> {
    fn drop(&mut self) {
        if self.was_device && self.set(pointer_mode::DEVICE).is_err() {
            error!("{}", sentences::pointer_mode_lost());
        }
    }
}

fn is_device_mode(compat: &Compat, handle: Handle) -> Result<bool, i32> {
    let get = compat.functions.rocblas_get_pointer_mode.ok_or(status::NOT_IMPLEMENTED)?;
    let mut mode = pointer_mode::HOST;
    // SAFETY: the caller's handle, under the vendor's contract, and memory for the result.
    match unsafe { get(handle, &raw mut mode) } {
        status::SUCCESS => Ok(mode == pointer_mode::DEVICE),
        error => Err(error),
    }
}

/// Host copies of blocks of `bytes` bytes of device memory, aligned for any scalar. The copy for a null
/// pointer is zero.
///
/// # Safety
/// Each pointer is null or points to that many bytes of device memory.
pub(super) unsafe fn read<const N: usize>(
    compat: &Compat,
    handle: Handle,
    blocks: [*const c_void; N],
    bytes: usize,
) -> Result<[Vec<u64>; N], i32> {
    let (Some(hip), Some(get_stream)) = (&compat.hip, compat.functions.rocblas_get_stream) else {
        return Err(status::NOT_IMPLEMENTED);
    };
    let mut stream = null_mut();
    // SAFETY: the caller's handle, under the vendor's contract, and memory for the result.
    let error = unsafe { get_stream(handle, &raw mut stream) };
    if error != status::SUCCESS {
        return Err(error);
    }
    if hip.is_capturing(stream) != Some(false) {
        static REPORTED: AtomicBool = AtomicBool::new(false);
        if !REPORTED.swap(true, Ordering::Relaxed) {
            error!("{}", sentences::scalars_captured());
        }
        return Err(status::NOT_IMPLEMENTED);
    }
    let mut copies = [const { Vec::new() }; N];
    for (copy, block) in copies.iter_mut().zip(blocks) {
        *copy = vec![0_u64; bytes.div_ceil(8)];
        if !block.is_null() {
            // SAFETY: both are that long: the device memory by contract, and the copy, which lives until
            // the stream has been waited for.
            let error = unsafe { hip.read(copy.as_mut_ptr().cast(), block, bytes, stream) };
            if error != 0 {
                return Err(transfers::status_of(error));
            }
        }
    }
    Ok(copies)
}
