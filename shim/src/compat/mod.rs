//! Promises of rocBLAS 5.x that an older backend does not keep, one file each.
//!
//! A promise is active if the backend needs it and the user has not switched it off. An active promise
//! replaces functions of the backend in the table, with state in [`Compat`], or changes the environment
//! that the backend reads.

pub(crate) mod atomics;
pub(crate) mod backend_functions;
pub(crate) mod batch_strides;
pub(crate) mod device_properties;
pub(crate) mod grouped_gemm;
pub(crate) mod handles;
pub(crate) mod hipblaslt;
pub(crate) mod host_scalars;
pub(crate) mod rank_k;
pub(crate) mod solutions;
pub(crate) mod solver_data;
pub(crate) mod tensile;
pub(crate) mod transfers;
pub(crate) mod version;

use crate::{
    backend::{generation::Generation, hip::Hip, open::Handle},
    backends,
    diagnostics::warning,
    route,
    table::{self, Table, Target},
};
use core::ffi::CStr;
use rocblas_contract::sentences;

/// A promise, by the name that switches it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    Atomics,
    Transfers,
    Version,
    SolverData,
    DeviceProperties,
    Hipblaslt,
    Tensile,
    Solutions,
    SyrkEx,
    HerkEx,
    GroupedGemm,
    BatchStrides,
}

/// Every promise with its name.
pub(crate) const ALL: [(Promise, &str); 12] = [
    (Promise::Atomics, "atomics"),
    (Promise::Transfers, "transfers"),
    (Promise::Version, "version"),
    (Promise::SolverData, "solver-data"),
    (Promise::DeviceProperties, "device-properties"),
    (Promise::Hipblaslt, "hipblaslt"),
    (Promise::Tensile, "tensile"),
    (Promise::Solutions, "solutions"),
    (Promise::SyrkEx, "syrk-ex"),
    (Promise::HerkEx, "herk-ex"),
    (Promise::GroupedGemm, "grouped-gemm"),
    (Promise::BatchStrides, "batch-strides"),
];

/// A set of promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Promises(u16);

impl Promises {
    /// No promise.
    pub(crate) const NONE: Self = Self(0);
    /// Every promise.
    pub(crate) const EVERY: Self = Self((1 << ALL.len()) - 1);

    pub(crate) fn contains(self, promise: Promise) -> bool {
        self.0 & (1 << promise as u16) != 0
    }

    pub(crate) fn set(&mut self, promise: Promise, on: bool) {
        let bit = 1 << promise as u16;
        self.0 = if on { self.0 | bit } else { self.0 & !bit };
    }

    /// Switches a promise by name; `all` is every promise. `None` for an unknown name.
    pub(crate) fn switch(&mut self, name: &str, on: bool) -> Option<()> {
        if name == "all" {
            *self = if on { Self::EVERY } else { Self::NONE };
            return Some(());
        }
        let (promise, _) = ALL.into_iter().find(|(_, known)| *known == name)?;
        self.set(promise, on);
        Some(())
    }

    /// The names, in the order of [`ALL`].
    pub(crate) fn names(self) -> Vec<&'static str> {
        ALL.iter().filter(|(promise, _)| self.contains(*promise)).map(|(_, name)| *name).collect()
    }
}

/// The state of the promises that are kept for a backend.
#[derive(Debug)]
pub(crate) struct Compat {
    pub(crate) active: Promises,
    /// `None` if the backend does not report a version.
    pub(crate) generation: Option<Generation>,
    /// The HIP runtime that the backend uses; `None` for stand-ins without one.
    pub(crate) hip: Option<Hip>,
    /// The backend's own functions that were replaced in the table.
    pub(crate) functions: backend_functions::BackendFunctions,
    pub(crate) version: version::Versions,
}

fn lacks(table: &Table, name: &CStr) -> bool {
    table::index(name).is_some_and(|index| table[index] == table::COLD[index])
}

/// The promises that a backend needs.
///
/// A library of ROCm 7 keeps them itself and lacks only functions of later releases. Whether a library has
/// such a function is looked up, in older libraries too: 6.4's has two that 6.3's lacks. A library of
/// unknown generation gets the promises of the oldest: for a library that keeps them itself, they change
/// almost nothing.
fn needed(generation: Option<Generation>, table: &Table, hip: Option<&Hip>) -> Promises {
    let lacks = |name: &CStr| lacks(table, name);
    let mut needed = Promises::NONE;
    if generation.is_none_or(|generation| generation < Generation::ROCM_7) {
        for promise in [
            Promise::Atomics,
            Promise::Version,
            Promise::Hipblaslt,
            Promise::Tensile,
            Promise::Solutions,
        ] {
            needed.set(promise, true);
        }
        needed.set(Promise::Transfers, hip.is_some());
    }
    needed.set(Promise::SolverData, lacks(solver_data::SET) && lacks(solver_data::GET));
    needed.set(Promise::DeviceProperties, hip.is_some() && lacks(device_properties::NAME));
    needed.set(Promise::SyrkEx, lacks(rank_k::SYRK_EX));
    needed.set(Promise::HerkEx, lacks(rank_k::HERK_EX));
    let lacks_one_of =
        |functions: &[(&'static CStr, Target)]| functions.iter().any(|(name, _)| lacks(name));
    needed.set(Promise::GroupedGemm, lacks_one_of(&grouped_gemm::REPLACEMENTS));
    needed.set(Promise::BatchStrides, lacks_one_of(&batch_strides::REPLACEMENTS));
    needed
}

/// Puts into the table the functions of every promise that the backend needs and the user wants, and those
/// that register handles. `presents` is the version of rocBLAS that programs see.
pub(crate) fn install(
    soname: &str,
    handle: Handle,
    (wanted, presents): (Promises, &str),
    hip: Option<Hip>,
    table: &mut Table,
) -> Compat {
    let version = version::Versions::of(handle, presents);
    let generation = Generation::of(soname, &version.backend().to_string_lossy());
    if generation.is_none() {
        warning!("{}", sentences::unknown_generation(soname));
    }
    let active = Promises(needed(generation, table, hip.as_ref()).0 & wanted.0);
    let compat = Compat {
        active,
        generation,
        functions: backend_functions::BackendFunctions::of(table),
        version,
        hip,
    };
    let mut replacements: Vec<(&CStr, Target)> = Vec::new();
    replacements.extend(handles::replacements(&compat));
    let promised: [(Promise, &[(&CStr, Target)]); 9] = [
        (Promise::Transfers, &transfers::REPLACEMENTS),
        (Promise::Version, &version::REPLACEMENTS),
        (Promise::SolverData, &solver_data::REPLACEMENTS),
        (Promise::DeviceProperties, &device_properties::REPLACEMENTS),
        (Promise::Solutions, &solutions::REPLACEMENTS),
        (Promise::SyrkEx, &rank_k::OF_SYRK_EX),
        (Promise::HerkEx, &rank_k::OF_HERK_EX),
        (Promise::GroupedGemm, &grouped_gemm::REPLACEMENTS),
        (Promise::BatchStrides, &batch_strides::REPLACEMENTS),
    ];
    for (promise, functions) in promised {
        let replaces = |name: &CStr| match promise {
            // If the backend lacks the function itself, it stays missing.
            Promise::Solutions => !lacks(table, name),
            // A function that the backend has is not replaced.
            Promise::GroupedGemm | Promise::BatchStrides => lacks(table, name),
            _ => true,
        };
        if active.contains(promise) {
            replacements.extend(functions.iter().filter(|(name, _)| replaces(name)));
        }
    }
    for (name, function) in replacements {
        if let Some(index) = table::index(name) {
            table[index] = function;
        }
    }
    compat
}

/// Whether the replacement of that name returns the result of the backend's function.
pub(crate) fn passes_on(name: &CStr) -> bool {
    let solutions = solutions::REPLACEMENTS.iter().map(|(name, _)| *name);
    handles::PASSING_ON.into_iter().chain(solutions).any(|known| known == name)
}

/// The compat of the backend that made a handle. Replacements are called through a backend's table, so it
/// should always exist; callers return an error for `None`.
fn of(handle: handles::Handle) -> Option<&'static Compat> {
    Some(&route::backend_of(handle.addr())?.compat)
}

/// The compat for functions without a handle: that of the first backend.
fn of_any() -> Option<&'static Compat> {
    Some(&backends::first()?.compat)
}

/// `rocblas_status`
pub(crate) use rocblas_abi::value::status;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_switched_by_name() {
        let mut promises = Promises::EVERY;
        assert_eq!(promises.names().len(), ALL.len());
        assert_eq!(promises.switch("atomics", false), Some(()));
        assert!(!promises.contains(Promise::Atomics) && promises.contains(Promise::Version));
        assert_eq!(promises.switch("atomic", false), None);
        assert_eq!(promises.switch("all", false), Some(()));
        assert_eq!(promises, Promises::NONE);
        assert_eq!(promises.switch("syrk-ex", true), Some(()));
        assert_eq!(promises.names(), ["syrk-ex"]);
    }

    #[test]
    fn every_promise_has_its_own_bit_and_name() {
        for (i, (promise, _)) in ALL.into_iter().enumerate() {
            assert_eq!(promise as usize, i);
        }
    }
}
