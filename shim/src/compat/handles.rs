//! Creating and destroying handles: where several promises have something to do.

use super::{Compat, Promise, atomics, current, device_properties, solver_data::SharedPtr, status};
use crate::{
    backend::kernels,
    facts::{self, HandleFacts},
    init,
    table::{self, COLD, Table, Target},
    trace::listener,
};
use core::{
    ffi::{CStr, c_void},
    mem::transmute,
};

/// `rocblas_handle`, never looked into.
pub(crate) type Handle = *mut c_void;

use rocblas_abi::prototype::{
    rocblas_create_handle as Create, rocblas_destroy_handle as Destroy,
    rocblas_initialize as Initialize, rocblas_set_atomics_mode as SetMode,
};

const CREATE: &CStr = c"rocblas_create_handle";
const DESTROY: &CStr = c"rocblas_destroy_handle";
const SET_ATOMICS_MODE: &CStr = c"rocblas_set_atomics_mode";
const INITIALIZE: &CStr = c"rocblas_initialize";

/// The names of those that do something of ours and then call the backend's.
pub(super) const PASSING_ON: [&CStr; 3] = [CREATE, DESTROY, INITIALIZE];

/// The backend's own functions of these names, where it has them.
#[derive(Debug)]
pub(crate) struct Originals {
    create: Option<Create>,
    destroy: Option<Destroy>,
    initialize: Option<Initialize>,
    pub(super) set_atomics_mode: Option<SetMode>,
}

/// The backend's function of that name, if it has one.
pub(crate) fn original(table: &Table, name: &CStr) -> Option<*const ()> {
    let index = table::index(name)?;
    (table[index] != COLD[index]).then(|| table[index].0)
}

impl Originals {
    /// Of a table that nothing has been replaced in yet.
    pub(crate) fn of(table: &Table) -> Self {
        // SAFETY: the vendor's prototypes of these functions, the same since rocBLAS 2.
        unsafe {
            Self {
                create: original(table, CREATE).map(|f| transmute::<*const (), Create>(f)),
                destroy: original(table, DESTROY).map(|f| transmute::<*const (), Destroy>(f)),
                initialize: original(table, INITIALIZE)
                    .map(|f| transmute::<*const (), Initialize>(f)),
                set_atomics_mode: original(table, SET_ATOMICS_MODE)
                    .map(|f| transmute::<*const (), SetMode>(f)),
            }
        }
    }
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
    if (of_handles || listens) && compat.originals.create.is_some() {
        replacements.push((CREATE, Target(create as *const ())));
    }
    if of_handles && compat.originals.destroy.is_some() {
        replacements.push((DESTROY, Target(destroy as *const ())));
    }
    if guarded && compat.originals.initialize.is_some() {
        replacements.push((INITIALIZE, Target(initialize as *const ())));
    }
    replacements
}

/// # Safety
/// As `rocblas_create_handle`.
unsafe extern "C" fn create(handle: *mut Handle) -> i32 {
    let Some((compat, original)) = current().and_then(|c| Some((c, c.originals.create?))) else {
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
    let Some(original) = current().and_then(|compat| compat.originals.destroy) else {
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
    if let Some((compat, original)) = current().and_then(|c| Some((c, c.originals.initialize?)))
        && kernels::present(compat)
    {
        // SAFETY: passed on.
        unsafe { original() };
    }
}
