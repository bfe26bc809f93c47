//! What the linker must put into `librocblas.so` besides code.

use rocblas_contract::{libraries::SONAME, store::RUNPATH};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Not LLD, Rust's own choice: it gives the entries of the PLT no unwind information, and a profiler's
    // sample in `__tls_get_addr@plt`, which every library of Rust calls, ends there.
    println!("cargo:rustc-cdylib-link-arg=-fuse-ld=bfd");
    // The name that programs built on ROCm 7 ask the loader for.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,{SONAME}");
    // Backends keep addresses inside the shim (the getenv filter, fork handlers): a client's
    // dlclose must not unmap it.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // Where `backend::open::renamed` finds libraries of ROCm 6's names: put aside by the installer
    // because the name is taken, or beside the shim. DT_RUNPATH, which concerns nobody else.
    println!("cargo:rustc-cdylib-link-arg=-Wl,--enable-new-dtags");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-rpath,{RUNPATH}");
}
