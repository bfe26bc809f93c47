//! Products of which only one half is computed: gemmt, and updates of symmetric matrices by two matrices.

use crate::abi::{Form, Index, Operand, Scalar, compute, wide};
use crate::checks::{Code, Fill, Operation, pointers, quick_return, sizes, values};
use crate::handle::HandlePointer;
use crate::scalar::{Element, Number, Scale};
use crate::status::Status;
use crate::views::Matrix;

/// C = alpha op(A) op(B)^T + alpha op(B) op(A)^T + beta C, computing only one half. With `HERMITIAN`, ^H
/// instead of ^T, a real beta, and conj(alpha) in the second product; without `TWICE`, only the first
/// product.
pub(crate) unsafe extern "C" fn syr2k<
    E: Element,
    S: Element,
    const HERMITIAN: bool,
    const TWICE: bool,
    I: Index,
    F: Form,
>(
    handle: HandlePointer,
    uplo: Code,
    trans: Code,
    n: I,
    k: I,
    alpha: Scalar<E>,
    a: F::Array<E>,
    lda: I,
    stride_a: F::Stride,
    b: F::Array<E>,
    ldb: I,
    stride_b: F::Stride,
    beta: Scalar<S>,
    c: F::Array<E>,
    ldc: I,
    stride_c: F::Stride,
    batch_count: F::Count<I>,
) -> Status
where
    E::Number: Scale<S::Number>,
{
    compute(handle, |_| {
        let [n, k, lda, ldb, ldc] = wide([n, k, lda, ldb, ldc]);
        let (a, b, c) = (F::operand(a, stride_a), F::operand(b, stride_b), F::operand(c, stride_c));
        let batch_count = F::count(batch_count);

        let fill = Fill::legal(uplo)?;
        let operation = Operation::legal(trans)?;
        let (other, illegal) = match HERMITIAN {
            true => (Operation::ConjugateTranspose, Operation::Transpose),
            false => (Operation::Transpose, Operation::ConjugateTranspose),
        };
        values(operation != illegal || !E::Number::COMPLEX)?;
        let (rows, columns) = if operation == Operation::None { (n, k) } else { (k, n) };
        sizes(n >= 0 && k >= 0 && batch_count >= 0 && ldc >= n && lda >= rows && ldb >= rows)?;
        quick_return(n == 0 || batch_count == 0)?;
        let update = Update::new::<E>(alpha, beta, k, (a, b), c)?;

        for problem in 0..batch_count {
            let a = a.matrix(problem, rows, columns, lda).operated(operation);
            let b = b.matrix(problem, rows, columns, ldb).operated(operation);
            let (a_other, b_other) = (a.operated(other), b.operated(other));
            let conjugate = if HERMITIAN { update.alpha.conjugate() } else { update.alpha };
            let product = |i, j| {
                let first = update.alpha * sum(k, a, b_other, i, j);
                if TWICE { first + conjugate * sum(k, b, a_other, i, j) } else { first }
            };
            update.half(fill, HERMITIAN, c.matrix(problem, n, n, ldc), product);
        }
        Ok(())
    })
}

/// C = alpha op(A) op(B) + beta C, computing only one half.
pub(crate) unsafe extern "C" fn gemmt<E: Element, I: Index, F: Form>(
    handle: HandlePointer,
    uplo: Code,
    trans_a: Code,
    trans_b: Code,
    n: I,
    k: I,
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
        let [n, k, lda, ldb, ldc] = wide([n, k, lda, ldb, ldc]);
        let (a, b, c) = (F::operand(a, stride_a), F::operand(b, stride_b), F::operand(c, stride_c));
        let batch_count = F::count(batch_count);

        let fill = Fill::legal(uplo)?;
        let (of_a, of_b) = (Operation::legal(trans_a)?, Operation::legal(trans_b)?);
        let (a_rows, a_columns) = if of_a == Operation::None { (n, k) } else { (k, n) };
        let (b_rows, b_columns) = if of_b == Operation::None { (k, n) } else { (n, k) };
        sizes(n >= 0 && k >= 0 && batch_count >= 0 && ldc >= n && lda >= a_rows && ldb >= b_rows)?;
        quick_return(n == 0 || batch_count == 0)?;
        let update = Update::new::<E>(alpha, beta, k, (a, b), c)?;

        for problem in 0..batch_count {
            let a = a.matrix(problem, a_rows, a_columns, lda).operated(of_a);
            let b = b.matrix(problem, b_rows, b_columns, ldb).operated(of_b);
            let product = |i, j| update.alpha * sum(k, a, b, i, j);
            update.half(fill, false, c.matrix(problem, n, n, ldc), product);
        }
        Ok(())
    })
}

fn sum<E: Element>(k: i64, a: Matrix<E>, b: Matrix<E>, i: i64, j: i64) -> E::Number {
    (0..k).fold(E::Number::ZERO, |sum, l| sum + a.get(i, l) * b.get(l, j))
}

/// The scalars. If one is zero, the matrices that it multiplies are not read.
struct Update<N, S> {
    alpha: N,
    beta: S,
}

impl<N: Number + Scale<S>, S: Number> Update<N, S> {
    /// Ends the call if there is nothing to do or a pointer is missing.
    fn new<E: Element<Number = N>>(
        alpha: Scalar<E>,
        beta: Scalar<impl Element<Number = S>>,
        k: i64,
        (a, b): (Operand<E>, Operand<E>),
        c: Operand<E>,
    ) -> Result<Self, Status> {
        let beta = beta.value()?;
        let alpha = if k > 0 { alpha.value()? } else { N::ZERO };
        let is_read = alpha != N::ZERO;
        quick_return(!is_read && beta == S::ONE)?;
        pointers(!c.is_null() && (!is_read || !a.is_null() && !b.is_null()))?;
        Ok(Self { alpha, beta })
    }

    /// C = product + beta C, for one half of C. A Hermitian diagonal becomes real.
    fn half<E: Element<Number = N>>(
        &self,
        fill: Fill,
        is_hermitian: bool,
        c: Matrix<E>,
        product: impl Fn(i64, i64) -> N,
    ) {
        for j in 0..c.columns() {
            let rows = if fill == Fill::Lower { j..c.rows() } else { 0..j + 1 };
            for i in rows {
                let taken = if self.alpha == N::ZERO { N::ZERO } else { product(i, j) };
                let kept =
                    if self.beta == S::ZERO { N::ZERO } else { c.get(i, j).scaled(self.beta) };
                let value = taken + kept;
                let is_real = is_hermitian && i == j;
                c.set(i, j, if is_real { N::from_real(value.real()) } else { value });
            }
        }
    }
}
