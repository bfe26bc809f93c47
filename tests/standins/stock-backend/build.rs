//! Gives the library the name by which programs and the shim know a rocBLAS of this age.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,librocblas.so.5");
}
