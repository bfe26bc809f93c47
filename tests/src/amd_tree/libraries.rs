//! Stand-ins for AMD's libraries, with the names, versions, dependencies and GPU code of the real ones, and a
//! few functions.

use super::gpu_code::{self, GFX906, Gpu};
use crate::{
    artefacts::{standins, workspace},
    compile::library,
    run::run,
};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

/// A HIP runtime that returns what a machine without a GPU returns (`hipErrorNoDevice`), and host memory for
/// functions that need no GPU.
const HIP: &str = r#"
#include <stdlib.h>
#include <string.h>
int hipMalloc(void **p, size_t size) { *p = malloc(size); return 0; }
int hipFree(void *p) { free(p); return 0; }
int hipMemcpy(void *to, const void *from, size_t size, int kind) {
    memcpy(to, from, size);
    return 0;
}
int hipMemcpyAsync(void *to, const void *from, size_t size, int kind, void *stream) {
    memcpy(to, from, size);
    return 0;
}
int hipGetDeviceCount(int *count) { *count = 0; return 100; }
/* What the real one opens by name. */
__attribute__((used)) static const char *code_object_manager = "libamd_comgr.so.3";
"#;

/// The functions that [`HIP`] defines.
const IN_HIP: [&str; 5] =
    ["hipMalloc", "hipFree", "hipMemcpy", "hipMemcpyAsync", "hipGetDeviceCount"];

const HIPBLASLT: &str = "
int hipGetDevice(int *);
int hipblasLtCreate(void **handle) { int device; return hipGetDevice(&device); }
";

/// The functions of rocBLAS 7 that rocSOLVER needs and 6.3 lacks.
const ROCSOLVER: &str = "
int _Z32rocblas_internal_get_device_propP15_rocblas_handle(void *);
int _Z29rocblas_internal_set_data_ptrP15_rocblas_handleRSt10shared_ptrIvE(void *, void *);
int _Z29rocblas_internal_get_data_ptrP15_rocblas_handleRSt10shared_ptrIvE(void *, void *);
int rocblas_sgemm(void), hipGetDevice(int *);
int rocsolver_sgetrf(void *handle) {
    int device;
    return hipGetDevice(&device) + rocblas_sgemm() +
        _Z32rocblas_internal_get_device_propP15_rocblas_handle(handle) +
        _Z29rocblas_internal_set_data_ptrP15_rocblas_handleRSt10shared_ptrIvE(handle, 0) +
        _Z29rocblas_internal_get_data_ptrP15_rocblas_handleRSt10shared_ptrIvE(handle, 0);
}
";

const HIPBLAS: &str = "
int rocblas_create_handle(void **), rocblas_destroy_handle(void *), rocblas_strsm_batched(void);
int rocsolver_sgetrf(void *), hipGetDevice(int *);
int hipblasCreate(void **handle) { return rocblas_create_handle(handle); }
int hipblasDestroy(void *handle) { return rocblas_destroy_handle(handle); }
int hipblasStrsmBatched(void) { int device; return hipGetDevice(&device) + rocblas_strsm_batched(); }
int hipblasSgetrf(void *handle) { return rocsolver_sgetrf(handle); }
";

/// A library's name in ROCm's packages: `libhipblas`, the number in its SONAME, the rest of the file's version.
type Name = (&'static str, &'static str, &'static str);

const HIP_7: Name = ("libamdhip64", "7", "0.70002");
const COMGR_3: Name = ("libamd_comgr", "3", "0.70002");
const HIPBLASLT_1: Name = ("libhipblaslt", "1", "0.70002");
const ROCSOLVER_0: Name = ("librocsolver", "0", "5.70002");
const HIPBLAS_3: Name = ("libhipblas", "3", "0.70002");
const ROCBLAS_5: Name = ("librocblas", "5", "0.70002");
const ROCTX_4: Name = ("libroctx64", "4", "1.70002");
const HIP_6: Name = ("libamdhip64", "6", "3.60300");
const HIPBLASLT_0: Name = ("libhipblaslt", "0", "10.60300");
const ROCBLAS_4: Name = ("librocblas", "4", "3.60300");

/// The file of a library, to which its symlinks point.
fn file((name, major, rest): Name, lib: &Path) -> PathBuf {
    lib.join(format!("{name}.so.{major}.{rest}"))
}

/// `NAME.so` -> `NAME.so.MAJOR` -> the file.
fn links((name, major, rest): Name, lib: &Path) {
    let soname = format!("{name}.so.{major}");
    symlink(format!("{soname}.{rest}"), lib.join(&soname)).expect("link");
    symlink(soname, lib.join(format!("{name}.so"))).expect("link");
}

/// Compiles a C library that depends on the given files because it calls each of them.
fn build(name: Name, source: &str, needed: &[PathBuf], more: &[&str], lib: &Path) -> PathBuf {
    let scratch = tempfile::tempdir().expect("make a directory");
    let text = scratch.path().join("library.c");
    fs::write(&text, source).expect("write a library's source");
    // Dependencies of a needed library are found next to it, or at run time.
    let mut arguments = vec!["-Wl,--allow-shlib-undefined"];
    arguments.extend(more);
    arguments.extend(needed.iter().map(|needed| needed.to_str().expect("UTF-8")));
    let soname = format!("{}.so.{}", name.0, name.1);
    let output = library(&text, &file(name, lib), &soname, &arguments);
    links(name, lib);
    output
}

/// The HIP runtime, with the real one's version nodes.
fn hip(name: Name, lib: &Path) -> PathBuf {
    let map = workspace().join("tests/standins/recording-hip/hip.map");
    let text = fs::read_to_string(&map).expect("read the version script");
    let names = text.lines().filter_map(|line| line.trim().strip_suffix(';'));
    // Neither `} hip_4.2` nor `*`.
    let others = names.filter(|name| name.contains("hip") && !name.contains(' '));
    let others = others.filter(|name| !IN_HIP.contains(name));
    let others: String =
        others.map(|name| format!("int {name}(void) {{ return 100; }}\n")).collect();
    let script = format!("-Wl,--version-script={}", map.display());
    build(name, &format!("{HIP}{others}"), &[], &[&script], lib)
}

/// ROCm 7.0.2 in a directory of libraries.
pub(super) fn rocm_7(rocblas: &Path, gpus: &[Gpu], lib: &Path) {
    let hip = hip(HIP_7, lib);
    build(COMGR_3, "int amd_comgr_get_version(void) { return 0; }", &[], &[], lib);
    build(HIPBLASLT_1, HIPBLASLT, std::slice::from_ref(&hip), &[], lib);
    let stock = file(ROCBLAS_5, lib);
    gpu_code::add(rocblas, gpus, &stock);
    links(ROCBLAS_5, lib);
    let room = gpu_code::room();
    let room = room.to_str().expect("UTF-8");
    let solver = build(ROCSOLVER_0, ROCSOLVER, &[stock.clone(), hip.clone()], &[room], lib);
    // AMD's rocSOLVER still has code for GPUs that its rocBLAS has dropped.
    gpu_code::add(&solver, &[&[GFX906], gpus].concat(), &solver);
    build(HIPBLAS_3, HIPBLAS, &[stock, solver, hip], &[], lib);
}

/// The functions of rocBLAS that the other stand-ins and test programs call.
const ROCBLAS: &str = "
int hipGetDevice(int *), roctxMarkA(const char *);
int rocblas_create_handle(void **handle) { int device; return hipGetDevice(&device); }
int rocblas_destroy_handle(void *handle) { return roctxMarkA(0); }
int rocblas_sgemm(void) { return 1; }
int rocblas_sscal(void) { return 1; }
int rocblas_strsm_batched(void) { return 1; }
int _Z32rocblas_internal_get_device_propP15_rocblas_handle(void *handle) { return 1; }
int _Z29rocblas_internal_set_data_ptrP15_rocblas_handleRSt10shared_ptrIvE(void *handle, void *data) {
    return 1;
}
int _Z29rocblas_internal_get_data_ptrP15_rocblas_handleRSt10shared_ptrIvE(void *handle, void *data) {
    return 1;
}
";

/// roctx, which the rocBLAS of 6.3 and that of 7 need by the same name.
pub(super) fn roctx(lib: &Path) -> PathBuf {
    build(ROCTX_4, "int roctxMarkA(const char *text) { return 0; }", &[], &[], lib)
}

/// The SONAMEs of the libraries that [`bundled`] creates.
pub(super) const BUNDLED: [&str; 7] = [
    "libamdhip64.so.7",
    "libamd_comgr.so.3",
    "libroctx64.so.4",
    "libhipblaslt.so.1",
    "librocblas.so.5",
    "librocsolver.so.0",
    "libhipblas.so.3",
];

/// Those in a separate package of AMD's wheels.
pub(super) const OF_CORE: [&str; 3] = ["libamdhip64.so.7", "libamd_comgr.so.3", "libroctx64.so.4"];

/// ROCm 7 in a directory, with this search path in all libraries.
pub(super) fn bundled(path: &str, gpus: &[Gpu], lib: &Path) {
    let path = format!("-Wl,--enable-new-dtags,-rpath,{path}");
    let path = [path.as_str(), "-Wno-builtin-declaration-mismatch"];
    let hip = hip(HIP_7, lib);
    build(COMGR_3, "int amd_comgr_get_version(void) { return 0; }", &[], &[], lib);
    let roctx = roctx(lib);
    build(HIPBLASLT_1, HIPBLASLT, std::slice::from_ref(&hip), &path, lib);
    let plain = tempfile::tempdir().expect("make a directory");
    let rocblas = build(ROCBLAS_5, ROCBLAS, &[hip.clone(), roctx], &path, plain.path());
    let stock = file(ROCBLAS_5, lib);
    gpu_code::add(&rocblas, gpus, &stock);
    links(ROCBLAS_5, lib);
    let solver = build(ROCSOLVER_0, ROCSOLVER, &[stock.clone(), hip.clone()], &path, lib);
    build(HIPBLAS_3, HIPBLAS, &[stock, solver, hip], &path, lib);
}

/// The kinds of rocBLAS 6.3 that a tree may have.
#[derive(Clone, Copy, Debug)]
pub enum Backend<'a> {
    /// `standins/c/backend.c` with its traits (`-DMORTAL`): a few functions, and the dependencies of the real
    /// library: `libamdhip64.so.6`, with version nodes, and `libhipblaslt.so.0`.
    Needing(&'a [&'a str]),
    /// The same, plus `libroctx64.so.4`, as AMD's library.
    NeedingRoctx,
    /// `artefacts::reference()`: it computes, and needs none of AMD's libraries.
    Computing,
}

/// Keeps the dependency on hipBLASLt although no function of it is called; compilers' defaults differ.
const NEEDED_UNUSED: &str = "-Wl,--no-as-needed";

/// rocBLAS 4.3.0 in a directory of libraries, without its dependencies.
pub(super) fn rocblas_4(backend: Backend<'_>, gpus: &[Gpu], lib: &Path) {
    let scratch = tempfile::tempdir().expect("make a directory");
    let plain = match backend {
        Backend::Computing => crate::artefacts::reference().to_owned(),
        Backend::NeedingRoctx => {
            let roctx = roctx(scratch.path());
            let needs = [NEEDED_UNUSED, roctx.to_str().expect("UTF-8")];
            return rocblas_4(Backend::Needing(&needs), gpus, lib);
        }
        Backend::Needing(traits) => {
            let at = scratch.path();
            let hip = hip(HIP_6, at);
            let lt = build(HIPBLASLT_0, HIPBLASLT, std::slice::from_ref(&hip), &[], at);
            let needed = [&hip, &lt].map(|needed| needed.to_str().expect("UTF-8"));
            let room = gpu_code::room();
            let room = room.to_str().expect("UTF-8");
            let arguments = [&["-DUSES_HIP", NEEDED_UNUSED, room], traits, &needed].concat();
            let source = standins().join("backend.c");
            library(&source, &at.join("backend.so"), "librocblas.so.4", &arguments)
        }
    };
    gpu_code::add(&plain, gpus, &file(ROCBLAS_4, lib));
    links(ROCBLAS_4, lib);
}

/// Splits the GPU code from a rocBLAS that has some; the archives have code for those GPUs.
pub(super) fn split(library: &Path, gpus: &[Gpu]) {
    let scratch = tempfile::tempdir().expect("make a directory");
    let bare = scratch.path().join("bare.so");
    let remove: &[&str] = match gpu_code::has_room(library) {
        // Relocations refer to the section, so only its contents' names are removed.
        true => &[
            "--rename-section",
            ".hip_fatbin=.room",
            "--rename-section",
            ".hipFatBinSegment=.records",
        ],
        false => &["--remove-section", ".hip_fatbin"],
    };
    run(Command::new("objcopy").args(remove).arg(library).arg(&bare)).success();
    gpu_code::split(&bare, gpus, library);
}
