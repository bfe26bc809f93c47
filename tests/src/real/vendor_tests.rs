//! AMD's own test program for rocBLAS 7 with its dependencies, unpacked once, next to the root.
//!
//! Its data file describes 1.5 million tests, which the program takes minutes to read. Only tests that need no kernel
//! results are kept.

use super::{
    packages::{self, Apt},
    root::{SUITES, directory, lock, say},
};
use crate::skip::skip;
use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The program, its data, and libraries that the root lacks.
const PACKAGES: [&str; 6] = [
    "librocblas5-tests",
    "librocblas5-tests-data",
    "libblas3",
    "libgfortran5",
    "libquadmath0",
    "librocm-smi64-7",
];

/// Changes with [`PACKAGES`] and [`is_wanted`].
const NAME: &str = "vendor-tests-2";

/// AMD's tests.
#[derive(Debug)]
pub struct VendorTests {
    directory: PathBuf,
}

impl VendorTests {
    /// The program.
    #[must_use]
    pub fn program(&self) -> PathBuf {
        self.directory.join("usr/libexec/rocm/librocblas5-tests/rocblas-test")
    }

    /// Descriptions of the tests that are kept.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.directory.join("rocblas_gtest.data")
    }

    /// The directory of its libraries.
    #[must_use]
    pub fn libraries(&self) -> [PathBuf; 2] {
        let libraries = self.directory.join("usr/lib/x86_64-linux-gnu");
        [libraries.join("blas"), libraries]
    }
}

/// The tests, prepared if necessary. If they are not available, prints why and returns `None`.
pub fn vendor_tests() -> Option<&'static VendorTests> {
    static TESTS: OnceLock<Result<VendorTests, String>> = OnceLock::new();
    match TESTS.get_or_init(prepare) {
        Ok(tests) => Some(tests),
        Err(why) => {
            skip("AMD's own tests", why);
            None
        }
    }
}

fn prepare() -> Result<VendorTests, String> {
    let top = directory();
    let failed = |e: io::Error| format!("{}: {e}", top.display());
    let _lock = lock().map_err(failed)?;
    let finished = VendorTests { directory: top.join(NAME) };
    if finished.directory.exists() {
        return Ok(finished);
    }
    let unfinished = VendorTests { directory: top.join("unfinished-vendor-tests") };
    let lists = top.join("apt-vendor-tests");
    if unfinished.directory.exists() {
        fs::remove_dir_all(&unfinished.directory).map_err(failed)?;
    }
    fs::create_dir_all(&unfinished.directory).map_err(failed)?;
    let apt = Apt::new(&lists, SUITES[0])?;
    for name in PACKAGES {
        let candidate = apt.candidate(name)?.ok_or_else(|| format!("Debian has no {name} now"))?;
        say(&format!("unpacking {name} {}", candidate.version));
        packages::unpack(&apt.download(&candidate)?, &unfinished.directory, &[])?;
    }
    let all = unfinished.directory.join("usr/share/librocblas5-tests/data/rocblas_gtest.data");
    let (kept, tests) = keep_wanted(&all, &unfinished.data())?;
    say(&format!("kept {kept} of {tests} descriptions of tests"));
    fs::remove_file(all).map_err(failed)?;
    fs::rename(&unfinished.directory, &finished.directory).map_err(failed)?;
    fs::remove_dir_all(lists).map_err(failed)?;
    Ok(finished)
}

/// Functions of the test program that need no kernel results, in addition to those with `bad_arg` in their names.
const WANTED: [&str; 13] = [
    "complex_operators",
    "gemm_batched_ex_get_solutions",
    "gemm_ex_get_solutions",
    "gemm_strided_batched_ex_get_solutions",
    "half_operators",
    "helper_utilities",
    "logging",
    "set_get_atomics_mode",
    "set_get_matrix",
    "set_get_matrix_async",
    "set_get_pointer_mode",
    "set_get_vector",
    "set_get_vector_async",
];

/// Tests that take minutes or gigabytes.
const LARGE: [&str; 2] = ["nightly", "stress"];

/// Whether to keep the test with this description, which begins with the function of the test program.
fn is_wanted(description: &[u8]) -> bool {
    let function = description.split(|byte| *byte == 0).next();
    let function = function.and_then(|function| std::str::from_utf8(function).ok());
    let is_small = || {
        let contains = |word: &str| description.windows(word.len()).any(|w| w == word.as_bytes());
        !LARGE.iter().any(|word| contains(word))
    };
    function.is_some_and(|function| WANTED.contains(&function) || function.ends_with("bad_arg"))
        && is_small()
}

/// Copies the selected descriptions. Returns their number, and the number of all descriptions.
///
/// The file begins with `rocBLAS\0`, a sample description with which the program checks its layout, and `ROCblas\0`;
/// descriptions of the same size follow.
fn keep_wanted(from: &Path, to: &Path) -> Result<(u64, u64), String> {
    const HEAD: &[u8] = b"rocBLAS\0";
    const TAIL: &[u8] = b"ROCblas\0";
    /// More than any description has.
    const MOST: usize = 1 << 14;
    let failed = |e: io::Error| format!("{}: {e}", from.display());
    let mut input = BufReader::with_capacity(1 << 20, File::open(from).map_err(failed)?);
    let mut start = Vec::new();
    input.by_ref().take(MOST as u64).read_to_end(&mut start).map_err(failed)?;
    let end = start.windows(TAIL.len()).position(|bytes| bytes == TAIL);
    let end = end.filter(|_| start.starts_with(HEAD));
    let end = end.ok_or_else(|| format!("{} is not as it was", from.display()))? + TAIL.len();
    let size = end - HEAD.len() - TAIL.len();
    let mut output = BufWriter::new(File::create(to).map_err(failed)?);
    output.write_all(&start[..end]).map_err(failed)?;
    let mut input = start[end..].chain(input);
    let (mut kept, mut tests) = (0, 0);
    let mut description = vec![0; size];
    loop {
        match input.read_exact(&mut description) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(e) => return Err(failed(e)),
        }
        tests += 1;
        if is_wanted(&description) {
            kept += 1;
            output.write_all(&description).map_err(failed)?;
        }
    }
    output.flush().map_err(failed)?;
    Ok((kept, tests))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_of_small_tests_without_kernels_are_kept() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let [from, to] = ["from", "to"].map(|name| directory.path().join(name));
        let description = |words: &str| format!("{words:\0<40}");
        let head = format!("rocBLAS\0{}ROCblas\0", description("\u{1}"));
        let kept = ["gemm_bad_arg\0quick", "logging\0pre_checkin"].map(description).concat();
        let rest = ["gemm\0quick", "set_get_vector\0nightly", "logging_ex"].map(description);
        fs::write(&from, format!("{head}{}{kept}", rest.concat())).expect("write");
        assert_eq!(keep_wanted(&from, &to), Ok((2, 5)));
        assert_eq!(fs::read_to_string(&to).expect("written"), format!("{head}{kept}"));
        fs::write(&from, "another format").expect("write");
        assert!(keep_wanted(&from, &to).is_err());
    }
}
