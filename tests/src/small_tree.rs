//! A root directory with the minimum that `apply` needs: libraries of a few functions, one Tensile file, and
//! dpkg's database of one package. It is copied in milliseconds and `apply` takes 50 ms on it, for suites
//! that run thousands of commands.
//!
//! [`crate::amd_tree`] is closer to real trees.

use crate::{
    artefacts,
    compile::{compile, library},
    program,
    run::run,
};
use std::{
    fs::{self, File, FileTimes},
    io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

/// The directory of libraries, inside the root.
pub const LIB: &str = "/opt/rocm-7.0.2/lib";

/// The stock library's file.
pub const STOCK: &str = "librocblas.so.5.0.70002";

/// A program that uses rocBLAS, inside the root.
pub const PROGRAM: &str = "/usr/bin/program";

/// The file of the backend's library.
pub const BACKEND: &str = "librocblas.so.4.3.60300";

/// dpkg's entry for the stock library's package.
pub const STATUS: &str = "Package: rocblas\nStatus: install ok installed\n\
                          Maintainer: x <x@example.org>\nArchitecture: all\nVersion: 5.0.2\n\
                          Description: x\n\n";

/// The machine's files that the shim and programs need.
const MACHINE: [&str; 3] = ["libc.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"];

/// Enough functions that a library is not mistaken for a stub.
const FUNCTIONS: &str = "
int rocblas_create_handle(void **handle) { return 0; }
int rocblas_destroy_handle(void *handle) { return 0; }
int rocblas_sscal(void) { return 77; }
";

/// Lays out a machine with ROCm 7.0.2's rocBLAS only.
pub fn lay_out(root: &Path) {
    let lib = at(root, LIB);
    fs::create_dir_all(lib.join("rocblas/library")).expect("make lib");
    symlink("rocm-7.0.2", root.join("opt/rocm")).expect("link");
    let plain = |name: &str, soname: &str, source: &str| {
        let directory = tempfile::tempdir().expect("make a directory");
        let text = directory.path().join("library.c");
        fs::write(&text, source).expect("write");
        library(&text, &lib.join(name), soname, &["-nostdlib", "-g0"]);
        symlink(name, lib.join(soname)).expect("link");
    };
    plain(STOCK, "librocblas.so.5", FUNCTIONS);
    symlink("librocblas.so.5", lib.join("librocblas.so")).expect("link");
    plain("libamdhip64.so.7.0.70002", "libamdhip64.so.7", "int hipFree(void *p) { return 0; }");
    plain("libhipblaslt.so.1.0.70002", "libhipblaslt.so.1", "int hipblasLtCreate = 0;");
    fs::write(lib.join("rocblas/library/TensileLibrary_lazy_gfx942.dat"), "tensile")
        .expect("write");
    let package = lib.join("cmake/rocblas");
    fs::create_dir_all(&package).expect("make a package");
    let text = format!("set(IMPORTED_LOCATION \"${{_IMPORT_PREFIX}}/lib/{STOCK}\")\n");
    fs::write(package.join("rocblas-targets-release.cmake"), text).expect("write");
    machine(root);
    program(root);
    database(root);
    let mut ldconfig = Command::new("ldconfig");
    let path = std::env::var("PATH").unwrap_or_default();
    ldconfig.env("PATH", format!("{path}:/usr/sbin:/sbin")).arg("-r").arg(root);
    run(&mut ldconfig).success();
}

/// Puts a rocBLAS of ROCm 6.3 into a directory, as `lib` of its tree.
pub fn lay_out_backend(tree: &Path) {
    let lib = tree.join("lib");
    fs::create_dir_all(lib.join("rocblas/library")).expect("make lib");
    let directory = tempfile::tempdir().expect("make a directory");
    let text = directory.path().join("library.c");
    fs::write(&text, FUNCTIONS).expect("write");
    library(&text, &lib.join(BACKEND), "librocblas.so.4", &["-nostdlib", "-g0"]);
    symlink(BACKEND, lib.join("librocblas.so.4")).expect("link");
    fs::write(lib.join("rocblas/library/TensileLibrary_lazy_gfx906.dat"), "tensile")
        .expect("write");
}

/// Copies a directory with modes and times. For a few dozen files this is faster than starting `cp`.
pub fn duplicate(from: &Path, to: &Path) {
    copy(from, to).unwrap_or_else(|e| panic!("{} to {}: {e}", from.display(), to.display()));
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = from.symlink_metadata()?;
    if metadata.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    if metadata.is_dir() {
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
        return fs::set_permissions(to, metadata.permissions());
    }
    fs::copy(from, to)?;
    let times = FileTimes::new().set_modified(metadata.modified()?);
    // Opened for reading, because the times of a read-only file can be set too.
    File::open(to)?.set_times(times)
}

/// The path of a file inside the root.
#[must_use]
pub fn at(root: &Path, inside: &str) -> PathBuf {
    root.join(inside.trim_start_matches('/'))
}

/// The C library, and the settings of the loader.
fn machine(root: &Path) {
    for name in ["lib", "lib64"] {
        fs::create_dir_all(root.join("usr").join(name)).expect("make a directory");
        symlink(format!("usr/{name}"), root.join(name)).expect("link");
    }
    for name in MACHINE {
        let printed = run(Command::new("cc").arg(format!("-print-file-name={name}"))).success();
        let file = PathBuf::from(printed.stdout.trim());
        let to = if name.starts_with("ld-") { "lib64" } else { "usr/lib" };
        program::copy(&file, root.join(to).join(name));
    }
    fs::create_dir_all(root.join("var/cache")).expect("make a directory");
    fs::create_dir_all(root.join("etc/ld.so.conf.d")).expect("make etc");
    let main = "include /etc/ld.so.conf.d/*.conf\n";
    fs::write(root.join("etc/ld.so.conf"), main).expect("write settings");
    fs::write(root.join("etc/ld.so.conf.d/rocm.conf"), "/opt/rocm/lib\n").expect("write settings");
}

fn program(root: &Path) {
    let bin = root.join("usr/bin");
    fs::create_dir_all(&bin).expect("make bin");
    let directory = tempfile::tempdir().expect("make a directory");
    let text = directory.path().join("program.c");
    fs::write(&text, "int rocblas_sscal(void);\nint main(void) { return rocblas_sscal(); }\n")
        .expect("write");
    let lib = format!("-L{}", at(root, LIB).display());
    compile(&text, &at(root, PROGRAM), &[&lib, "-lrocblas", "-g0"]);
}

/// dpkg's database, with the stock library in a package, so that `apply` diverts it.
fn database(root: &Path) {
    let admin = root.join("var/lib/dpkg");
    for directory in ["info", "updates", "triggers"] {
        fs::create_dir_all(admin.join(directory)).expect("make a database");
    }
    for (file, text) in [("status", STATUS), ("available", ""), ("diversions", "")] {
        fs::write(admin.join(file), text).expect("make a database");
    }
    let list = format!("/.\n/opt\n/opt/rocm-7.0.2\n{LIB}\n{LIB}/{STOCK}\n");
    fs::write(admin.join("info/rocblas.list"), list).expect("make a database");
}

/// A command of the installer for a root, with no setting of the shim from the environment.
#[must_use]
pub fn installer(root: &Path) -> Command {
    let mut command = Command::new(artefacts::installer());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ROCBLAS_") {
            command.env_remove(name);
        }
    }
    command.arg("--root").arg(root);
    command
}
