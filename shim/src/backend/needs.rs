//! Explains which library or version that a backend needs the loader did not find, and what to do.

use super::inspect::Library;
use rocblas_contract::{
    libraries::{Renamed, renamed},
    sentences,
};
use std::fmt::Write;

/// The loader's error, followed by the fix if a library or a version is missing.
pub(crate) fn explain(loader: &str, library: &Library) -> String {
    let mut text = sentences::not_loaded(loader);
    if let Some(name) = missing_library(loader) {
        let who = if library.needed.iter().any(|needed| needed == name) {
            "It needs that library itself (DT_NEEDED)"
        } else {
            "Something that it needs asks for that library"
        };
        write!(text, ". {}; {}", who, cure(name)).expect("write to a string");
    } else if loader.contains("version `") && loader.contains("not found") {
        text.push_str(
            ". The library named first is too old for it: the HIP runtime, glibc or libstdc++ of \
             this system must be at least the one that it was built with",
        );
    }
    text
}

/// The name in `NAME: cannot open shared object file: No such file or directory`.
fn missing_library(loader: &str) -> Option<&str> {
    loader.split_once(": cannot open shared object file").map(|(name, _)| name)
}

fn cure(name: &str) -> String {
    let Some(Renamed { old, new, .. }) = renamed(name) else {
        return "install it, or put its directory on the loader's search path (LD_LIBRARY_PATH, or a \
                file in /etc/ld.so.conf.d and ldconfig)"
            .to_owned();
    };
    format!(
        "ROCm 7 has it as {new}: create a symlink {old} -> {new} next to the shim (`installer apply` does)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_for_a_missing_library_says_how_to_fix_it() {
        let library = Library {
            soname: "librocblas.so.4".to_owned(),
            needed: vec!["libamdhip64.so.6".to_owned(), "libfoo.so.1".to_owned()],
        };
        let open =
            |name| format!("{name}: cannot open shared object file: No such file or directory");
        let hip = explain(&open("libamdhip64.so.6"), &library);
        assert!(hip.contains("It needs that library itself"), "{hip}");
        assert!(hip.contains("libamdhip64.so.6 -> libamdhip64.so.7"), "{hip}");
        let other = explain(&open("libfoo.so.1"), &library);
        assert!(other.contains("install it, or put its directory"), "{other}");
        let indirect = explain(&open("libbar.so.1"), &library);
        assert!(indirect.contains("Something that it needs"), "{indirect}");
        let version = "/lib/libamdhip64.so.7: version `hip_9.0' not found (required by x)";
        assert!(explain(version, &library).contains("is too old for it"));
        assert_eq!(
            explain("undefined symbol: x", &library),
            "cannot be loaded: undefined symbol: x"
        );
    }
}
