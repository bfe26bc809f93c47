//! Level 3: matrices. The general product has its own file.
//!
//! A problem with the special matrix on the right is the transposed problem with it on the left:
//! `X op(A) = B` is equivalent to `op(A)^T X^T = B^T`. So each routine transposes its views if the
//! side requires it, and is written for the left only.

pub(crate) mod elementwise;
pub(crate) mod extended;
pub(crate) mod products;

use crate::abi::{Form, Index, Operand, Scalar, compute, wide};
use crate::checks::{Code, Diagonal, Fill, Operation, Side, pointers, quick_return, sizes, values};
use crate::faults::{self, terms};
use crate::handle::{Handle, HandlePointer};
use crate::scalar::{Element, Number, Scale};
use crate::status::{Course, Status};
use crate::views::{Matrix, Mirror, Mirrored, Triangle};

/// B = the X that solves op(A) X = alpha B, or X op(A) = alpha B: A triangular, B m by n.
pub(crate) unsafe extern "C" fn trsm<E: Element, I: Index, F: Form>(
    handle: HandlePointer,
    side: Code,
    uplo: Code,
    trans: Code,
    diag: Code,
    m: I,
    n: I,
    alpha: Scalar<E>,
    a: F::Array<E>,
    lda: I,
    stride_a: F::Stride,
    b: F::Array<E>,
    ldb: I,
    stride_b: F::Stride,
    batch_count: F::Count<I>,
) -> Status {
    compute(handle, |handle| {
        let sizes = wide([m, n, lda, ldb]);
        let (a, b) = (F::operand(a, stride_a), F::operand(b, stride_b));
        solve(handle, [side, uplo, trans, diag], sizes, alpha, a, b, F::count(batch_count))
    })
}

/// The common part of trsm and `trsm_ex`.
fn solve<E: Element>(
    handle: &Handle,
    [side, uplo, trans, diag]: [Code; 4],
    [m, n, lda, ldb]: [i64; 4],
    alpha: Scalar<E>,
    a: Operand<E>,
    b: Operand<E>,
    batch_count: i64,
) -> Course {
    let side = Side::legal(side)?;
    let fill = Fill::legal(uplo)?;
    let operation = Operation::legal(trans)?;
    let diagonal = Diagonal::legal(diag)?;
    let order = if side == Side::Left { m } else { n };
    sizes(batch_count >= 0 && m >= 0 && n >= 0 && lda >= order && ldb >= m)?;
    quick_return(m == 0 || n == 0 || batch_count == 0)?;
    pointers(!b.is_null())?;
    let alpha = alpha.value()?;
    let a_is_read = alpha != E::Number::ZERO;
    pointers(!a_is_read || !a.is_null())?;
    if a_is_read {
        handle.launch_trsm_kernel()?;
    }

    for problem in 0..batch_count {
        let a = Triangle::new(a.matrix(problem, order, order, lda), fill, operation, diagonal);
        let b = b.matrix(problem, m, n, ldb);
        let (a, b) = on_the_left(side, (a, Triangle::transposed), (b, Matrix::transposed));
        for j in 0..b.columns() {
            let mut column = b.column(j);
            if a_is_read {
                column.iter_mut().for_each(|value| *value = alpha * *value);
                a.solve(&mut column);
            } else {
                column.fill(E::Number::ZERO);
            }
            for (i, value) in (0..).zip(column) {
                let of_b = if side == Side::Left { j } else { i };
                if !faults::is_lost(of_b, n) {
                    b.set(i, j, value);
                }
            }
        }
    }
    Ok(())
}

/// Returns both views unchanged, or transposed if the special matrix is on the right.
fn on_the_left<S, G>(side: Side, special: (S, fn(S) -> S), general: (G, fn(G) -> G)) -> (S, G) {
    match side {
        Side::Left => (special.0, general.0),
        Side::Right => (special.1(special.0), general.1(general.0)),
    }
}

/// C = alpha op(A) B or alpha B op(A): A triangular, B and C m by n and possibly the same.
pub(crate) unsafe extern "C" fn trmm<E: Element, I: Index, F: Form>(
    handle: HandlePointer,
    side: Code,
    uplo: Code,
    trans: Code,
    diag: Code,
    m: I,
    n: I,
    alpha: Scalar<E>,
    a: F::Array<E>,
    lda: I,
    stride_a: F::Stride,
    b: F::Array<E>,
    ldb: I,
    stride_b: F::Stride,
    c: F::Array<E>,
    ldc: I,
    stride_c: F::Stride,
    batch_count: F::Count<I>,
) -> Status {
    compute(handle, |_| {
        let [m, n, lda, ldb, ldc] = wide([m, n, lda, ldb, ldc]);
        let (a, b, c) = (F::operand(a, stride_a), F::operand(b, stride_b), F::operand(c, stride_c));
        let batch_count = F::count(batch_count);

        let side = Side::legal(side)?;
        let fill = Fill::legal(uplo)?;
        let operation = Operation::legal(trans)?;
        let diagonal = Diagonal::legal(diag)?;
        let order = if side == Side::Left { m } else { n };
        sizes(batch_count >= 0 && m >= 0 && n >= 0 && ldc >= m && ldb >= m && lda >= order)?;
        quick_return(m == 0 || n == 0 || batch_count == 0)?;
        pointers(!c.is_null())?;
        let alpha = alpha.value()?;
        let a_is_read = alpha != E::Number::ZERO;
        pointers(!a_is_read || !a.is_null() && !b.is_null())?;
        values(b.address() != c.address() || ldb == ldc)?;

        for problem in 0..batch_count {
            let a = Triangle::new(a.matrix(problem, order, order, lda), fill, operation, diagonal);
            let b = b.matrix(problem, m, n, ldb);
            let c = c.matrix(problem, m, n, ldc);
            let (a, (b, c)) = on_the_left(side, (a, Triangle::transposed), ((b, c), both));
            for j in 0..c.columns() {
                let product = if a_is_read { a.times(&b.column(j)) } else { Vec::new() };
                for i in 0..c.rows() {
                    let value = product.get(i as usize).map_or(E::Number::ZERO, |p| alpha * *p);
                    c.set(i, j, value);
                }
            }
        }
        Ok(())
    })
}

fn both<E: Element>((b, c): (Matrix<E>, Matrix<E>)) -> (Matrix<E>, Matrix<E>) {
    (b.transposed(), c.transposed())
}

/// C = alpha A B + beta C or alpha B A + beta C: A symmetric (or with `HERMITIAN` Hermitian), B and
/// C m by n.
pub(crate) unsafe extern "C" fn symm<E: Element, const HERMITIAN: bool, I: Index, F: Form>(
    handle: HandlePointer,
    side: Code,
    uplo: Code,
    m: I,
    n: I,
    alpha: Scalar<E>,
    a: F::Array<E>,
    lda: I,
    stride_a: F::Stride,
    b: F::Array<E>,
    ldb: I,
    stride_b: F::Stride,
    beta: Scalar<E>,
    c: F::Array<E>,
    ldc: I,
    stride_c: F::Stride,
    batch_count: F::Count<I>,
) -> Status {
    compute(handle, |_| {
        let [m, n, lda, ldb, ldc] = wide([m, n, lda, ldb, ldc]);
        let (a, b, c) = (F::operand(a, stride_a), F::operand(b, stride_b), F::operand(c, stride_c));
        let batch_count = F::count(batch_count);
        let mirror = if HERMITIAN { Mirror::Hermitian } else { Mirror::Symmetric };

        let side = Side::legal(side)?;
        let fill = Fill::legal(uplo)?;
        let order = if side == Side::Left { m } else { n };
        sizes(batch_count >= 0 && m >= 0 && n >= 0 && ldc >= m && ldb >= m && lda >= order)?;
        quick_return(m == 0 || n == 0 || batch_count == 0)?;
        let (alpha, beta) = (alpha.value()?, beta.value()?);
        let a_is_read = alpha != E::Number::ZERO;
        quick_return(!a_is_read && beta == E::Number::ONE)?;
        pointers(!c.is_null() && (!a_is_read || !a.is_null() && !b.is_null()))?;

        for problem in 0..batch_count {
            let a = Mirrored::new(a.matrix(problem, order, order, lda), fill, mirror);
            let b = b.matrix(problem, m, n, ldb);
            let c = c.matrix(problem, m, n, ldc);
            let (a, (b, c)) = on_the_left(side, (a, Mirrored::transposed), ((b, c), both));
            for j in 0..c.columns() {
                let column = if a_is_read { b.column(j) } else { Vec::new() };
                for i in 0..c.rows() {
                    let product = terms(column.len() as i64)
                        .fold(E::Number::ZERO, |sum, l| sum + a.get(i, l) * column[l as usize]);
                    c.set(i, j, alpha * product + kept(beta, c, i, j));
                }
            }
        }
        Ok(())
    })
}

/// beta C(i, j). If beta is zero, C is not read.
fn kept<E: Element>(beta: E::Number, c: Matrix<E>, i: i64, j: i64) -> E::Number {
    if beta == E::Number::ZERO { E::Number::ZERO } else { beta * c.get(i, j) }
}

/// C = alpha op(A) op(A)^T + beta C, computing only one half: C n by n, op(A) n by k.
pub(crate) unsafe extern "C" fn syrk<E: Element, I: Index, F: Form>(
    handle: HandlePointer,
    uplo: Code,
    trans: Code,
    n: I,
    k: I,
    alpha: Scalar<E>,
    a: F::Array<E>,
    lda: I,
    stride_a: F::Stride,
    beta: Scalar<E>,
    c: F::Array<E>,
    ldc: I,
    stride_c: F::Stride,
    batch_count: F::Count<I>,
) -> Status {
    compute(handle, |_| {
        let sizes = wide([n, k, lda, ldc]);
        let (a, c) = (F::operand(a, stride_a), F::operand(c, stride_c));
        let batch_count = F::count(batch_count);
        update_half(Mirror::Symmetric, uplo, trans, sizes, (alpha, beta), a, c, batch_count)
    })
}

/// C = alpha op(A) op(A)^H + beta C with real scalars, computing only one half; the diagonal
/// becomes real.
pub(crate) unsafe extern "C" fn herk<E: Element, I: Index, F: Form>(
    handle: HandlePointer,
    uplo: Code,
    trans: Code,
    n: I,
    k: I,
    alpha: Scalar<E::Real>,
    a: F::Array<E>,
    lda: I,
    stride_a: F::Stride,
    beta: Scalar<E::Real>,
    c: F::Array<E>,
    ldc: I,
    stride_c: F::Stride,
    batch_count: F::Count<I>,
) -> Status {
    compute(handle, |_| {
        let sizes = wide([n, k, lda, ldc]);
        let (a, c) = (F::operand(a, stride_a), F::operand(c, stride_c));
        let batch_count = F::count(batch_count);
        update_half(Mirror::Hermitian, uplo, trans, sizes, (alpha, beta), a, c, batch_count)
    })
}

/// The common part of syrk and herk, with scalars of type `S`. C may have another type than A.
fn update_half<E: Element, O: Element<Number = E::Number>, S: Element>(
    mirror: Mirror,
    uplo: Code,
    trans: Code,
    [n, k, lda, ldc]: [i64; 4],
    (alpha, beta): (Scalar<S>, Scalar<S>),
    a: Operand<E>,
    c: Operand<O>,
    batch_count: i64,
) -> Course
where
    E::Number: Scale<S::Number>,
{
    let fill = Fill::legal(uplo)?;
    let operation = Operation::legal(trans)?;
    values(match (mirror, operation) {
        (Mirror::Symmetric, Operation::ConjugateTranspose) => !E::Number::COMPLEX,
        (Mirror::Hermitian, Operation::Transpose) => false,
        _ => true,
    })?;
    let (a_rows, a_columns) = if operation == Operation::None { (n, k) } else { (k, n) };
    sizes(n >= 0 && k >= 0 && batch_count >= 0 && ldc >= n && lda >= a_rows)?;
    quick_return(n == 0 || batch_count == 0)?;
    pointers(!beta.is_null())?;
    let alpha = if k > 0 { alpha.value()? } else { S::Number::ZERO };
    let beta = beta.value()?;
    let a_is_read = alpha != S::Number::ZERO;
    quick_return(!a_is_read && beta == S::Number::ONE)?;
    pointers(!c.is_null() && (!a_is_read || !a.is_null()))?;

    let other = match mirror {
        Mirror::Symmetric => Operation::Transpose,
        Mirror::Hermitian => Operation::ConjugateTranspose,
    };
    for problem in 0..batch_count {
        let left = a.matrix(problem, a_rows, a_columns, lda).operated(operation);
        let right = left.operated(other);
        let c = c.matrix(problem, n, n, ldc);
        for j in 0..n {
            let rows = if faults::triangle(fill) == Fill::Lower { j..n } else { 0..j + 1 };
            for i in rows {
                let taken = if a_is_read {
                    terms(k).fold(E::Number::ZERO, |sum, l| sum + left.get(i, l) * right.get(l, j))
                } else {
                    E::Number::ZERO
                };
                let kept = if beta == S::Number::ZERO {
                    E::Number::ZERO
                } else {
                    c.get(i, j).scaled(beta)
                };
                let value = taken.scaled(alpha) + kept;
                let is_real = i == j && mirror == Mirror::Hermitian;
                c.set(i, j, if is_real { Number::from_real(value.real()) } else { value });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
