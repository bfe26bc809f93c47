//! The location of a split library's GPU code (ROCm 7.13 and later): `.kpack` archives, one for each
//! target, which a section of the library names.
//!
//! Source: TheRock's `rocm-kpack` and the HIP runtime; no split library of AMD's was available.

/// The section that names the archives: one msgpack map.
pub const REFERENCE_SECTION: &str = ".rocm_kpack_ref";

/// The section of records by which the HIP runtime finds GPU code, split or not.
pub const SEGMENT_SECTION: &str = ".hipFatBinSegment";

/// A record's magic number if the code is in the library: `FPIH` in the file.
pub const MAGIC: u32 = 0x4849_5046;

/// A record's magic number if the code is in archives: `HIPK` in the file.
pub const SPLIT_MAGIC: u32 = 0x4b50_4948;

/// The map's key for the name of the library in the archives.
pub const KERNEL_NAME: &str = "kernel_name";

/// The map's key for the paths of archives, relative to the library's directory.
pub const SEARCH_PATHS: &str = "kpack_search_paths";

/// The largest size of the map, in bytes, that the HIP runtime reads.
pub const MOST_REFERENCE: usize = 64 << 10;

/// The placeholder for the target in a path.
pub const PLACEHOLDER: &str = "@GFXARCH@";

/// The directory of archives in the libraries' prefix.
pub const DIRECTORY: &str = ".kpack";

/// The variable that replaces all paths by a list of files.
pub const PATH_VARIABLE: &str = "ROCM_KPACK_PATH";

/// The extension of an archive's name.
pub const EXTENSION: &str = ".kpack";

/// A string that is in exactly those HIP runtimes that read archives (7.13 and later): the name of
/// [`PATH_VARIABLE`], which they read.
pub const IN_RUNTIMES_THAT_READ: &str = PATH_VARIABLE;

/// AMD's library that reads archives for the HIP runtime; a runtime that needs this library reads archives.
pub const READER: &str = "librocm_kpack.so";

/// The path of a target's archive.
#[must_use]
pub fn archive(path: &str, target: &str) -> String {
    path.replace(PLACEHOLDER, target)
}

/// Whether a path matches a search path: it is the archive of some target, or the search path itself.
#[must_use]
pub fn names(search_path: &str, path: &str) -> bool {
    let Some((before, after)) = search_path.split_once(PLACEHOLDER) else {
        return search_path == path;
    };
    let target = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    target.is_some_and(|target| target.starts_with("gfx") && !target.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magic_numbers_read_as_text_in_a_file() {
        assert_eq!(&MAGIC.to_le_bytes(), b"FPIH");
        assert_eq!(&SPLIT_MAGIC.to_le_bytes(), b"HIPK");
    }

    #[test]
    fn the_target_replaces_the_placeholder() {
        let path = format!("../{DIRECTORY}/blas_lib_{PLACEHOLDER}.kpack");
        assert_eq!(archive(&path, "gfx906"), "../.kpack/blas_lib_gfx906.kpack");
        assert_eq!(archive("../x.kpack", "gfx906"), "../x.kpack");
        assert!(names(&path, "../.kpack/blas_lib_gfx906.kpack"));
        assert!(names("../x.kpack", "../x.kpack"));
        for other in [
            "../.kpack/blas_lib_.kpack",
            "../.kpack/fft_lib_gfx906.kpack",
            "../.kpack/blas_lib_gfx906/x.kpack",
        ] {
            assert!(!names(&path, other), "{other}");
        }
    }
}
