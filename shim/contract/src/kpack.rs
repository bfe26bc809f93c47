//! Where the GPU code is of a library that was split (ROCm 7.13 and later): in `.kpack` archives, one
//! for each target, that a section of the library names.
//!
//! Known from the sources of TheRock's `rocm-kpack` and of the HIP runtime; no such library of AMD's
//! was at hand.

/// The section that names the archives: one msgpack map.
pub const REFERENCE_SECTION: &str = ".rocm_kpack_ref";

/// The section of records that lead the HIP runtime to GPU code, split or not.
pub const SEGMENT_SECTION: &str = ".hipFatBinSegment";

/// A record's magic number where the code is in the library: `FPIH` in the file.
pub const MAGIC: u32 = 0x4849_5046;

/// A record's magic number where the code is in archives: `HIPK` in the file.
pub const SPLIT_MAGIC: u32 = 0x4b50_4948;

/// The key of the map for the name of the library in the archives.
pub const KERNEL_NAME: &str = "kernel_name";

/// The key of the map for the paths of archives, relative to the library's directory.
pub const SEARCH_PATHS: &str = "kpack_search_paths";

/// The most bytes of the map that the HIP runtime reads.
pub const MOST_REFERENCE: usize = 64 << 10;

/// What stands for the target in a path.
pub const PLACEHOLDER: &str = "@GFXARCH@";

/// The directory of archives, in the prefix of the libraries.
pub const DIRECTORY: &str = ".kpack";

/// The variable that replaces all paths by a list of files.
pub const PATH_VARIABLE: &str = "ROCM_KPACK_PATH";

/// The path of a target's archive.
#[must_use]
pub fn archive(path: &str, target: &str) -> String {
    path.replace(PLACEHOLDER, target)
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
    fn the_target_takes_the_placeholders_place() {
        let path = format!("../{DIRECTORY}/blas_lib_{PLACEHOLDER}.kpack");
        assert_eq!(archive(&path, "gfx906"), "../.kpack/blas_lib_gfx906.kpack");
        assert_eq!(archive("../x.kpack", "gfx906"), "../x.kpack");
    }
}
