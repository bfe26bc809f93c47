//! Environment variables that change which kernels run and which files are loaded.

use super::{Finding, Severity};
use std::env;

/// Beginnings of names that are ROCm's, the loader's or the shim's. Nothing else is looked at: an
/// environment holds passwords.
const OURS: [&str; 11] = [
    "AMD_LOG_",
    "GPU_",
    "HIPBLASLT_",
    "HIP_",
    "HSA_",
    "LD_",
    "RECORDING_HIP_",
    "ROCBLAS_",
    "ROCM_",
    "ROCR_",
    "TENSILE_",
];

/// In a name, what is nobody else's business, whatever the name begins with.
const SECRET: [&str; 5] = ["KEY", "TOKEN", "SECRET", "PASS", "CREDENTIAL"];

/// The variables that matter, by name.
pub(super) fn variables() -> Vec<(String, String)> {
    let all = env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        is_ours(&name).then(|| (name, value.to_string_lossy().into_owned()))
    });
    let mut variables: Vec<_> = all.collect();
    variables.sort();
    variables
}

fn is_ours(name: &str) -> bool {
    OURS.iter().any(|start| name.starts_with(start))
        && !SECRET.iter().any(|part| name.contains(part))
}

/// What is worth a look among them.
pub(super) fn findings() -> Vec<Finding> {
    variables().iter().filter_map(|(name, value)| finding(name, value)).collect()
}

fn finding(name: &str, value: &str) -> Option<Finding> {
    let why = match name {
        "HSA_OVERRIDE_GFX_VERSION" => {
            "It makes every GPU look like another one, and kernels for that one run on it. None can \
             stand for gfx906: its neighbours have instructions that it lacks."
        }
        "ROCBLAS_TENSILE_LIBPATH" => {
            "It is for one rocBLAS, and every rocBLAS of every program reads it. The shim hides it \
             from its backend; the stock library and other copies load the wrong kernels by it."
        }
        "LD_PRELOAD" if value.contains("rocblas") => {
            "A rocBLAS is loaded before every other library of every program, the shim included."
        }
        _ => return None,
    };
    Some(Finding {
        severity: Severity::Warning,
        title: format!("{name} is set"),
        seen: vec![format!("{name}={value}")],
        why: why.to_owned(),
        cure: format!("unset {name}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out() {
        for name in ["ROCBLAS_SHIM_BACKEND", "HIP_VISIBLE_DEVICES", "LD_LIBRARY_PATH"] {
            assert!(is_ours(name), "{name}");
        }
        for name in ["HF_TOKEN", "LLAMA_API_KEY", "HOME", "ROCM_API_TOKEN", "HIP_PASSWORD"] {
            assert!(!is_ours(name), "{name}");
        }
    }

    #[test]
    fn only_what_does_harm_is_named() {
        assert!(finding("HSA_OVERRIDE_GFX_VERSION", "9.0.6").is_some());
        assert!(finding("LD_PRELOAD", "/x/librocblas.so.4").is_some());
        assert!(finding("LD_PRELOAD", "/x/libjemalloc.so").is_none());
        assert!(finding("HIP_VISIBLE_DEVICES", "0").is_none());
    }
}
