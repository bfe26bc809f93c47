//! The environment as the backend is to see it: the `getenv` that its own reference is bound to.
//!
//! A few variables are set for the rocBLAS that the program was built for and would mislead one of
//! another version, and a few tell a rocBLAS to be like another. Answering here, rather than changing
//! the environment, leaves other copies of rocBLAS and child processes alone. Which they are is said by
//! the promises: `../compat/atomics.rs`, `../compat/hipblaslt.rs` and `../compat/tensile.rs`. `secure_getenv` is left to libc. Constructors of the backend have run
//! before the filter is bound; rocBLAS reads its variables later.

use super::adapt::Replacement;
use crate::{
    compat::{Compat, Promise, Promises, atomics, hipblaslt, tensile::Tensile},
    init,
};
use core::{
    ffi::{CStr, c_char},
    ptr::null_mut,
};
use std::path::Path;

/// What a backend is told.
#[derive(Debug)]
pub(crate) struct View {
    promises: Promises,
    /// `None`: whatever the environment says.
    tensile: Option<Tensile>,
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
        Self { promises, tensile }
    }

    /// What the backend gets for a variable, if that is not what libc has.
    fn answer(&self, name: &CStr) -> Option<*mut c_char> {
        let promised = |promise, answer: fn(&CStr) -> Option<&'static CStr>| {
            self.promises.contains(promise).then(|| answer(name)).flatten()
        };
        promised(Promise::Hipblaslt, hipblaslt::answer)
            .or_else(|| promised(Promise::Atomics, atomics::answer))
            .map(|value| value.as_ptr().cast_mut())
            .or_else(|| self.tensile.as_ref()?.answer(name))
    }

    /// The directory of the backend's own kernels, where the promise is kept and it is known.
    pub(crate) fn tensile(&self) -> Option<&Path> {
        self.tensile.as_ref()?.directory()
    }
}

/// The filter, as something to bind.
pub(crate) fn filter() -> Replacement {
    Replacement { name: c"getenv", function: getenv as *const () as usize }
}

/// `getenv` for a backend. Until the backend is the one in use, it answers like libc's.
///
/// # Safety
/// As `getenv`: `name` is a C string, and nobody changes the environment meanwhile.
unsafe extern "C" fn getenv(name: *const c_char) -> *mut c_char {
    if name.is_null() {
        return null_mut();
    }
    // SAFETY: a C string, by contract.
    let wanted = unsafe { CStr::from_ptr(name) };
    if let Some(init::Outcome::Ready { backend, .. }) = init::published_outcome()
        && let Some(answer) = backend.environment.answer(wanted)
    {
        return answer;
    }
    // SAFETY: passed on unchanged.
    unsafe { libc::getenv(name) }
}
