//! Environment variables that change which kernels run and which files are loaded.

use super::{Finding, Severity};
use rocblas_contract::{
    secrets,
    variables::{LIBRARY_PATH, PRELOAD, TENSILE_LIBPATH, USE_HIPBLASLT},
};
use std::env;

/// The variables that matter, by name. No others are read: an environment contains passwords.
pub(super) fn variables() -> Vec<(String, String)> {
    let all = env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        let value = secrets::value(&value.to_string_lossy()).into_owned();
        secrets::is_recorded(&name).then_some((name, value))
    });
    let mut variables: Vec<_> = all.collect();
    variables.sort();
    variables
}

/// Findings about them.
pub(super) fn findings() -> Vec<Finding> {
    variables().iter().filter_map(|(name, value)| finding(name, value)).collect()
}

/// The HSA runtime's: another GPU's version.
pub(super) const OVERRIDE: &str = "HSA_OVERRIDE_GFX_VERSION";

/// PyTorch's: whether it calls hipBLASLt.
pub(super) const PREFER_HIPBLASLT: &str = "TORCH_BLAS_PREFER_HIPBLASLT";

/// Why a variable with this value deserves attention, if it does.
pub(super) fn harm(name: &str, value: &str) -> Option<&'static str> {
    Some(match name {
        OVERRIDE => {
            "It makes every GPU look like another one, so kernels for that one run on it. It helps \
             only with a GPU that no rocBLAS serves and that has the other's instructions (gfx1032 as \
             10.3.0). No other GPU can replace gfx906: its neighbours have instructions that it lacks."
        }
        _ if TENSILE_LIBPATH.to_str() == Ok(name) => {
            "It is meant for one rocBLAS, but every rocBLAS of every program reads it. The shim hides it \
             from its backend; the stock library and other copies load the wrong kernels because of it."
        }
        PRELOAD if value.contains("rocblas") => {
            "It loads a rocBLAS before every other library of every program, including the shim."
        }
        LIBRARY_PATH if names_a_rocm(value) => {
            "Libraries in it take precedence over those in the loader's cache, including the shim: if they \
             are from another release, they are mixed with the program's."
        }
        PREFER_HIPBLASLT if value == "1" => {
            "PyTorch then calls hipBLASLt, which has no kernels for gfx906 and others, instead of rocBLAS."
        }
        _ if USE_HIPBLASLT.to_str() == Ok(name) && value == "1" => {
            "rocBLAS then calls hipBLASLt, which has no kernels for gfx906 and others."
        }
        _ => return None,
    })
}

/// Whether one of the directories is a ROCm tree's own. Ollama sets the variable for its own bundle.
fn names_a_rocm(directories: &str) -> bool {
    let is_rocm = |directory: &str| directory.contains("rocm") && !directory.contains("ollama");
    directories.split(':').any(is_rocm)
}

fn finding(name: &str, value: &str) -> Option<Finding> {
    Some(Finding {
        severity: Severity::Warning,
        title: format!("{name} is set"),
        seen: vec![format!("{name}={value}")],
        why: harm(name, value)?.to_owned(),
        cure: format!("unset {name}"),
        said: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_does_harm_is_named() {
        assert!(finding("HSA_OVERRIDE_GFX_VERSION", "9.0.6").is_some());
        assert!(finding("LD_PRELOAD", "/x/librocblas.so.4").is_some());
        assert!(finding("LD_PRELOAD", "/x/libjemalloc.so").is_none());
        assert!(finding("HIP_VISIBLE_DEVICES", "0").is_none());
        assert!(finding("LD_LIBRARY_PATH", "/usr/lib:/opt/rocm-6.4.4/lib").is_some());
        assert!(finding("LD_LIBRARY_PATH", "/usr/lib/ollama/rocm:/usr/lib").is_none());
        assert!(finding("TORCH_BLAS_PREFER_HIPBLASLT", "0").is_none());
    }
}
