//! The ROCm release of a rocBLAS, from the names and versions around it. The library itself does not contain
//! it: its own version is rocBLAS's (4.3), not ROCm's (6.3.0).

use std::path::{Component, Path};

/// The release in a library's name, `librocblas.so.4.3.60300` -> `6.3.0`; only AMD's builds have it.
#[must_use]
pub fn of_library(name: &str) -> Option<String> {
    of_suffix(name.rsplit('.').next()?)
}

/// The release in a directory of a path, `/opt/rocm-6.3.0/lib` -> `6.3.0`.
#[must_use]
pub fn of_path(path: &Path) -> Option<String> {
    path.components().rev().find_map(|component| {
        let Component::Normal(name) = component else { return None };
        dotted(name.to_str()?.strip_prefix("rocm-")?)
    })
}

/// The release in the version of a package, or in a tree's `.info/version`. AMD's packages append it to
/// rocBLAS's own (`4.3.0.60300-39~22.04`); for distributions it is the version (`6.4.4-2`).
#[must_use]
pub fn of_package(version: &str) -> Option<String> {
    let version = version.trim();
    let version = version.split_once(':').map_or(version, |(_epoch, rest)| rest);
    let end = version.find(|c: char| !matches!(c, '0'..='9' | '.')).unwrap_or(version.len());
    let numbers = &version[..end];
    of_suffix(numbers.rsplit('.').next()?).or_else(|| dotted(numbers))
}

/// `60300` -> `6.3.0`: two digits for each number except the first.
fn of_suffix(suffix: &str) -> Option<String> {
    let all_digits = suffix.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits || !(5..=6).contains(&suffix.len()) {
        return None;
    }
    let (major, rest) = suffix.split_at(suffix.len() - 4);
    let number = |digits: &str| digits.parse::<u8>().ok();
    Some(format!("{}.{}.{}", number(major)?, number(&rest[..2])?, number(&rest[2..])?))
}

/// A version of two or three numbers.
fn dotted(version: &str) -> Option<String> {
    let parts: Vec<&str> = version.split('.').collect();
    let number = |part: &&str| {
        (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    ((2..=3).contains(&parts.len()) && parts.iter().all(number)).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries() {
        let of = |name| of_library(name);
        assert_eq!(of("librocblas.so.4.3.60300").as_deref(), Some("6.3.0"));
        assert_eq!(of("librocblas.so.5.0.70002").as_deref(), Some("7.0.2"));
        assert_eq!(of("librocblas.so.5.2.100203").as_deref(), Some("10.2.3"));
        for name in ["librocblas.so", "librocblas.so.4.4", "librocblas.so.4.3.6é00", ""] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn paths() {
        let of = |path| of_path(Path::new(path));
        assert_eq!(of("/opt/rocm-6.3.0/lib").as_deref(), Some("6.3.0"));
        assert_eq!(of("opt/rocm-6.2/lib/librocblas.so").as_deref(), Some("6.2"));
        for path in ["/opt/rocm/lib", "/opt/rocm-beta/lib", "/opt/rocm-/lib", "/rocm-6..3"] {
            assert_eq!(of(path), None, "{path}");
        }
    }

    #[test]
    fn packages() {
        let of = |version| of_package(version);
        assert_eq!(of("4.3.0.60300-39~22.04").as_deref(), Some("6.3.0"));
        assert_eq!(of("1:6.4.4-2+b1").as_deref(), Some("6.4.4"));
        assert_eq!(of("5.5.1+dfsg-7").as_deref(), Some("5.5.1"));
        assert_eq!(of(" 6.3.0-39\n").as_deref(), Some("6.3.0"));
        for version in ["", ":", "unknown", "20240101-1", "1.2.3.4.5-1"] {
            assert_eq!(of(version), None, "{version}");
        }
    }
}
