//! Programs are configured, built and linked with rocBLAS's own CMake package while the shim replaces the
//! library that the package names.

use std::{
    env,
    fs::{self, File},
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    time::Duration,
};
use tests::{
    compile::cxx,
    elf::face,
    real::{
        debian::{Debian, LIBRARIES},
        development,
        log::Log,
        recording,
    },
    run::{Ended, exists, run, run_within},
    skip::skip,
};

/// Longer than a program of one file takes.
const LIMIT: Duration = Duration::from_secs(300);

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

/// A machine with Debian's packages for building with rocBLAS, and with the recording HIP runtime instead of its
/// own.
struct Machine {
    debian: Debian,
    /// The library's file, as the CMake package names it.
    stock: String,
}

impl Machine {
    fn new() -> Option<Self> {
        if !exists("cmake") || cxx().is_none() {
            skip("find_package(rocblas)", "it takes CMake and a C++ compiler");
            return None;
        }
        let (debian, development) = (Debian::new()?, development()?);
        // `hip-config.cmake` requires this directory.
        fs::create_dir_all(debian.at("/usr/bin")).expect("make a directory");
        let headers = development.join("usr/include");
        symlink(headers, debian.at("/usr/include")).expect("link to the headers");
        // A copy, because a package derives its prefix from the location of its files.
        let packages = development.join(&LIBRARIES[1..]).join("cmake");
        let mut copy = Command::new("cp");
        run(copy.arg("--recursive").arg(packages).arg(debian.lib(""))).success();
        let runtime = debian.lib("libamdhip64.so.7").canonicalize().expect("AMD's runtime");
        fs::remove_file(&runtime).expect("remove AMD's runtime");
        fs::copy(recording::runtime(), runtime).expect("copy the recording one");
        let mut stock = None;
        for file in referenced(&debian.lib("cmake")) {
            // Required packages that are not installed, because nothing links with them: parts of LLVM.
            if fs::metadata(debian.lib(&file)).is_err() {
                File::create(debian.lib(&file)).unwrap_or_else(|e| panic!("{file}: {e}"));
            }
            stock = stock.or_else(|| file.starts_with("librocblas.so.").then_some(file));
        }
        let stock = stock.expect("rocBLAS's package names its library");
        Some(Self { debian, stock })
    }

    fn directory(&self) -> &Path {
        self.debian.directory()
    }

    fn cmake(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new("cmake");
        // The machine's own ROCm, if any, must not be used.
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if ["ROCM", "HIP", "CMAKE"].iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.args(arguments).current_dir(self.directory());
        run_within(&mut command, LIMIT)
    }

    fn configure(&self) -> Ended {
        let project = self.debian.at("/project");
        fs::create_dir_all(&project).expect("make a project");
        fs::write(project.join("CMakeLists.txt"), PROJECT).expect("write a project");
        fs::write(project.join("program.c"), PROGRAM).expect("write a program");
        let prefix = format!("-DCMAKE_PREFIX_PATH={}", self.debian.at("/usr").display());
        // The packages' libc is newer than the one against which the program is compiled.
        let flags = "-DCMAKE_EXE_LINKER_FLAGS=-Wl,--allow-shlib-undefined";
        self.cmake(&["-S", "project", "-B", "build", &prefix, flags])
    }

    /// Configures and builds the program.
    fn build(&self) -> Program<'_> {
        self.configure().success();
        self.cmake(&["--build", "build"]).success();
        Program(self)
    }
}

/// The program, built.
struct Program<'m>(&'m Machine);

impl Program<'_> {
    const PATH: &'static str = "/build/program";

    /// Runs it in its machine. Returns the rocBLAS version that it prints, and the number of kernels that it launches;
    /// `None` if this process lacks the privileges.
    fn run(&self) -> Option<(String, usize)> {
        let Some(mut command) = self.0.debian.inside(Self::PATH) else {
            skip("programs in another root", "changing the root needs root's rights");
            return None;
        };
        let log = Log::new(self.0.debian.at("/hip.log"));
        fs::write(log.path(), "").expect("make a log");
        let ended = run(command.env("RECORDING_HIP_LOG", "/hip.log")).silent_success();
        let launches = log.lines().iter().filter(|line| line.starts_with("launch ")).count();
        Some((ended.stdout.trim_end().to_owned(), launches))
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

#[test]
fn programs_are_built_and_run_after_apply() {
    let Some(machine) = Machine::new() else { return };
    machine.debian.apply();
    let program = machine.build();
    let needed = face(&machine.debian.at(Program::PATH)).needed;
    assert!(needed.contains(&"librocblas.so.5".to_owned()), "{needed:?}");
    let Some((version, launches)) = program.run() else { return };
    assert!(version.starts_with("5.0.2.shim-") && version.contains("-4.4.1"), "{version}");
    assert!(launches > 0);
}

#[test]
fn programs_that_were_built_before_run_with_the_shim_and_after_revert() {
    let Some(machine) = Machine::new() else { return };
    let program = machine.build();
    let Some((stock, launches)) = program.run() else { return };
    assert!(stock.starts_with("5.2."), "{stock}");
    assert!(launches > 0);
    let built = ["apply", "--built", Program::PATH];
    machine.debian.apply();
    machine.debian.installer(&built).success();
    let (version, launches) = program.run().expect("as before");
    assert!(version.starts_with("5.0.2.shim-"), "{version}");
    assert!(launches > 0);
    machine.debian.installer(&["revert"]).success();
    assert_eq!(program.run().expect("as before").0, stock);
}

#[test]
fn nothing_is_configured_without_the_name_of_the_stock_library() {
    // The name must stay: otherwise users who removed the library before building get this error.
    let Some(machine) = Machine::new() else { return };
    machine.debian.apply();
    machine.debian.installer(&["apply", "--no-build-link"]).success();
    let ended = machine.configure();
    assert!(!ended.status.success(), "{ended:?}");
    let complaint = "\"roc::rocblas\" references the file";
    assert!(ended.stderr.contains(complaint) && ended.stderr.contains(&machine.stock), "{ended:?}");
}
