//! Sets the SONAME of a rocBLAS of this generation.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,librocblas.so.4");
}
