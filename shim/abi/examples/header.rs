//! Prints a C header of every C function that the shim exports.

fn main() {
    print!("{}", rocblas_abi::c_header(rocblas_abi::c_exports()));
}
