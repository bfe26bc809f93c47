//! What a matrix product or a triangular solver has to do: operations and bytes, by the definition of
//! the function and not by what a kernel does.

use rocblas_abi::{Base, EnumId, enumeration};
use rocblas_trace::call::{Call, NumberKind, Value};
use serde::Serialize;

/// Operations and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Work {
    /// Floating-point or integer additions and multiplications.
    pub operations: f64,
    /// Bytes of matrices that are read or written, each once.
    pub bytes: f64,
}

/// Functions whose work is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Gemm,
    Trsm,
}

impl Work {
    /// Of a call; `None` for functions of other kinds. Of negative dimensions nothing is done.
    #[must_use]
    pub fn of(call: &Call<'_>) -> Option<Self> {
        let kind = kind(call.name())?;
        let dimension = |name: &str| {
            let value = call.named(name)?.integer()?;
            Some(value.max(0) as f64)
        };
        let batch = match call.named("batch_count") {
            Some(value) => value.integer()?.max(0) as f64,
            None => 1.0,
        };
        let work = match kind {
            Kind::Gemm => {
                let (m, n, k) = (dimension("m")?, dimension("n")?, dimension("k")?);
                let [a, b, c] = ["a", "b", "c"].map(|name| matrix(call, name));
                let d = matrix(call, "d").or(c)?;
                // A C that is not read costs nothing.
                let read = if is_zero(call, "beta") { 0.0 } else { c?.size };
                Self {
                    operations: a?.multiply_add() * m * n * k,
                    bytes: a?.size * m * k + b?.size * k * n + (read + d.size) * m * n,
                }
            }
            Kind::Trsm => {
                let (m, n) = (dimension("m")?, dimension("n")?);
                let side = call.named("side")?;
                let left = enumeration(EnumId::Side).value_of("rocblas_side_left");
                let is_left = matches!(side, Value::Enum(_, value) if Some(value) == left);
                let (order, others) = if is_left { (m, n) } else { (n, m) };
                let element = matrix(call, "a")?;
                Self {
                    operations: element.multiply_add() / 2.0 * order * order * others,
                    bytes: element.size * (order * (order + 1.0) / 2.0 + 2.0 * m * n),
                }
            }
        };
        Some(Self { operations: work.operations * batch, bytes: work.bytes * batch })
    }
}

fn kind(function: &str) -> Option<Kind> {
    let name = function.strip_prefix("rocblas_")?;
    let name = name.strip_suffix("_64").unwrap_or(name);
    let name = name.strip_suffix("_ex").unwrap_or(name);
    let name =
        name.strip_suffix("_strided_batched").or(name.strip_suffix("_batched")).unwrap_or(name);
    let has_precision = |kind: &str| {
        name.strip_suffix(kind)
            .is_some_and(|start| matches!(start, "" | "h" | "s" | "d" | "c" | "z"))
    };
    if has_precision("gemm") {
        Some(Kind::Gemm)
    } else if has_precision("trsm") {
        Some(Kind::Trsm)
    } else {
        None
    }
}

/// An element of a matrix.
#[derive(Clone, Copy, Debug)]
struct Element {
    /// In bytes.
    size: f64,
    is_complex: bool,
}

impl Element {
    /// Operations of a multiplication and an addition.
    fn multiply_add(self) -> f64 {
        if self.is_complex { 8.0 } else { 2.0 }
    }
}

/// The element of the matrix of that name, by its parameter's type or by the argument that says it.
fn matrix(call: &Call<'_>, name: &str) -> Option<Element> {
    let (param, _) = call.values().find(|(param, _)| param.name.eq_ignore_ascii_case(name))?;
    let (size, is_complex) = match param.ty.base {
        Base::F16 | Base::Bf16 => (2, false),
        Base::F32 => (4, false),
        Base::F64 => (8, false),
        Base::C32 => (8, true),
        Base::C64 => (16, true),
        Base::Void => {
            // trsm_ex has one type for all.
            let declared = [format!("{name}_type"), "compute_type".to_owned()];
            let value = declared.iter().find_map(|name| call.named(name))?;
            let Value::Enum(EnumId::Datatype, value) = value else { return None };
            datatype(value)?
        }
        _ => return None,
    };
    Some(Element { size: f64::from(size), is_complex })
}

/// Size in bytes, and whether it is complex.
fn datatype(value: i32) -> Option<(u8, bool)> {
    let name = enumeration(EnumId::Datatype).short_name_of(value)?;
    let (number, form) = name.split_once('_')?;
    let is_complex = form == "c";
    let bits: u8 = number.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().ok()?;
    Some((bits / 8 * if is_complex { 2 } else { 1 }, is_complex))
}

/// Whether a scalar is known to be zero.
fn is_zero(call: &Call<'_>, name: &str) -> bool {
    match call.named(name) {
        Some(Value::Number(numbers)) => {
            numbers.kind() != NumberKind::I64 && numbers.parts().iter().all(|part| *part == 0.0)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rocblas_trace::{
        call::Functions,
        layout::{ARGUMENTS, Mode, NOTE, Note},
    };

    /// The work of a call with these named arguments; scalars are zero where `scalars` says so.
    fn work(name: &str, arguments: &[(&str, u64)], zero_scalars: bool) -> Option<Work> {
        let function = usize::from(rocblas_abi::by_name(name).expect("a function").index);
        let functions = Functions::default();
        let mut words = vec![0; usize::from(functions.shape(function).words)];
        for (i, param) in rocblas_abi::params(function).enumerate() {
            let named = arguments.iter().find(|(name, _)| *name == param.name);
            words[ARGUMENTS + i] = named.map_or(0x1000, |(_, value)| *value);
        }
        if zero_scalars {
            words[NOTE] = (Mode::Host as u64) << Note::MODE | 3;
        }
        Work::of(&functions.call(function, &words))
    }

    #[test]
    fn a_product_has_two_operations_for_each_pair() {
        let dimensions = [("m", 2), ("n", 3), ("k", 5)];
        let sgemm = work("rocblas_sgemm", &dimensions, false).expect("known");
        assert_eq!(sgemm.operations, 2.0 * 30.0);
        assert_eq!(sgemm.bytes, 4.0 * (10.0 + 15.0 + 2.0 * 6.0));
        let without_c = work("rocblas_sgemm", &dimensions, true).expect("known");
        assert_eq!(without_c.bytes, 4.0 * (10.0 + 15.0 + 6.0));
        let complex = work("rocblas_zgemm_64", &dimensions, false).expect("known");
        assert_eq!((complex.operations, complex.bytes), (8.0 * 30.0, 16.0 * 37.0));
        let batched = [&dimensions[..], &[("batch_count", 4)]].concat();
        let batched = work("rocblas_hgemm_strided_batched", &batched, false).expect("known");
        assert_eq!((batched.operations, batched.bytes), (4.0 * 60.0, 4.0 * 2.0 * 37.0));
    }

    #[test]
    fn a_product_of_given_types_counts_each_in_its_own_size() {
        let arguments = [
            ("m", 2),
            ("n", 3),
            ("k", 5),
            ("a_type", 150),
            ("b_type", 168),
            ("c_type", 151),
            ("d_type", 152),
            ("compute_type", 151),
        ];
        let work = work("rocblas_gemm_ex", &arguments, false).expect("known");
        assert_eq!(work.operations, 60.0);
        assert_eq!(work.bytes, 2.0 * 10.0 + 2.0 * 15.0 + (4.0 + 8.0) * 6.0);
    }

    #[test]
    fn a_solver_has_half_as_many_for_its_triangle() {
        let dimensions = [("side", 142), ("m", 417), ("n", 79), ("batch_count", 4)];
        let right = work("rocblas_strsm_batched", &dimensions, false).expect("known");
        assert_eq!(right.operations, 4.0 * 79.0 * 79.0 * 417.0);
        assert_eq!(right.bytes, 4.0 * 4.0 * (79.0 * 80.0 / 2.0 + 2.0 * 417.0 * 79.0));
        let left = [("side", 141), ("m", 2), ("n", 3)];
        assert_eq!(work("rocblas_ztrsm", &left, false).expect("known").operations, 4.0 * 12.0);
    }

    #[test]
    fn others_and_bad_dimensions_have_none() {
        assert_eq!(work("rocblas_sscal", &[("n", 4)], false), None);
        assert_eq!(work("rocblas_sgemmt", &[("n", 4), ("k", 4)], false), None);
        assert_eq!(work("rocblas_gemm_ex_get_solutions", &[], false), None);
        let negative = [("m", u64::MAX), ("n", 3), ("k", 5)];
        assert_eq!(work("rocblas_sgemm", &negative, false).expect("known").operations, 0.0);
    }
}
