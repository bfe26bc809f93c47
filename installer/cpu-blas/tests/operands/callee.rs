//! Calls to functions of this crate.

use rocblas_abi::Function;
use std::sync::OnceLock;
use tests::words::{WORDS, call};

/// A function of this crate, called as a C program would call it.
pub(crate) struct Callee {
    pub(crate) function: &'static Function,
    entry: *const (),
}

impl Callee {
    /// `None` if the function is not implemented.
    pub(crate) fn of(function: &'static Function) -> Option<Self> {
        let entry = cpu_blas::entry_point(function.name)?;
        Some(Self { function, entry })
    }

    /// Returns the status of a call. A 32-bit argument may have anything in its upper half.
    pub(crate) fn call(&self, words: &[u64]) -> i32 {
        let mut all = [0xbad_c0de; WORDS];
        all[..words.len()].copy_from_slice(words);
        // SAFETY: the words follow the prototype, and what they point to outlives the call.
        unsafe { call(self.entry.cast(), &all) as i32 }
    }
}

/// One handle for all calls, which do not change it.
pub(crate) fn handle() -> u64 {
    static HANDLE: OnceLock<u64> = OnceLock::new();
    *HANDLE.get_or_init(|| {
        let create = cpu_blas::entry_point("rocblas_create_handle").expect("a function");
        // SAFETY: this is its prototype.
        let create = unsafe {
            core::mem::transmute::<*const (), rocblas_abi::prototype::rocblas_create_handle>(create)
        };
        let mut handle: *mut core::ffi::c_void = core::ptr::null_mut();
        // SAFETY: the place is valid.
        let status = unsafe { create(&raw mut handle) };
        assert_eq!(status, 0);
        handle.expose_provenance() as u64
    })
}
