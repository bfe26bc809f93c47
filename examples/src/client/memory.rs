//! Memory that the library in use can access: on the GPU, if there is a HIP runtime in the process, else in
//! the program itself.
//!
//! The runtime is never loaded from here. A rocBLAS for GPUs loads its own; a runtime loaded next to a
//! rocBLAS that computes on the CPU would return pointers which that rocBLAS cannot access.

use libc::{RTLD_LAZY, RTLD_NOLOAD, dlopen, dlsym};
use std::{
    ffi::{CStr, c_int, c_void},
    fmt,
    mem::transmute,
    ptr,
};

const TO_DEVICE: c_int = 1;
const TO_HOST: c_int = 2;

/// Three functions of the HIP runtime.
#[derive(Debug)]
pub(crate) struct Hip {
    name: &'static CStr,
    malloc: unsafe extern "C" fn(*mut *mut c_void, usize) -> c_int,
    free: unsafe extern "C" fn(*mut c_void) -> c_int,
    memcpy: unsafe extern "C" fn(*mut c_void, *const c_void, usize, c_int) -> c_int,
}

/// Where matrices and arrays of pointers to them are kept.
#[derive(Debug)]
pub(crate) enum Memory {
    Host,
    Hip(Hip),
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => write!(f, "host, as there is no HIP runtime in this process"),
            Self::Hip(hip) => write!(f, "GPU, from {}", hip.name.to_string_lossy()),
        }
    }
}

/// Checks the result of a runtime function.
fn check(function: &str, error: c_int) -> Result<(), String> {
    if error == 0 { Ok(()) } else { Err(format!("{function} returned hipError_t {error}")) }
}

impl Hip {
    /// The runtime of that name, if it is already in the process.
    fn loaded(name: &'static CStr) -> Option<Self> {
        // SAFETY: a valid C string; runs no code of a library that was not loaded before.
        let library = unsafe { dlopen(name.as_ptr(), RTLD_LAZY | RTLD_NOLOAD) };
        if library.is_null() {
            return None;
        }
        let function = |name: &CStr| {
            // SAFETY: a library that dlopen returned and that is never closed.
            let address = unsafe { dlsym(library, name.as_ptr()) };
            (!address.is_null()).then_some(address)
        };
        let (malloc, free, memcpy) =
            (function(c"hipMalloc")?, function(c"hipFree")?, function(c"hipMemcpy")?);
        Some(Self {
            name,
            // SAFETY: hipMalloc's prototype, which has never changed.
            malloc: unsafe {
                transmute::<*mut c_void, unsafe extern "C" fn(*mut *mut c_void, usize) -> c_int>(
                    malloc,
                )
            },
            // SAFETY: hipFree's.
            free: unsafe {
                transmute::<*mut c_void, unsafe extern "C" fn(*mut c_void) -> c_int>(free)
            },
            // SAFETY: hipMemcpy's.
            memcpy: unsafe {
                transmute::<
                    *mut c_void,
                    unsafe extern "C" fn(*mut c_void, *const c_void, usize, c_int) -> c_int,
                >(memcpy)
            },
        })
    }
}

impl Memory {
    /// Must be called after rocBLAS has loaded its dependencies.
    pub(crate) fn of_this_process() -> Self {
        [c"libamdhip64.so.7", c"libamdhip64.so.6"]
            .into_iter()
            .find_map(Hip::loaded)
            .map_or(Self::Host, Self::Hip)
    }

    /// A copy of `values` in memory that rocBLAS can read and write.
    pub(crate) fn upload<T: Copy>(&self, values: &[T]) -> Result<Buffer<'_, T>, String> {
        let mut buffer = Buffer { memory: self, pointer: ptr::null_mut(), length: values.len() };
        match self {
            Self::Host => {
                let copy = values.to_vec().into_boxed_slice();
                buffer.pointer = Box::into_raw(copy).cast::<T>();
            }
            Self::Hip(hip) => {
                let mut place = ptr::null_mut();
                // SAFETY: writes an address to the pointer's target.
                check("hipMalloc", unsafe { (hip.malloc)(&raw mut place, size_of_val(values)) })?;
                buffer.pointer = place.cast();
                let source = values.as_ptr().cast();
                // SAFETY: both are as large as `values`, one in GPU memory, the other here.
                let error = unsafe { (hip.memcpy)(place, source, size_of_val(values), TO_DEVICE) };
                check("hipMemcpy to the GPU", error)?;
            }
        }
        Ok(buffer)
    }
}

/// An array in that memory.
#[derive(Debug)]
pub(crate) struct Buffer<'m, T: Copy> {
    memory: &'m Memory,
    pointer: *mut T,
    length: usize,
}

impl<T: Copy> Buffer<'_, T> {
    /// Its address, to be passed to rocBLAS.
    pub(crate) fn as_ptr(&self) -> *mut T {
        self.pointer
    }

    /// Its current contents. Waits for rocBLAS's work on the default stream.
    pub(crate) fn download(&self) -> Result<Vec<T>, String> {
        let mut values = Vec::with_capacity(self.length);
        match &self.memory {
            Memory::Host => {
                // SAFETY: `upload` made an array of that length.
                values.extend_from_slice(unsafe {
                    std::slice::from_raw_parts(self.pointer, self.length)
                });
            }
            Memory::Hip(hip) => {
                let size = self.length * size_of::<T>();
                let place = values.as_mut_ptr().cast();
                // SAFETY: both have that size, one here, the other in GPU memory.
                let error = unsafe { (hip.memcpy)(place, self.pointer.cast(), size, TO_HOST) };
                check("hipMemcpy from the GPU", error)?;
                // SAFETY: that many elements have just been written.
                unsafe { values.set_len(self.length) };
            }
        }
        Ok(values)
    }
}

impl<T: Copy> Drop for Buffer<'_, T> {
    fn drop(&mut self) {
        if self.pointer.is_null() {
            return;
        }
        match &self.memory {
            Memory::Host => {
                let slice = ptr::slice_from_raw_parts_mut(self.pointer, self.length);
                // SAFETY: `upload` took it from a box of that length.
                drop(unsafe { Box::from_raw(slice) });
            }
            Memory::Hip(hip) => {
                // SAFETY: `upload` got it from this runtime's hipMalloc.
                unsafe { (hip.free)(self.pointer.cast()) };
            }
        }
    }
}
