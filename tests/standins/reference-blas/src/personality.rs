//! Which rocBLAS the library that this crate is linked into pretends to be.
//!
//! The arithmetic is the same in all of them; a personality holds the differences between releases
//! that clients and tests can observe.

use std::sync::OnceLock;

/// The observable traits of one rocBLAS release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Personality {
    /// What `rocblas_get_version_string` answers.
    pub version: &'static str,
    /// Whether a new handle allows atomics. 4.3 does; 5.0 does not, so that results do not vary
    /// between runs. `ROCBLAS_DEFAULT_ATOMICS_MODE` overrides it, as in the real library.
    pub atomics_allowed: bool,
    /// Whether the triangular solvers (trsm and trsv) have kernels for the GPU at hand. rocBLAS
    /// 5.0.2 on gfx906 has none: past its argument checks each solver prints the HIP error and answers
    /// `rocblas_status_internal_error`.
    pub trsm_has_kernels: bool,
}

/// The release whose ABI this crate follows, on a GPU that it supports.
static DEFAULT: Personality =
    Personality { version: "4.3.0", atomics_allowed: true, trsm_has_kernels: true };

static ADOPTED: OnceLock<Personality> = OnceLock::new();

impl Personality {
    /// Makes this the personality of the library. The first call decides; handles keep the
    /// personality that they were created with.
    pub fn adopt(self) {
        // A second adoption changes nothing: a process must not see the library change.
        let _ = ADOPTED.set(self);
    }

    pub(crate) fn current() -> &'static Self {
        ADOPTED.get().unwrap_or(&DEFAULT)
    }

    /// An address that no other copy of this crate in the process has: what tells handles of one
    /// library from those of another.
    pub(crate) fn library_mark() -> *const () {
        (&raw const ADOPTED).cast()
    }
}
