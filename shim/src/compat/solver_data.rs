//! rocSOLVER's data on a handle.
//!
//! 5.0.2 keeps one `std::shared_ptr<void>` per handle, set and read by two C++ functions; rocSOLVER
//! stores its options for the handle there. 4.3.0 has neither function, and without them rocSOLVER
//! and hipBLAS do not load. The shim keeps these pointers in its handle registry, `../facts.rs`.
//! Source: `handle.hpp` of 5.x, and libstdc++'s `shared_ptr_base.h`.
//!
//! `rocblas_status (rocblas_handle, std::shared_ptr<void>&)`: the reference is a plain pointer to
//! an object of two pointers. The second one points to libstdc++'s control block: virtual table at
//! 0, use count (32 bits) at 8, weak count at 12; see [`Control`].

use super::{handles::Handle, status};
use crate::{facts, table::Target};
use core::{
    ffi::{CStr, c_void},
    mem::swap,
    ptr::{NonNull, null_mut},
    sync::atomic::{AtomicI32, Ordering},
};

pub(super) const SET: &CStr =
    c"_Z29rocblas_internal_set_data_ptrP15_rocblas_handleRSt10shared_ptrIvE";
pub(super) const GET: &CStr =
    c"_Z29rocblas_internal_get_data_ptrP15_rocblas_handleRSt10shared_ptrIvE";

pub(super) static REPLACEMENTS: [(&CStr, Target); 2] =
    [(SET, Target(set as *const ())), (GET, Target(get as *const ()))];

/// The virtual table of `std::_Sp_counted_base`, from the address that an object's vptr holds.
#[repr(C)]
struct ControlFunctions {
    destructors: [*const (); 2],
    /// Destroys the shared object.
    dispose: unsafe extern "C" fn(*const Control),
    /// Frees the control block.
    destroy: unsafe extern "C" fn(*const Control),
}

/// `std::_Sp_counted_base`
#[repr(C)]
struct Control {
    functions: &'static ControlFunctions,
    uses: AtomicI32,
    /// One for all uses together, plus one for each weak pointer.
    weaks: AtomicI32,
}

/// A `std::shared_ptr<void>`, with the same reference counting.
#[repr(C)]
pub(crate) struct SharedPtr {
    object: *mut c_void,
    control: Option<NonNull<Control>>,
}

// SAFETY: only operations that C++ allows on any thread are used: counting, and running the creator's
// deleter when the last pointer is dropped.
unsafe impl Send for SharedPtr {}

impl SharedPtr {
    pub(crate) const NULL: Self = Self { object: null_mut(), control: None };

    fn control(&self) -> Option<&Control> {
        // SAFETY: a control block lives as long as a pointer that is counted in it.
        self.control.map(|control| unsafe { control.as_ref() })
    }
}

impl Clone for SharedPtr {
    fn clone(&self) -> Self {
        if let Some(control) = self.control() {
            control.uses.fetch_add(1, Ordering::Relaxed);
        }
        Self { object: self.object, control: self.control }
    }
}

impl Drop for SharedPtr {
    fn drop(&mut self) {
        let Some(control) = self.control() else {
            return;
        };
        if control.uses.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        // SAFETY: the use count has reached 0, so the object is destroyed exactly once.
        unsafe { (control.functions.dispose)(control) };
        if control.weaks.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: no weak pointer remains either, so the block is freed exactly once.
            unsafe { (control.functions.destroy)(control) };
        }
    }
}

/// # Safety
/// `pointer` is a live `std::shared_ptr<void>`.
unsafe extern "C" fn set(handle: Handle, pointer: *const SharedPtr) -> i32 {
    if handle.is_null() {
        return status::INVALID_HANDLE;
    }
    // SAFETY: a reference in C++, so not null.
    let pointer = unsafe { (*pointer).clone() };
    // The deleter, if any, is code of the program and may call this function again.
    drop(facts::replace_solver_data(handle as usize, pointer));
    status::SUCCESS
}

/// # Safety
/// `pointer` is a live `std::shared_ptr<void>`, and no other thread uses that object.
unsafe extern "C" fn get(handle: Handle, pointer: *mut SharedPtr) -> i32 {
    if handle.is_null() {
        return status::INVALID_HANDLE;
    }
    let mut found = facts::solver_data_of(handle as usize);
    // SAFETY: a reference in C++, so not null; its previous value is dropped here.
    swap(unsafe { &mut *pointer }, &mut found);
    status::SUCCESS
}
