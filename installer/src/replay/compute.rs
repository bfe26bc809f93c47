//! The right result: the call on the CPU in double precision, and a bound for the error of each element of a
//! result in the call's own precision.
//!
//! | routine | bound of an element, with `u` the unit roundoff of the arithmetic |
//! |---|---|
//! | products and sums | `(t + 4) u s`, where `t` is the number of terms and `s` the same routine's result of all absolute values: `abs(alpha) abs(A) abs(B) + abs(beta) abs(C)` for gemm (Higham, Accuracy and Stability of Numerical Algorithms, 3.5) |
//! | solves | `2 (t + 4) u w`, where `w` is `z + M^-1 abs(A) z`, `z` is `M^-1 abs(A) abs(X)`, and `M` is A's comparison matrix (8.12 there; the second term is for solvers that invert blocks of the diagonal) |
//! | nrm2 | `(t + 4) u` of the result |
//! | `geam_ex` | `(t + 4) u s`, where `s` has maxima instead of minima, and `t` is 2 for minima of sums and `k + 1` for sums of minima: no minimum differs by more than the number that differs most |
//! | positions | the element there has the largest magnitude, by `4 u` |
//!
//! Complex arithmetic multiplies the bounds by `2 sqrt(2)`. Every bound also includes the rounding of the
//! result to its type and, if the call allows inputs to be rounded (xf32, alternative half precision), twice
//! that rounding times `s`. The bounds hold for any order of summation.

use super::{call::Call, double::Double, invoke, solve};
use anyhow::{Context, Result, ensure};
use rocblas_abi::{
    operands::{self, Element},
    value::{geam_ex_operation, operation, side},
};
use rocblas_trace::capture::element;
use std::time::Duration;

/// Roughly how many real operations the CPU implementation performs in a second. Each call is made twice:
/// with its values, and with their magnitudes.
const OPERATIONS_PER_SECOND: f64 = 5e8;

/// The overhead of each problem of a batch, in operations.
const OPERATIONS_PER_PROBLEM: f64 = 50.0;

/// `rocblas_xf32_xdl_math_op`
const XF32: i32 = 1;

/// `rocblas_gemm_flags_fp16_alt_impl`
const ALTERNATIVE_HALF: i64 = 4;

/// The right results for all operands that a call writes.
#[derive(Debug)]
pub(super) struct Right {
    /// The right results for those operands, in the original's order.
    pub(super) outputs: Vec<Output>,
    /// The bound as text.
    pub(super) formula: &'static str,
    /// The fraction of a bound that errors usually stay within: rounding errors of many terms cancel.
    pub(super) usual: f64,
    /// Whether errors that are large in proportion to the result usually occur only with ill-conditioned
    /// matrices.
    pub(super) is_solve: bool,
}

/// The right result for one operand.
#[derive(Debug)]
pub(super) struct Output {
    /// The values of all spans.
    pub(super) values: Vec<[f64; 2]>,
    /// The bound for the error of each value. For positions, the magnitudes are compared instead.
    pub(super) bounds: Bounds,
}

/// The allowed errors of values.
#[derive(Debug)]
pub(super) enum Bounds {
    /// One bound for each value.
    Each(Vec<f64>),
    /// The values are positions in vectors with these magnitudes, counted from one. Any element whose
    /// magnitude equals the extreme one within `tolerance` is allowed.
    Position {
        /// The magnitudes for each problem.
        magnitudes: Vec<Vec<f64>>,
        /// The relative tolerance.
        tolerance: f64,
    },
}

/// The unit roundoff of a type; zero for integers.
pub(super) fn unit(element: Element) -> f64 {
    match element {
        Element::F16 | Element::C16 => 2_f64.powi(-11),
        Element::Bf16 => 2_f64.powi(-8),
        Element::F32 | Element::C32 => 2_f64.powi(-24),
        Element::F64 | Element::C64 => 2_f64.powi(-53),
        _ => 0.0,
    }
}

/// The largest finite number of a type, and the smallest one that must not be flushed to zero.
pub(super) fn range(element: Element) -> [f64; 2] {
    match element {
        Element::F16 | Element::C16 => [65504.0, 2_f64.powi(-24)],
        Element::Bf16 => [3.389e38, 2_f64.powi(-126)],
        Element::F32 | Element::C32 => [f64::from(f32::MAX), 2_f64.powi(-126)],
        _ => [f64::MAX, f64::MIN_POSITIVE],
    }
}

/// The type in which a call computes.
pub(super) fn arithmetic(call: &Call) -> Element {
    // Half-precision gemv adds in single precision.
    if ["rocblas_hs", "rocblas_ts"].iter().any(|mixed| call.name().starts_with(mixed)) {
        return Element::F32;
    }
    let declared = ["compute_type", "execution_type"]
        .into_iter()
        .find_map(|name| Element::of_datatype(i32::try_from(call.integer(name)?).ok()?));
    let of_operand = || {
        let mut operands = call.operands.iter().map(|given| given.operand.element);
        operands.find(|element| unit(*element) > 0.0)
    };
    declared.or_else(of_operand).unwrap_or(Element::F64)
}

/// Roughly how long a call takes on the CPU, in seconds. A file of a kilobyte can request more than any CPU
/// can compute: a batch whose problems share the same memory.
fn estimated(call: &Call) -> f64 {
    let work = operands::work(call.function, &|position| call.words[position], &|_| false);
    // Copying is not an operation, but takes time.
    let work = work.map_or(0.0, |work| work.operations + work.bytes);
    let problems = call.operands.iter().map(|given| given.operand.batch.count()).max();
    let problems = problems.unwrap_or(1) as f64;
    (work + problems * OPERATIONS_PER_PROBLEM) / OPERATIONS_PER_SECOND
}

/// Computes a call, unless that would take longer than `limit`. `before` returns the values of an operand
/// before the call.
///
/// # Errors
/// If the CPU implementation lacks the function or returns an error, or if the call would take too long.
pub(super) fn compute(
    original: &Call,
    limit: Duration,
    before: &dyn Fn(usize) -> Result<Option<Vec<u8>>>,
) -> Result<Right> {
    let lacks = || format!("there is no {} in double precision", original.name());
    let double = Double::of(original).with_context(lacks)?;
    ensure!(!double.routine.starts_with("rotm"), "there is no bound for {}", original.name());
    let seconds = estimated(original).ceil();
    ensure!(
        seconds <= limit.as_secs_f64(),
        "that would take about {seconds:.0} s, and --limit allows {} s: a larger one lifts this",
        limit.as_secs()
    );
    let converted = |position: usize, magnitudes: bool| -> Result<Option<Vec<u8>>> {
        let from = double.from[position];
        let element = original.operands[from].operand.element;
        let bytes = before(from)?;
        Ok(bytes.map(|bytes| double.convert(position, element, &bytes, magnitudes)))
    };
    let exact = invoke::on_cpu(&double.call, |position| converted(position, false))?;
    let magnitude = |_: &str, [re, im]: [f64; 2]| [f64::hypot(re, im), 0.0];
    let sizes = |call: &Call| invoke::on_cpu(call, |position| converted(position, true));
    let rule = Rule::of(&double);
    let mut sizes = match rule {
        Rule::Sum(_) => outputs(&double.call, &sizes(&double.with_scalars(magnitude))?),
        // The minimum of negative numbers is the negative maximum of their magnitudes.
        Rule::Minima(_) => {
            let negative = |name: &str, value| {
                let [size, _] = magnitude(name, value);
                [-size, 0.0]
            };
            outputs(&double.call, &sizes(&double.with_scalars(negative))?)
        }
        Rule::Rotation => {
            let plus = outputs(&double.call, &sizes(&double.with_scalars(magnitude))?);
            let minus = outputs(
                &double.call,
                &sizes(&double.with_scalars(|name, value| {
                    let [size, _] = magnitude(name, value);
                    [if name == "s" { -size } else { size }, 0.0]
                }))?,
            );
            // x becomes c x + s y, and y becomes c y - s x.
            plus.into_iter()
                .zip(minus)
                .enumerate()
                .map(|(i, (x, y))| if i == 0 { x } else { y })
                .collect()
        }
        Rule::Solve(_) => {
            let bounds = solve::sizes(&double, &|position| converted(position, false), &exact)?;
            vec![bounds.into_iter().map(|size| [size, 0.0]).collect()]
        }
        Rule::Relative(_) | Rule::Position => outputs(&double.call, &exact),
    }
    .into_iter();
    let exact = outputs(&double.call, &exact);
    let factor = rule.factor(original);
    let mut all = Vec::new();
    for ((position, given), values) in double.call.written().zip(exact) {
        let target = &original.operands[double.from[position]].operand;
        let sizes = sizes.next().unwrap_or_default();
        let bounds = if matches!(rule, Rule::Position) {
            let magnitudes = vectors(&double, &|position| converted(position, false))?;
            Bounds::Position { magnitudes, tolerance: 4.0 * unit(arithmetic(original)) }
        } else {
            let [_, smallest] = range(target.element);
            let tiny = (rule.terms() + 4.0) * smallest;
            let of = |(value, size): (&[f64; 2], &[f64; 2])| {
                let [size, value] = [size, value].map(|[re, im]| f64::hypot(*re, *im));
                let exact = f64::from(u8::from(unit(target.element) > 0.0)) * tiny;
                factor * size + unit(target.element) * value + exact
            };
            Bounds::Each(values.iter().zip(&sizes).map(of).collect())
        };
        debug_assert_eq!(given.bytes() / given.operand.element.size(), values.len());
        all.push((double.from[position], Output { values, bounds }));
    }
    all.sort_by_key(|(position, _)| *position);
    let outputs = all.into_iter().map(|(_, output)| output).collect();
    // Eight standard deviations of a random walk.
    let usual = match rule {
        Rule::Sum(terms) => (8.0 / (terms + 4.0).max(1.0).sqrt()).min(1.0),
        _ => 1.0,
    };
    let is_solve = matches!(rule, Rule::Solve(_));
    Ok(Right { outputs, formula: rule.formula(), usual, is_solve })
}

/// The values of a call's outputs, operand by operand.
fn outputs(call: &Call, bytes: &[u8]) -> Vec<Vec<[f64; 2]>> {
    let mut rest = bytes;
    let operands = call.written().map(|(_, given)| {
        let (own, others) = rest.split_at(given.bytes());
        rest = others;
        let element = given.operand.element;
        own.chunks_exact(element.size()).map(|bytes| element::value(element, bytes)).collect()
    });
    operands.collect()
}

/// The magnitudes of the elements of the first operand, a vector, as BLAS measures them, for each problem.
fn vectors(
    double: &Double,
    before: &dyn Fn(usize) -> Result<Option<Vec<u8>>>,
) -> Result<Vec<Vec<f64>>> {
    let given = double.call.operands.first().context("there is no vector")?;
    let operands::Layout::Vector { len, inc } = given.operand.layout else {
        return Ok(Vec::new());
    };
    let size = given.operand.element.size();
    let bytes = before(0)?.context("the vector's values are not there")?;
    let magnitudes = given.problems().map(|start| {
        let magnitude = |i: i64| {
            let place = usize::try_from(start + i * inc).ok()? * size;
            let [re, im] = element::value(given.operand.element, bytes.get(place..place + size)?);
            Some(re.abs() + im.abs())
        };
        (0..len).map(|i| magnitude(i).unwrap_or(f64::NAN)).collect()
    });
    Ok(magnitudes.collect())
}

/// How the bound of a routine is computed.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// Sums of this many products.
    Sum(f64),
    /// Minima of sums, or sums of minima, of this many numbers.
    Minima(f64),
    /// `rot`
    Rotation,
    /// A triangular system of this many equations.
    Solve(f64),
    /// This many roundings of the result itself.
    Relative(f64),
    /// A position.
    Position,
}

impl Rule {
    fn of(double: &Double) -> Self {
        let call = &double.call;
        let size = |name: &str| call.integer(name).unwrap_or(0) as f64;
        let is = |name: &str, value: i32| call.integer(name) == Some(i64::from(value));
        // The order of a triangular or symmetric matrix.
        let order = || if is("side", side::LEFT) { size("m") } else { size("n") };
        match double.routine {
            "trsm" => Self::Solve(order()),
            "trsv" | "tbsv" | "tpsv" | "trtri" => Self::Solve(size("n")),
            "nrm2" => Self::Relative(size("n")),
            "rotg" => Self::Relative(16.0),
            "amax" | "amin" => Self::Position,
            "rot" => Self::Rotation,
            "geam_ex" if is("geam_ex_op", geam_ex_operation::MIN_PLUS) => Self::Minima(2.0),
            "geam_ex" => Self::Minima(size("k") + 1.0),
            "gemm" | "gemmt" | "syrk" | "herk" | "syrkx" | "herkx" => Self::Sum(size("k")),
            "syr2k" | "her2k" => Self::Sum(2.0 * size("k")),
            "symm" | "hemm" | "trmm" => Self::Sum(order()),
            "gemv" => {
                let is_plain = is("trans", operation::NONE) || is("transA", operation::NONE);
                Self::Sum(if is_plain { size("n") } else { size("m") })
            }
            "copy" | "swap" => Self::Sum(-4.0),
            "scal" | "axpy" | "ger" | "geru" | "gerc" | "syr" | "her" | "spr" | "hpr" | "dgmm" => {
                Self::Sum(1.0)
            }
            "syr2" | "her2" | "spr2" | "hpr2" | "geam" => Self::Sum(2.0),
            // The longest sum that can occur.
            _ => Self::Sum(size("n").max(size("m"))),
        }
    }

    fn terms(self) -> f64 {
        match self {
            Self::Sum(terms) | Self::Solve(terms) | Self::Relative(terms) | Self::Minima(terms) => {
                terms
            }
            Self::Rotation => 2.0,
            Self::Position => 0.0,
        }
    }

    /// The factor for the magnitudes.
    fn factor(self, original: &Call) -> f64 {
        let arithmetic = arithmetic(original);
        let complex = if arithmetic.is_complex() { 8_f64.sqrt() } else { 1.0 };
        let times = if matches!(self, Self::Solve(_)) { 2.0 } else { 1.0 };
        // The CPU's own rounding matters if the call itself is in double precision.
        let own = if unit(arithmetic) > 0.0 { unit(Element::F64) } else { 0.0 };
        let of_inputs = if original.math_mode == Some(XF32) {
            2.0 * unit(Element::F16)
        } else if original.integer("flags").is_some_and(|flags| flags & ALTERNATIVE_HALF != 0) {
            2.0 * unit(Element::Bf16)
        } else {
            0.0
        };
        times * complex * (self.terms() + 4.0) * (unit(arithmetic) + own) + of_inputs
    }

    fn formula(self) -> &'static str {
        match self {
            Self::Sum(_) | Self::Rotation => {
                "(terms + 4) u times the result of all absolute values"
            }
            Self::Minima(_) => {
                "(terms + 4) u times the result of all absolute values, with maxima for minima"
            }
            Self::Solve(_) => {
                "2 (terms + 4) u (z + M^-1 |A| z), z = M^-1 |A| |X|, M the comparison matrix of A"
            }
            Self::Relative(_) => "(terms + 4) u times the result",
            Self::Position => "the element there is as large, by 4 u",
        }
    }
}
