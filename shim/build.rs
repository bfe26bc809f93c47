//! The linker options of `librocblas.so`.

use rocblas_contract::{libraries::SONAME, store::RUNPATH};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Not LLD, Rust's default: it emits no unwind information for PLT entries, so a profiler's backtrace from
    // `__tls_get_addr@plt`, which every Rust library calls, would end there.
    println!("cargo:rustc-cdylib-link-arg=-fuse-ld=bfd");
    // The table that `src/names.rs` reads; the linker's default differs between distributions.
    println!("cargo:rustc-cdylib-link-arg=-Wl,--hash-style=gnu");
    // The name by which programs built for ROCm 7 load rocBLAS.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,{SONAME}");
    // Backends hold addresses in the shim (the getenv filter, fork handlers), so a client's dlclose must
    // not unmap it.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // The directories in which `backend::open::preload` finds libraries under ROCm 6's names: one that the
    // installer uses if the name is taken, and that of the shim. DT_RUNPATH does not affect other libraries.
    println!("cargo:rustc-cdylib-link-arg=-Wl,--enable-new-dtags");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-rpath,{RUNPATH}");
}
