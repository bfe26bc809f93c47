//! Turns `data/*.abi` into the Rust tables and macros that `src/lib.rs` includes.
//!
//! A build script rather than committed output: what is generated cannot be stale, and adding a
//! ROCm version is a change of data alone.

mod emit;
mod parse;

use std::{env, fs, path::PathBuf};

fn main() {
    let manifest_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo"));
    let read = |name: &str| {
        let path = manifest_dir.join("data").join(name);
        println!("cargo:rerun-if-changed={}", path.display());
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    println!("cargo:rerun-if-changed=build");

    let functions = parse::functions(&read("functions.abi"));
    let cxx = parse::cxx(&read("cxx.abi"));
    let enums = parse::enums(&read("enums.abi"));

    fs::write(out_dir.join("symbols.rs"), emit::symbols(&functions, &cxx)).expect("write symbols");
    fs::write(out_dir.join("table.rs"), emit::table(&functions, &cxx, &enums))
        .expect("write table");
    fs::write(out_dir.join("signatures.rs"), emit::signatures(&functions, &enums))
        .expect("write signatures");
}
