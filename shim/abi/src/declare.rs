//! Declarations of the C functions for compilers: a C header for clients without the vendor's header,
//! and Rust `extern` items for clients in Rust.

use crate::{Base, ENUMS, Function, Kind, Returns, Type, enumeration};
use std::fmt::Write;

fn c_base(base: Base) -> &'static str {
    match base {
        Base::Handle => "rocblas_handle",
        Base::Int => "rocblas_int",
        Base::I32 => "int32_t",
        Base::U32 => "uint32_t",
        Base::I64 => "int64_t",
        Base::Stride => "rocblas_stride",
        Base::Size => "size_t",
        Base::Stream => "hipStream_t",
        Base::Event => "hipEvent_t",
        Base::DeviceMalloc => "struct rocblas_device_malloc_base",
        Base::F16 => "rocblas_half",
        Base::Bf16 => "rocblas_bfloat16",
        Base::F32 => "float",
        Base::F64 => "double",
        Base::C32 => "rocblas_float_complex",
        Base::C64 => "rocblas_double_complex",
        Base::Void => "void",
        Base::Char => "char",
        Base::Enum(id) => enumeration(id).name,
    }
}

fn c_type(ty: Type) -> String {
    let mut text = String::new();
    if ty.constant {
        text.push_str("const ");
    }
    text.push_str(c_base(ty.base));
    match (ty.pointers, ty.constant_array) {
        (0, _) => {}
        (1, _) => text.push_str(" *"),
        (_, true) => text.push_str(" *const *"),
        (_, false) => text.push_str(" **"),
    }
    text
}

fn c_returns(returns: Returns) -> &'static str {
    match returns {
        Returns::Status => "rocblas_status",
        Returns::Bool => "bool",
        Returns::PointerMode => "rocblas_pointer_mode",
        Returns::CString => "const char *",
        Returns::Size => "size_t",
        Returns::Void
        | Returns::Pointer
        | Returns::Reference
        | Returns::FirstArgument
        | Returns::StdString
        | Returns::SharedPtr => "void",
    }
}

const C_TYPES: &str = "\
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct _rocblas_handle *rocblas_handle;
typedef struct ihipStream_t *hipStream_t;
typedef struct ihipEvent_t *hipEvent_t;
struct rocblas_device_malloc_base;
typedef int32_t rocblas_int;
typedef int64_t rocblas_stride;
typedef struct { uint16_t data; } rocblas_half;
typedef struct { uint16_t data; } rocblas_bfloat16;
typedef struct { float x, y; } rocblas_float_complex;
typedef struct { double x, y; } rocblas_double_complex;
";

/// A C and C++ header that declares the given functions, with every type and enum they use.
/// C++ functions are omitted, because the table does not list their parameters.
#[must_use]
pub fn c_header<'a>(functions: impl IntoIterator<Item = &'a Function>) -> String {
    let mut out = format!("#pragma once\n{C_TYPES}\n");
    for e in &ENUMS {
        let values: Vec<String> =
            e.values.iter().map(|v| format!("{} = {}", v.name, v.value)).collect();
        writeln!(out, "typedef enum {}_ {{ {} }} {};", e.name, values.join(", "), e.name)
            .expect("write to a string");
    }
    out.push_str("\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n");
    for f in functions.into_iter().filter(|f| f.kind != Kind::Cxx) {
        let mut params: Vec<String> =
            f.params.iter().map(|p| format!("{} {}", c_type(p.ty), p.name)).collect();
        match f.kind {
            Kind::Variadic => params.push("...".to_owned()),
            _ if params.is_empty() => params.push("void".to_owned()),
            _ => {}
        }
        let unconfirmed: Vec<&str> =
            f.params.iter().filter(|p| !p.confirmed).map(|p| p.name).collect();
        if !unconfirmed.is_empty() {
            writeln!(out, "/* No released header confirms: {} */", unconfirmed.join(", "))
                .expect("write to a string");
        }
        writeln!(out, "{} {}({});", c_returns(f.returns), f.name, params.join(", "))
            .expect("write to a string");
    }
    out.push_str("#ifdef __cplusplus\n}\n#endif\n");
    out
}

fn rust_base(base: Base) -> &'static str {
    match base {
        Base::Handle | Base::Stream | Base::Event => "*mut std::ffi::c_void",
        Base::Int | Base::I32 | Base::Enum(_) => "i32",
        Base::U32 => "u32",
        Base::I64 | Base::Stride => "i64",
        Base::Size => "usize",
        Base::F16 | Base::Bf16 => "u16",
        Base::F32 => "f32",
        Base::F64 => "f64",
        Base::C32 => "[f32; 2]",
        Base::C64 => "[f64; 2]",
        Base::Void | Base::DeviceMalloc => "std::ffi::c_void",
        Base::Char => "std::ffi::c_char",
    }
}

fn rust_type(ty: Type) -> String {
    let innermost = if ty.constant { "*const" } else { "*mut" };
    let outer = if ty.constant_array { "*const" } else { "*mut" };
    match ty.pointers {
        0 => rust_base(ty.base).to_owned(),
        1 => format!("{innermost} {}", rust_base(ty.base)),
        _ => format!("{outer} {innermost} {}", rust_base(ty.base)),
    }
}

/// A Rust foreign function item for a C function, for an `unsafe extern "C"` block. Enums and `rocblas_int`
/// are `i32`, 16-bit floats are their bits, complex numbers are pairs.
#[must_use]
pub fn rust_declaration(function: &Function) -> String {
    let mut params: Vec<String> =
        function.params.iter().map(|p| format!("{}: {}", p.name, rust_type(p.ty))).collect();
    if function.kind == Kind::Variadic {
        params.push("...".to_owned());
    }
    let returns = match function.returns {
        Returns::Status | Returns::PointerMode => " -> i32",
        Returns::Bool => " -> bool",
        Returns::CString => " -> *const std::ffi::c_char",
        Returns::Size => " -> usize",
        _ => "",
    };
    format!("pub fn {}({}){returns};", function.name, params.join(", "))
}
