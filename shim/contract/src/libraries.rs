//! Names of libraries: rocBLAS's own, those that load it, and those that ROCm 7 renamed.

/// rocBLAS's name without a version, which linkers search for and which PyTorch's wheels use.
pub const ROCBLAS: &str = "librocblas.so";

/// The name by which programs built for ROCm 7 load rocBLAS: the shim's SONAME.
pub const SONAME: &str = "librocblas.so.5";

/// ROCm 6's SONAME, that of the backends for which the shim is made.
pub const BACKEND_SONAME: &str = "librocblas.so.4";

/// The HIP runtime's name without a version.
pub const HIP: &str = "libamdhip64.so";

/// ROCm 7's HIP runtime.
pub const HIP_7: &str = "libamdhip64.so.7";

/// ROCm 6's HIP runtime.
pub const HIP_6: &str = "libamdhip64.so.6";

/// hipBLASLt's name without a version.
pub const HIPBLASLT: &str = "libhipblaslt.so";

/// hipBLAS's name without a version. It loads rocBLAS.
pub const HIPBLAS: &str = "libhipblas.so";

/// rocSOLVER's name without a version. It loads rocBLAS, and its C++ functions too.
pub const ROCSOLVER: &str = "librocsolver.so";

/// A library that a backend of ROCm 6 needs by a name that ROCm 7 does not have. It is provided under
/// the compatibility name, as a symlink or as a library without code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The name without a version.
    pub name: &'static str,
    /// ROCm 6's SONAME: the compatibility name.
    pub old: &'static str,
    /// ROCm 7's SONAME.
    pub new: &'static str,
}

/// The HIP runtime. A process must not have more than one.
pub const HIP_RUNTIME: Renamed = Renamed { name: HIP, old: HIP_6, new: HIP_7 };

/// The libraries that ROCm 7 renamed. hipBLASLt also changed its ABI: the loader must find it, but it must
/// not be called.
pub const RENAMED: [Renamed; 2] =
    [HIP_RUNTIME, Renamed { name: HIPBLASLT, old: "libhipblaslt.so.0", new: "libhipblaslt.so.1" }];

/// The renamed library with this compatibility name.
#[must_use]
pub fn renamed(old: &str) -> Option<Renamed> {
    RENAMED.into_iter().find(|renamed| renamed.old == old)
}

/// The version in a file name or SONAME: `4.3.60300` for `librocblas.so.4.3.60300`, an empty string for
/// `librocblas.so`; `None` for another library's name.
#[must_use]
pub fn version_of<'a>(name: &'a str, library: &str) -> Option<&'a str> {
    let rest = name.strip_prefix(library)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('.') }
}

/// Whether a SONAME or file name is rocBLAS's, of any version.
#[must_use]
pub fn is_rocblas(name: &str) -> bool {
    version_of(name, ROCBLAS).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rocblas_is_distinguished_from_libraries_with_similar_names() {
        for (name, version) in [
            (ROCBLAS, Some("")),
            (SONAME, Some("5")),
            (BACKEND_SONAME, Some("4")),
            ("librocblas.so.4.3.60300", Some("4.3.60300")),
            ("librocblas.so5", None),
            ("librocblaslt.so", None),
            ("librocblas", None),
        ] {
            assert_eq!(version_of(name, ROCBLAS), version, "{name}");
            assert_eq!(is_rocblas(name), version.is_some(), "{name}");
        }
    }

    #[test]
    fn a_renamed_library_is_found_by_its_old_name_only() {
        for library in RENAMED {
            assert_eq!(renamed(library.old), Some(library));
            assert_eq!(renamed(library.new), None);
            for name in [library.old, library.new] {
                let version = version_of(name, library.name).map(str::parse::<u32>);
                assert!(matches!(version, Some(Ok(_))), "{name}");
            }
        }
    }
}
