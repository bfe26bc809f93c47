//! Level 1: vectors.

pub(crate) mod extended;
pub(crate) mod modified;

use crate::abi::{Form, Index, Operand, Results, Scalar, compute, wide};
use crate::checks::{pointers, quick_return};
use crate::faults::{terms, wrote};
use crate::handle::HandlePointer;
use crate::scalar::{Element, Number, Scale};
use crate::status::{Course, Status};
use crate::views::Vector;

/// y = alpha x + y
pub(crate) unsafe extern "C" fn axpy<E: Element, I: Index, F: Form>(
    handle: HandlePointer,
    n: I,
    alpha: Scalar<E>,
    x: F::Array<E>,
    incx: I,
    stride_x: F::Stride,
    y: F::Array<E>,
    incy: I,
    stride_y: F::Stride,
    batch_count: F::Count<I>,
) -> Status {
    compute(handle, |_| {
        let [n, incx, incy] = wide([n, incx, incy]);
        let (x, y) = (F::operand(x, stride_x), F::operand(y, stride_y));
        let batch_count = F::count(batch_count);
        quick_return(n <= 0 || batch_count <= 0)?;
        add_scaled([n, incx, incy, batch_count], alpha, x, y)
    })
}

/// y = alpha x + y for vectors that are not empty.
fn add_scaled<A: Element, E: Element<Number = A::Number>>(
    [n, incx, incy, batch_count]: [i64; 4],
    alpha: Scalar<A>,
    x: Operand<E>,
    y: Operand<E>,
) -> Course {
    let alpha = alpha.value()?;
    quick_return(alpha == A::Number::ZERO)?;
    pointers(!x.is_null() && !y.is_null())?;

    for problem in 0..batch_count {
        let (x, y) = (x.vector(problem, n, incx), y.vector(problem, n, incy));
        for i in 0..n {
            y.set(i, alpha * x.get(i) + y.get(i));
        }
    }
    Ok(())
}

/// x = alpha x, where alpha may be real for a complex x.
pub(crate) unsafe extern "C" fn scal<E: Element, A: Element, I: Index, F: Form>(
    handle: HandlePointer,
    n: I,
    alpha: Scalar<A>,
    x: F::Array<E>,
    incx: I,
    stride_x: F::Stride,
    batch_count: F::Count<I>,
) -> Status
where
    E::Number: Scale<A::Number>,
{
    compute(handle, |_| {
        let [n, incx] = wide([n, incx]);
        let x = F::operand(x, stride_x);
        let batch_count = F::count(batch_count);

        quick_return(n <= 0 || incx <= 0 || batch_count <= 0)?;
        pointers(!x.is_null())?;
        scale([n, incx, batch_count], alpha, x)
    })
}

/// x = alpha x for vectors that are not empty. If alpha is one, x may be null.
fn scale<A: Element, E: Element>(
    [n, incx, batch_count]: [i64; 3],
    alpha: Scalar<A>,
    x: Operand<E>,
) -> Course
where
    E::Number: Scale<A::Number>,
{
    let alpha = alpha.value()?;
    quick_return(alpha == A::Number::ONE)?;
    pointers(!x.is_null())?;

    for problem in 0..batch_count {
        let x = x.vector(problem, n, incx);
        for i in 0..n {
            x.set(i, x.get(i).scaled(alpha));
        }
    }
    Ok(())
}

/// y = x
pub(crate) unsafe extern "C" fn copy<E: Element, I: Index, F: Form>(
    handle: HandlePointer,
    n: I,
    x: F::Array<E>,
    incx: I,
    stride_x: F::Stride,
    y: F::Array<E>,
    incy: I,
    stride_y: F::Stride,
    batch_count: F::Count<I>,
) -> Status {
    compute(handle, |_| {
        let [n, incx, incy] = wide([n, incx, incy]);
        let (x, y) = (F::operand(x, stride_x), F::operand(y, stride_y));
        let batch_count = F::count(batch_count);

        quick_return(n <= 0 || batch_count <= 0)?;
        pointers(!x.is_null() && !y.is_null())?;

        for problem in 0..batch_count {
            let (x, y) = (x.vector(problem, n, incx), y.vector(problem, n, incy));
            for i in 0..n {
                y.set(i, x.get(i));
            }
        }
        Ok(())
    })
}

/// x and y exchange their values.
pub(crate) unsafe extern "C" fn swap<E: Element, I: Index, F: Form>(
    handle: HandlePointer,
    n: I,
    x: F::Array<E>,
    incx: I,
    stride_x: F::Stride,
    y: F::Array<E>,
    incy: I,
    stride_y: F::Stride,
    batch_count: F::Count<I>,
) -> Status {
    compute(handle, |_| {
        let [n, incx, incy] = wide([n, incx, incy]);
        let (x, y) = (F::operand(x, stride_x), F::operand(y, stride_y));
        let batch_count = F::count(batch_count);

        quick_return(n <= 0 || batch_count <= 0)?;
        pointers(!x.is_null() && !y.is_null())?;

        for problem in 0..batch_count {
            let (x, y) = (x.vector(problem, n, incx), y.vector(problem, n, incy));
            for i in 0..n {
                let former = x.get(i);
                x.set(i, y.get(i));
                y.set(i, former);
            }
        }
        Ok(())
    })
}

/// The sum of x y, or of conj(x) y.
pub(crate) unsafe extern "C" fn dot<E: Element, const CONJUGATED: bool, I: Index, F: Form>(
    handle: HandlePointer,
    n: I,
    x: F::Array<E>,
    incx: I,
    stride_x: F::Stride,
    y: F::Array<E>,
    incy: I,
    stride_y: F::Stride,
    batch_count: F::Count<I>,
    results: Results<E>,
) -> Status {
    compute(handle, |_| {
        let [n, incx, incy] = wide([n, incx, incy]);
        let (x, y) = (F::operand(x, stride_x), F::operand(y, stride_y));
        let batch_count = F::count(batch_count);

        quick_return(batch_count <= 0)?;
        pointers(!results.is_null() && (n <= 0 || !x.is_null() && !y.is_null()))?;
        sums_of_products::<_, _, CONJUGATED>([n, incx, incy, batch_count], x, y, results);
        Ok(())
    })
}

/// The sum of x y, or of conj(x) y, for each problem; zero for vectors that are empty.
fn sums_of_products<E: Element, R: Element<Number = E::Number>, const CONJUGATED: bool>(
    [n, incx, incy, batch_count]: [i64; 4],
    x: Operand<E>,
    y: Operand<E>,
    results: Results<R>,
) {
    for problem in 0..batch_count {
        let (x, y) = (x.vector(problem, n.max(0), incx), y.vector(problem, n.max(0), incy));
        let sum = terms(n).fold(E::Number::ZERO, |sum, i| {
            let factor = if CONJUGATED { x.get(i).conjugate() } else { x.get(i) };
            sum + factor * y.get(i)
        });
        results.set(problem, R::store(sum));
        wrote(sum, move |sum| results.set(problem, R::store(sum)));
    }
}

/// The common part of the four reductions of one vector: the checks, and zero for a vector that is
/// empty or has an increment that is not positive.
fn reduce<E: Element, R: Copy>(
    [n, incx, batch_count]: [i64; 3],
    x: Operand<E>,
    results: Results<R>,
    zero: R,
    reduction: impl Fn(Vector<E>) -> R,
) -> Course {
    let empty = n <= 0 || incx <= 0;

    pointers(!results.is_null())?;
    quick_return(batch_count <= 0)?;
    pointers(empty || !x.is_null())?;

    for problem in 0..batch_count {
        results.set(problem, if empty { zero } else { reduction(x.vector(problem, n, incx)) });
    }
    Ok(())
}

/// The Euclidean norm of x.
pub(crate) unsafe extern "C" fn nrm2<E: Element, I: Index, F: Form>(
    handle: HandlePointer,
    n: I,
    x: F::Array<E>,
    incx: I,
    stride_x: F::Stride,
    batch_count: F::Count<I>,
    results: Results<E::Real>,
) -> Status
where
    <E::Real as Element>::Number: FromDouble,
{
    compute(handle, |_| {
        let zero = E::Real::store(Number::ZERO);
        let [n, incx] = wide([n, incx]);
        let sizes = [n, incx, F::count(batch_count)];
        reduce(sizes, F::operand(x, stride_x), results, zero, rounded_norm::<E, _>)
    })
}

/// The norm of a vector, rounded to the type of the result.
fn rounded_norm<E: Element, R: Element<Number: FromDouble>>(x: Vector<E>) -> R {
    R::store(FromDouble::from_double(norm(x)))
}

/// Scales by the largest part, so that squares neither overflow nor vanish.
fn norm<E: Element>(x: Vector<E>) -> f64 {
    let parts = || (0..x.len()).flat_map(|i| x.get(i).parts());
    // Unlike `f64::max`, this propagates a NaN.
    let scale = parts()
        .map(f64::abs)
        .fold(0.0, |max, part| if part > max || part.is_nan() { part } else { max });
    if scale == 0.0 || !scale.is_finite() {
        return scale;
    }
    scale * parts().map(|part| (part / scale).powi(2)).sum::<f64>().sqrt()
}

/// Rounding of a double precision result to the precision of a routine.
pub(crate) trait FromDouble {
    fn from_double(value: f64) -> Self;
}

impl FromDouble for f32 {
    fn from_double(value: f64) -> Self {
        value as f32
    }
}

impl FromDouble for f64 {
    fn from_double(value: f64) -> Self {
        value
    }
}

/// The sum of |re| + |im|.
pub(crate) unsafe extern "C" fn asum<E: Element, I: Index, F: Form>(
    handle: HandlePointer,
    n: I,
    x: F::Array<E>,
    incx: I,
    stride_x: F::Stride,
    batch_count: F::Count<I>,
    results: Results<E::Real>,
) -> Status {
    compute(handle, |_| {
        let zero = E::Real::store(Number::ZERO);
        let [n, incx] = wide([n, incx]);
        let sizes = [n, incx, F::count(batch_count)];
        reduce(sizes, F::operand::<E>(x, stride_x), results, zero, |x| {
            let magnitudes = terms(x.len()).map(|i| x.get(i).magnitude());
            E::Real::store(magnitudes.fold(Number::ZERO, |sum, magnitude| sum + magnitude))
        })
    })
}

/// The position, counted from one, of the first element with the largest magnitude, or with the
/// smallest.
pub(crate) unsafe extern "C" fn iamax<E: Element, const SMALLEST: bool, I: Index, F: Form>(
    handle: HandlePointer,
    n: I,
    x: F::Array<E>,
    incx: I,
    stride_x: F::Stride,
    batch_count: F::Count<I>,
    results: Results<I>,
) -> Status {
    compute(handle, |_| {
        let zero = I::from_position(0);
        let [n, incx] = wide([n, incx]);
        let sizes = [n, incx, F::count(batch_count)];
        reduce(sizes, F::operand::<E>(x, stride_x), results, zero, |x| {
            let better = |candidate, best| {
                if SMALLEST { candidate < best } else { candidate > best }
            };
            let mut best = 0;
            for i in 1..x.len() {
                if better(x.get(i).magnitude(), x.get(best).magnitude()) {
                    best = i;
                }
            }
            I::from_position(best + 1)
        })
    })
}

/// (x, y) = (c x + s y, c y - conj(s) x)
pub(crate) unsafe extern "C" fn rot<E: Element, S: Element, I: Index, F: Form>(
    handle: HandlePointer,
    n: I,
    x: F::Array<E>,
    incx: I,
    stride_x: F::Stride,
    y: F::Array<E>,
    incy: I,
    stride_y: F::Stride,
    c: Scalar<E::Real>,
    s: Scalar<S>,
    batch_count: F::Count<I>,
) -> Status
where
    E::Number: Scale<S::Number>,
{
    compute(handle, |_| {
        let [n, incx, incy] = wide([n, incx, incy]);
        let (x, y) = (F::operand(x, stride_x), F::operand(y, stride_y));
        let batch_count = F::count(batch_count);

        quick_return(n <= 0 || batch_count <= 0)?;
        pointers(!x.is_null() && !y.is_null())?;
        rotate([n, incx, incy, batch_count], x, y, c.value()?, s.value()?);
        Ok(())
    })
}

/// (x, y) = (c x + s y, c y - conj(s) x)
fn rotate<E: Element, S: Number>(
    [n, incx, incy, batch_count]: [i64; 4],
    x: Operand<E>,
    y: Operand<E>,
    c: <E::Number as Number>::Real,
    s: S,
) where
    E::Number: Scale<S>,
{
    for problem in 0..batch_count {
        let (x, y) = (x.vector(problem, n, incx), y.vector(problem, n, incy));
        for i in 0..n {
            let (xi, yi) = (x.get(i), y.get(i));
            x.set(i, xi * c + yi.scaled(s));
            y.set(i, yi * c - xi.scaled(s.conjugate()));
        }
    }
}

/// Sets up the rotation that annihilates b. It has no sizes: each array holds one number per problem.
pub(crate) unsafe extern "C" fn rotg<E: Element, I: Index, F: Form>(
    handle: HandlePointer,
    a: F::Array<E>,
    stride_a: F::Stride,
    b: F::Array<E>,
    stride_b: F::Stride,
    c: F::Array<E::Real>,
    stride_c: F::Stride,
    s: F::Array<E>,
    stride_s: F::Stride,
    batch_count: F::Count<I>,
) -> Status {
    compute(handle, |_| {
        let (a, b) = (F::operand(a, stride_a), F::operand(b, stride_b));
        let (c, s) = (F::operand(c, stride_c), F::operand(s, stride_s));
        let batch_count = F::count(batch_count);

        quick_return(batch_count <= 0)?;
        pointers(!a.is_null() && !b.is_null() && !c.is_null() && !s.is_null())?;

        for problem in 0..batch_count {
            let (a, b) = (a.vector(problem, 1, 1), b.vector(problem, 1, 1));
            let (new_a, new_b, cosine, sine) = Number::givens(a.get(0), b.get(0));
            a.set(0, new_a);
            b.set(0, new_b);
            c.vector(problem, 1, 1).set(0, cosine);
            s.vector(problem, 1, 1).set(0, sine);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests;
