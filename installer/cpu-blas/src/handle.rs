//! The library handle and the functions that create, set up and query it.
//!
//! Nothing here affects the arithmetic: the modes are kept so that a client can read back what it set through
//! any layer between the client and this library.

use core::ffi::{c_char, c_void};
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering::Relaxed};

use crate::abi::status_of;
use crate::checks::{Code, pointers, sizes};
use crate::personality::Personality;
use crate::status::{Course, Status, status_name};

/// What `rocblas_handle` points to. The fields are atomic because C code may share a handle between threads,
/// although the vendor advises against it.
#[repr(C)]
pub(crate) struct Handle {
    /// Must stay first: it is read before the handle is known to be ours.
    library: *const (),
    personality: &'static Personality,
    stream: AtomicPtr<c_void>,
    pointer_mode: AtomicI32,
    atomics_mode: AtomicI32,
    math_mode: AtomicI32,
    workspace: AtomicPtr<c_void>,
    workspace_size: AtomicUsize,
}

/// `hipErrorInvalidDeviceFunction`, as the vendor reports it.
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

    /// Without kernels for triangular solves, fails as the launch of a missing kernel does.
    pub(crate) fn launch_trsm_kernel(&self) -> Course {
        if self.personality.trsm_has_kernels {
            return Ok(());
        }
        eprintln!("{NO_KERNEL}");
        Err(Status::InternalError)
    }
}

/// A `rocblas_handle` argument. Like the pointers of `abi.rs`, only a caller of an entry point can create
/// one, and thereby guarantees its validity.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct HandlePointer(*mut Handle);

impl HandlePointer {
    /// The handle; `invalid_handle` for null and for handles of another library.
    ///
    /// The real library would mistake the other library's handle for its own. Tests of a dispatcher between
    /// several libraries need to detect that.
    pub(crate) fn get<'a>(self) -> Result<&'a Handle, Status> {
        if self.0.is_null() {
            return Err(Status::InvalidHandle);
        }
        // SAFETY: not null, so the caller guarantees a handle of some rocBLAS, which is larger than a
        // pointer.
        let library = unsafe { self.0.cast::<*const ()>().read() };
        if library != Personality::library_mark() {
            return Err(Status::InvalidHandle);
        }
        // SAFETY: created by `create`, and by the caller's contract not destroyed yet.
        Ok(unsafe { &*self.0 })
    }
}

/// An output location passed by the caller.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Place<T>(*mut T);

impl<T> Place<T> {
    fn put(self, value: T) -> Course {
        pointers(!self.0.is_null())?;
        // SAFETY: not null, so the caller guarantees a writable location.
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
    status_of(handle, |_| {
        // SAFETY: `status_of` has verified that this library created the handle, with `Box::into_raw`, and
        // the caller gives it up here.
        drop(unsafe { Box::from_raw(handle.0) });
        Ok(())
    })
}

/// A getter and a setter of one field. Like the vendor, they accept and keep any number.
macro_rules! modes {
    ($($field:ident, $get:ident, $set:ident, $Value:ty;)+) => {$(
        pub(crate) unsafe extern "C" fn $get(handle: HandlePointer, place: Place<$Value>) -> Status {
            status_of(handle, |handle| place.put(handle.$field.load(Relaxed)))
        }

        pub(crate) unsafe extern "C" fn $set(handle: HandlePointer, value: $Value) -> Status {
            status_of(handle, |handle| {
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
    status_of(handle, |handle| {
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

/// Always false: this library needs no device memory and does not implement the queries for its size.
pub(crate) unsafe extern "C" fn is_device_memory_size_query(_handle: HandlePointer) -> bool {
    false
}

/// Always `rocblas_pointer_mode_host`: there is no other memory here.
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
