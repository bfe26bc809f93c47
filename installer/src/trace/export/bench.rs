//! rocblas-bench commands that reproduce a call.

use rocblas_trace::call::Call;

/// The command, in the form that rocBLAS itself logs with `ROCBLAS_LAYER=2`; `None` for a function that
/// rocblas-bench does not know.
#[must_use]
pub fn line(_call: &Call<'_>) -> Option<String> {
    None
}
