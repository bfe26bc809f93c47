//! Programs are configured, built and linked with rocBLAS's own CMake package while the shim is in
//! the place of the library that the package names.

use std::{
    env,
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;
use tests::{
    artefacts,
    compile::cxx,
    elf::face,
    real::{Root, development, log::Log, recording, root},
    run::{Ended, exists, run, run_within},
    skip::skip,
};

/// Longer than a program of one file takes.
const LIMIT: Duration = Duration::from_secs(300);

const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

const PROJECT: &str = "
cmake_minimum_required(VERSION 3.16)
project(program C CXX)
find_package(rocblas REQUIRED)
add_executable(program program.c)
target_link_libraries(program roc::rocblas)
";

const PROGRAM: &str = r#"
#include <hip/hip_runtime_api.h>
#include <rocblas/rocblas.h>
#include <stdio.h>
int main(void) {
    rocblas_handle handle;
    float *a, one = 1;
    char version[64];
    size_t bytes = 64 * 64 * sizeof *a;
    rocblas_get_version_string(version, sizeof version);
    printf("%s\n", version);
    if (rocblas_create_handle(&handle) || hipMalloc((void **)&a, 3 * bytes)) return 1;
    return rocblas_sgemm(handle, rocblas_operation_none, rocblas_operation_none, 64, 64, 64, &one,
                         a, 64, a + 64 * 64, 64, &one, a + 2 * 64 * 64, 64) ||
           rocblas_destroy_handle(handle);
}
"#;

/// A machine of Debian's packages with ROCm 7's rocBLAS and what it takes to build with it.
struct Machine {
    directory: TempDir,
    root: &'static Root,
    /// The library's file, as the CMake package names it.
    stock: String,
}

impl Machine {
    fn new() -> Option<Self> {
        if !exists("cmake") || cxx().is_none() {
            skip("find_package(rocblas)", "it takes CMake and a C++ compiler");
            return None;
        }
        let (root, development) = (root()?, development()?);
        let directory = tempfile::tempdir().expect("make a directory");
        let at = |path: &str| directory.path().join(path);
        // Where `hip-config.cmake` insists on a directory.
        for made in [LIBRARIES, "usr/bin"] {
            fs::create_dir_all(at(made)).expect("make a directory");
        }
        let lib = at(LIBRARIES);
        symlink(development.join("usr/include"), at("usr/include")).expect("link to the headers");
        // A copy, because a package takes its prefix from where its files are.
        let mut copy = Command::new("cp");
        copy.arg("--recursive").arg(development.join(LIBRARIES).join("cmake")).arg(&lib);
        run(&mut copy).success();
        let referenced = referenced(&lib.join("cmake"));
        for file in &referenced {
            let soname = soname(file);
            let there = lib.join(file);
            match soname.as_str() {
                "libamdhip64.so.7" => symlink(recording::runtime(), there),
                // LLVM, which nobody links with.
                _ if file.starts_with("libamd_comgr") || file.starts_with("libhiprtc") => {
                    File::create(there).map(|_| ())
                }
                _ => symlink(root.library(&soname), there),
            }
            .unwrap_or_else(|e| panic!("{file}: {e}"));
            symlink(file, lib.join(soname)).expect("link");
        }
        symlink(root.lib().join("rocblas"), lib.join("rocblas")).expect("link to the kernels");
        let stock = referenced.into_iter().find(|file| file.starts_with("librocblas.so."));
        let stock = stock.expect("rocBLAS's package names its library");
        Some(Self { directory, root, stock })
    }

    fn lib(&self) -> PathBuf {
        self.directory.path().join(LIBRARIES)
    }

    /// What the installer does here: the shim before 6.4.4, under the name of the stock library too.
    fn lay_out(&self) {
        let lib = self.lib();
        let shim = "librocblas.so.5.99.0";
        fs::copy(artefacts::shim(), lib.join(shim)).expect("copy the shim");
        for name in [self.stock.as_str(), "librocblas.so.5"] {
            fs::remove_file(lib.join(name)).expect("remove a name");
            symlink(shim, lib.join(name)).expect("link to the shim");
        }
        let prefix = lib.join("rocblas-shim/backends/6.4.4/lib");
        fs::create_dir_all(&prefix).expect("make a prefix");
        let backend = self.root.library("librocblas.so.4");
        symlink(backend, prefix.join("librocblas.so.4")).expect("link to the backend");
        symlink(self.root.lib().join("rocblas"), prefix.join("rocblas")).expect("link to kernels");
        symlink("libamdhip64.so.7", lib.join("libamdhip64.so.6")).expect("link to the runtime");
    }

    fn cmake(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new("cmake");
        // The machine's own ROCm, if it has one, is not meant.
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if ["ROCM", "HIP", "CMAKE"].iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.args(arguments).current_dir(self.directory.path());
        run_within(&mut command, LIMIT)
    }

    fn configure(&self) -> Ended {
        let project = self.directory.path().join("project");
        fs::create_dir_all(&project).expect("make a project");
        fs::write(project.join("CMakeLists.txt"), PROJECT).expect("write a project");
        fs::write(project.join("program.c"), PROGRAM).expect("write a program");
        let prefix = format!("-DCMAKE_PREFIX_PATH={}", self.directory.path().join("usr").display());
        // The packages' libc is newer than the one that the program is compiled against.
        let flags = "-DCMAKE_EXE_LINKER_FLAGS=-Wl,--allow-shlib-undefined";
        self.cmake(&["-S", "project", "-B", "build", &prefix, flags])
    }

    /// Configures and builds the program.
    fn build(&self) -> PathBuf {
        self.configure().success();
        self.cmake(&["--build", "build"]).success();
        self.directory.path().join("build/program")
    }

    /// Runs the program. Answers the version of rocBLAS that it prints, and how many kernels it
    /// launches.
    fn run(&self, program: &Path) -> (String, usize) {
        let log = Log::new(self.directory.path().join("hip.log"));
        fs::write(log.path(), "").expect("make a log");
        let path = format!("{}:{}", self.lib().display(), self.root.lib().display());
        let mut command = Command::new(self.root.loader());
        command.env_clear().env("RECORDING_HIP_LOG", log.path());
        let ended = run(command.arg("--library-path").arg(path).arg(program)).silent_success();
        let launches = log.lines().iter().filter(|line| line.starts_with("launch ")).count();
        (ended.stdout.trim_end().to_owned(), launches)
    }
}

/// The libraries that CMake packages name by their files (`libhsa-runtime64.so.1.18.0`).
fn referenced(cmake: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for package in cmake.read_dir().expect("read the packages") {
        let package = package.expect("a package").path();
        for file in package.read_dir().expect("read a package") {
            let file = file.expect("a file").path();
            if file.extension().is_none_or(|extension| extension != "cmake") {
                continue;
            }
            let text = fs::read_to_string(file).expect("read a package");
            let places = text.split('"').filter_map(|word| word.strip_prefix("${_IMPORT_PREFIX}/"));
            let names = places.filter_map(|place| place.strip_prefix("lib/x86_64-linux-gnu/"));
            files.extend(names.filter(|name| name.contains(".so.")).map(str::to_owned));
        }
    }
    files.sort();
    files.dedup();
    files
}

/// `libhsa-runtime64.so.1` of `libhsa-runtime64.so.1.18.0`.
fn soname(file: &str) -> String {
    let (name, version) = file.split_once(".so.").expect("a library");
    let major = version.split('.').next().expect("one at least");
    format!("{name}.so.{major}")
}

#[test]
fn programs_are_built_and_run_after_the_shim_is_in_place() {
    let Some(machine) = Machine::new() else { return };
    machine.lay_out();
    let program = machine.build();
    let needed = face(&program).needed;
    assert!(needed.contains(&"librocblas.so.5".to_owned()), "{needed:?}");
    let (version, launches) = machine.run(&program);
    assert!(version.starts_with("5.0.2.shim-") && version.contains("-4.4.1"), "{version}");
    assert!(launches > 0);
}

#[test]
fn programs_that_were_built_before_run_with_the_shim() {
    let Some(machine) = Machine::new() else { return };
    let program = machine.build();
    let (version, launches) = machine.run(&program);
    assert!(version.starts_with("5.2."), "{version}");
    assert!(launches > 0);
    machine.lay_out();
    let (version, launches) = machine.run(&program);
    assert!(version.starts_with("5.0.2.shim-"), "{version}");
    assert!(launches > 0);
}

#[test]
fn nothing_is_configured_without_the_name_of_the_stock_library() {
    // Why that name stays: what users met who removed the library before building.
    let Some(machine) = Machine::new() else { return };
    machine.lay_out();
    fs::remove_file(machine.lib().join(&machine.stock)).expect("remove the name");
    let ended = machine.configure();
    assert!(!ended.status.success(), "{ended:?}");
    let complaint = "\"roc::rocblas\" references the file";
    assert!(ended.stderr.contains(complaint) && ended.stderr.contains(&machine.stock), "{ended:?}");
}
