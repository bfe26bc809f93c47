//! Which files of a package or tree belong to a rocBLAS: the library, and its Tensile files in the places
//! where it searches for them.

use super::gpu::{gpu_of, is_generic};
use rocblas_contract::{
    kpack,
    libraries::{ROCBLAS, version_of},
    tensile,
};
use std::{
    collections::BTreeSet,
    ffi::OsStr,
    path::{Component, Path, PathBuf},
};

/// The GPUs whose kernels are wanted, by processor (`gfx906`); None means all.
#[derive(Clone, Debug)]
pub(super) struct Gpus(Option<BTreeSet<String>>);

impl Gpus {
    pub(super) fn new(gpus: Option<&[String]>) -> Self {
        let processor = |gpu: &String| gpu_of(gpu).unwrap_or(gpu).to_owned();
        Self(gpus.map(|gpus| gpus.iter().map(processor).collect()))
    }

    /// Whether a file or sub-directory of that name is for one of them, or for no GPU in particular.
    pub(super) fn want(&self, name: &str) -> bool {
        let Some(wanted) = &self.0 else { return true };
        gpu_of(name).is_none_or(|gpu| is_generic(gpu) || wanted.contains(gpu))
    }
}

/// The library directory that a path belongs to, if the file is a rocBLAS library by its name or one of its
/// Tensile files; for an archive of GPU code, the directory of the archives.
pub(super) fn lib_of(path: &Path, gpus: &Gpus) -> Option<PathBuf> {
    let names = path.components().map(|component| match component {
        Component::Normal(name) => name.to_str(),
        // Lossless names only, but the components before it may be anything.
        other => other.as_os_str().to_str(),
    });
    let names: Vec<&str> = names.collect::<Option<_>>()?;
    let (file, directories) = names.split_last()?;
    if is_library_name(file) {
        return Some(directories.iter().collect());
    }
    if is_archive(path, gpus) {
        return Some(directories.iter().collect());
    }
    let (at, below) = kernels(&names)?;
    below.iter().all(|name| gpus.want(name)).then(|| names[..at].iter().collect())
}

/// Whether the place and name of a file are those of an archive of GPU code for one of the GPUs.
pub(super) fn is_archive(path: &Path, gpus: &Gpus) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let directory = path.parent().and_then(Path::file_name);
    directory.is_some_and(|directory| directory == kpack::DIRECTORY)
        && name.ends_with(kpack::EXTENSION)
        && gpus.want(name)
}

/// The position of `rocblas/library`, or Debian's `rocblas/<version>/library`, in a path, and the rest.
fn kernels<'a, 'b>(names: &'b [&'a str]) -> Option<(usize, &'b [&'a str])> {
    (0..names.len()).filter(|at| names[*at] == tensile::ROCBLAS).find_map(|at| {
        let rest = &names[at + 1..];
        // A symlink of that name is not followed, but must be noticed.
        let library = rest.iter().take(2).position(|name| *name == tensile::LIBRARY)?;
        Some((at, &rest[library + 1..]))
    })
}

/// Whether Tensile files at a path relative to the library's directory belong to that library. Debian keeps
/// those of several versions side by side, `rocblas/4.4.1/library` and `rocblas/5/library`: their versions
/// begin like the end of the SONAME.
pub(super) fn is_of(soname: &str, path: &Path) -> bool {
    let own = soname.rsplit('.').next().unwrap_or_default();
    let directory = path.iter().nth(1).and_then(|name| name.to_str()).unwrap_or_default();
    let number = directory.split('.').next().unwrap_or_default();
    !is_number(number) || !is_number(own) || number == own
}

/// Whether a path has a library's name.
pub(super) fn is_library(path: &Path) -> bool {
    path.file_name().and_then(OsStr::to_str).is_some_and(is_library_name)
}

/// Whether a name is a library's and not a backup's: `librocblas.so`, `librocblas.so.4.3.60300`.
pub(super) fn is_library_name(name: &str) -> bool {
    version_of(name, ROCBLAS).is_some_and(|version| name == ROCBLAS || is_version(version))
}

fn is_version(text: &str) -> bool {
    text.split('.').all(is_number)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lib_of(path: &str, gpus: Option<&[&str]>) -> Option<PathBuf> {
        let gpus = gpus.map(|gpus| gpus.iter().map(|&gpu| gpu.to_owned()).collect::<Vec<_>>());
        super::lib_of(Path::new(path), &Gpus::new(gpus.as_deref()))
    }

    #[test]
    fn libraries_and_tensile_files_belong_to_their_directory() {
        for (path, lib) in [
            ("opt/rocm-6.3.0/lib/librocblas.so.4.3.60300", "opt/rocm-6.3.0/lib"),
            ("opt/rocm-6.3.0/lib/rocblas/library/a.dat", "opt/rocm-6.3.0/lib"),
            ("usr/lib/x86_64-linux-gnu/rocblas/4.4.1/library/a.dat", "usr/lib/x86_64-linux-gnu"),
            ("rocblas/library/gfx906/a.dat", ""),
            ("librocblas.so", ""),
            ("/rocblas/lib/rocblas/library/x", "/rocblas/lib"),
            ("lib/rocblas/library", "lib"),
        ] {
            assert_eq!(lib_of(path, None).as_deref(), Some(Path::new(lib)), "{path}");
        }
        for path in [
            "",
            "lib/librocblas.so.4.3.60300.bak",
            "lib/librocblas.so.4.3-4.3.x86_64.debug",
            "lib/librocblas.so.",
            "lib/librocblaslt.so",
            "include/rocblas/rocblas.h",
            "lib/cmake/rocblas/rocblas-config.cmake",
            "share/doc/rocblas/x/y/library/z",
        ] {
            assert_eq!(lib_of(path, None), None, "{path}");
        }
    }

    #[test]
    fn files_of_other_gpus_are_left_out() {
        let wanted = |path| lib_of(path, Some(&["gfx906:sramecc+:xnack-", "gfx90a"])).is_some();
        for path in [
            "lib/rocblas/library/Kernels.so-000-gfx906.hsaco",
            "lib/rocblas/library/Kernels.so-000-gfx90a-xnack+.hsaco",
            "lib/rocblas/library/TensileManifest.txt",
            "lib/rocblas/library/gfx906/any",
            "opt/rocm-gfx1030/lib/rocblas/library/x.dat",
        ] {
            assert!(wanted(path), "{path}");
        }
        for path in [
            "lib/rocblas/library/Kernels.so-000-gfx908.hsaco",
            "lib/rocblas/library/gfx908/any",
            "lib/rocblas/library/gfx906/x_gfx1030.dat",
        ] {
            assert!(!wanted(path), "{path}");
        }
    }

    #[test]
    fn versions_side_by_side_are_told_apart() {
        let own = |path| is_of("librocblas.so.4", Path::new(path));
        assert!(own("rocblas/library/a"));
        assert!(own("rocblas/4.4.1/library/a"));
        assert!(!own("rocblas/5/library/a"));
        assert!(!own("rocblas/40.1/library/a"));
        assert!(own("rocblas/any/library/a"));
        assert!(is_of("librocblas.so", Path::new("rocblas/5/library/a")));
    }
}
