//! Sums of matrices, products with a diagonal matrix, and inverses of triangular matrices.

use super::on_the_left;
use crate::abi::{Form, Index, Scalar, compute, wide};
use crate::checks::{Code, Diagonal, Fill, Operation, Side, pointers, quick_return, sizes};
use crate::handle::HandlePointer;
use crate::scalar::{Element, Number};
use crate::status::Status;
use crate::views::{Matrix, Triangle};

/// C = alpha op(A) + beta op(B), m by n. C may be A or B.
pub(crate) unsafe extern "C" fn geam<E: Element, I: Index, F: Form>(
    handle: HandlePointer,
    trans_a: Code,
    trans_b: Code,
    m: I,
    n: I,
    alpha: Scalar<E>,
    a: F::Array<E>,
    lda: I,
    stride_a: F::Stride,
    beta: Scalar<E>,
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

        let (of_a, of_b) = (Operation::legal(trans_a)?, Operation::legal(trans_b)?);
        let stored = |operation| if operation == Operation::None { (m, n) } else { (n, m) };
        let ((a_rows, a_columns), (b_rows, b_columns)) = (stored(of_a), stored(of_b));
        sizes(m >= 0 && n >= 0 && batch_count >= 0 && lda >= a_rows && ldb >= b_rows && ldc >= m)?;
        quick_return(m == 0 || n == 0 || batch_count == 0)?;
        let (alpha, beta) = (alpha.value()?, beta.value()?);
        let (reads_a, reads_b) = (alpha != E::Number::ZERO, beta != E::Number::ZERO);
        pointers(!c.is_null() && (!reads_a || !a.is_null()) && (!reads_b || !b.is_null()))?;

        for problem in 0..batch_count {
            let a = a.matrix(problem, a_rows, a_columns, lda).operated(of_a);
            let b = b.matrix(problem, b_rows, b_columns, ldb).operated(of_b);
            let c = c.matrix(problem, m, n, ldc);
            for j in 0..n {
                for i in 0..m {
                    let zero = E::Number::ZERO;
                    let of_a = if reads_a { alpha * a.get(i, j) } else { zero };
                    let of_b = if reads_b { beta * b.get(i, j) } else { zero };
                    c.set(i, j, of_a + of_b);
                }
            }
        }
        Ok(())
    })
}

/// C = diag(x) A, or A diag(x), m by n.
pub(crate) unsafe extern "C" fn dgmm<E: Element, I: Index, F: Form>(
    handle: HandlePointer,
    side: Code,
    m: I,
    n: I,
    a: F::Array<E>,
    lda: I,
    stride_a: F::Stride,
    x: F::Array<E>,
    incx: I,
    stride_x: F::Stride,
    c: F::Array<E>,
    ldc: I,
    stride_c: F::Stride,
    batch_count: F::Count<I>,
) -> Status {
    compute(handle, |_| {
        let [m, n, lda, incx, ldc] = wide([m, n, lda, incx, ldc]);
        let (a, x, c) = (F::operand(a, stride_a), F::operand(x, stride_x), F::operand(c, stride_c));
        let batch_count = F::count(batch_count);

        let side = Side::legal(side)?;
        sizes(m >= 0 && n >= 0 && batch_count >= 0 && lda >= m && ldc >= m)?;
        quick_return(m == 0 || n == 0 || batch_count == 0)?;
        pointers(!a.is_null() && !x.is_null() && !c.is_null())?;

        for problem in 0..batch_count {
            let (a, c) = (a.matrix(problem, m, n, lda), c.matrix(problem, m, n, ldc));
            let (a, c) = on_the_left(side, (a, Matrix::transposed), (c, Matrix::transposed));
            let x = x.vector(problem, c.rows(), incx);
            for j in 0..c.columns() {
                for i in 0..c.rows() {
                    c.set(i, j, x.get(i) * a.get(i, j));
                }
            }
        }
        Ok(())
    })
}

/// The inverse of a triangular n by n matrix A. It may overwrite A.
pub(crate) unsafe extern "C" fn trtri<E: Element, I: Index, F: Form>(
    handle: HandlePointer,
    uplo: Code,
    diag: Code,
    n: I,
    a: F::Array<E>,
    lda: I,
    stride_a: F::Stride,
    inverse: F::Array<E>,
    ld_inverse: I,
    stride_inverse: F::Stride,
    batch_count: F::Count<I>,
) -> Status {
    compute(handle, |_| {
        let [n, lda, ld_inverse] = wide([n, lda, ld_inverse]);
        let (a, inverse) = (F::operand(a, stride_a), F::operand(inverse, stride_inverse));
        let batch_count = F::count(batch_count);

        let fill = Fill::legal(uplo)?;
        let diagonal = Diagonal::legal(diag)?;
        sizes(n >= 0 && lda >= n && ld_inverse >= n && batch_count >= 0)?;
        quick_return(n == 0 || batch_count == 0)?;
        pointers(!a.is_null() && !inverse.is_null())?;

        for problem in 0..batch_count {
            let a = a.matrix(problem, n, n, lda);
            let a = Triangle::new(a, fill, Operation::None, diagonal);
            let inverse = inverse.matrix(problem, n, n, ld_inverse);
            let column = |j: i64| {
                let mut column = vec![E::Number::ZERO; n as usize];
                column[j as usize] = E::Number::ONE;
                a.solve(&mut column);
                column
            };
            // All columns are computed before the first is written.
            let columns: Vec<_> = (0..n).map(column).collect();
            for (j, column) in (0..).zip(columns) {
                let rows = if fill == Fill::Lower { j..n } else { 0..j + 1 };
                for i in rows {
                    inverse.set(i, j, column[i as usize]);
                }
            }
        }
        Ok(())
    })
}
