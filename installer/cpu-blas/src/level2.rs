//! Level 2: a matrix and vectors. Band and packed matrices are in `stored.rs`, updates of symmetric ones
//! in `rank.rs`.

pub(crate) mod rank;
pub(crate) mod stored;

use core::ops::Range;

use crate::abi::{Form, Index, Scalar, compute, wide};
use crate::checks::{Code, Diagonal, Fill, Operation, pointers, quick_return, sizes};
use crate::faults::terms;
use crate::handle::HandlePointer;
use crate::scalar::{Element, Number};
use crate::status::Status;
use crate::views::{Mirror, Mirrored, Triangle, Vector};

/// y = alpha op(A) x + beta y, with an m by n matrix A. y and the scalars may be more precise than A.
pub(crate) unsafe extern "C" fn gemv<E: Element, O, S, I: Index, F: Form>(
    handle: HandlePointer,
    trans: Code,
    m: I,
    n: I,
    alpha: Scalar<S>,
    a: F::Array<E>,
    lda: I,
    stride_a: F::Stride,
    x: F::Array<E>,
    incx: I,
    stride_x: F::Stride,
    beta: Scalar<S>,
    y: F::Array<O>,
    incy: I,
    stride_y: F::Stride,
    batch_count: F::Count<I>,
) -> Status
where
    O: Element<Number = E::Number>,
    S: Element<Number = E::Number>,
{
    compute(handle, |_| {
        let [m, n, lda, incx, incy] = wide([m, n, lda, incx, incy]);
        let (a, x, y) = (F::operand(a, stride_a), F::operand(x, stride_x), F::operand(y, stride_y));
        let batch_count = F::count(batch_count);

        let operation = Operation::legal(trans)?;
        sizes(m >= 0 && n >= 0 && lda >= m.max(1) && incx != 0 && incy != 0 && batch_count >= 0)?;
        quick_return(m == 0 || n == 0 || batch_count == 0)?;
        let (alpha, beta) = (alpha.value()?, beta.value()?);
        let a_is_read = alpha != E::Number::ZERO;
        quick_return(!a_is_read && beta == E::Number::ONE)?;
        pointers(!y.is_null() && (!a_is_read || !a.is_null() && !x.is_null()))?;

        for problem in 0..batch_count {
            let a = a.matrix(problem, m, n, lda).operated(operation);
            let x = x.vector(problem, a.columns(), incx);
            let y = y.vector(problem, a.rows(), incy);
            update(y, alpha, beta, |i| sum_of_products(x, a.row(i), |j| a.get(i, j)));
        }
        Ok(())
    })
}

/// y = alpha product + beta y. Does not compute the products if alpha is zero, nor read y if beta is zero:
/// they may contain NaNs or be null.
fn update<E: Element>(
    y: Vector<E>,
    alpha: E::Number,
    beta: E::Number,
    product: impl Fn(i64) -> E::Number,
) {
    for i in 0..y.len() {
        let taken = if alpha == E::Number::ZERO { E::Number::ZERO } else { alpha * product(i) };
        let kept = if beta == E::Number::ZERO { E::Number::ZERO } else { beta * y.get(i) };
        y.set(i, taken + kept);
    }
}

/// The sum of the products of these columns of a row with x.
fn sum_of_products<E: Element>(
    x: Vector<E>,
    columns: Range<i64>,
    row: impl Fn(i64) -> E::Number,
) -> E::Number {
    terms(columns.end - columns.start)
        .map(|place| columns.start + place)
        .fold(E::Number::ZERO, |sum, j| sum + row(j) * x.get(j))
}

/// A = alpha x y^T + A, or with conj(y), for an m by n matrix A.
pub(crate) unsafe extern "C" fn ger<E: Element, const CONJUGATED: bool, I: Index, F: Form>(
    handle: HandlePointer,
    m: I,
    n: I,
    alpha: Scalar<E>,
    x: F::Array<E>,
    incx: I,
    stride_x: F::Stride,
    y: F::Array<E>,
    incy: I,
    stride_y: F::Stride,
    a: F::Array<E>,
    lda: I,
    stride_a: F::Stride,
    batch_count: F::Count<I>,
) -> Status {
    compute(handle, |_| {
        let [m, n, incx, incy, lda] = wide([m, n, incx, incy, lda]);
        let (x, y, a) = (F::operand(x, stride_x), F::operand(y, stride_y), F::operand(a, stride_a));
        let batch_count = F::count(batch_count);

        sizes(m >= 0 && n >= 0 && incx != 0 && incy != 0 && lda >= m.max(1) && batch_count >= 0)?;
        quick_return(m == 0 || n == 0 || batch_count == 0)?;
        let alpha = alpha.value()?;
        quick_return(alpha == E::Number::ZERO)?;
        pointers(!a.is_null() && !x.is_null() && !y.is_null())?;

        for problem in 0..batch_count {
            let x = x.vector(problem, m, incx);
            let y = y.vector(problem, n, incy);
            let a = a.matrix(problem, m, n, lda);
            for j in 0..n {
                let factor = if CONJUGATED { y.get(j).conjugate() } else { y.get(j) };
                for i in 0..m {
                    a.set(i, j, alpha * x.get(i) * factor + a.get(i, j));
                }
            }
        }
        Ok(())
    })
}

/// y = alpha A x + beta y, with a symmetric (or with `HERMITIAN` a Hermitian) n by n matrix A.
pub(crate) unsafe extern "C" fn symv<E: Element, const HERMITIAN: bool, I: Index, F: Form>(
    handle: HandlePointer,
    uplo: Code,
    n: I,
    alpha: Scalar<E>,
    a: F::Array<E>,
    lda: I,
    stride_a: F::Stride,
    x: F::Array<E>,
    incx: I,
    stride_x: F::Stride,
    beta: Scalar<E>,
    y: F::Array<E>,
    incy: I,
    stride_y: F::Stride,
    batch_count: F::Count<I>,
) -> Status {
    compute(handle, |_| {
        let [n, lda, incx, incy] = wide([n, lda, incx, incy]);
        let (a, x, y) = (F::operand(a, stride_a), F::operand(x, stride_x), F::operand(y, stride_y));
        let batch_count = F::count(batch_count);
        let mirror = if HERMITIAN { Mirror::Hermitian } else { Mirror::Symmetric };

        let fill = Fill::legal(uplo)?;
        sizes(n >= 0 && lda >= n.max(1) && incx != 0 && incy != 0 && batch_count >= 0)?;
        quick_return(n == 0 || batch_count == 0)?;
        let (alpha, beta) = (alpha.value()?, beta.value()?);
        let a_is_read = alpha != E::Number::ZERO;
        quick_return(!a_is_read && beta == E::Number::ONE)?;
        pointers(!y.is_null() && (!a_is_read || !a.is_null() && !x.is_null()))?;

        for problem in 0..batch_count {
            let a = Mirrored::new(a.matrix(problem, n, n, lda), fill, mirror);
            let x = x.vector(problem, n, incx);
            update_by_mirrored(y.vector(problem, n, incy), alpha, beta, a, x);
        }
        Ok(())
    })
}

fn update_by_mirrored<E: Element>(
    y: Vector<E>,
    alpha: E::Number,
    beta: E::Number,
    a: Mirrored<E>,
    x: Vector<E>,
) {
    update(y, alpha, beta, |i| sum_of_products(x, a.row(i), |j| a.get(i, j)));
}

/// x = op(A) x with a triangular A or, with `SOLVE`, the solution of op(A) x = (the former) x.
pub(crate) unsafe extern "C" fn trmv<E: Element, const SOLVE: bool, I: Index, F: Form>(
    handle: HandlePointer,
    uplo: Code,
    trans: Code,
    diag: Code,
    n: I,
    a: F::Array<E>,
    lda: I,
    stride_a: F::Stride,
    x: F::Array<E>,
    incx: I,
    stride_x: F::Stride,
    batch_count: F::Count<I>,
) -> Status {
    compute(handle, |handle| {
        let [n, lda, incx] = wide([n, lda, incx]);
        let (a, x) = (F::operand(a, stride_a), F::operand(x, stride_x));
        let batch_count = F::count(batch_count);

        let fill = Fill::legal(uplo)?;
        let operation = Operation::legal(trans)?;
        let diagonal = Diagonal::legal(diag)?;
        sizes(n >= 0 && lda >= n.max(1) && incx != 0 && batch_count >= 0)?;
        quick_return(n == 0 || batch_count == 0)?;
        pointers(!a.is_null() && !x.is_null())?;
        if SOLVE {
            handle.launch_trsm_kernel()?;
        }

        for problem in 0..batch_count {
            let a = Triangle::new(a.matrix(problem, n, n, lda), fill, operation, diagonal);
            apply::<E, SOLVE>(a, x.vector(problem, n, incx));
        }
        Ok(())
    })
}

/// x = op(A) x or, with `SOLVE`, the solution of op(A) x = (the former) x.
fn apply<E: Element, const SOLVE: bool>(a: Triangle<E>, x: Vector<E>) {
    let mut column = x.to_vec();
    if SOLVE {
        a.solve(&mut column);
    } else {
        column = a.times(&column);
    }
    for (i, value) in (0..).zip(column) {
        x.set(i, value);
    }
}

impl<E: Element> Triangle<E> {
    /// op(A) x
    pub(crate) fn times(self, x: &[E::Number]) -> Vec<E::Number> {
        (0..x.len())
            .map(|i| {
                self.beside_diagonal(i as i64).fold(self.diagonal(i as i64) * x[i], |sum, j| {
                    sum + self.get(i as i64, j) * x[j as usize]
                })
            })
            .collect()
    }

    /// Replaces b by the x of op(A) x = b: substitution, starting from the row that has one element.
    pub(crate) fn solve(self, b: &mut [E::Number]) {
        let n = b.len();
        for step in 0..n {
            let i = if self.is_lower() { step } else { n - 1 - step };
            let rest = self
                .beside_diagonal(i as i64)
                .fold(b[i], |rest, j| rest - self.get(i as i64, j) * b[j as usize]);
            b[i] = rest / self.diagonal(i as i64);
        }
    }
}

#[cfg(test)]
mod tests;
