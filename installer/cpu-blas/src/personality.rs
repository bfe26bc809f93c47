//! The rocBLAS release that the library linked with this crate imitates.
//!
//! The arithmetic is always the same. A personality describes the differences between releases that clients
//! and tests can observe.

use std::sync::OnceLock;

/// The observable traits of one rocBLAS release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Personality {
    /// The result of `rocblas_get_version_string`.
    pub version: &'static str,
    /// Whether a new handle allows atomics. 4.3 does; 5.0 does not, so that results do not vary between runs.
    /// `ROCBLAS_DEFAULT_ATOMICS_MODE` overrides this, as in the real library.
    pub atomics_allowed: bool,
    /// Whether the triangular solvers (trsm and trsv) have kernels for the current GPU. rocBLAS 5.0.2 on
    /// gfx906 has none: after its argument checks each solver prints the HIP error and returns
    /// `rocblas_status_internal_error`.
    pub trsm_has_kernels: bool,
}

/// The release whose ABI this crate follows, on a GPU that it supports.
static DEFAULT: Personality =
    Personality { version: "4.3.0", atomics_allowed: true, trsm_has_kernels: true };

static ADOPTED: OnceLock<Personality> = OnceLock::new();

impl Personality {
    /// Makes this the personality of the library. Only the first call has an effect. Handles keep the
    /// personality that they were created with.
    pub fn adopt(self) {
        // A second adoption is ignored: a process must not see the library change.
        let _ = ADOPTED.set(self);
    }

    /// Whether a personality was adopted. A program that calls this crate's functions directly has none.
    pub(crate) fn is_adopted() -> bool {
        ADOPTED.get().is_some()
    }

    pub(crate) fn current() -> &'static Self {
        ADOPTED.get().unwrap_or(&DEFAULT)
    }

    /// An address that is unique to this copy of the crate in the process. It distinguishes the handles of
    /// one library from those of another.
    pub(crate) fn library_mark() -> *const () {
        (&raw const ADOPTED).cast()
    }
}
