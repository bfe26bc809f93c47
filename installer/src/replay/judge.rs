//! Compares the results of a backend with the right ones.

use super::{
    call::{Call, Given},
    compute::{Bounds, Output, Right, range, unit},
};
use rocblas_abi::operands::{Element, Layout};
use rocblas_trace::capture::element;
use serde::Serialize;

/// How a result compares with the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Within the usual rounding error.
    Right,
    /// Within the worst-case rounding error, but larger than usual, or no better than a guess because the
    /// matrix is ill-conditioned.
    Doubtful,
    /// The error is larger than rounding can explain.
    Wrong,
}

/// The comparison of an operand's results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// The parameter's name.
    pub operand: String,
    /// How they compare.
    pub verdict: Verdict,
    /// How many elements were compared.
    pub elements: u64,
    /// How many are wrong.
    pub wrong: u64,
    /// How many are NaN or infinite but should be finite.
    pub not_finite: u64,
    /// The largest difference from the right result, where both are finite.
    pub largest_error: f64,
    /// The largest error relative to its bound.
    pub of_bound: f64,
    /// The first wrong element, or the first doubtful one if none is wrong.
    pub first: Option<At>,
}

/// An element that is not right.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct At {
    /// The problem of the batch, from zero.
    pub problem: u64,
    /// Its row, or its position in a vector, from zero.
    pub row: i64,
    /// Its column, if it is in a matrix.
    pub column: Option<i64>,
    /// The value that the backend computed.
    pub got: String,
    /// The right value.
    pub expected: String,
    /// The allowed error.
    pub bound: f64,
}

/// Compares outputs, which are the bytes of all operands that the call writes.
pub(super) fn judge(call: &Call, right: &Right, outputs: &[u8]) -> Vec<Judged> {
    let mut rest = outputs;
    let operands = call.written().zip(&right.outputs).map(|((_, given), output)| {
        let (own, others) = rest.split_at(given.bytes().min(rest.len()));
        rest = others;
        one(call, given, output, right, own)
    });
    operands.collect()
}

fn one(call: &Call, given: &Given, output: &Output, right: &Right, bytes: &[u8]) -> Judged {
    let element = given.operand.element;
    let size = element.size();
    let mut judged = Judged {
        operand: call.param(given.parameter()).name.to_owned(),
        verdict: Verdict::Right,
        elements: 0,
        wrong: 0,
        not_finite: 0,
        largest_error: 0.0,
        of_bound: 0.0,
        first: None,
    };
    let largest = (output.values.iter())
        .map(|[re, im]| re.hypot(*im))
        .filter(|size| size.is_finite())
        .fold(0.0, f64::max);
    for (problem, start) in given.problems().enumerate() {
        for run in given.operand.layout.runs() {
            for number in 0..run.len {
                let place = run.first + number * run.step;
                let Ok(at) = usize::try_from(start + place) else { continue };
                let Some(bytes) = bytes.get(at * size..(at + 1) * size) else { continue };
                let got = element::value(element, bytes);
                let expected = output.values[at];
                let checked = match &output.bounds {
                    Bounds::Each(bounds) => compared(element, got, expected, bounds[at]),
                    Bounds::Position { magnitudes, tolerance } => {
                        // The results of a batch form one vector.
                        let of = magnitudes.get(problem.max(at)).map_or(&[][..], Vec::as_slice);
                        position(of, got[0], expected[0], *tolerance)
                    }
                };
                judged.elements += 1;
                let mut verdict = if checked.is_wrong { Verdict::Wrong } else { Verdict::Right };
                let is_unusual = checked.error > right.usual * checked.bound
                    || right.is_solve && checked.error > largest / 8.0;
                if verdict == Verdict::Right && checked.error > 0.0 && is_unusual {
                    verdict = Verdict::Doubtful;
                }
                if checked.error.is_finite() {
                    judged.largest_error = judged.largest_error.max(checked.error);
                    if checked.error > 0.0 {
                        judged.of_bound = judged.of_bound.max(checked.error / checked.bound);
                    }
                } else if checked.is_wrong {
                    judged.not_finite += 1;
                }
                judged.wrong += u64::from(verdict == Verdict::Wrong);
                if verdict > judged.verdict {
                    judged.verdict = verdict;
                    let (row, column) = position_of(&given.operand.layout, place);
                    judged.first = Some(At {
                        problem: problem as u64,
                        row,
                        column,
                        got: text(element, got),
                        expected: text(Element::F64, expected),
                        bound: checked.bound,
                    });
                }
            }
        }
    }
    judged
}

/// The comparison of an element.
#[derive(Clone, Copy, Debug)]
struct Compared {
    is_wrong: bool,
    /// The difference; infinite or NaN if a value is.
    error: f64,
    bound: f64,
}

fn compared(element: Element, got: [f64; 2], expected: [f64; 2], bound: f64) -> Compared {
    let error = f64::hypot(got[0] - expected[0], got[1] - expected[1]);
    let is_finite = |value: [f64; 2]| value[0].is_finite() && value[1].is_finite();
    let size = f64::hypot(expected[0], expected[1]);
    let is_wrong = match (is_finite(got), is_finite(expected) && bound.is_finite()) {
        (true, true) => error > bound,
        // NaN and infinity in the operands yield NaN or infinity, depending on the order of summation.
        (false, false) => false,
        (true, false) => !is_finite(expected),
        // The result, or an intermediate value, may be too large for the type.
        (false, true) => unit(element) == 0.0 || size + bound < range(element)[0],
    };
    let error = if is_wrong || error.is_finite() { error } else { 0.0 };
    Compared { is_wrong, error, bound }
}

/// Positions may differ if the magnitudes are equal.
fn position(magnitudes: &[f64], got: f64, expected: f64, tolerance: f64) -> Compared {
    let magnitude = |position: f64| {
        let position = (position as i64).checked_sub(1).and_then(|i| usize::try_from(i).ok());
        position.and_then(|position| magnitudes.get(position)).copied()
    };
    let is_wrong = got != expected
        && match (magnitude(got), magnitude(expected)) {
            (Some(got), Some(expected)) => (got - expected).abs() > tolerance * expected,
            _ => true,
        };
    Compared { is_wrong, error: if is_wrong { (got - expected).abs() } else { 0.0 }, bound: 0.0 }
}

/// The row and column of an element of a layout. For a packed or band matrix, its position in memory instead.
fn position_of(layout: &Layout, place: i64) -> (i64, Option<i64>) {
    match *layout {
        Layout::Vector { len, inc } if inc < 0 => (len - 1 - place / inc.saturating_abs(), None),
        Layout::Vector { inc, .. } => (place / inc.max(1), None),
        Layout::Matrix { ld, .. } => (place % ld.max(1), Some(place / ld.max(1))),
        Layout::Packed { .. } | Layout::Band { .. } => (place, None),
    }
}

/// A value with as few digits as distinguish it from the other values of its type.
pub(super) fn text(element: Element, [re, im]: [f64; 2]) -> String {
    let part = |part: f64| match element {
        Element::F32 | Element::C32 => format!("{:?}", part as f32),
        Element::F16 | Element::C16 | Element::Bf16 => format!("{:?}", part as f32),
        Element::F64 | Element::C64 => format!("{part:?}"),
        _ => format!("{part}"),
    };
    if element.is_complex() || im != 0.0 {
        let sign = if im.is_sign_negative() { "" } else { "+" };
        format!("{}{sign}{}i", part(re), part(im))
    } else {
        part(re)
    }
}
