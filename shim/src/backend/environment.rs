//! The environment that the backend sees: the `getenv` that its reference is bound to.
//!
//! Some variables are set for the rocBLAS that the program was built for and would mislead another version;
//! others make a rocBLAS behave like another version. Filtering `getenv`, rather than changing the
//! environment, does not affect other copies of rocBLAS and child processes. The variables are listed by
//! their promises: `../compat/atomics.rs`, `../compat/hipblaslt.rs` and `../compat/tensile.rs`.
//! `secure_getenv` is not filtered. Constructors of the backend run before the filter is bound; rocBLAS reads
//! its variables later.

use super::adapt::Replacement;
use crate::{
    backends::{self, MOST, Slot},
    compat::{Compat, Promise, Promises, atomics, hipblaslt, tensile::Tensile},
};
use core::{
    ffi::{CStr, c_char},
    ptr::null_mut,
    sync::atomic::{AtomicBool, Ordering},
};
use std::path::Path;

/// The environment of one backend.
#[derive(Debug)]
pub(crate) struct View {
    promises: Promises,
    /// `None`: the process's environment applies.
    tensile: Option<Tensile>,
    /// Whether the backend has read the default atomics mode; some backends read it once per process.
    asked_for_atomics: AtomicBool,
}

impl View {
    /// The view of the backend in that file; logs which variables are hidden from it.
    pub(crate) fn of(backend: &Path, compat: &Compat) -> Self {
        let promises = compat.active;
        if promises.contains(Promise::Hipblaslt) {
            hipblaslt::announce();
        }
        let tensile = promises.contains(Promise::Tensile).then(|| {
            Tensile::announce();
            Tensile::of(backend, compat)
        });
        Self { promises, tensile, asked_for_atomics: AtomicBool::new(false) }
    }

    /// The backend's value of a variable, if it differs from libc's.
    fn value(&self, name: &CStr) -> Option<*mut c_char> {
        let promised = |promise, value: fn(&CStr) -> Option<&'static CStr>| {
            self.promises.contains(promise).then(|| value(name)).flatten()
        };
        promised(Promise::Hipblaslt, hipblaslt::value)
            .or_else(|| {
                let value = promised(Promise::Atomics, atomics::value)?;
                self.asked_for_atomics.store(true, Ordering::Relaxed);
                Some(value)
            })
            .map(|value| value.as_ptr().cast_mut())
            .or_else(|| self.tensile.as_ref()?.value(name))
    }

    /// Whether the backend has read the default atomics mode from this view.
    pub(crate) fn asked_for_atomics(&self) -> bool {
        self.asked_for_atomics.load(Ordering::Relaxed)
    }

    /// The directory of the backend's own kernels, if the promise is kept and the directory is known.
    pub(crate) fn tensile(&self) -> Option<&Path> {
        self.tensile.as_ref()?.directory()
    }
}

/// The filter of the backend in a slot, as a replacement to bind. Each slot has its own function, because
/// `getenv` cannot tell which library calls it.
pub(crate) fn filter(slot: Slot) -> Replacement {
    const FILTERS: [unsafe extern "C" fn(*const c_char) -> *mut c_char; MOST] = [
        getenv::<0>,
        getenv::<1>,
        getenv::<2>,
        getenv::<3>,
        getenv::<4>,
        getenv::<5>,
        getenv::<6>,
        getenv::<7>,
    ];
    Replacement { name: c"getenv", function: FILTERS[usize::from(slot)] as *const () as usize }
}

/// `getenv` for the backend in a slot. Until that backend is open, it returns the same as libc's.
///
/// # Safety
/// As `getenv`: `name` is a C string, and the environment is not changed meanwhile.
unsafe extern "C" fn getenv<const SLOT: Slot>(name: *const c_char) -> *mut c_char {
    if name.is_null() {
        return null_mut();
    }
    // SAFETY: a C string, by contract.
    let wanted = unsafe { CStr::from_ptr(name) };
    if let Some(backend) = backends::get(SLOT)
        && let Some(value) = backend.environment.value(wanted)
    {
        return value;
    }
    // SAFETY: passed on unchanged.
    unsafe { libc::getenv(name) }
}
