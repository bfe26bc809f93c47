//! A temporary root directory that looks like a machine with AMD's packages of ROCm 7.0.2, for the
//! installer to work on; and the files of ROCm 6.3's rocBLAS, as unpacked from its package.
//!
//! Nothing in it is from AMD: the libraries are stand-ins with the relevant names, dependencies, symbol
//! versions and GPU targets, and the C library is the machine's own.

mod bundle;
mod gpu_code;
mod libraries;

use crate::{
    artefacts,
    compile::compile,
    kept, program,
    run::{Ended, run},
    scratch,
};
pub use bundle::{Bundle, Names};
pub use gpu_code::{
    GFX900, GFX906, GFX908, GFX942, GFX1030, Gpu, KERNELS, add as with_gpu_code,
    bundles as gpu_bundles,
};
pub use libraries::Backend;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock, PoisonError},
};
use tempfile::TempDir;

/// GPUs that the stock library has kernels for.
pub const STOCK_GPUS: [Gpu; 2] = [GFX908, GFX942];

/// GPUs that the backend has kernels for.
pub const BACKEND_GPUS: [Gpu; 3] = [GFX900, GFX906, GFX908];

/// GPUs that the backend's Tensile files are for.
pub const TENSILE_GPUS: [Gpu; 4] = [GFX900, GFX906, GFX908, GFX1030];

/// Where the libraries of ROCm are, below a root.
const LIB: &str = "opt/rocm-7.0.2/lib";

/// The machine's libraries that the stand-ins and programs need.
const MACHINE: [&str; 4] = ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6"];

/// The root; its files are removed when it is dropped.
#[derive(Debug)]
pub struct AmdTree {
    directory: TempDir,
}

impl Default for AmdTree {
    fn default() -> Self {
        Self::new()
    }
}

impl AmdTree {
    /// A machine with ROCm 7.0.2 installed: the stock library computes, except for triangular solvers
    /// (`artefacts::stock`).
    #[must_use]
    pub fn new() -> Self {
        static MADE: OnceLock<AmdTree> = OnceLock::new();
        MADE.get_or_init(|| Self::with_rocm().until_exit()).duplicate()
    }

    fn with_rocm() -> Self {
        let tree = Self::empty();
        let lib = tree.lib();
        fs::create_dir_all(&lib).expect("make lib");
        symlink("rocm-7.0.2", tree.root().join("opt/rocm")).expect("link");
        libraries::rocm_7(artefacts::stock(), &STOCK_GPUS, &lib);
        tensile_files(&lib, &STOCK_GPUS);
        tree.add_machine();
        tree.ldconfig();
        tree
    }

    /// A machine without ROCm.
    #[must_use]
    pub fn without_rocm() -> Self {
        static MADE: OnceLock<AmdTree> = OnceLock::new();
        let made = MADE.get_or_init(|| {
            let tree = Self::empty();
            tree.add_machine();
            tree.ldconfig();
            tree.until_exit()
        });
        made.duplicate()
    }

    /// Keeps the tree until the process exits, for a `static`.
    fn until_exit(self) -> Self {
        kept::until_exit(self.root());
        self
    }

    fn empty() -> Self {
        Self { directory: scratch::named("amd-") }
    }

    /// A root in a directory, with the files that `make` creates in it.
    #[must_use]
    pub fn made_by(directory: &Path, make: impl FnOnce(&Path)) -> Self {
        let root = tempfile::Builder::new().prefix("amd-").tempdir_in(directory);
        let tree = Self { directory: root.expect("make a root") };
        make(tree.root());
        tree
    }

    /// A copy of all files, with their times.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let copy = Self::empty();
        let mut command = Command::new("cp");
        command.args(["--archive", "--reflink=auto"]).arg(self.root().join("."));
        run(command.arg(copy.root())).success();
        copy
    }

    /// The top.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// ROCm's libraries.
    #[must_use]
    pub fn lib(&self) -> PathBuf {
        self.root().join(LIB)
    }

    /// A command for the installer, to work on this root.
    #[must_use]
    pub fn installer_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(artefacts::installer());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ROCBLAS_") {
                command.env_remove(name);
            }
        }
        command.arg("--root").arg(self.root()).args(arguments);
        command
    }

    /// Runs the installer on this root.
    #[track_caller]
    pub fn installer(&self, arguments: &[&str]) -> Ended {
        run(&mut self.installer_command(arguments))
    }

    /// Runs the machine's ldconfig on this root. It rewrites `etc/ld.so.cache` each time, and caches files'
    /// times in `var/cache/ldconfig`.
    #[track_caller]
    pub fn ldconfig(&self) -> Ended {
        ldconfig(&["-r", self.root().to_str().expect("UTF-8")])
    }

    /// The libraries in this root's `ld.so.cache`: SONAME and path inside the root.
    #[must_use]
    pub fn cached(&self) -> Vec<(String, String)> {
        let printed = ldconfig(&["-p", "-r", self.root().to_str().expect("UTF-8")]).stdout;
        let line = |line: &str| {
            let (name, path) = line.trim().split_once(" => ")?;
            Some((name.split(' ').next()?.to_owned(), path.to_owned()))
        };
        printed.lines().filter_map(line).collect()
    }

    /// Compiles a C program and links it with libraries of this tree (`-lrocblas`). It is placed in
    /// `usr/bin`.
    pub fn build(&self, source: &Path, libraries: &[&str]) -> PathBuf {
        let bin = self.root().join("usr/bin");
        fs::create_dir_all(&bin).expect("make bin");
        let lib = format!("-L{}", self.lib().display());
        // The libraries' own dependencies are found when the program runs.
        let arguments = [&[lib.as_str(), "-Wl,--allow-shlib-undefined"], libraries].concat();
        compile(source, &bin.join(source.file_stem().expect("a name")), &arguments)
    }

    /// A command that runs a program of this root in it, as the whole machine: with its loader, its
    /// cache and no environment. `None` if this process lacks the privileges for that.
    #[must_use]
    pub fn inside(&self, program: &Path) -> Option<Command> {
        // SAFETY: no arguments.
        if unsafe { libc::geteuid() } != 0 {
            return None;
        }
        let program = program.strip_prefix(self.root()).expect("a program of this root");
        let mut command = Command::new("chroot");
        command.arg(self.root()).arg(Path::new("/").join(program)).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        Some(command)
    }

    /// Adds the machine's C library and related libraries, in the same directories, and the settings of the
    /// loader.
    fn add_machine(&self) {
        let root = self.root();
        // As in distributions for many years.
        for name in ["lib", "lib64"] {
            fs::create_dir_all(root.join("usr").join(name)).expect("make a directory");
            symlink(format!("usr/{name}"), root.join(name)).expect("link");
        }
        let mut directories = vec![];
        for name in MACHINE {
            let file = machine_file(name);
            let directory = file.parent().expect("in a directory").to_owned();
            let there = root.join(directory.strip_prefix("/").expect("absolute"));
            fs::create_dir_all(&there).expect("make a directory");
            fs::copy(&file, there.join(name)).expect("copy a library");
            if !directories.contains(&directory) {
                directories.push(directory);
            }
        }
        let loader = "lib64/ld-linux-x86-64.so.2";
        program::copy(Path::new("/").join(loader), root.join(loader));
        fs::create_dir_all(root.join("var/cache")).expect("make a directory");
        let settings = root.join("etc/ld.so.conf.d");
        fs::create_dir_all(&settings).expect("make etc");
        let lines = directories.iter().map(|directory| format!("{}\n", directory.display()));
        for (file, text) in [
            ("etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n".to_owned()),
            ("etc/ld.so.conf.d/libc.conf", lines.collect()),
            ("etc/ld.so.conf.d/rocm.conf", "/opt/rocm/lib\n".to_owned()),
        ] {
            fs::write(root.join(file), text).expect("write settings");
        }
    }
}

/// Puts `rocm-6.3.0/lib`, with rocBLAS and its Tensile files and nothing else, into a directory.
/// Returns the directory of the libraries.
#[must_use]
pub fn rocm_6_3(directory: &Path, backend: Backend<'_>) -> PathBuf {
    // Linked once for each kind of backend; hundreds of tests ask for a few.
    static MADE: Mutex<BTreeMap<String, TempDir>> = Mutex::new(BTreeMap::new());
    let name = "rocm-6.3.0";
    let mut all = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let made = all.entry(format!("{backend:?}")).or_insert_with(|| {
        let made = scratch::directory();
        kept::until_exit(made.path());
        let lib = made.path().join(name).join("lib");
        fs::create_dir_all(&lib).expect("make lib");
        libraries::rocblas_4(backend, &BACKEND_GPUS, &lib);
        tensile_files(&lib, &TENSILE_GPUS);
        made
    });
    let mut copy = Command::new("cp");
    copy.args(["--archive", "--reflink=auto"]).arg(made.path().join(name)).arg(directory);
    fs::create_dir_all(directory).expect("make a directory");
    run(&mut copy).success();
    directory.join(name).join("lib")
}

/// Splits the GPU code from a stand-in rocBLAS, as ROCm 7.13 and later do: the library keeps a marker, and
/// the prefix gets an archive for each of these GPUs.
pub fn split(library: &Path, gpus: &[Gpu]) {
    libraries::split(library, gpus);
}

/// Writes files with the names of Tensile's files.
fn tensile_files(lib: &Path, gpus: &[Gpu]) {
    let library = lib.join("rocblas/library");
    fs::create_dir_all(&library).expect("make the Tensile library");
    let write = |name: &str| fs::write(library.join(name), name).expect("write a Tensile file");
    let product = "TensileLibrary_Type_SS_Contraction_l_Ailk_Bljk_Cijk_Dijk";
    write(&format!("{product}_fallback.dat"));
    for (gpu, _) in gpus {
        for name in [
            format!("TensileLibrary_lazy_{gpu}.dat"),
            format!("Kernels.so-000-{gpu}.hsaco"),
            format!("{product}_fallback_{gpu}.hsaco"),
            format!("{product}_{gpu}.co"),
            format!("{product}_{gpu}.dat"),
        ] {
            write(&name);
        }
    }
}

/// A library of the machine, as the compiler finds it, without links.
fn machine_file(name: &str) -> PathBuf {
    let ended = run(Command::new("cc").arg(format!("-print-file-name={name}"))).success();
    let path = PathBuf::from(ended.stdout.trim());
    let directory = path.parent().expect("in a directory").canonicalize();
    directory.unwrap_or_else(|e| panic!("{name}: {e}")).join(name)
}

#[track_caller]
fn ldconfig(arguments: &[&str]) -> Ended {
    let mut command = Command::new("ldconfig");
    // Not on everyone's PATH.
    let path = std::env::var("PATH").unwrap_or_default();
    run(command.args(arguments).env("PATH", format!("{path}:/usr/sbin:/sbin"))).success()
}

#[cfg(test)]
mod tests;
