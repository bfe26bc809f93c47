//! The strides of a batch's scalars, which rocBLAS 5.5 introduced.
//!
//! They are state of a handle: in device pointer mode, some level 1 and level 2 functions read the alpha of
//! item `i` of a batch from `alpha + i * stride`. The default, 0, means one alpha for all, as in all other
//! functions. A backend without these functions does not support another stride, and computing with one
//! alpha would give wrong results. So setting 0 succeeds and 0 is read back, and any other stride is
//! refused.
//! Source: rocBLAS's release notes of 5.5 and 5.6, and AMD's tests of the functions.

use super::{backend_functions::replacements, handles::Handle, status};
use crate::{diagnostics::error, table::Target};
use core::{
    ffi::CStr,
    sync::atomic::{AtomicBool, Ordering},
};
use rocblas_contract::sentences;

pub(super) static REPLACEMENTS: [(&CStr, Target); 4] = replacements![
    rocblas_set_batch_alpha_stride = set,
    rocblas_get_batch_alpha_stride = get,
    rocblas_set_batch_beta_stride = set,
    rocblas_get_batch_beta_stride = get,
];

/// # Safety
/// As the vendor's function of these arguments.
unsafe extern "C" fn set(handle: Handle, stride: i64) -> i32 {
    if handle.is_null() {
        return status::INVALID_HANDLE;
    }
    if stride == 0 {
        return status::SUCCESS;
    }
    static REPORTED: AtomicBool = AtomicBool::new(false);
    if !REPORTED.swap(true, Ordering::Relaxed) {
        error!("{}", sentences::batch_stride());
    }
    status::NOT_IMPLEMENTED
}

/// # Safety
/// As the vendor's function of these arguments.
unsafe extern "C" fn get(handle: Handle, stride: *mut i64) -> i32 {
    if handle.is_null() {
        return status::INVALID_HANDLE;
    }
    if stride.is_null() {
        return status::INVALID_POINTER;
    }
    // SAFETY: the caller's memory for the result, under the vendor's contract.
    unsafe { stride.write(0) };
    status::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ptr::{dangling_mut, null_mut};

    #[test]
    fn only_zero_is_accepted_and_read_back() {
        let (handle, mut stride) = (dangling_mut(), 7);
        // SAFETY: the handle is not dereferenced, and the stride is writable.
        unsafe {
            assert_eq!(set(null_mut(), 1), status::INVALID_HANDLE);
            assert_eq!(set(handle, 0), status::SUCCESS);
            assert_eq!(set(handle, 1), status::NOT_IMPLEMENTED);
            assert_eq!(set(handle, -1), status::NOT_IMPLEMENTED);
            assert_eq!(get(null_mut(), null_mut()), status::INVALID_HANDLE);
            assert_eq!(get(handle, null_mut()), status::INVALID_POINTER);
            assert_eq!((get(handle, &raw mut stride), stride), (status::SUCCESS, 0));
        }
    }
}
