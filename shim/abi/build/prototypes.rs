//! Writes the C functions as function pointer types, their parameters as a macro, and the values of enums as
//! constants, so that none of them is written by hand.

use crate::parse::{Enum, Function, Type};
use std::fmt::Write;

fn base(name: &str, enums: &[Enum]) -> &'static str {
    match name {
        "handle" | "stream" | "event" => "*mut c_void",
        "int" | "i32" => "i32",
        "u32" => "u32",
        "i64" | "stride" => "i64",
        "size" => "usize",
        "f16" | "bf16" => "u16",
        "f32" => "f32",
        "f64" => "f64",
        "c32" => "[f32; 2]",
        "c64" => "[f64; 2]",
        "void" | "device_malloc" => "c_void",
        "char" => "c_char",
        name if enums.iter().any(|e| e.name == name) => "i32",
        name => panic!("{name} has no type in Rust"),
    }
}

fn rust_type(ty: &Type, enums: &[Enum]) -> String {
    let base = base(&ty.base, enums);
    let innermost = if ty.constant { "*const" } else { "*mut" };
    let outer = if ty.constant_array { "*const" } else { "*mut" };
    match ty.pointers {
        0 => base.to_owned(),
        1 => format!("{innermost} {base}"),
        _ => format!("{outer} {innermost} {base}"),
    }
}

fn returns(name: &str, function: &str) -> &'static str {
    match name {
        "status" | "pointer_mode" => " -> i32",
        "bool" => " -> bool",
        "const char*" => " -> *const c_char",
        "size" => " -> usize",
        "void" => "",
        other => panic!("{function} returns {other}, which has no type in Rust"),
    }
}

/// A type alias for each C function, exported or removed.
pub(crate) fn prototypes(functions: &[Function], enums: &[Enum]) -> String {
    let mut out = String::new();
    for f in functions {
        let mut params: Vec<String> =
            f.params.iter().map(|p| format!("{}: {}", p.name, rust_type(&p.ty, enums))).collect();
        if f.variadic {
            params.push("...".to_owned());
        }
        writeln!(
            out,
            "/// `{0}`\npub type {0} = unsafe extern \"C\" fn({1}){2};",
            f.name,
            params.join(", "),
            returns(&f.returns, &f.name)
        )
        .expect("write to a string");
    }
    out
}

/// A macro that passes the parameters of a C function to another macro.
pub(crate) fn parameters(functions: &[Function], enums: &[Enum]) -> String {
    let mut out = "/// Expands `callback! { CONTEXT (handle: *mut c_void, n: i32, ...) }` with the parameters of a C \
         function:\n/// `parameters! { rocblas_sscal; callback!(CONTEXT) }`.\n#[macro_export]\n\
         macro_rules! parameters {\n"
        .to_owned();
    for f in functions.iter().filter(|f| !f.variadic) {
        let params = f.params.iter().map(|p| {
            let ty = rust_type(&p.ty, enums);
            let ty = ty
                .replace("c_void", "::core::ffi::c_void")
                .replace("c_char", "::core::ffi::c_char");
            format!("{}: {ty}", p.name)
        });
        let params: Vec<String> = params.collect();
        writeln!(
            out,
            "    ({}; $callback:ident!($($context:tt)*)) => {{ $callback! {{ $($context)* ({}) }} }};",
            f.name,
            params.join(", ")
        )
        .expect("write to a string");
    }
    out.push_str("}\n");
    out
}

/// A module of constants for each enum: `rocblas_fill_upper` is `fill::UPPER`.
pub(crate) fn values(enums: &[Enum]) -> String {
    let mut out = String::new();
    for e in enums {
        writeln!(out, "/// `rocblas_{0}`\npub mod {0} {{", e.name).expect("write to a string");
        let own = format!("rocblas_{}_", e.name);
        for v in &e.values {
            let short = v.name.strip_prefix(&own).or_else(|| v.name.strip_prefix("rocblas_"));
            let short = short.unwrap_or(&v.name).to_uppercase();
            writeln!(out, "    /// `{}`\n    pub const {short}: i32 = {};", v.name, v.value)
                .expect("write to a string");
        }
        out.push_str("}\n");
    }
    out
}
