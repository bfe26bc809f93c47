//! An error bound for the solution of a triangular system: `z + M^-1 |A| z` with `z = M^-1 |A| |X|`, where M
//! is A's comparison matrix: the absolute values on A's diagonal and their negatives elsewhere. No element of
//! `M^-1` is less than that of `|A^-1|`.

use super::double::Double;
use anyhow::{Context, Result, ensure};
use rocblas_abi::{
    operands::{Layout, Part},
    value::{fill, operation, side},
};
use rocblas_trace::capture::element;

/// A triangular matrix of absolute values, op(A) or its transpose, stored by rows.
struct Triangle {
    order: usize,
    values: Vec<f64>,
    is_lower: bool,
}

impl Triangle {
    fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.order..(i + 1) * self.order]
    }

    /// The columns of a row that have off-diagonal elements.
    fn beside(&self, i: usize) -> core::ops::Range<usize> {
        if self.is_lower { 0..i } else { i + 1..self.order }
    }

    /// `|A| x`
    fn product(&self, x: &[f64]) -> Vec<f64> {
        let row = |i: usize| {
            let row = self.row(i);
            row[i] * x[i] + self.beside(i).map(|j| row[j] * x[j]).sum::<f64>()
        };
        (0..self.order).map(row).collect()
    }

    /// `M^-1 x`
    fn solution(&self, mut x: Vec<f64>) -> Vec<f64> {
        for step in 0..self.order {
            let i = if self.is_lower { step } else { self.order - 1 - step };
            let row = self.row(i);
            let known: f64 = self.beside(i).map(|j| row[j] * x[j]).sum();
            x[i] = (x[i] + known) / row[i];
        }
        x
    }
}

/// The largest order for which a bound is computed: each element of the matrix takes eight bytes.
const MOST: i64 = 1 << 14;

/// The position of an element of a matrix relative to the first one; `None` if the element is not used.
fn place(layout: &Layout, i: i64, j: i64) -> Option<i64> {
    let is_used = |part: Part| match part {
        Part::All => true,
        Part::Upper => i <= j,
        Part::Lower => i >= j,
        Part::StrictUpper => i < j,
        Part::StrictLower => i > j,
    };
    match *layout {
        Layout::Matrix { ld, part, .. } => is_used(part).then_some(i + j * ld),
        Layout::Packed { order, part } => is_used(part).then_some(match part {
            Part::Lower | Part::StrictLower => i - j + j * (2 * order - j + 1) / 2,
            _ => i + j * (j + 1) / 2,
        }),
        Layout::Band { below, above, ld, part, .. } => {
            let is_in_band = i - j <= below && j - i <= above;
            (is_in_band && is_used(part)).then_some(above + i - j + j * ld)
        }
        Layout::Vector { len, inc } => Some(if inc < 0 { (i + 1 - len) * inc } else { i * inc }),
    }
}

/// The order of a triangular matrix, and whether its diagonal is implicitly one.
fn order(layout: &Layout) -> Option<(i64, bool)> {
    let (order, part) = match *layout {
        Layout::Matrix { rows, part, .. } | Layout::Band { rows, part, .. } => (rows, part),
        Layout::Packed { order, part } => (order, part),
        Layout::Vector { .. } => return None,
    };
    Some((order, matches!(part, Part::StrictUpper | Part::StrictLower)))
}

/// The bounds for all elements of X's spans; zero for the gaps.
///
/// # Errors
/// If values are missing or the matrix is too large.
pub(super) fn sizes(
    double: &Double,
    before: &dyn Fn(usize) -> Result<Option<Vec<u8>>>,
    exact: &[u8],
) -> Result<Vec<f64>> {
    let call = &double.call;
    // Without equations or right-hand sides there is nothing to solve.
    let Some((position, x)) = call.written().next() else { return Ok(Vec::new()) };
    let size = x.operand.element.size();
    let mut sizes = vec![0.0; x.bytes() / size];
    let a = call.operands.iter().enumerate().find(|(other, _)| *other != position);
    let (a_position, a) = a.context("there is no matrix")?;
    let Some((order, is_unit)) = order(&a.operand.layout) else { return Ok(sizes) };
    // With an alpha of zero nothing is solved.
    let Some(bytes) = before(a_position)?.filter(|_| a.read) else { return Ok(sizes) };
    ensure!(order <= MOST, "a bound for {order} equations is too much for the CPU");
    let is = |name: &str, value: i32| call.integer(name) == Some(i64::from(value));
    // An inverse has neither parameter.
    let is_plain = !["transA", "trans"]
        .into_iter()
        .any(|name| is(name, operation::TRANSPOSE) || is(name, operation::CONJUGATE_TRANSPOSE));
    let is_right = is("side", side::RIGHT);
    // X A = B is equivalent to A^T X^T = B^T.
    let is_transposed = is_plain == is_right;
    let is_lower = is("uplo", fill::LOWER) != is_transposed;
    let n = usize::try_from(order).unwrap_or(0);
    let magnitude = |element, bytes: &[u8], place: i64| {
        let place = usize::try_from(place).ok()? * size;
        let [re, im] = element::value(element, bytes.get(place..place + size)?);
        Some(f64::hypot(re, im))
    };
    // There is one system for each column of X, or for each row if A is on the right.
    let count = match x.operand.layout {
        Layout::Matrix { rows, .. } if is_right => rows,
        Layout::Matrix { columns, .. } => columns,
        _ => 1,
    };
    for (a_start, x_start) in a.problems().zip(x.problems()) {
        let mut triangle = Triangle { order: n, values: vec![0.0; n * n], is_lower };
        for i in 0..order {
            for j in 0..order {
                let (row, column) = if is_transposed { (j, i) } else { (i, j) };
                let value = match place(&a.operand.layout, row, column) {
                    Some(place) => magnitude(a.operand.element, &bytes, a_start + place),
                    None => Some(f64::from(u8::from(i == j && is_unit))),
                };
                triangle.values[(i * order + j) as usize] = value.unwrap_or(0.0);
            }
        }
        for system in 0..count {
            let at = |i: usize| {
                let i = i as i64;
                let (row, column) = if is_right { (system, i) } else { (i, system) };
                place(&x.operand.layout, row, column).map(|place| x_start + place)
            };
            let value = |i| magnitude(x.operand.element, exact, at(i)?);
            let solution: Vec<f64> = (0..n).map(|i| value(i).unwrap_or(0.0)).collect();
            let z = triangle.solution(triangle.product(&solution));
            let again = triangle.solution(triangle.product(&z));
            for (i, (z, again)) in z.iter().zip(again).enumerate() {
                let at = at(i).and_then(|at| usize::try_from(at).ok());
                if let Some(size) = at.and_then(|at| sizes.get_mut(at)) {
                    *size = z + again;
                }
            }
        }
    }
    Ok(sizes)
}
