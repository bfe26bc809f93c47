//! Compiles the C and C++ of the tests with the machine's compilers.

use crate::{kept, run::exists};
use rocblas_abi::c_exports;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// A directory of headers: `rocblas.h`, generated from the table, and `rocblas_shim.h`.
///
/// # Panics
/// When they cannot be written.
pub fn headers() -> &'static Path {
    static HEADERS: OnceLock<PathBuf> = OnceLock::new();
    HEADERS
        .get_or_init(|| {
            let directory = kept::directory();
            fs::write(directory.join("rocblas.h"), rocblas_abi::c_header(c_exports()))
                .expect("write rocblas.h");
            let own = crate::artefacts::workspace().join("shim/include/rocblas_shim.h");
            fs::copy(own, directory.join("rocblas_shim.h")).expect("copy rocblas_shim.h");
            directory
        })
        .as_path()
}

/// The C++ compiler of this machine. Not every machine with a C compiler has one.
#[must_use]
pub fn cxx() -> Option<&'static str> {
    ["c++", "g++", "clang++"].into_iter().find(|compiler| exists(compiler))
}

/// Compiles and links one source file; `arguments` follow it on the command line.
///
/// # Panics
/// If the compiler fails, with its messages.
pub fn compile(source: &Path, output: &Path, arguments: &[&str]) -> PathBuf {
    let compiler = match source.extension().and_then(|e| e.to_str()) {
        Some("cpp") => cxx().expect("the caller has asked for a C++ compiler before"),
        _ => "cc",
    };
    let result = try_compile(compiler, source, output, arguments);
    assert!(result.is_ok(), "{}: {}", source.display(), result.unwrap_err());
    output.to_path_buf()
}

fn try_compile(
    compiler: &str,
    source: &Path,
    output: &Path,
    arguments: &[&str],
) -> Result<(), String> {
    let result = Command::new(compiler)
        .args(["-O1", "-g", "-Wall", "-pthread"])
        .arg("-I")
        .arg(headers())
        .arg(source)
        .arg("-o")
        .arg(output)
        .args(arguments)
        .output()
        .map_err(|e| format!("{compiler}: {e}"))?;
    if result.status.success() {
        return Ok(());
    }
    Err(format!("{compiler} failed:\n{}", String::from_utf8_lossy(&result.stderr)))
}

/// Compiles a shared library.
pub fn library(source: &Path, output: &Path, soname: &str, arguments: &[&str]) -> PathBuf {
    let soname = format!("-Wl,-soname,{soname}");
    let arguments = [&["-shared", "-fPIC", &soname], arguments].concat();
    compile(source, output, &arguments)
}
