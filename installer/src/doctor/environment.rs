//! Environment variables that change which kernels run and which files are loaded.

use super::{Finding, Severity};
use rocblas_contract::{
    secrets,
    variables::{PRELOAD, TENSILE_LIBPATH},
};
use std::env;

/// The variables that matter, by name. Nothing else is looked at: an environment holds passwords.
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
        _ if TENSILE_LIBPATH.to_str() == Ok(name) => {
            "It is for one rocBLAS, and every rocBLAS of every program reads it. The shim hides it \
             from its backend; the stock library and other copies load the wrong kernels by it."
        }
        PRELOAD if value.contains("rocblas") => {
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
    fn only_what_does_harm_is_named() {
        assert!(finding("HSA_OVERRIDE_GFX_VERSION", "9.0.6").is_some());
        assert!(finding("LD_PRELOAD", "/x/librocblas.so.4").is_some());
        assert!(finding("LD_PRELOAD", "/x/libjemalloc.so").is_none());
        assert!(finding("HIP_VISIBLE_DEVICES", "0").is_none());
    }
}
