//! Level 3 with the types given by arguments, apart from gemm: trsm, geam, syrk and herk with `_ex`. `geam_ex`
//! is a product in which additions and minima take the place of multiplications and additions.

use half::{bf16, f16};
use num_complex::Complex;

use super::{solve, update_half};
use crate::abi::{Form, Index, Operand, Scalar, Untyped, compute, wide};
use crate::checks::{Code, Operation, pointers, quick_return, sizes, values};
use crate::datatype::{BF16, C32, C64, F16, F32, F64};
use crate::faults::terms;
use crate::handle::HandlePointer;
use crate::level1::FromDouble;
use crate::scalar::{Element, InDouble, Number, Scale};
use crate::status::{Course, Status};
use crate::views::Mirror;

/// B = the X that solves op(A) X = alpha B, or X op(A) = alpha B: A triangular, B m by n.
///
/// The inverses of A's diagonal blocks, which the caller may pass, do not change the solution: they save the
/// GPU the time to compute them, and are not read here.
pub(crate) unsafe extern "C" fn trsm_ex<I: Index, F: Form>(
    handle: HandlePointer,
    side: Code,
    uplo: Code,
    trans: Code,
    diag: Code,
    m: I,
    n: I,
    alpha: Scalar<Untyped>,
    a: F::Array<Untyped>,
    lda: I,
    stride_a: F::Stride,
    b: F::Array<Untyped>,
    ldb: I,
    stride_b: F::Stride,
    batch_count: F::Count<I>,
    _inverses: F::Array<Untyped>,
    _inverses_size: I,
    _stride_inverses: F::Stride,
    compute_type: Code,
) -> Status {
    macro_rules! run {
        ($element:ty) => {
            compute(handle, |handle| {
                let sizes = wide([m, n, lda, ldb]);
                let (a, b) = (F::operand(a, stride_a).of(), F::operand(b, stride_b).of());
                let codes = [side, uplo, trans, diag];
                let batch_count = F::count(batch_count);
                solve::<$element>(handle, codes, sizes, alpha.of(), a, b, batch_count)
            })
        };
    }
    // The vendor checks the type even before the handle.
    match compute_type {
        F32 => run!(f32),
        F64 => run!(f64),
        C32 => run!(Complex<f32>),
        C64 => run!(Complex<f64>),
        _ => Status::NotImplemented,
    }
}

/// C = alpha op(A) op(A)^T + beta C for one half of C, as `syrk_ex`, or with ^H and real scalars as `herk_ex`.
/// rocBLAS supports only types that differ, which the plain routines do not have.
pub(crate) unsafe extern "C" fn rank_k_ex<const HERMITIAN: bool, I: Index, F: Form>(
    handle: HandlePointer,
    uplo: Code,
    trans: Code,
    n: I,
    k: I,
    alpha: Scalar<Untyped>,
    a: F::Array<Untyped>,
    a_type: Code,
    lda: I,
    stride_a: F::Stride,
    beta: Scalar<Untyped>,
    c: F::Array<Untyped>,
    c_type: Code,
    ldc: I,
    stride_c: F::Stride,
    batch_count: F::Count<I>,
    execution_type: Code,
) -> Status {
    type C32InDouble = InDouble<Complex<f32>>;

    compute(handle, |_| {
        let update = Update {
            mirror: if HERMITIAN { Mirror::Hermitian } else { Mirror::Symmetric },
            codes: [uplo, trans],
            sizes: wide([n, k, lda, ldc]),
            scalars: [alpha, beta],
            a: F::operand(a, stride_a),
            c: F::operand(c, stride_c),
            batch_count: F::count(batch_count),
        };
        // An empty C may have any types.
        quick_return(update.sizes[0] == 0)?;
        match (HERMITIAN, a_type, c_type, execution_type) {
            (false, BF16, BF16, F32) => update.run::<bf16, bf16, f32>(),
            (false, BF16, F32, F32) => update.run::<bf16, f32, f32>(),
            (false, F16, F16, F32) => update.run::<f16, f16, f32>(),
            (false, F16, F32, F32) => update.run::<f16, f32, f32>(),
            (false, F32, F32, F64) => update.run::<InDouble<f32>, InDouble<f32>, f64>(),
            (false, F32, F64, F64) => update.run::<InDouble<f32>, f64, f64>(),
            (true, C32, C32, C64) => update.run::<C32InDouble, C32InDouble, f64>(),
            (true, C32, C64, C64) => update.run::<C32InDouble, Complex<f64>, f64>(),
            _ => Err(Status::NotImplemented),
        }
    })
}

/// The arguments of `syrk_ex` and `herk_ex` before their types are determined.
struct Update {
    mirror: Mirror,
    codes: [Code; 2],
    sizes: [i64; 4],
    scalars: [Scalar<Untyped>; 2],
    a: Operand<Untyped>,
    c: Operand<Untyped>,
    batch_count: i64,
}

impl Update {
    /// Runs with A of type `E`, C of type `O` and scalars of type `S`.
    fn run<E: Element, O: Element<Number = E::Number>, S: Element>(self) -> Course
    where
        E::Number: Scale<S::Number>,
    {
        let [uplo, trans] = self.codes;
        let scalars = (self.scalars[0].of::<S>(), self.scalars[1].of::<S>());
        let (a, c) = (self.a.of::<E>(), self.c.of::<O>());
        update_half(self.mirror, uplo, trans, self.sizes, scalars, a, c, self.batch_count)
    }
}

/// D = min(alpha (op(A) + op(B)), beta C), where the minimum is over all sums of an element of the row of
/// op(A) and the element of the column of op(B) that a product would multiply it with; or D = the sum of
/// min(alpha op(A), alpha op(B)) over the same pairs, plus beta C. C and D may be the same.
pub(crate) unsafe extern "C" fn geam_ex<I: Index, F: Form>(
    handle: HandlePointer,
    trans_a: Code,
    trans_b: Code,
    m: I,
    n: I,
    k: I,
    alpha: Scalar<Untyped>,
    a: F::Array<Untyped>,
    a_type: Code,
    lda: I,
    stride_a: F::Stride,
    b: F::Array<Untyped>,
    b_type: Code,
    ldb: I,
    stride_b: F::Stride,
    beta: Scalar<Untyped>,
    c: F::Array<Untyped>,
    c_type: Code,
    ldc: I,
    stride_c: F::Stride,
    d: F::Array<Untyped>,
    d_type: Code,
    ldd: I,
    stride_d: F::Stride,
    batch_count: F::Count<I>,
    compute_type: Code,
    operation: Code,
) -> Status {
    compute(handle, |_| {
        let [m, n, k, lda, ldb, ldc, ldd] = wide([m, n, k, lda, ldb, ldc, ldd]);
        let tropical = Tropical {
            transposed: [trans_a, trans_b],
            sizes: [m, n, k, F::count(batch_count)],
            alpha,
            a: (F::operand(a, stride_a), lda),
            b: (F::operand(b, stride_b), ldb),
            beta,
            c: (F::operand(c, stride_c), ldc),
            d: (F::operand(d, stride_d), ldd),
            has_one_type: [a_type, b_type, c_type, d_type] == [compute_type; 4],
            operation,
        };
        match compute_type {
            F16 => tropical.run::<f16>(),
            F32 => tropical.run::<f32>(),
            F64 => tropical.run::<f64>(),
            _ => Err(Status::NotImplemented),
        }
    })
}

/// `rocblas_geam_ex_operation_min_plus`
const MIN_PLUS: Code = rocblas_abi::value::geam_ex_operation::MIN_PLUS;
/// `rocblas_geam_ex_operation_plus_min`
const PLUS_MIN: Code = rocblas_abi::value::geam_ex_operation::PLUS_MIN;

/// The arguments of `geam_ex` before their types are determined. Each array is paired with its leading
/// dimension.
struct Tropical {
    transposed: [Code; 2],
    /// m, n, k and the number of problems.
    sizes: [i64; 4],
    alpha: Scalar<Untyped>,
    a: (Operand<Untyped>, i64),
    b: (Operand<Untyped>, i64),
    beta: Scalar<Untyped>,
    c: (Operand<Untyped>, i64),
    d: (Operand<Untyped>, i64),
    has_one_type: bool,
    operation: Code,
}

impl Tropical {
    fn run<E: Element>(self) -> Course
    where
        E::Number: FromDouble + Into<f64>,
    {
        let zero = E::Number::ZERO;
        let [m, n, k, batch_count] = self.sizes;
        let ((a, lda), (b, ldb)) = (self.a, self.b);
        let ((c, ldc), (d, ldd)) = (self.c, self.d);

        let legal = |code| {
            let operation = Operation::legal(code)?;
            values(operation != Operation::ConjugateTranspose)?;
            Ok(operation)
        };
        let (of_a, of_b) = (legal(self.transposed[0])?, legal(self.transposed[1])?);
        let stored = |operation, rows, columns| {
            if operation == Operation::None { (rows, columns) } else { (columns, rows) }
        };
        let ((a_rows, a_columns), (b_rows, b_columns)) = (stored(of_a, m, k), stored(of_b, k, n));
        sizes(m >= 0 && n >= 0 && k >= 0 && batch_count >= 0)?;
        sizes(ldc >= m && ldd >= m && lda >= a_rows && ldb >= b_rows)?;
        sizes(c.address() != d.address() || ldc == ldd)?;
        quick_return(m == 0 || n == 0 || batch_count == 0)?;
        pointers(!self.beta.is_null() && !d.is_null())?;
        let alpha = if k > 0 { self.alpha.of::<E>().value()? } else { zero };
        pointers(alpha == zero || !a.is_null() && !b.is_null())?;
        let beta = self.beta.of::<E>().value()?;
        pointers(beta == zero || !c.is_null())?;
        if !self.has_one_type {
            return Err(Status::NotImplemented);
        }
        // The vendor computes nothing for any other number, and returns success.
        quick_return(![MIN_PLUS, PLUS_MIN].contains(&self.operation))?;

        // As on the GPU, the minimum of a number and NaN is the number.
        let least =
            |x: E::Number, y: E::Number| E::Number::from_double(f64::min(x.into(), y.into()));
        for problem in 0..batch_count {
            let a = a.of::<E>().matrix(problem, a_rows, a_columns, lda).operated(of_a);
            let b = b.of::<E>().matrix(problem, b_rows, b_columns, ldb).operated(of_b);
            let c = c.of::<E>().matrix(problem, m, n, ldc);
            let d = d.of::<E>().matrix(problem, m, n, ldd);
            for (i, j) in (0..n).flat_map(|j| (0..m).map(move |i| (i, j))) {
                let kept = if beta == zero { zero } else { beta * c.get(i, j) };
                let pair = |l| match alpha == zero {
                    true => (zero, zero),
                    false => (a.get(i, l), b.get(l, j)),
                };
                d.set(
                    i,
                    j,
                    if self.operation == MIN_PLUS {
                        terms(k).map(pair).fold(kept, |d, (a, b)| least(d, alpha * (a + b)))
                    } else {
                        terms(k).map(pair).fold(kept, |d, (a, b)| d + least(alpha * a, alpha * b))
                    },
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
