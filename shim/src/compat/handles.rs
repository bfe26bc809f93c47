//! Creating and destroying handles: where several promises have something to do.

use super::{
    Compat, Promise, atomics, backend_functions::replacement, current, device_properties,
    solver_data::SharedPtr, status,
};
use crate::{
    backend::kernels,
    facts::{self, HandleFacts},
    init,
    table::{self, COLD, Table, Target},
    trace::listener,
};
use core::ffi::{CStr, c_void};

/// `rocblas_handle`, never looked into.
pub(crate) type Handle = *mut c_void;

const CREATE: (&CStr, Target) = replacement!(rocblas_create_handle = create);
const DESTROY: (&CStr, Target) = replacement!(rocblas_destroy_handle = destroy);
const INITIALIZE: (&CStr, Target) = replacement!(rocblas_initialize = initialize);

/// The names of those that do something of ours and then call the backend's.
pub(super) const PASSING_ON: [&CStr; 3] = [CREATE.0, DESTROY.0, INITIALIZE.0];

/// The backend's function of that name, if it has one.
pub(crate) fn original(table: &Table, name: &CStr) -> Option<*const ()> {
    let index = table::index(name)?;
    (table[index] != COLD[index]).then(|| table[index].0)
}

/// Our functions, where a promise or the guard of the kernels needs them and the backend has what
/// they call.
///
/// With its first handle a process begins to listen for who wants to trace it, if it is to listen.
pub(super) fn replacements(compat: &Compat, listens: bool) -> Vec<(&'static CStr, Target)> {
    let active = |promise| compat.active.contains(promise);
    let guarded = compat.hip.is_some() && active(Promise::Tensile);
    let of_handles = active(Promise::Atomics)
        || active(Promise::SolverData)
        || active(Promise::DeviceProperties)
        || guarded;
    let mut replacements = Vec::new();
    if (of_handles || listens) && compat.functions.rocblas_create_handle.is_some() {
        replacements.push(CREATE);
    }
    if of_handles && compat.functions.rocblas_destroy_handle.is_some() {
        replacements.push(DESTROY);
    }
    if guarded && compat.functions.rocblas_initialize.is_some() {
        replacements.push(INITIALIZE);
    }
    replacements
}

/// # Safety
/// As `rocblas_create_handle`.
unsafe extern "C" fn create(handle: *mut Handle) -> i32 {
    let Some((compat, original)) =
        current().and_then(|c| Some((c, c.functions.rocblas_create_handle?)))
    else {
        return status::INTERNAL_ERROR;
    };
    init::hold_bindings();
    if !handle.is_null() && !kernels::present(compat) {
        return status::INTERNAL_ERROR;
    }
    // SAFETY: passed on unchanged.
    let answer = unsafe { original(handle) };
    if answer == status::SUCCESS {
        // SAFETY: a successful call has stored a handle.
        let handle = unsafe { *handle };
        atomics::on_create(compat, handle);
        if let Some(device) = device_properties::device(compat) {
            let solver_data = SharedPtr::NULL;
            let facts = HandleFacts { device: Some(device), solver_data };
            facts::insert_handle(handle as usize, facts);
        }
        listener::listen();
    }
    answer
}

/// # Safety
/// As `rocblas_destroy_handle`.
unsafe extern "C" fn destroy(handle: Handle) -> i32 {
    let Some(original) = current().and_then(|compat| compat.functions.rocblas_destroy_handle)
    else {
        return status::INTERNAL_ERROR;
    };
    // Taken out before: once the handle is gone, another thread may be given the same address.
    let facts = facts::remove_handle(handle as usize);
    // SAFETY: passed on unchanged.
    let answer = unsafe { original(handle) };
    if let Some(facts) = facts
        && answer != status::SUCCESS
    {
        // The handle was not destroyed after all.
        facts::insert_handle(handle as usize, facts);
    }
    answer
}

/// Loads the kernels of the current device; the backend aborts where it finds none.
///
/// # Safety
/// As `rocblas_initialize`.
unsafe extern "C" fn initialize() {
    if let Some((compat, original)) =
        current().and_then(|c| Some((c, c.functions.rocblas_initialize?)))
        && kernels::present(compat)
    {
        // SAFETY: passed on.
        unsafe { original() };
    }
}
