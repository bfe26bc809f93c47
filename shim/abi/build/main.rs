//! Turns `data/*.abi` into the Rust tables and macros that `src/lib.rs` includes.
//!
//! The tables are generated at build time rather than committed, so that they cannot be stale and adding
//! a ROCm release changes only data. `ROCBLAS_ABI_DATA` names another directory of data files: a test
//! builds the shim for a release that does not exist.

#[path = "../src/operands/code.rs"]
#[allow(dead_code, reason = "the crate reads what is written here")]
mod code;
mod emit;
mod formula;
mod operands;
mod parse;
mod prototypes;
mod releases;

use std::{env, fs, path::PathBuf};

fn main() {
    let manifest_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    println!("cargo:rerun-if-env-changed=ROCBLAS_ABI_DATA");
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed=src/operands/code.rs");
    let data =
        env::var_os("ROCBLAS_ABI_DATA").map_or_else(|| manifest_dir.join("data"), PathBuf::from);
    let read = |name: &str| {
        let path = data.join(name);
        println!("cargo:rerun-if-changed={}", path.display());
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let write = |name: &str, text: String| {
        fs::write(out_dir.join(name), text).unwrap_or_else(|e| panic!("{name}: {e}"));
    };

    let releases = releases::Releases::parse(&read("releases.abi"));
    let functions = parse::functions(&read("functions.abi"), &releases);
    let cxx = parse::cxx(&read("cxx.abi"), &releases);
    let enums = parse::enums(&read("enums.abi"), &releases);

    write("releases.rs", emit::releases(&releases));
    write("symbols.rs", emit::symbols(&functions, &cxx, &releases));
    write("table.rs", emit::table(&functions, &cxx, &enums, &releases));
    write("signatures.rs", emit::signatures(&functions, &enums, &releases));
    let exported = emit::exported(&functions, &releases);
    write("operands.rs", operands::operands(&read("operands.abi"), &exported, &enums));
    write("prototypes.rs", prototypes::prototypes(&functions, &enums));
    write("parameters.rs", prototypes::parameters(&functions, &enums));
    write("values.rs", prototypes::values(&enums));
}
