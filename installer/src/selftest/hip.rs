//! The HIP runtime of a tree: the few functions needed to copy matrices to and from a GPU.

use crate::{
    doctor::shared_object::{SharedObject, text},
    peers,
};
use rocblas_contract::{hip as contract, libraries};
use std::{
    ffi::{c_char, c_int, c_void},
    path::Path,
    ptr,
};

/// `hipMemcpyKind`.
const TO_DEVICE: c_int = 1;
const TO_HOST: c_int = 2;

/// The size of a GPU's name in the properties, in bytes.
const NAME: usize = contract::DEVICE_NAME.end;

/// Aligned like the structure.
#[repr(C, align(8))]
struct Properties([u8; contract::DEVICE_PROPERTIES]);

/// An open runtime.
pub(super) struct Hip {
    library: SharedObject,
    get_device_count: unsafe extern "C" fn(*mut c_int) -> c_int,
    set_device: unsafe extern "C" fn(c_int) -> c_int,
    synchronize: unsafe extern "C" fn() -> c_int,
    malloc: unsafe extern "C" fn(*mut *mut c_void, usize) -> c_int,
    free: unsafe extern "C" fn(*mut c_void) -> c_int,
    memcpy: unsafe extern "C" fn(*mut c_void, *const c_void, usize, c_int) -> c_int,
}

/// An array in a GPU's memory.
pub(super) struct Buffer<'h, T> {
    hip: &'h Hip,
    pointer: *mut T,
    length: usize,
}

impl Hip {
    /// The runtime that a program loads with a rocBLAS, or else the one that the loader finds.
    pub(super) fn open(rocblas: &Path) -> Result<Self, String> {
        let found = peers::hip_of(rocblas);
        let path = found.as_deref().unwrap_or(Path::new(libraries::HIP_7));
        let library = SharedObject::open(path)?;
        let hip = |library: SharedObject| {
            // SAFETY: the prototypes of these functions have never changed.
            unsafe {
                Some(Self {
                    get_device_count: library.function(c"hipGetDeviceCount")?,
                    set_device: library.function(c"hipSetDevice")?,
                    synchronize: library.function(c"hipDeviceSynchronize")?,
                    malloc: library.function(c"hipMalloc")?,
                    free: library.function(c"hipFree")?,
                    memcpy: library.function(c"hipMemcpy")?,
                    library,
                })
            }
        };
        let lacks = || format!("{} lacks functions of the HIP runtime", path.display());
        hip(library).ok_or_else(lacks)
    }

    /// The number of GPUs.
    pub(super) fn device_count(&self) -> Result<u32, String> {
        let mut count = 0;
        // SAFETY: writes a number to the address.
        self.check("hipGetDeviceCount", unsafe { (self.get_device_count)(&raw mut count) })?;
        Ok(u32::try_from(count).unwrap_or(0))
    }

    /// Makes a GPU the current one of this thread.
    pub(super) fn use_device(&self, device: u32) -> Result<(), String> {
        let device = c_int::try_from(device).unwrap_or(c_int::MAX);
        // SAFETY: takes any number.
        self.check("hipSetDevice", unsafe { (self.set_device)(device) })
    }

    /// A GPU's name and its target with features; empty if HIP does not report them.
    pub(super) fn names(&self, device: u32) -> (String, String) {
        type GetName = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
        type GetProperties = unsafe extern "C" fn(*mut Properties, c_int) -> c_int;
        let device = c_int::try_from(device).unwrap_or(c_int::MAX);
        let mut name = [0_u8; NAME];
        let mut properties = Box::new(Properties([0; contract::DEVICE_PROPERTIES]));
        // SAFETY: the functions' prototypes, with buffers of the given sizes, which HIP 6 and 7 fill.
        unsafe {
            if let Some(get) = self.library.function::<GetName>(c"hipDeviceGetName") {
                get(name.as_mut_ptr().cast(), NAME as c_int, device);
            }
            let get = self.library.function::<GetProperties>(contract::GET_DEVICE_PROPERTIES);
            if let Some(get) = get {
                get(&raw mut *properties, device);
            }
        }
        (contract::text(&name), contract::text(&properties.0[contract::ARCHITECTURE]))
    }

    /// Waits until the GPU has finished all work; an error comes from a kernel that failed.
    pub(super) fn synchronize(&self) -> Result<(), String> {
        // SAFETY: takes no arguments.
        self.check("hipDeviceSynchronize", unsafe { (self.synchronize)() })
    }

    /// A copy of `values` in the memory of the thread's GPU.
    pub(super) fn upload<T: Copy>(&self, values: &[T]) -> Result<Buffer<'_, T>, String> {
        let mut place = ptr::null_mut();
        // SAFETY: writes an address to the pointer's target.
        self.check("hipMalloc", unsafe { (self.malloc)(&raw mut place, size_of_val(values)) })?;
        let buffer = Buffer { hip: self, pointer: place.cast(), length: values.len() };
        let source = values.as_ptr().cast();
        // SAFETY: both are as large as `values`, one on the GPU, the other here.
        let error = unsafe { (self.memcpy)(place, source, size_of_val(values), TO_DEVICE) };
        self.check("hipMemcpy to the GPU", error)?;
        Ok(buffer)
    }

    /// The error of a function, with HIP's name of it.
    fn check(&self, function: &str, error: c_int) -> Result<(), String> {
        type Name = unsafe extern "C" fn(c_int) -> *const c_char;
        if error == 0 {
            return Ok(());
        }
        // SAFETY: the function's prototype; takes any number and returns a constant string.
        let name = unsafe {
            self.library.function::<Name>(c"hipGetErrorName").map(|name| text(name(error)))
        };
        let name = name.unwrap_or_default();
        Err(format!("{function} returned hipError_t {error} {name}").trim_end().to_owned())
    }
}

impl<T: Copy + Default> Buffer<'_, T> {
    /// Its address, to be passed to rocBLAS.
    pub(super) fn as_ptr(&self) -> *mut T {
        self.pointer
    }

    /// Its current contents.
    pub(super) fn download(&self) -> Result<Vec<T>, String> {
        let mut values = vec![T::default(); self.length];
        let size = size_of_val(values.as_slice());
        let place = values.as_mut_ptr().cast();
        // SAFETY: both have that size, one here, the other on the GPU.
        let error = unsafe { (self.hip.memcpy)(place, self.pointer.cast(), size, TO_HOST) };
        self.hip.check("hipMemcpy from the GPU", error)?;
        Ok(values)
    }
}

impl<T> Drop for Buffer<'_, T> {
    fn drop(&mut self) {
        // SAFETY: allocated by this runtime's hipMalloc, and not used any more.
        unsafe { (self.hip.free)(self.pointer.cast()) };
    }
}
