//! The HIP runtime that a backend has loaded: memory on a GPU, and error queries.

use super::memory::Memory;
use crate::doctor::shared_object::{SharedObject, text};
use anyhow::{Result, anyhow, ensure};
use rocblas_contract::hip as contract;
use std::ffi::{c_char, c_int, c_void};

/// `hipMemcpyKind`
const TO_DEVICE: c_int = 1;
const TO_HOST: c_int = 2;

/// A buffer with the alignment of HIP's structure.
#[repr(C, align(8))]
struct Properties([u8; contract::DEVICE_PROPERTIES]);

type Name = unsafe extern "C" fn(c_int) -> *const c_char;
type GetProperties = unsafe extern "C" fn(*mut Properties, c_int) -> c_int;

/// A HIP runtime. Memory is freed when the process ends.
pub(super) struct Hip {
    set_device: unsafe extern "C" fn(c_int) -> c_int,
    synchronize: unsafe extern "C" fn() -> c_int,
    malloc: unsafe extern "C" fn(*mut *mut c_void, usize) -> c_int,
    memcpy: unsafe extern "C" fn(*mut c_void, *const c_void, usize, c_int) -> c_int,
    last_error: unsafe extern "C" fn() -> c_int,
    name: Option<Name>,
    properties: Option<GetProperties>,
}

impl Hip {
    /// The runtime that a library has loaded; `None` if the library does not need one.
    pub(super) fn of(library: &SharedObject) -> Option<Self> {
        // SAFETY: these are the functions' prototypes in every version of HIP.
        unsafe {
            Some(Self {
                set_device: library.function(c"hipSetDevice")?,
                synchronize: library.function(c"hipDeviceSynchronize")?,
                malloc: library.function(c"hipMalloc")?,
                memcpy: library.function(c"hipMemcpy")?,
                last_error: library.function(c"hipGetLastError")?,
                name: library.function(c"hipGetErrorName"),
                properties: library.function(contract::GET_DEVICE_PROPERTIES),
            })
        }
    }

    /// Selects a GPU for this thread. Returns its name and its target.
    ///
    /// # Errors
    /// The error that HIP reports.
    pub(super) fn use_device(&self, device: u32) -> Result<[String; 2]> {
        let device = c_int::try_from(device)?;
        // SAFETY: takes any number.
        self.check("hipSetDevice", unsafe { (self.set_device)(device) })?;
        let mut properties = Box::new(Properties([0; contract::DEVICE_PROPERTIES]));
        if let Some(get) = self.properties {
            // SAFETY: the function's prototype, with a buffer large enough for HIP 6 and 7.
            unsafe { get(&raw mut *properties, device) };
        }
        let part = |range| contract::text(&properties.0[range]);
        Ok([part(contract::DEVICE_NAME), part(contract::ARCHITECTURE)])
    }

    /// Waits until the GPU has finished all work.
    ///
    /// # Errors
    /// The error that HIP reports, which may be that of a failed kernel.
    pub(super) fn synchronize(&self) -> Result<()> {
        // SAFETY: takes no arguments.
        self.check("hipDeviceSynchronize", unsafe { (self.synchronize)() })
    }

    /// Returns and clears the last error of this thread.
    pub(super) fn last_error(&self) -> Option<String> {
        // SAFETY: takes no arguments.
        let error = unsafe { (self.last_error)() };
        (error != 0).then(|| self.error_name(error))
    }

    fn error_name(&self, error: c_int) -> String {
        // SAFETY: the function's prototype. It takes any number and returns a constant string.
        let name = self.name.map(|name| unsafe { text(name(error)) }).unwrap_or_default();
        if name.is_empty() { format!("hipError_t {error}") } else { name }
    }

    fn check(&self, function: &str, error: c_int) -> Result<()> {
        ensure!(error == 0, "{function} returned {}", self.error_name(error));
        Ok(())
    }
}

impl Memory for Hip {
    fn take(&self, bytes: usize) -> Result<u64> {
        let mut place = std::ptr::null_mut();
        // SAFETY: writes an address to the pointed-to variable.
        self.check("hipMalloc", unsafe { (self.malloc)(&raw mut place, bytes.max(1)) })?;
        if place.is_null() {
            return Err(anyhow!("hipMalloc returned no memory"));
        }
        Ok(place.expose_provenance() as u64)
    }

    fn write(&self, address: u64, bytes: &[u8]) -> Result<()> {
        let place = std::ptr::with_exposed_provenance_mut(address as usize);
        // SAFETY: memory of this size that `take` returned, or a part of it.
        let error = unsafe { (self.memcpy)(place, bytes.as_ptr().cast(), bytes.len(), TO_DEVICE) };
        self.check("hipMemcpy to the GPU", error)
    }

    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<()> {
        let place = std::ptr::with_exposed_provenance(address as usize);
        // SAFETY: as in `write`.
        let error =
            unsafe { (self.memcpy)(bytes.as_mut_ptr().cast(), place, bytes.len(), TO_HOST) };
        self.check("hipMemcpy from the GPU", error)
    }
}
