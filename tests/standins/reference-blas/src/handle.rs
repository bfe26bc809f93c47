//! The library handle and the functions that create, set up and query it.
//!
//! Nothing here influences the arithmetic: the modes are kept so that what a client sets can be read
//! back through whatever lies between the client and this library.

use core::ffi::{c_char, c_void};
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering::Relaxed};

use crate::abi::answer;
use crate::checks::{Code, pointers, sizes};
use crate::personality::Personality;
use crate::status::{Course, Status, status_name};

/// What `rocblas_handle` points to. Atomic fields, because C code may share a handle between
/// threads however much the vendor advises against it.
#[repr(C)]
pub(crate) struct Handle {
    /// Must stay first: it is read before anything else is known of a handle.
    library: *const (),
    personality: &'static Personality,
    stream: AtomicPtr<c_void>,
    pointer_mode: AtomicI32,
    atomics_mode: AtomicI32,
    math_mode: AtomicI32,
    workspace: AtomicPtr<c_void>,
    workspace_size: AtomicUsize,
}

/// `hipErrorInvalidDeviceFunction`, in the vendor's words.
const NO_KERNEL: &str = "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98";

impl Handle {
    pub(crate) fn new(personality: &'static Personality) -> Self {
        let from_environment = std::env::var("ROCBLAS_DEFAULT_ATOMICS_MODE").ok();
        let atomics_allowed = match from_environment.as_deref().map(str::trim) {
            Some(text) => text.parse::<u64>().is_ok_and(|mode| mode != 0),
            None => personality.atomics_allowed,
        };
        Self {
            library: Personality::library_mark(),
            personality,
            stream: AtomicPtr::default(),
            pointer_mode: AtomicI32::new(0),
            atomics_mode: AtomicI32::new(atomics_allowed.into()),
            math_mode: AtomicI32::new(0),
            workspace: AtomicPtr::default(),
            workspace_size: AtomicUsize::new(0),
        }
    }

    /// Ends a triangular solve as a launch of a kernel that the GPU does not have.
    pub(crate) fn launch_trsm_kernel(&self) -> Course {
        if self.personality.trsm_has_kernels {
            return Ok(());
        }
        eprintln!("{NO_KERNEL}");
        Err(Status::InternalError)
    }
}

/// A `rocblas_handle` argument. Like the pointers of `abi.rs`, only a caller of an entry point can
/// make one, and thereby vouches for it.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct HandlePointer(*mut Handle);

impl HandlePointer {
    /// The handle; `invalid_handle` for null and for handles of another library.
    ///
    /// The real library would take the other library's handle for its own. To notice it is what
    /// tests of a dispatcher between several libraries need.
    pub(crate) fn get<'a>(self) -> Result<&'a Handle, Status> {
        if self.0.is_null() {
            return Err(Status::InvalidHandle);
        }
        // SAFETY: not null, so the caller vouches for a handle of some rocBLAS, which is larger
        // than a pointer.
        let library = unsafe { self.0.cast::<*const ()>().read() };
        if library != Personality::library_mark() {
            return Err(Status::InvalidHandle);
        }
        // SAFETY: made by `create`, and not destroyed yet by the caller's contract.
        Ok(unsafe { &*self.0 })
    }
}

/// A place the caller wants a value in.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Place<T>(*mut T);

impl<T> Place<T> {
    fn put(self, value: T) -> Course {
        pointers(!self.0.is_null())?;
        // SAFETY: not null, so the caller vouches for a writable place.
        unsafe { self.0.write(value) }
        Ok(())
    }
}

pub(crate) unsafe extern "C" fn create(place: Place<*mut Handle>) -> Status {
    if place.0.is_null() {
        return Status::InvalidHandle;
    }
    let handle = Box::new(Handle::new(Personality::current()));
    place.put(Box::into_raw(handle)).err().unwrap_or(Status::Success)
}

pub(crate) unsafe extern "C" fn destroy(handle: HandlePointer) -> Status {
    answer(handle, |_| {
        // SAFETY: `answer` has found that this library made the handle, with `Box::into_raw`, and
        // the caller gives it up here.
        drop(unsafe { Box::from_raw(handle.0) });
        Ok(())
    })
}

/// A getter and a setter of one field; the vendor accepts and keeps any number.
macro_rules! modes {
    ($($field:ident, $get:ident, $set:ident, $Value:ty;)+) => {$(
        pub(crate) unsafe extern "C" fn $get(handle: HandlePointer, place: Place<$Value>) -> Status {
            answer(handle, |handle| place.put(handle.$field.load(Relaxed)))
        }

        pub(crate) unsafe extern "C" fn $set(handle: HandlePointer, value: $Value) -> Status {
            answer(handle, |handle| {
                handle.$field.store(value, Relaxed);
                Ok(())
            })
        }
    )+};
}

modes! {
    stream, get_stream, set_stream, *mut c_void;
    pointer_mode, get_pointer_mode, set_pointer_mode, Code;
    atomics_mode, get_atomics_mode, set_atomics_mode, Code;
    math_mode, get_math_mode, set_math_mode, Code;
    workspace_size, get_device_memory_size, set_device_memory_size, usize;
}

pub(crate) unsafe extern "C" fn set_workspace(
    handle: HandlePointer,
    address: *mut c_void,
    size: usize,
) -> Status {
    answer(handle, |handle| {
        handle.workspace.store(address, Relaxed);
        handle.workspace_size.store(if address.is_null() { 0 } else { size }, Relaxed);
        Ok(())
    })
}

fn workspace_is_the_users(handle: &Handle) -> bool {
    !handle.workspace.load(Relaxed).is_null() && handle.workspace_size.load(Relaxed) != 0
}

pub(crate) unsafe extern "C" fn is_managing_device_memory(handle: HandlePointer) -> bool {
    handle.get().is_ok_and(|handle| !workspace_is_the_users(handle))
}

pub(crate) unsafe extern "C" fn is_user_managing_device_memory(handle: HandlePointer) -> bool {
    handle.get().is_ok_and(workspace_is_the_users)
}

/// Never: this library needs no device memory and does not implement the queries for its size.
pub(crate) unsafe extern "C" fn is_device_memory_size_query(_handle: HandlePointer) -> bool {
    false
}

/// `rocblas_pointer_mode_host`: there is no other memory here.
pub(crate) unsafe extern "C" fn pointer_to_mode(_pointer: *mut c_void) -> Code {
    0
}

pub(crate) unsafe extern "C" fn status_to_string(status: Code) -> *const c_char {
    status_name(status).as_ptr()
}

pub(crate) unsafe extern "C" fn get_version_string_size(size: Place<usize>) -> Status {
    let with_terminator = Personality::current().version.len() + 1;
    size.put(with_terminator).err().unwrap_or(Status::Success)
}

pub(crate) unsafe extern "C" fn get_version_string(buffer: Place<u8>, size: usize) -> Status {
    let version = Personality::current().version.as_bytes();
    let copy = || {
        pointers(!buffer.0.is_null())?;
        sizes(size > version.len())?;
        for (i, byte) in version.iter().chain(&[0]).enumerate() {
            Place(buffer.0.wrapping_add(i)).put(*byte)?;
        }
        Ok(())
    };
    copy().err().unwrap_or(Status::Success)
}

/// `rocblas_initialize` and `rocblas_shutdown`: there is nothing to load or to release.
pub(crate) unsafe extern "C" fn nothing() {}

#[cfg(test)]
mod tests;
