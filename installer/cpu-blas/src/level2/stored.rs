//! Products and solvers with band and packed matrices.

use super::{apply, sum_of_products, update, update_by_mirrored};
use crate::abi::{Form, Index, Scalar, compute, wide};
use crate::checks::{Code, Diagonal, Fill, Operation, pointers, quick_return, sizes};
use crate::handle::HandlePointer;
use crate::scalar::{Element, Number};
use crate::status::Status;
use crate::views::{Mirror, Mirrored, Triangle};

/// y = alpha op(A) x + beta y, with an m by n matrix A of kl diagonals below the main one and ku above.
pub(crate) unsafe extern "C" fn gbmv<E: Element, I: Index, F: Form>(
    handle: HandlePointer,
    trans: Code,
    m: I,
    n: I,
    kl: I,
    ku: I,
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
        let [m, n, kl, ku, lda, incx, incy] = wide([m, n, kl, ku, lda, incx, incy]);
        let (a, x, y) = (F::operand(a, stride_a), F::operand(x, stride_x), F::operand(y, stride_y));
        let batch_count = F::count(batch_count);

        let operation = Operation::legal(trans)?;
        sizes(m >= 0 && n >= 0 && kl >= 0 && ku >= 0 && lda > kl + ku)?;
        sizes(incx != 0 && incy != 0 && batch_count >= 0)?;
        quick_return(m == 0 || n == 0 || batch_count == 0)?;
        let (alpha, beta) = (alpha.value()?, beta.value()?);
        let a_is_read = alpha != E::Number::ZERO;
        quick_return(!a_is_read && beta == E::Number::ONE)?;
        pointers(!y.is_null() && (!a_is_read || !a.is_null() && !x.is_null()))?;

        for problem in 0..batch_count {
            let a = a.band(problem, (m, n), (kl, ku), lda).operated(operation);
            let x = x.vector(problem, a.columns(), incx);
            let y = y.vector(problem, a.rows(), incy);
            update(y, alpha, beta, |i| sum_of_products(x, a.row(i), |j| a.get(i, j)));
        }
        Ok(())
    })
}

/// y = alpha A x + beta y, with a symmetric or Hermitian band matrix A of k diagonals on each side.
pub(crate) unsafe extern "C" fn sbmv<E: Element, const HERMITIAN: bool, I: Index, F: Form>(
    handle: HandlePointer,
    uplo: Code,
    n: I,
    k: I,
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
        let [n, k, lda, incx, incy] = wide([n, k, lda, incx, incy]);
        let (a, x, y) = (F::operand(a, stride_a), F::operand(x, stride_x), F::operand(y, stride_y));
        let batch_count = F::count(batch_count);
        let mirror = if HERMITIAN { Mirror::Hermitian } else { Mirror::Symmetric };

        let fill = Fill::legal(uplo)?;
        sizes(n >= 0 && k >= 0 && lda > k && incx != 0 && incy != 0 && batch_count >= 0)?;
        quick_return(n == 0 || batch_count == 0)?;
        let (alpha, beta) = (alpha.value()?, beta.value()?);
        let a_is_read = alpha != E::Number::ZERO;
        quick_return(!a_is_read && beta == E::Number::ONE)?;
        pointers(!y.is_null() && (!a_is_read || !a.is_null() && !x.is_null()))?;

        for problem in 0..batch_count {
            let a = Mirrored::new(a.band(problem, (n, n), one_side(fill, k), lda), fill, mirror);
            let x = x.vector(problem, n, incx);
            update_by_mirrored(y.vector(problem, n, incy), alpha, beta, a, x);
        }
        Ok(())
    })
}

/// How many diagonals below and above the main one are stored, if the half `fill` has k.
fn one_side(fill: Fill, k: i64) -> (i64, i64) {
    match fill {
        Fill::Upper => (0, k),
        Fill::Lower => (k, 0),
    }
}

/// y = alpha A x + beta y, with a symmetric or Hermitian matrix A of which one half is stored.
pub(crate) unsafe extern "C" fn spmv<E: Element, const HERMITIAN: bool, I: Index, F: Form>(
    handle: HandlePointer,
    uplo: Code,
    n: I,
    alpha: Scalar<E>,
    a: F::Array<E>,
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
        let [n, incx, incy] = wide([n, incx, incy]);
        let (a, x, y) = (F::operand(a, stride_a), F::operand(x, stride_x), F::operand(y, stride_y));
        let batch_count = F::count(batch_count);
        let mirror = if HERMITIAN { Mirror::Hermitian } else { Mirror::Symmetric };

        let fill = Fill::legal(uplo)?;
        sizes(n >= 0 && incx != 0 && incy != 0 && batch_count >= 0)?;
        quick_return(n == 0 || batch_count == 0)?;
        let (alpha, beta) = (alpha.value()?, beta.value()?);
        let a_is_read = alpha != E::Number::ZERO;
        quick_return(!a_is_read && beta == E::Number::ONE)?;
        pointers(!y.is_null() && (!a_is_read || !a.is_null() && !x.is_null()))?;

        for problem in 0..batch_count {
            let a = Mirrored::new(a.packed(problem, n, fill), fill, mirror);
            let x = x.vector(problem, n, incx);
            update_by_mirrored(y.vector(problem, n, incy), alpha, beta, a, x);
        }
        Ok(())
    })
}

/// x = op(A) x with a triangular band matrix A of k diagonals next to the main one or, with `SOLVE`, the
/// solution of op(A) x = (the former) x.
pub(crate) unsafe extern "C" fn tbmv<E: Element, const SOLVE: bool, I: Index, F: Form>(
    handle: HandlePointer,
    uplo: Code,
    trans: Code,
    diag: Code,
    n: I,
    k: I,
    a: F::Array<E>,
    lda: I,
    stride_a: F::Stride,
    x: F::Array<E>,
    incx: I,
    stride_x: F::Stride,
    batch_count: F::Count<I>,
) -> Status {
    compute(handle, |_| {
        let [n, k, lda, incx] = wide([n, k, lda, incx]);
        let (a, x) = (F::operand(a, stride_a), F::operand(x, stride_x));
        let batch_count = F::count(batch_count);

        let fill = Fill::legal(uplo)?;
        let operation = Operation::legal(trans)?;
        let diagonal = Diagonal::legal(diag)?;
        sizes(n >= 0 && k >= 0 && lda > k && incx != 0 && batch_count >= 0)?;
        quick_return(n == 0 || batch_count == 0)?;
        pointers(!a.is_null() && !x.is_null())?;

        for problem in 0..batch_count {
            let a = a.band(problem, (n, n), one_side(fill, k), lda);
            let a = Triangle::new(a, fill, operation, diagonal);
            apply::<E, SOLVE>(a, x.vector(problem, n, incx));
        }
        Ok(())
    })
}

/// x = op(A) x with a triangular A whose columns have no gaps or, with `SOLVE`, the solution of op(A) x =
/// (the former) x.
pub(crate) unsafe extern "C" fn tpmv<E: Element, const SOLVE: bool, I: Index, F: Form>(
    handle: HandlePointer,
    uplo: Code,
    trans: Code,
    diag: Code,
    n: I,
    a: F::Array<E>,
    stride_a: F::Stride,
    x: F::Array<E>,
    incx: I,
    stride_x: F::Stride,
    batch_count: F::Count<I>,
) -> Status {
    compute(handle, |_| {
        let [n, incx] = wide([n, incx]);
        let (a, x) = (F::operand(a, stride_a), F::operand(x, stride_x));
        let batch_count = F::count(batch_count);

        let fill = Fill::legal(uplo)?;
        let operation = Operation::legal(trans)?;
        let diagonal = Diagonal::legal(diag)?;
        sizes(n >= 0 && incx != 0 && batch_count >= 0)?;
        quick_return(n == 0 || batch_count == 0)?;
        pointers(!a.is_null() && !x.is_null())?;

        for problem in 0..batch_count {
            let a = Triangle::new(a.packed(problem, n, fill), fill, operation, diagonal);
            apply::<E, SOLVE>(a, x.vector(problem, n, incx));
        }
        Ok(())
    })
}
