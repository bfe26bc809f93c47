//! ROCm 7's libraries in another layout: at its paths, under its file names, and with the search path by
//! which its rocBLAS finds the HIP runtime.

use super::{AmdTree, STOCK_GPUS, libraries, tensile_files};
use crate::kept;
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// How a layout names the file of a library.
#[derive(Clone, Copy, Debug)]
pub enum Names {
    /// With a version, and symlinks to it; this is rocBLAS's version.
    Versioned(&'static str),
    /// By the SONAME.
    Sonames,
    /// Without a version, both as file names and in dependencies: PyTorch's wheels.
    Plain,
}

/// A layout's libraries.
#[derive(Clone, Copy, Debug)]
pub struct Bundle {
    /// The directory of rocBLAS, inside the root.
    pub lib: &'static str,
    /// The directory of the HIP runtime, as seen from there.
    pub core: Option<&'static str>,
    /// How files are named.
    pub names: Names,
}

/// The libraries by their SONAMEs, compiled once for each search path.
fn compiled(core: Option<&str>) -> &'static Path {
    static TOGETHER: OnceLock<PathBuf> = OnceLock::new();
    static APART: OnceLock<PathBuf> = OnceLock::new();
    let made = if core.is_some() { &APART } else { &TOGETHER };
    made.get_or_init(|| {
        let directory = kept::directory();
        let path = match core {
            Some(core) => format!("$ORIGIN:$ORIGIN/{core}"),
            None => "$ORIGIN".to_owned(),
        };
        libraries::bundled(&path, &STOCK_GPUS, &directory);
        directory
    })
}

impl AmdTree {
    /// Puts a layout's libraries into the tree. Returns the directory of rocBLAS.
    pub fn add(&self, bundle: &Bundle) -> PathBuf {
        let lib = self.root().join(bundle.lib.trim_start_matches('/'));
        let core = bundle.core.map_or_else(|| lib.clone(), |core| lib.join(core));
        // A path with `..` cannot be resolved through a directory that does not exist yet.
        fs::create_dir_all(&lib).expect("make lib");
        fs::create_dir_all(&core).expect("make the runtime's directory");
        for soname in libraries::BUNDLED {
            let from = compiled(bundle.core).join(soname);
            let is_of_core = libraries::OF_CORE.contains(&soname);
            place(&from, soname, if is_of_core { &core } else { &lib }, bundle.names);
        }
        tensile_files(&lib, &STOCK_GPUS);
        lib
    }
}

fn place(from: &Path, soname: &str, to: &Path, names: Names) {
    let (plain, major) = soname.rsplit_once('.').expect("a SONAME");
    match names {
        Names::Sonames => drop(fs::copy(from, to.join(soname)).expect("copy")),
        Names::Plain => {
            let bytes = fs::read(from).expect("read");
            let needs = libraries::BUNDLED.into_iter().filter(|name| *name != soname);
            fs::write(to.join(plain), needs.fold(bytes, without_version)).expect("write");
        }
        Names::Versioned(rocblas) => {
            let version = if plain.contains("rocblas") { rocblas } else { "1.70002" };
            let version = version.strip_prefix(&format!("{major}.")).unwrap_or(version);
            let file = format!("{soname}.{version}");
            fs::copy(from, to.join(&file)).expect("copy");
            symlink(file, to.join(soname)).expect("link");
            symlink(soname, to.join(plain)).expect("link");
        }
    }
}

/// A file as `patchelf --replace-needed libX.so.7 libX.so` changes it.
fn without_version(mut bytes: Vec<u8>, soname: &str) -> Vec<u8> {
    let (plain, _) = soname.rsplit_once('.').expect("a SONAME");
    let name = format!("\0{soname}\0");
    while let Some(at) = bytes.windows(name.len()).position(|part| part == name.as_bytes()) {
        bytes[at + 1 + plain.len()..at + name.len()].fill(0);
    }
    bytes
}
