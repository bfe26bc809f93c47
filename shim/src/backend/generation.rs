//! The version of a backend's rocBLAS, as numbers that can be compared.
//!
//! The library's own version string takes precedence. The SONAME is the fallback for libraries without
//! one: it has the major version, unless a distribution or a bundle builds the library as plain
//! `librocblas.so` or, as Debian once did, as `librocblas.so.0`.

use core::fmt;
use rocblas_contract::libraries::{ROCBLAS, version_of};

/// A version of rocBLAS, ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Generation {
    major: u32,
    minor: u32,
}

impl Generation {
    /// The first of ROCm 7, whose promises the shim keeps.
    pub(crate) const ROCM_7: Self = Self { major: 5, minor: 0 };

    /// The generation of a library with this SONAME and version string; `None` if neither has a version.
    pub(crate) fn of(soname: &str, version: &str) -> Option<Self> {
        Self::parse(version).or_else(|| Self::parse(version_of(soname, ROCBLAS)?))
    }

    /// `4.3.0.3216-cbcdc2d`, `5`.
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|part| {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part[..digits].parse().ok()
        });
        let major = numbers.next()??;
        Some(Self { major, minor: numbers.next().flatten().unwrap_or(0) })
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let of = |version| Generation::of("librocblas.so", version).expect("a version");
        assert!(of("4.9.0") < of("4.10.0"));
        assert!(of("4.10.0") < Generation::ROCM_7);
        assert!(of("10.0.0") > Generation::ROCM_7);
        assert!(of("5.0.2.70002-56") >= Generation::ROCM_7);
        assert_eq!(of("4.3.0.3216-cbcdc2d").to_string(), "4.3");
    }

    #[test]
    fn the_version_string_counts_before_the_soname() {
        let of = Generation::of;
        assert_eq!(of("librocblas.so.0", "4.4.1"), of("librocblas.so.4.4", ""));
        assert_eq!(of("librocblas.so.5", ""), Some(Generation::ROCM_7));
        assert_eq!(of("librocblas.so.40", ""), of("", "40"));
        for (soname, version) in [("librocblas.so", ""), ("librocblas.so", "develop"), ("", ".5")] {
            assert_eq!(of(soname, version), None, "{soname} {version}");
        }
    }
}
