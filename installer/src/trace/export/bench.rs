//! Prints a recorded call as a command line of rocblas-bench, AMD's own benchmark, which AMD asks for in bug
//! reports. rocBLAS itself logs such lines with `ROCBLAS_LAYER=2`.
//!
//! Most of a line follows from the table of functions: parameters become options of the same name, in order.
//! The tables below list the names that differ in rocblas-bench. The lines equal those of rocBLAS, except
//! where rocblas-bench refuses these or would make a different call: see `tests/real/bench_lines.rs`, which
//! compares the two.

use rocblas_abi::{Base, EnumId, Param, enumeration, params};
use rocblas_trace::call::{Call, NumberKind, Numbers, Value};

/// The routines of rocblas-bench: function names without the letters of their types.
const ROUTINES: [&str; 55] = [
    // Vectors.
    "amax", "amin", "asum", "axpy", "copy", "dot", "dotc", "dotu", "nrm2", "rot", "rotg", "rotm",
    "rotmg", "scal", "swap", //
    // Matrices and vectors.
    "gbmv", "gemv", "ger", "gerc", "geru", "hbmv", "hemv", "her", "her2", "hpmv", "hpr", "hpr2",
    "sbmv", "spmv", "spr", "spr2", "symv", "syr", "syr2", "tbmv", "tbsv", "tpmv", "tpsv", "trmv",
    "trsv", //
    // Matrices.
    "dgmm", "geam", "gemm", "gemmt", "hemm", "her2k", "herk", "herkx", "symm", "syr2k", "syrk",
    "syrkx", "trmm", "trsm", "trtri",
];

/// Suffixes of functions that process several operands.
const FORMS: [&str; 3] = ["_strided_batched", "_batched", ""];

/// A routine whose operands differ in type. Types without an option of their own have the precision.
struct Mixed {
    routine: &'static str,
    /// The parameter whose type is the precision.
    precision: &'static str,
    /// Options and the parameters whose types they specify.
    others: &'static [(&'static str, &'static str)],
}

const MIXED: [Mixed; 4] = [
    Mixed { routine: "gemv", precision: "alpha", others: &[("--a_type", "A"), ("--c_type", "y")] },
    Mixed { routine: "rot", precision: "c", others: &[("--a_type", "x"), ("--c_type", "s")] },
    Mixed { routine: "rotg", precision: "c", others: &[("--a_type", "a")] },
    Mixed { routine: "scal", precision: "alpha", others: &[("--a_type", "x")] },
];

/// The command line of rocblas-bench that makes the same call; `None` for functions that rocblas-bench does
/// not support, and for enum arguments with an undefined value.
///
/// rocblas-bench defaults to 1 for alpha and 0 for beta. If the trace has no values for them, as for scalars
/// in device memory, a `#` comment at the end of the line says so.
///
/// A call does not record whether its handle allows atomics. rocblas-bench of ROCm 7 starts without them,
/// like handles of ROCm 7; that of ROCm 6 needs `--atomics_not_allowed`.
#[must_use]
pub fn line(call: &Call<'_>) -> Option<String> {
    let function = Function::of(call.name())?;
    let one_type = function.one_type(call);
    let mut options = match one_type {
        Some(one) => vec![format!("-r {one}")],
        None => function.precision(call),
    };
    let mut letters = ["--a_type", "--b_type", "--c_type"].into_iter();
    let mut remarks = Vec::new();
    for (param, value) in call.values() {
        match (param.name, value) {
            (_, Value::Enum(EnumId::Datatype, _)) if one_type.is_some() => {}
            (name, Value::Enum(EnumId::Datatype, value)) => {
                let option = type_option(name).or_else(|| letters.next())?;
                options.push(format!("{option} {}", datatype(value)?));
            }
            (name, Value::Enum(id, value)) => options.push(choice(name, id, value)?),
            (name, Value::Integer(value)) => {
                options.extend(size_option(name).map(|option| format!("{option} {value}")));
            }
            (name, Value::Number(numbers)) if is_scalar(name) => {
                options.extend(scalar(name, &numbers));
            }
            (name, unknown) if is_scalar(name) => {
                let taken = if name == "alpha" { 1 } else { 0 };
                let is_in_device_memory = matches!(unknown, Value::Device(_));
                let why = if is_in_device_memory { "in device memory" } else { "not recorded" };
                remarks.push(format!("{name} {why}, {taken} is taken"));
            }
            _ => {}
        }
    }
    if function.is_out_of_place(call) {
        options.push("--outofplace".to_owned());
    }
    let api = if function.wide { " --api 1" } else { "" };
    let remark = if remarks.is_empty() { "" } else { " # " };
    let (options, remarks) = (options.join(" "), remarks.join("; "));
    Some(format!("./rocblas-bench{api} -f {} {options}{remark}{remarks}", function.name()))
}

/// A function in the terms of rocblas-bench.
#[derive(Clone, Copy, Debug)]
struct Function {
    routine: &'static str,
    /// One of [`FORMS`].
    form: &'static str,
    /// An `_ex` function: parameters specify the types of others.
    extended: bool,
    /// A `_64` function with 64-bit sizes.
    wide: bool,
}

impl Function {
    fn of(name: &str) -> Option<Self> {
        let (name, wide) = without(name.strip_prefix("rocblas_")?, "_64");
        let (name, extended) = without(name, "_ex");
        let form = FORMS.into_iter().find(|form| name.ends_with(form))?;
        let (stem, _) = without(name, form);
        // isamax, hshgemv: up to three letters.
        let are_letters = |letters: &str| letters.len() <= 3 && !letters.contains('_');
        let is_of = |routine: &str| stem.strip_suffix(routine).is_some_and(are_letters);
        let routine = ROUTINES.into_iter().find(|routine| is_of(routine))?;
        Some(Self { routine, form, extended, wide })
    }

    fn name(self) -> String {
        let routine = match self.routine {
            "amax" => "iamax",
            "amin" => "iamin",
            // The one in rocblas-bench does not conjugate.
            "dotu" => "dot",
            routine => routine,
        };
        format!("{routine}{}{}", self.form, if self.extended { "_ex" } else { "" })
    }

    /// The type of all operands, if `-r` must specify it although parameters name the types: nrm2 and scal
    /// name three of the four types that rocblas-bench compares, and trsm names the compute type.
    fn one_type(self, call: &Call<'_>) -> Option<&'static str> {
        let mut types = call.values().filter_map(|(_, value)| match value {
            Value::Enum(EnumId::Datatype, value) => Some(value),
            _ => None,
        });
        let first = types.next()?;
        let is_told = matches!(self.routine, "nrm2" | "scal" | "trsm");
        if is_told && types.all(|other| other == first) { datatype(first) } else { None }
    }

    /// The options for the types of a function whose name contains them.
    fn precision(self, call: &Call<'_>) -> Vec<String> {
        let mut params = params(call.function());
        let of = |wanted: &str| params.clone().find(|p| p.name == wanted).and_then(element);
        let Some(mixed) = MIXED.into_iter().find(|mixed| mixed.routine == self.routine) else {
            // Alpha and beta may be real although the operands are complex.
            let operand = params.find_map(|p| element(p).filter(|_| !is_scalar(p.name)));
            return operand.map(|precision| format!("-r {precision}")).into_iter().collect();
        };
        let Some(precision) = of(mixed.precision) else { return Vec::new() };
        let others = mixed.others.iter().filter_map(|(option, name)| Some((option, of(name)?)));
        let others = others.filter(|(_, other)| *other != precision);
        let others = others.map(|(option, other)| format!("{option} {other}"));
        std::iter::once(format!("-r {precision}")).chain(others).collect()
    }

    /// Whether the result is written elsewhere than into the operand, the default of rocblas-bench.
    fn is_out_of_place(self, call: &Call<'_>) -> bool {
        let (operand, result) = match self.routine {
            "gemm" if self.extended => ("c", "d"),
            "trmm" => ("B", "C"),
            _ => return false,
        };
        call.named(operand) != call.named(result)
    }
}

/// A name without a suffix, and whether it had it.
fn without<'a>(name: &'a str, end: &str) -> (&'a str, bool) {
    name.strip_suffix(end).map_or((name, false), |rest| (rest, true))
}

/// Whether a parameter is one of the two scalars that rocblas-bench accepts.
fn is_scalar(name: &str) -> bool {
    matches!(name, "alpha" | "beta")
}

/// rocBLAS's name for the type of a parameter; `None` if it is not a floating-point number.
fn element(param: Param) -> Option<&'static str> {
    Some(match param.ty.base {
        Base::F16 => "f16_r",
        Base::Bf16 => "bf16_r",
        Base::F32 => "f32_r",
        Base::F64 => "f64_r",
        Base::C32 => "f32_c",
        Base::C64 => "f64_c",
        _ => return None,
    })
}

fn datatype(value: i32) -> Option<&'static str> {
    enumeration(EnumId::Datatype).short_name_of(value)
}

/// The option for a type parameter, by its name; `None` for types of operands (x_type, result_type), which
/// become a, b and c in order.
fn type_option(name: &str) -> Option<&'static str> {
    Some(match name {
        "a_type" => "--a_type",
        "b_type" => "--b_type",
        "c_type" => "--c_type",
        "d_type" => "--d_type",
        "compute_type" | "execution_type" => "--compute_type",
        _ => return None,
    })
}

/// The option for an enum. Its value is BLAS's letter, which is the first letter of the enumerator's name.
fn choice(name: &str, id: EnumId, value: i32) -> Option<String> {
    let option = match id {
        EnumId::Operation if name == "transB" => "transposeB",
        EnumId::Operation => "transposeA",
        EnumId::Fill => "uplo",
        EnumId::Diagonal => "diag",
        EnumId::Side => "side",
        _ => return Some(format!("--{name} {value}")),
    };
    let letter = enumeration(id).short_name_of(value)?.chars().next()?.to_ascii_uppercase();
    Some(format!("--{option} {letter}"))
}

/// The option for a numeric parameter, by its name; `None` for numbers that rocblas-bench derives from
/// others.
fn size_option(name: &str) -> Option<String> {
    let operand = match name {
        "ldinvA" | "invA_size" | "stride_invA" => return None,
        "m" | "n" | "k" => return Some(format!("-{name}")),
        // The operands of rotmg and rotg that are not named like vectors or matrices.
        "stride_d1" => "a",
        "stride_d2" => "b",
        "stride_param" => "c",
        "stride_s" => "d",
        // stride_A, strideA, stridex, and stride_x1 of rotmg.
        _ => match name.strip_prefix("stride") {
            Some(operand) => operand.trim_start_matches('_').trim_end_matches('1'),
            None => return Some(format!("--{name}")),
        },
    };
    Some(format!("--stride_{}", operand.to_ascii_lowercase()))
}

/// The options for a scalar. A zero imaginary part is the default and omitted.
fn scalar(name: &str, numbers: &Numbers) -> impl Iterator<Item = String> {
    let kind = numbers.kind();
    // The fewest digits that identify the number among those of its type.
    let text = move |number: f64| match kind {
        NumberKind::F64 | NumberKind::C64 | NumberKind::I32 | NumberKind::I64 => number.to_string(),
        _ => (number as f32).to_string(),
    };
    let parts = numbers.parts().into_iter().zip(["", "i"]);
    let told = parts.filter(|(number, part)| part.is_empty() || *number != 0.0);
    told.map(move |(number, part)| format!("--{name}{part} {}", text(number)))
}

#[cfg(test)]
mod tests;
