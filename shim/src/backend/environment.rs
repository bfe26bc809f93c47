//! The environment as the backend is to see it: the `getenv` that its own reference is bound to.
//!
//! A few variables are set for the rocBLAS that the program was built for and would mislead one of
//! another version, and a few tell a rocBLAS to be like another. Answering here, rather than changing
//! the environment, leaves other copies of rocBLAS and child processes alone. Which they are is said by
//! the promises: `../compat/atomics.rs`, `../compat/hipblaslt.rs` and `../compat/tensile.rs`. `secure_getenv` is left to libc. Constructors of the backend have run
//! before the filter is bound; rocBLAS reads its variables later.

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

/// What a backend is told.
#[derive(Debug)]
pub(crate) struct View {
    promises: Promises,
    /// `None`: whatever the environment says.
    tensile: Option<Tensile>,
    /// Whether the backend has asked which atomics mode is the default; some ask once in a process.
    asked_for_atomics: AtomicBool,
}

impl View {
    /// The view of the backend in that file; says what is hidden from it.
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

    /// What the backend gets for a variable, if that is not what libc has.
    fn answer(&self, name: &CStr) -> Option<*mut c_char> {
        let promised = |promise, answer: fn(&CStr) -> Option<&'static CStr>| {
            self.promises.contains(promise).then(|| answer(name)).flatten()
        };
        promised(Promise::Hipblaslt, hipblaslt::answer)
            .or_else(|| {
                let answer = promised(Promise::Atomics, atomics::answer)?;
                self.asked_for_atomics.store(true, Ordering::Relaxed);
                Some(answer)
            })
            .map(|value| value.as_ptr().cast_mut())
            .or_else(|| self.tensile.as_ref()?.answer(name))
    }

    /// Whether the backend has asked which atomics mode is the default, and was answered.
    pub(crate) fn asked_for_atomics(&self) -> bool {
        self.asked_for_atomics.load(Ordering::Relaxed)
    }

    /// The directory of the backend's own kernels, where the promise is kept and it is known.
    pub(crate) fn tensile(&self) -> Option<&Path> {
        self.tensile.as_ref()?.directory()
    }
}

/// The filter of the backend in a slot, as something to bind: a function of its own, since a function that
/// is called tells nothing of its caller.
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

/// `getenv` for the backend in a slot. Until it is open, it answers like libc's.
///
/// # Safety
/// As `getenv`: `name` is a C string, and nobody changes the environment meanwhile.
unsafe extern "C" fn getenv<const SLOT: Slot>(name: *const c_char) -> *mut c_char {
    if name.is_null() {
        return null_mut();
    }
    // SAFETY: a C string, by contract.
    let wanted = unsafe { CStr::from_ptr(name) };
    if let Some(backend) = backends::get(SLOT)
        && let Some(answer) = backend.environment.answer(wanted)
    {
        return answer;
    }
    // SAFETY: passed on unchanged.
    unsafe { libc::getenv(name) }
}
