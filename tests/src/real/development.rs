//! Files for building programs: headers and CMake packages of rocBLAS, rocSOLVER, hipBLAS and HIP, unpacked
//! once, next to the root.

use super::{
    packages::{self, Apt, Candidate},
    root::{SUITES, directory, lock, say},
};
use crate::skip::skip;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The packages of rocBLAS, rocSOLVER and hipBLAS, and those that their CMake packages require. Libraries are not
/// included, because the root has them.
const PACKAGES: [&str; 7] = [
    "librocblas-dev",
    "librocsolver-dev",
    "libhipblas-dev",
    "libhipblas-common-dev",
    "libamdhip64-dev",
    "libhsa-runtime-dev",
    "libamd-comgr-dev",
];

/// Changes with [`PACKAGES`], so that a directory with fewer packages is not mistaken for a complete one.
const NAME: &str = "development-3";

/// The directory that contains their `usr`, prepared if necessary. If it is not available, prints why and
/// returns `None`.
pub fn development() -> Option<&'static Path> {
    static DIRECTORY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match DIRECTORY.get_or_init(prepare) {
        Ok(directory) => Some(directory),
        Err(why) => {
            skip("building with real packages", why);
            None
        }
    }
}

fn prepare() -> Result<PathBuf, String> {
    let top = directory();
    let failed = |e: io::Error| format!("{}: {e}", top.display());
    let _lock = lock().map_err(failed)?;
    let finished = top.join(NAME);
    if finished.exists() {
        return Ok(finished);
    }
    let (unfinished, lists) = (top.join("unfinished-development"), top.join("apt-development"));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(failed)?;
    }
    fs::create_dir_all(&unfinished).map_err(failed)?;
    let mut found = Err("no suites".to_owned());
    for suites in SUITES {
        let apt = Apt::new(&lists, suites)?;
        found = candidates(&apt).map(|candidates| (apt, candidates));
        if found.is_ok() {
            break;
        }
    }
    let (apt, candidates) = found?;
    for candidate in &candidates {
        say(&format!("unpacking {} {}", candidate.name, candidate.version));
        packages::unpack(&apt.download(candidate)?, &unfinished, &[])?;
    }
    fs::rename(&unfinished, &finished).map_err(failed)?;
    fs::remove_dir_all(lists).map_err(failed)?;
    Ok(finished)
}

fn candidates(apt: &Apt) -> Result<Vec<Candidate>, String> {
    let missing = |name: &str| format!("Debian has no {name} now");
    PACKAGES.iter().map(|name| apt.candidate(name)?.ok_or_else(|| missing(name))).collect()
}
