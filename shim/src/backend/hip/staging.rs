//! Memory that the GPU copies to while the program continues. HIP errors from these copies are hidden from the
//! program.

use super::{SUCCESS, Stream};
use crate::backend::open::Handle;
use core::{ffi::c_void, mem::transmute, ptr::null_mut};

type Allocate = unsafe extern "C" fn(*mut *mut c_void, usize) -> i32;
type AllocateHost = unsafe extern "C" fn(*mut *mut c_void, usize, u32) -> i32;
type Free = unsafe extern "C" fn(*mut c_void) -> i32;
type LastError = unsafe extern "C" fn() -> i32;
type ExchangeMode = unsafe extern "C" fn(*mut i32) -> i32;
type WriteValue = unsafe extern "C" fn(Stream, *mut c_void, u64, u32) -> i32;

/// The functions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Staging {
    allocate: Allocate,
    allocate_host: AllocateHost,
    free_host: Free,
    peek: LastError,
    take: LastError,
    exchange_mode: Option<ExchangeMode>,
    write_value: Option<WriteValue>,
}

impl Staging {
    /// The functions of the runtime in a backend's scope.
    pub(super) fn of(backend: Handle) -> Option<Self> {
        let symbol = |name| backend.symbol(name).map(|target| target.0);
        let (allocate, allocate_host) = (symbol(c"hipMalloc")?, symbol(c"hipHostMalloc")?);
        let free_host = symbol(c"hipHostFree")?;
        let (peek, take) = (symbol(c"hipPeekAtLastError")?, symbol(c"hipGetLastError")?);
        let exchange_mode = symbol(c"hipThreadExchangeStreamCaptureMode");
        let write_value = symbol(c"hipStreamWriteValue64");
        // SAFETY: HIP's prototypes of these functions.
        Some(unsafe {
            Self {
                allocate: transmute::<*const (), Allocate>(allocate),
                allocate_host: transmute::<*const (), AllocateHost>(allocate_host),
                free_host: transmute::<*const (), Free>(free_host),
                peek: transmute::<*const (), LastError>(peek),
                take: transmute::<*const (), LastError>(take),
                exchange_mode: exchange_mode.map(|f| transmute::<*const (), ExchangeMode>(f)),
                write_value: write_value.map(|f| transmute::<*const (), WriteValue>(f)),
            }
        })
    }

    /// Allocates host memory that every device can write.
    pub(crate) fn host(&self, size: usize) -> Option<*mut c_void> {
        /// `hipHostMallocPortable` and `hipHostMallocMapped`
        const FLAGS: u32 = 1 | 2;
        /// `hipHostMallocCoherent`: a kernel's writes are visible without a HIP call. This is the default, unless
        /// HIP_HOST_COHERENT=0 is set.
        const COHERENT: u32 = 0x4000_0000;
        [FLAGS | COHERENT, FLAGS].into_iter().find_map(|flags| {
            let mut memory = null_mut();
            // SAFETY: memory for the result.
            let error = unsafe { (self.allocate_host)(&raw mut memory, size, flags) };
            (error == SUCCESS && !memory.is_null()).then_some(memory)
        })
    }

    /// Frees host memory. HIP waits for the device.
    ///
    /// # Safety
    /// `memory` comes from [`Self::host`] and is no longer in use.
    pub(crate) unsafe fn free_host(&self, memory: *mut c_void) {
        // SAFETY: by contract.
        unsafe { (self.free_host)(memory) };
    }

    /// Allocates memory of the calling thread's device.
    pub(crate) fn device(&self, size: usize) -> Option<*mut c_void> {
        let mut memory = null_mut();
        // SAFETY: memory for the result.
        let error = unsafe { (self.allocate)(&raw mut memory, size) };
        (error == SUCCESS && !memory.is_null()).then_some(memory)
    }

    /// Enqueues a write of a word after all work already on the stream. Returns whether HIP has such a function (from
    /// ROCm 5.1 on) and it succeeded.
    ///
    /// # Safety
    /// `to` points to a word in memory of [`Self::host`], and the stream exists and is not capturing.
    pub(crate) unsafe fn write_value(&self, to: *mut u64, value: u64, stream: Stream) -> bool {
        // SAFETY: by contract. Flags are reserved.
        self.write_value
            .is_some_and(|write| unsafe { write(stream, to.cast(), value, 0) == SUCCESS })
    }

    /// Runs `work`, which allocates or frees, in relaxed capture mode: in other modes it would invalidate the
    /// captures of other threads.
    pub(crate) fn relaxed<T>(&self, work: impl FnOnce() -> T) -> T {
        /// `hipStreamCaptureModeRelaxed`
        const RELAXED: i32 = 2;
        let mut mode = RELAXED;
        let mut exchange = || {
            // SAFETY: HIP sets the thread's mode to this one and stores the previous one in it.
            self.exchange_mode.map(|exchange| unsafe { exchange(&raw mut mode) })
        };
        let is_relaxed = exchange() == Some(SUCCESS);
        let result = work();
        if is_relaxed {
            exchange();
        }
        result
    }

    /// Calls HIP functions and clears their errors, so that the program does not see them. A pending error of the
    /// program is lost only if one of these calls fails; it cannot be restored then.
    pub(crate) fn undisturbed<T>(&self, work: impl FnOnce() -> T) -> T {
        // SAFETY: the functions have no parameters.
        let before = unsafe { (self.peek)() };
        let result = work();
        // SAFETY: as above.
        unsafe {
            if before == SUCCESS && (self.peek)() != SUCCESS {
                (self.take)();
            }
        }
        result
    }

    /// HIP's last error, without clearing it.
    pub(crate) fn last_error(&self) -> i32 {
        // SAFETY: the function has no parameters.
        unsafe { (self.peek)() }
    }
}
