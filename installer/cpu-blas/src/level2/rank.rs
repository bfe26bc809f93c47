//! Updates of a symmetric or Hermitian matrix by vectors.

use crate::abi::{Form, Index, Operand, Scalar, compute, wide};
use crate::checks::{Code, Fill, pointers, quick_return, sizes};
use crate::handle::HandlePointer;
use crate::scalar::{Element, Number, Scale};
use crate::status::{Course, Status};
use crate::views::Matrix;

/// A = alpha x x^T + A, or x x^H with a real alpha and `HERMITIAN`.
pub(crate) unsafe extern "C" fn syr<
    E: Element,
    S: Element,
    const HERMITIAN: bool,
    I: Index,
    F: Form,
>(
    handle: HandlePointer,
    uplo: Code,
    n: I,
    alpha: Scalar<S>,
    x: F::Array<E>,
    incx: I,
    stride_x: F::Stride,
    a: F::Array<E>,
    lda: I,
    stride_a: F::Stride,
    batch_count: F::Count<I>,
) -> Status
where
    E::Number: Scale<S::Number>,
{
    compute(handle, |_| {
        let [n, incx, lda] = wide([n, incx, lda]);
        let (x, a) = (F::operand(x, stride_x), F::operand(a, stride_a));
        let fill = Fill::legal(uplo)?;
        sizes(lda >= n.max(1))?;
        let view = |problem| a.matrix(problem, n, n, lda);
        let batch_count = F::count(batch_count);
        by_one::<_, _, HERMITIAN>(fill, n, alpha, (x, incx), (a, &view), batch_count)
    })
}

/// The same for a matrix whose columns have no gaps.
pub(crate) unsafe extern "C" fn spr<
    E: Element,
    S: Element,
    const HERMITIAN: bool,
    I: Index,
    F: Form,
>(
    handle: HandlePointer,
    uplo: Code,
    n: I,
    alpha: Scalar<S>,
    x: F::Array<E>,
    incx: I,
    stride_x: F::Stride,
    a: F::Array<E>,
    stride_a: F::Stride,
    batch_count: F::Count<I>,
) -> Status
where
    E::Number: Scale<S::Number>,
{
    compute(handle, |_| {
        let [n, incx] = wide([n, incx]);
        let (x, a) = (F::operand(x, stride_x), F::operand(a, stride_a));
        let fill = Fill::legal(uplo)?;
        let view = |problem| a.packed(problem, n, fill);
        let batch_count = F::count(batch_count);
        by_one::<_, _, HERMITIAN>(fill, n, alpha, (x, incx), (a, &view), batch_count)
    })
}

/// A = alpha x y^T + alpha y x^T + A, or alpha x y^H + conj(alpha) y x^H + A with `HERMITIAN`.
pub(crate) unsafe extern "C" fn syr2<E: Element, const HERMITIAN: bool, I: Index, F: Form>(
    handle: HandlePointer,
    uplo: Code,
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
        let [n, incx, incy, lda] = wide([n, incx, incy, lda]);
        let (x, y, a) = (F::operand(x, stride_x), F::operand(y, stride_y), F::operand(a, stride_a));
        let fill = Fill::legal(uplo)?;
        sizes(lda >= n.max(1))?;
        let view = |problem| a.matrix(problem, n, n, lda);
        let batch_count = F::count(batch_count);
        by_two::<_, HERMITIAN>(fill, n, alpha, (x, incx), (y, incy), (a, &view), batch_count)
    })
}

/// The same for a matrix whose columns have no gaps.
pub(crate) unsafe extern "C" fn spr2<E: Element, const HERMITIAN: bool, I: Index, F: Form>(
    handle: HandlePointer,
    uplo: Code,
    n: I,
    alpha: Scalar<E>,
    x: F::Array<E>,
    incx: I,
    stride_x: F::Stride,
    y: F::Array<E>,
    incy: I,
    stride_y: F::Stride,
    a: F::Array<E>,
    stride_a: F::Stride,
    batch_count: F::Count<I>,
) -> Status {
    compute(handle, |_| {
        let [n, incx, incy] = wide([n, incx, incy]);
        let (x, y, a) = (F::operand(x, stride_x), F::operand(y, stride_y), F::operand(a, stride_a));
        let fill = Fill::legal(uplo)?;
        let view = |problem| a.packed(problem, n, fill);
        let batch_count = F::count(batch_count);
        by_two::<_, HERMITIAN>(fill, n, alpha, (x, incx), (y, incy), (a, &view), batch_count)
    })
}

/// The matrix argument, and a function that returns the matrix of each problem.
type Updated<'a, E> = (Operand<E>, &'a dyn Fn(i64) -> Matrix<E>);

fn by_one<E: Element, S: Element, const HERMITIAN: bool>(
    fill: Fill,
    n: i64,
    alpha: Scalar<S>,
    (x, incx): (Operand<E>, i64),
    (a, view): Updated<'_, E>,
    batch_count: i64,
) -> Course
where
    E::Number: Scale<S::Number>,
{
    sizes(n >= 0 && incx != 0 && batch_count >= 0)?;
    quick_return(n == 0 || batch_count == 0)?;
    let alpha = alpha.value()?;
    quick_return(alpha == S::Number::ZERO)?;
    pointers(!a.is_null() && !x.is_null())?;

    for problem in 0..batch_count {
        let x = x.vector(problem, n, incx);
        add::<E, HERMITIAN>(fill, view(problem), |i, j| {
            (x.get(i) * mirrored::<E, HERMITIAN>(x.get(j))).scaled(alpha)
        });
    }
    Ok(())
}

fn by_two<E: Element, const HERMITIAN: bool>(
    fill: Fill,
    n: i64,
    alpha: Scalar<E>,
    (x, incx): (Operand<E>, i64),
    (y, incy): (Operand<E>, i64),
    (a, view): Updated<'_, E>,
    batch_count: i64,
) -> Course {
    sizes(n >= 0 && incx != 0 && incy != 0 && batch_count >= 0)?;
    quick_return(n == 0 || batch_count == 0)?;
    let alpha = alpha.value()?;
    quick_return(alpha == E::Number::ZERO)?;
    pointers(!a.is_null() && !x.is_null() && !y.is_null())?;

    for problem in 0..batch_count {
        let (x, y) = (x.vector(problem, n, incx), y.vector(problem, n, incy));
        let of = mirrored::<E, HERMITIAN>;
        add::<E, HERMITIAN>(fill, view(problem), |i, j| {
            alpha * x.get(i) * of(y.get(j)) + of(alpha) * y.get(i) * of(x.get(j))
        });
    }
    Ok(())
}

/// The value of the mirrored element: conjugated if the matrix is Hermitian.
fn mirrored<E: Element, const HERMITIAN: bool>(value: E::Number) -> E::Number {
    if HERMITIAN { value.conjugate() } else { value }
}

/// Adds to each element of the stored half. A Hermitian diagonal becomes real.
fn add<E: Element, const HERMITIAN: bool>(
    fill: Fill,
    a: Matrix<E>,
    value: impl Fn(i64, i64) -> E::Number,
) {
    for j in 0..a.columns() {
        let rows = if fill == Fill::Lower { j..a.rows() } else { 0..j + 1 };
        for i in rows {
            let sum = value(i, j) + a.get(i, j);
            let is_real = HERMITIAN && i == j;
            a.set(i, j, if is_real { Number::from_real(sum.real()) } else { sum });
        }
    }
}
