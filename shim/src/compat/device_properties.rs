//! The properties of a handle's device.
//!
//! 5.x has a C++ function that answers a pointer to the `hipDeviceProp_t` of the device that was
//! current when the handle was made; rocSOLVER reads warp size, shared memory, grid size and number
//! of compute units through it without a check. 4.x has no such function.
//! Source: `handle.cpp` of 5.x. The structure is HIP 6's and 7's, 1,472 bytes.

use super::{Compat, Promise, current, handles::Handle};
use crate::{
    backend::hip::{DeviceProperties, Hip},
    table::Target,
};
use core::{
    ffi::{CStr, c_void},
    ptr::null,
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tracing::error;

pub(super) const NAME: &CStr = c"_Z32rocblas_internal_get_device_propP15_rocblas_handle";

pub(super) static REPLACEMENTS: [(&CStr, Target); 1] = [(NAME, Target(get as *const ()))];

struct Known {
    /// By address of the handle.
    devices: BTreeMap<usize, i32>,
    /// By device. Never freed: callers keep the pointer.
    properties: BTreeMap<i32, &'static DeviceProperties>,
}

static KNOWN: Mutex<Known> =
    Mutex::new(Known { devices: BTreeMap::new(), properties: BTreeMap::new() });

fn known() -> MutexGuard<'static, Known> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn on_create(compat: &Compat, handle: Handle) {
    if !compat.active.contains(Promise::DeviceProperties) {
        return;
    }
    if let Some(device) = compat.hip.as_ref().and_then(Hip::current_device) {
        known().devices.insert(handle as usize, device);
    }
}

/// Forgets a handle; answers its device.
pub(super) fn take(handle: Handle) -> Option<i32> {
    known().devices.remove(&(handle as usize))
}

/// The handle was not destroyed after all.
pub(super) fn put_back(handle: Handle, device: Option<i32>) {
    if let Some(device) = device {
        known().devices.insert(handle as usize, device);
    }
}

/// `const hipDeviceProp_t *(rocblas_handle)`; null where HIP does not answer, which callers do not
/// expect, so that is said.
extern "C" fn get(handle: Handle) -> *const c_void {
    let Some(hip) = current().and_then(|compat| compat.hip.as_ref()) else {
        return null();
    };
    let device = known().devices.get(&(handle as usize)).copied();
    let Some(device) = device.or_else(|| hip.current_device()) else {
        return null();
    };
    let properties = known().properties.get(&device).copied();
    let properties = properties.or_else(|| {
        let read = hip.properties(device)?;
        Some(*known().properties.entry(device).or_insert_with(|| Box::leak(read)))
    });
    let Some(properties) = properties else {
        error!("HIP does not tell the properties of device {device}");
        return null();
    };
    (&raw const *properties).cast()
}
