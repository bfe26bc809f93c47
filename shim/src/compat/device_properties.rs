//! The properties of a handle's device.
//!
//! 5.x has a C++ function that returns a pointer to the `hipDeviceProp_t` of the device that was
//! current when the handle was created; rocSOLVER reads warp size, shared memory, grid size and the number
//! of compute units through it without a null check. 4.x has no such function.
//! Source: `handle.cpp` of 5.x and the function itself, which returns null for a null handle. The structure
//! is that of HIP 6 and 7, 1,472 bytes.

use super::{Compat, Promise, handles::Handle, of};
use crate::{backend::hip::Hip, diagnostics::error, facts, table::Target};
use core::{
    ffi::{CStr, c_void},
    ptr::null,
};
use rocblas_contract::sentences;

pub(super) const NAME: &CStr = c"_Z32rocblas_internal_get_device_propP15_rocblas_handle";

pub(super) static REPLACEMENTS: [(&CStr, Target); 1] = [(NAME, Target(get as *const ()))];

/// The device for which a handle is created: the calling thread's current one.
pub(super) fn device(compat: &Compat) -> Option<i32> {
    if !compat.active.contains(Promise::DeviceProperties) {
        return None;
    }
    compat.hip.as_ref().and_then(Hip::current_device)
}

/// `const hipDeviceProp_t *(rocblas_handle)`. Returns null for a null handle, and if HIP fails; callers do
/// not expect the latter, so it is reported.
extern "C" fn get(handle: Handle) -> *const c_void {
    if handle.is_null() {
        return null();
    }
    let Some(hip) = of(handle).and_then(|compat| compat.hip.as_ref()) else {
        return null();
    };
    let device = facts::device_of(handle as usize);
    let Some(device) = device.or_else(|| hip.current_device()) else {
        return null();
    };
    let Some(properties) = facts::properties_of(device, || hip.properties(device)) else {
        error!("{}", sentences::no_properties(device));
        return null();
    };
    (&raw const *properties).cast()
}
