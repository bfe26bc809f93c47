//! Links the two clients with rocBLAS on a machine that has none.
//!
//! A linker only needs a library's SONAME and the symbols it defines, so a stub with empty functions serves
//! as `-lrocblas`. It is passed to the linker by path, and only for the clients: a search path would affect
//! the demo too, and Cargo would put it into the `LD_LIBRARY_PATH` of `cargo run`. At run time the loader
//! uses whichever `librocblas.so.5` it finds.
//!
//! Declarations and enum values come from `rocblas-abi`.

use std::{
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const SONAME: &str = "librocblas.so.5";

/// What one program needs from rocBLAS.
struct Needs {
    /// The program, or `client` for the shared module.
    name: &'static str,
    functions: &'static [&'static str],
    /// An enum, and values of it.
    values: &'static [(&'static str, &'static [&'static str])],
}

const COMMON: Needs = Needs {
    name: "client",
    functions: &[
        "rocblas_create_handle",
        "rocblas_destroy_handle",
        "rocblas_get_version_string",
        "rocblas_status_to_string",
    ],
    values: &[("rocblas_status", &["rocblas_status_success"])],
};

const SOLVE_TRI: Needs = Needs {
    name: "solve_tri",
    functions: &["rocblas_strsm_batched"],
    values: &[
        ("rocblas_side", &["rocblas_side_right"]),
        ("rocblas_fill", &["rocblas_fill_upper"]),
        ("rocblas_operation", &["rocblas_operation_none"]),
        ("rocblas_diagonal", &["rocblas_diagonal_non_unit"]),
    ],
};

const GEMM: Needs = Needs {
    name: "gemm",
    functions: &[
        "rocblas_gemm_batched_ex",
        "rocblas_gemm_ex",
        "rocblas_gemm_strided_batched_ex",
        "rocblas_sgemm",
    ],
    values: &[
        ("rocblas_operation", &["rocblas_operation_none", "rocblas_operation_transpose"]),
        (
            "rocblas_datatype",
            &["rocblas_datatype_bf16_r", "rocblas_datatype_f16_r", "rocblas_datatype_f32_r"],
        ),
        ("rocblas_gemm_algo", &["rocblas_gemm_algo_standard"]),
    ],
};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CC");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for needs in [COMMON, SOLVE_TRI, GEMM] {
        let file = out.join(format!("{}.rs", needs.name));
        fs::write(file, needs.bindings()).expect("write bindings");
    }
    for client in [SOLVE_TRI, GEMM] {
        let stub = import_stub(&out, &client);
        println!("cargo:rustc-link-arg-bin={}={}", client.name, stub.display());
    }
}

impl Needs {
    /// A foreign block, and constants named as the C values without `rocblas_`.
    fn bindings(&self) -> String {
        let mut text = String::from(
            "#[allow(unreachable_pub, reason = \"as the table writes declarations\")]\n\
             unsafe extern \"C\" {\n",
        );
        for name in self.functions {
            let function = rocblas_abi::by_name(name).unwrap_or_else(|| panic!("no {name}"));
            writeln!(text, "    {}", rocblas_abi::rust_declaration(function)).expect("a string");
        }
        text.push_str("}\n");
        for (enumeration, names) in self.values {
            let enumeration = rocblas_abi::enum_by_name(enumeration)
                .unwrap_or_else(|| panic!("no enum {enumeration}"));
            for name in *names {
                let value = enumeration.value_of(name).unwrap_or_else(|| panic!("no {name}"));
                let name = name.strip_prefix("rocblas_").expect("a value of rocBLAS");
                let name = name.to_uppercase();
                writeln!(text, "pub(crate) const {name}: i32 = {value};").expect("a string");
            }
        }
        text
    }
}

/// Compiles a library with the SONAME of rocBLAS 5 that defines only the names that a client imports.
fn import_stub(out: &Path, client: &Needs) -> PathBuf {
    let source = out.join(format!("{}-imports.c", client.name));
    let stub = out.join(format!("{}-imports.so", client.name));
    let functions: String = COMMON
        .functions
        .iter()
        .chain(client.functions)
        .map(|name| format!("void {name}(void) {{}}\n"))
        .collect();
    fs::write(&source, functions).expect("write the stub's source");

    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let output = Command::new(&compiler)
        .args(["-shared", "-fPIC", "-nostdlib"])
        .arg(format!("-Wl,-soname,{SONAME}"))
        .arg("-o")
        .arg(&stub)
        .arg(&source)
        .output();
    let compiler = compiler.display();
    match output {
        Ok(output) if output.status.success() => stub,
        Ok(output) => panic!(
            "{compiler} cannot make a shared library for {} to link against:\n{}",
            client.name,
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => panic!(
            "the examples link against a small library that a C compiler makes, and `{compiler}` \
             does not start ({error}): install gcc or clang, or name a compiler in CC"
        ),
    }
}
