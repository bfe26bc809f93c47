//! Routing of calls to one of several backends. None of this is on the path while only one is open.
//!
//! `owners` maps each handle to its backend; the entries in `arch/x86_64/route.rs` look it up and jump.
//! `policy` chooses the backend of a new handle. `all` has functions that call every backend. All other
//! calls take the path of a cold entry to [`target`].

pub(crate) mod all;
pub(crate) mod owners;
pub(crate) mod policy;

use crate::{
    arch,
    backend::Backend,
    backends,
    compat::handles,
    diagnostics::error,
    init,
    table::{self, COLD, Table, Target},
    trace,
};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use rocblas_abi::{WHOSE, Whose};
use rocblas_contract::sentences;

/// A `rocblas_device_malloc_base`: `_device_malloc` in rocBLAS's `handle.hpp`, whose first member is the handle.
/// `rocblas_device_malloc_free` in AMD's libraries of 6.4 and 7.2 reads it from there.
#[repr(C)]
pub(crate) struct DeviceMalloc {
    pub(crate) handle: usize,
}

/// The registers of a call that has no function to jump to yet, as `arch/x86_64/entry.rs` saves them.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Registers {
    rax: usize,
    rdi: usize,
    rsi: usize,
}

/// The table with routed entries; null while only one backend is open.
static ROUTED: AtomicPtr<Table> = AtomicPtr::new(null_mut());

/// The table for calls while no trace is on: that of the only backend, or the routed one.
pub(crate) fn direct() -> Option<&'static Table> {
    // SAFETY: null, or a table that is never freed.
    match unsafe { ROUTED.load(Ordering::Acquire).as_ref() } {
        Some(routed) => Some(routed),
        None => Some(&backends::first()?.table),
    }
}

/// Whether several backends are open, or are about to be.
pub(crate) fn is_on() -> bool {
    owners::are_kept()
}

/// Starts routing calls to the backend of their handle: called before a second backend makes one. The error is
/// a message.
pub(crate) fn start() -> Result<(), String> {
    if !ROUTED.load(Ordering::Acquire).is_null() {
        return Ok(());
    }
    let first = backends::first().ok_or_else(sentences::no_first_backend)?;
    owners::keep();
    let mut routed = arch::routed_entries();
    for (index, whose) in WHOSE.iter().enumerate() {
        if *whose == Whose::Any {
            routed[index] = first.table[index];
        }
    }
    for (index, target) in all::functions() {
        routed[index] = target;
    }
    let (name, create) = handles::CREATE;
    if let Some(index) = table::index(name) {
        routed[index] = create;
    }
    let routed: &'static Table = Box::leak(routed);
    trace::redirect(routed, || {
        ROUTED.store(core::ptr::from_ref(routed).cast_mut(), Ordering::Release);
    })
}

/// The backend that made a handle. A handle whose maker is not known belongs to the default backend from now
/// on; this is reported once.
pub(crate) fn backend_of(handle: usize) -> Option<&'static Backend> {
    if !is_on() {
        return backends::first();
    }
    if let Some(table) = owners::table_of(handle) {
        return backends::of_table(table);
    }
    let default = backends::default()?;
    if handle == 0 {
        return Some(default);
    }
    if let Some(owner) = crate::facts::owner_of(handle) {
        return backends::get(owner);
    }
    static REPORTED: AtomicBool = AtomicBool::new(false);
    if !REPORTED.swap(true, Ordering::Relaxed) {
        error!("{}", sentences::unknown_handle(format_args!("{handle:#x}"), &default.name));
    }
    backends::get(crate::facts::adopt_handle(handle, default.slot))
}

/// The target for a call of the export with that index, if several backends are open: for handles that the
/// routed entries do not find, and for functions without a handle.
pub(crate) fn target(index: usize, registers: &Registers) -> Option<Target> {
    let backend = match WHOSE[index] {
        Whose::Handle(0) => backend_of(registers.rdi),
        Whose::Handle(_) => backend_of(registers.rsi),
        Whose::DeviceMalloc(_) => {
            let object = core::ptr::with_exposed_provenance::<DeviceMalloc>(registers.rdi);
            // SAFETY: null, or the caller's object, under the function's contract.
            let object = unsafe { object.as_ref() };
            object.map_or_else(backends::default, |object| backend_of(object.handle))
        }
        Whose::Device => policy::for_new_handle().ok().or_else(backends::default),
        Whose::All | Whose::Max { .. } | Whose::Any => backends::first(),
    }?;
    let target = backend.table[index];
    Some(if target == COLD[index] { init::missing_of(index, backend) } else { target })
}
