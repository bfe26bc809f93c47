//! Level 1 with the types given by arguments: axpy, scal, dot, nrm2 and rot with `_ex`.
//!
//! rocBLAS accepts the combinations that its documentation lists and returns `not_implemented` for all
//! others. The types are checked late: a call that has nothing to compute, or lacks a pointer, returns before.
//! 16-bit numbers are added in single precision, even if the type of the computation is half precision.

use half::{bf16, f16};
use num_complex::Complex;
use rocblas_abi::operands::Element as ResultType;

use super::{add_scaled, reduce, rotate, rounded_norm, scale, sums_of_products};
use crate::abi::{Form, Index, Operand, Results, Scalar, Untyped, compute, wide};
use crate::checks::{Code, pointers, quick_return};
use crate::datatype::{BF16, C32, C64, F16, F32, F64};
use crate::handle::HandlePointer;
use crate::scalar::{Element, InDouble, Number, Scale};
use crate::status::{Course, Status};

/// y = alpha x + y
pub(crate) unsafe extern "C" fn axpy_ex<I: Index, F: Form>(
    handle: HandlePointer,
    n: I,
    alpha: Scalar<Untyped>,
    alpha_type: Code,
    x: F::Array<Untyped>,
    x_type: Code,
    incx: I,
    stride_x: F::Stride,
    y: F::Array<Untyped>,
    y_type: Code,
    incy: I,
    stride_y: F::Stride,
    batch_count: F::Count<I>,
    execution_type: Code,
) -> Status {
    compute(handle, |_| {
        let [n, incx, incy] = wide([n, incx, incy]);
        let (x, y) = (F::operand(x, stride_x), F::operand(y, stride_y));
        let batch_count = F::count(batch_count);

        quick_return(n <= 0 || batch_count <= 0)?;
        pointers(!alpha.is_null())?;
        let sizes = [n, incx, incy, batch_count];
        macro_rules! run {
            ($alpha:ty, $element:ty) => {
                add_scaled::<$alpha, $element>(sizes, alpha.of(), x.of(), y.of())
            };
        }
        match (alpha_type, x_type, y_type, execution_type) {
            (BF16, BF16, BF16, F32) => run!(bf16, bf16),
            (F32, BF16, BF16, F32) => run!(f32, bf16),
            (F16, F16, F16, F16 | F32) => run!(f16, f16),
            (F32, F16, F16, F32) => run!(f32, f16),
            (F32, F32, F32, F32) => run!(f32, f32),
            (F64, F64, F64, F64) => run!(f64, f64),
            (C32, C32, C32, C32) => run!(Complex<f32>, Complex<f32>),
            (C64, C64, C64, C64) => run!(Complex<f64>, Complex<f64>),
            _ => Err(Status::NotImplemented),
        }
    })
}

/// x = alpha x, where alpha may be real for a complex x.
pub(crate) unsafe extern "C" fn scal_ex<I: Index, F: Form>(
    handle: HandlePointer,
    n: I,
    alpha: Scalar<Untyped>,
    alpha_type: Code,
    x: F::Array<Untyped>,
    x_type: Code,
    incx: I,
    stride_x: F::Stride,
    batch_count: F::Count<I>,
    execution_type: Code,
) -> Status {
    compute(handle, |_| {
        let [n, incx] = wide([n, incx]);
        let x = F::operand(x, stride_x);
        let batch_count = F::count(batch_count);

        quick_return(n <= 0 || incx <= 0 || batch_count <= 0)?;
        let sizes = [n, incx, batch_count];
        macro_rules! run {
            ($alpha:ty, $element:ty) => {
                scale::<$alpha, $element>(sizes, alpha.of(), x.of())
            };
        }
        match (alpha_type, x_type, execution_type) {
            (BF16, BF16, F32) => run!(bf16, bf16),
            (F32, BF16, F32) => run!(f32, bf16),
            (F16, F16, F16 | F32) => run!(f16, f16),
            (F32, F16, F32) => run!(f32, f16),
            (F32, F32, F32) => run!(f32, f32),
            (F64, F64, F64) => run!(f64, f64),
            (C32, C32, C32) => run!(Complex<f32>, Complex<f32>),
            (C64, C64, C64) => run!(Complex<f64>, Complex<f64>),
            (F32, C32, C32) => run!(f32, Complex<f32>),
            (F64, C64, C64) => run!(f64, Complex<f64>),
            _ => Err(Status::NotImplemented),
        }
    })
}

/// The sum of x y, or of conj(x) y.
pub(crate) unsafe extern "C" fn dot_ex<const CONJUGATED: bool, I: Index, F: Form>(
    handle: HandlePointer,
    n: I,
    x: F::Array<Untyped>,
    x_type: Code,
    incx: I,
    stride_x: F::Stride,
    y: F::Array<Untyped>,
    y_type: Code,
    incy: I,
    stride_y: F::Stride,
    batch_count: F::Count<I>,
    results: Results<Untyped>,
    result_type: Code,
    execution_type: Code,
) -> Status {
    compute(handle, |_| {
        let [n, incx, incy] = wide([n, incx, incy]);
        let (x, y) = (F::operand(x, stride_x), F::operand(y, stride_y));
        let batch_count = F::count(batch_count);

        quick_return(batch_count <= 0)?;
        pointers(!results.is_null())?;
        clear_if(n <= 0, results, result_type, batch_count)?;
        pointers(!x.is_null() && !y.is_null())?;
        let sizes = [n, incx, incy, batch_count];
        macro_rules! run {
            ($element:ty, $result:ty) => {
                sums_of_products::<$element, $result, CONJUGATED>(
                    sizes,
                    x.of(),
                    y.of(),
                    results.of(),
                )
            };
        }
        match (x_type, y_type, result_type, execution_type) {
            (F16, F16, F16, F16 | F32) => run!(f16, f16),
            (BF16, BF16, BF16, F32) => run!(bf16, bf16),
            (F32, F32, F32, F32) => run!(f32, f32),
            (F32, F32, F64, F64) => run!(InDouble<f32>, f64),
            (F64, F64, F64, F64) => run!(f64, f64),
            (C32, C32, C32, C32) => run!(Complex<f32>, Complex<f32>),
            (C64, C64, C64, C64) => run!(Complex<f64>, Complex<f64>),
            _ => return Err(Status::NotImplemented),
        }
        Ok(())
    })
}

/// If there are no elements, sets the results to zero and ends the call, for any type of the results.
fn clear_if(
    is_empty: bool,
    results: Results<Untyped>,
    result_type: Code,
    batch_count: i64,
) -> Course {
    if is_empty && batch_count > 0 {
        let size = ResultType::of_datatype(result_type).map_or(0, ResultType::size);
        results.clear(size, batch_count);
    }
    quick_return(is_empty)
}

/// The Euclidean norm of x.
pub(crate) unsafe extern "C" fn nrm2_ex<I: Index, F: Form>(
    handle: HandlePointer,
    n: I,
    x: F::Array<Untyped>,
    x_type: Code,
    incx: I,
    stride_x: F::Stride,
    batch_count: F::Count<I>,
    results: Results<Untyped>,
    result_type: Code,
    execution_type: Code,
) -> Status {
    compute(handle, |_| {
        let [n, incx] = wide([n, incx]);
        let x = F::operand(x, stride_x);
        let batch_count = F::count(batch_count);

        pointers(!results.is_null())?;
        let is_empty = n <= 0 || incx <= 0 || batch_count <= 0;
        clear_if(is_empty, results, result_type, batch_count)?;
        pointers(!x.is_null())?;
        let sizes = [n, incx, batch_count];
        macro_rules! run {
            ($element:ty, $result:ty) => {
                reduce(
                    sizes,
                    x.of(),
                    results.of(),
                    <$result>::store(Number::ZERO),
                    rounded_norm::<$element, $result>,
                )
            };
        }
        match (x_type, result_type, execution_type) {
            (BF16, BF16, F32) => run!(bf16, bf16),
            (F16, F16, F32) => run!(f16, f16),
            (F32, F32, F32) => run!(f32, f32),
            (F64, F64, F64) => run!(f64, f64),
            (C32, F32, F32) => run!(Complex<f32>, f32),
            (C64, F64, F64) => run!(Complex<f64>, f64),
            _ => Err(Status::NotImplemented),
        }
    })
}

/// (x, y) = (c x + s y, c y - conj(s) x). c and s have the same type; of a complex c, the real part is used.
pub(crate) unsafe extern "C" fn rot_ex<I: Index, F: Form>(
    handle: HandlePointer,
    n: I,
    x: F::Array<Untyped>,
    x_type: Code,
    incx: I,
    stride_x: F::Stride,
    y: F::Array<Untyped>,
    y_type: Code,
    incy: I,
    stride_y: F::Stride,
    c: Scalar<Untyped>,
    s: Scalar<Untyped>,
    cs_type: Code,
    batch_count: F::Count<I>,
    execution_type: Code,
) -> Status {
    compute(handle, |_| {
        let [n, incx, incy] = wide([n, incx, incy]);
        let (x, y) = (F::operand(x, stride_x), F::operand(y, stride_y));
        let batch_count = F::count(batch_count);

        quick_return(n <= 0 || batch_count <= 0)?;
        pointers(!x.is_null() && !y.is_null() && !c.is_null() && !s.is_null())?;
        let rotation = Rotation { sizes: [n, incx, incy, batch_count], x, y, c, s };
        match (x_type, y_type, cs_type, execution_type) {
            (BF16, BF16, BF16, F32) => rotation.run::<bf16, bf16>(),
            (F16, F16, F16, F32) => rotation.run::<f16, f16>(),
            (F32, F32, F32, F32) => rotation.run::<f32, f32>(),
            (F64, F64, F64, F64) => rotation.run::<f64, f64>(),
            (C32, C32, C32, C32) => rotation.run::<Complex<f32>, Complex<f32>>(),
            (C32, C32, F32, C32) => rotation.run::<Complex<f32>, f32>(),
            (C64, C64, C64, C64) => rotation.run::<Complex<f64>, Complex<f64>>(),
            (C64, C64, F64, C64) => rotation.run::<Complex<f64>, f64>(),
            _ => Err(Status::NotImplemented),
        }
    })
}

/// The arguments of `rot_ex` before their types are determined.
struct Rotation {
    sizes: [i64; 4],
    x: Operand<Untyped>,
    y: Operand<Untyped>,
    c: Scalar<Untyped>,
    s: Scalar<Untyped>,
}

impl Rotation {
    /// Runs with elements of type `E`, and with c and s of type `S`.
    fn run<E: Element, S: Element>(self) -> Course
    where
        E::Number: Scale<S::Number>,
        S::Number: Number<Real = <E::Number as Number>::Real>,
    {
        let (c, s) = (self.c.of::<S>().value()?.real(), self.s.of::<S>().value()?);
        rotate::<E, _>(self.sizes, self.x.of(), self.y.of(), c, s);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
