//! Creating and destroying handles, which several promises extend.

use super::{
    Compat, Promise, atomics, backend_functions::replacement, device_properties,
    solver_data::SharedPtr, status,
};
use crate::{
    backend::kernels,
    facts::{self, HandleFacts},
    init, route,
    route::policy,
    table::{self, COLD, Table, Target},
    trace::listener,
};
use core::ffi::{CStr, c_void};

/// `rocblas_handle`, never dereferenced.
pub(crate) type Handle = *mut c_void;

pub(crate) const CREATE: (&CStr, Target) = replacement!(rocblas_create_handle = create);
const DESTROY: (&CStr, Target) = replacement!(rocblas_destroy_handle = destroy);
const INITIALIZE: (&CStr, Target) = replacement!(rocblas_initialize = initialize);

/// The names of the replacements that call the backend's function of the same name.
pub(super) const PASSING_ON: [&CStr; 3] = [CREATE.0, DESTROY.0, INITIALIZE.0];

/// The backend's function of that name, if it has one.
pub(crate) fn original(table: &Table, name: &CStr) -> Option<*const ()> {
    let index = table::index(name)?;
    (table[index] != COLD[index]).then(|| table[index].0)
}

/// The replacements whose original the backend has. They are always installed: the owner of each handle must be
/// known before a second backend makes one, and with its first handle a process begins to listen for trace
/// requests.
pub(super) fn replacements(compat: &Compat) -> Vec<(&'static CStr, Target)> {
    let guarded = compat.hip.is_some() && compat.active.contains(Promise::Tensile);
    let mut replacements = Vec::new();
    if compat.functions.rocblas_create_handle.is_some() {
        replacements.push(CREATE);
    }
    if compat.functions.rocblas_destroy_handle.is_some() {
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
    // A request that is waiting may be for another backend.
    listener::listen();
    let Ok(backend) = policy::for_new_handle() else {
        return status::INTERNAL_ERROR;
    };
    let compat = &backend.compat;
    let Some(original) = compat.functions.rocblas_create_handle else {
        return status::NOT_IMPLEMENTED;
    };
    init::restore_bindings(backend);
    if !handle.is_null() && !kernels::present(backend) {
        return status::INTERNAL_ERROR;
    }
    // SAFETY: passed on unchanged.
    let result = unsafe { original(handle) };
    if result == status::SUCCESS {
        // SAFETY: a successful call has stored a handle.
        let handle = unsafe { *handle };
        atomics::on_create(backend, handle);
        let device = device_properties::device(compat);
        let owner = Some(backend.slot);
        let facts = HandleFacts { owner, device, solver_data: SharedPtr::NULL };
        facts::insert_handle(handle.addr(), facts);
    }
    result
}

/// # Safety
/// As `rocblas_destroy_handle`.
unsafe extern "C" fn destroy(handle: Handle) -> i32 {
    let original = route::backend_of(handle.addr())
        .and_then(|backend| backend.compat.functions.rocblas_destroy_handle);
    let Some(original) = original else {
        return status::INTERNAL_ERROR;
    };
    // Removed first: once the handle is destroyed, another thread may get one at the same address.
    let facts = facts::remove_handle(handle.addr());
    // SAFETY: passed on unchanged.
    let result = unsafe { original(handle) };
    if let Some(facts) = facts
        && result != status::SUCCESS
    {
        // The backend did not destroy the handle.
        facts::insert_handle(handle.addr(), facts);
    }
    result
}

/// Loads the kernels of the current device, unless there are none: then the backend would abort.
///
/// # Safety
/// As `rocblas_initialize`.
unsafe extern "C" fn initialize() {
    if let Ok(backend) = policy::for_new_handle()
        && let Some(original) = backend.compat.functions.rocblas_initialize
        && kernels::present(backend)
    {
        // SAFETY: passed on.
        unsafe { original() };
    }
}
