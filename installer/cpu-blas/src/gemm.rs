//! The general matrix product: gemm, and `gemm_ex` with its free choice of types.
//!
//! Both end in [`multiply`]: op(A) and op(B) are packed in the type of the arithmetic and multiplied, and the
//! result is scaled, added and rounded once on its way to D. The product is written by hand, because the
//! kernels of a crate for it took longer to compile than all tests that need them take to run.

use half::{bf16, f16};
use num_complex::Complex;

use crate::abi::{Form, Index, Operand, Scalar, Untyped, compute, wide};
use crate::checks::{Code, Operation, pointers, quick_return, sizes, values};
use crate::datatype::{BF16, C32, C64, F16, F32, F64};
use crate::faults::{self, terms};
use crate::handle::HandlePointer;
use crate::scalar::{Element, Number};
use crate::status::{Course, Status};
use crate::views::Matrix;

/// The shape of a product: op(A) is m by k, op(B) k by n.
#[derive(Clone, Copy)]
struct Shape {
    operations: [Operation; 2],
    m: i64,
    n: i64,
    k: i64,
    batch_count: i64,
}

impl Shape {
    /// Checks the options and sizes, which is the same for gemm and `gemm_ex`; `ldc` is the smallest leading
    /// dimension among the m by n matrices.
    fn legal(
        [trans_a, trans_b]: [Code; 2],
        [m, n, k, batch_count]: [i64; 4],
        [lda, ldb, ldc]: [i64; 3],
    ) -> Result<Self, Status> {
        let operations = [Operation::legal(trans_a)?, Operation::legal(trans_b)?];
        let shape = Self { operations, m, n, k, batch_count };
        sizes(m >= 0 && n >= 0 && k >= 0 && batch_count >= 0)?;
        sizes(lda >= shape.stored_a().0 && ldb >= shape.stored_b().0 && ldc >= m)?;
        quick_return(m == 0 || n == 0 || batch_count == 0)?;
        Ok(shape)
    }

    /// Rows and columns of A as stored.
    fn stored_a(self) -> (i64, i64) {
        if self.operations[0] == Operation::None { (self.m, self.k) } else { (self.k, self.m) }
    }

    /// Rows and columns of B as stored.
    fn stored_b(self) -> (i64, i64) {
        if self.operations[1] == Operation::None { (self.k, self.n) } else { (self.n, self.k) }
    }

    /// D = alpha op(A) op(B) + beta C for every problem. C and D may be the same.
    fn run<I: Element, O: Element<Number = I::Number>>(
        self,
        alpha: I::Number,
        (a, lda): (Operand<I>, i64),
        (b, ldb): (Operand<I>, i64),
        beta: I::Number,
        (c, ldc): (Operand<O>, i64),
        (d, ldd): (Operand<O>, i64),
    ) {
        let ((a_rows, a_columns), (b_rows, b_columns)) = (self.stored_a(), self.stored_b());
        let beta = if c.is_null() { beta } else { faults::beta(beta) };
        for problem in 0..self.batch_count {
            let a = a.matrix(problem, a_rows, a_columns, lda).operated(self.operations[0]);
            let b = b.matrix(problem, b_rows, b_columns, ldb).operated(self.operations[1]);
            let c = c.matrix(problem, self.m, self.n, ldc);
            let d = d.matrix(problem, self.m, self.n, ldd);
            multiply(alpha, a, b, beta, c, d);
        }
    }
}

fn multiply<I: Element, O: Element<Number = I::Number>>(
    alpha: I::Number,
    a: Matrix<I>,
    b: Matrix<I>,
    beta: I::Number,
    c: Matrix<O>,
    d: Matrix<O>,
) {
    // If alpha is zero, A and B are not read: they may contain NaNs or be null.
    let products = (alpha != I::Number::ZERO && a.columns() > 0).then(|| product(a, b));
    let mut products = products.into_iter().flatten();
    for j in 0..d.columns() {
        for i in 0..d.rows() {
            let taken = products.next().map_or(I::Number::ZERO, |product| alpha * product);
            let kept = if beta == I::Number::ZERO { I::Number::ZERO } else { beta * c.get(i, j) };
            if !faults::is_lost(j, d.columns()) {
                d.set(i, j, taken + kept);
            }
        }
    }
}

/// How many columns of a product are computed at a time, so that a column of A is read once for all of them.
const COLUMNS: usize = 4;

/// A B, column by column. Each column is a sum of A's columns multiplied by numbers of B, which compilers
/// vectorize.
fn product<E: Element>(a: Matrix<E>, b: Matrix<E>) -> Vec<E::Number> {
    let (m, k, n) = (a.rows() as usize, a.columns() as usize, b.columns() as usize);
    let (a, b) = (a.to_vec(), b.to_vec());
    let mut result = vec![E::Number::ZERO; m * n];
    for (sums, factors) in result.chunks_mut(m * COLUMNS).zip(b.chunks(k * COLUMNS)) {
        for l in terms(k as i64).map(|l| l as usize) {
            let column = &a[l * m..][..m];
            for (sums, factors) in sums.chunks_exact_mut(m).zip(factors.chunks_exact(k)) {
                let factor = factors[l];
                for (sum, number) in sums.iter_mut().zip(column) {
                    *sum = *sum + *number * factor;
                }
            }
        }
    }
    result
}

/// C = alpha op(A) op(B) + beta C
pub(crate) unsafe extern "C" fn gemm<E: Element, I: Index, F: Form>(
    handle: HandlePointer,
    trans_a: Code,
    trans_b: Code,
    m: I,
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
        let [m, n, k, lda, ldb, ldc] = wide([m, n, k, lda, ldb, ldc]);
        let (a, b, c) = (F::operand(a, stride_a), F::operand(b, stride_b), F::operand(c, stride_c));
        let batch_count = F::count(batch_count);

        let shape = Shape::legal([trans_a, trans_b], [m, n, k, batch_count], [lda, ldb, ldc])?;
        let beta = beta.value()?;
        let alpha = match (k, beta == E::Number::ONE) {
            (0, true) => return Err(Status::Success),
            (0, false) => E::Number::ZERO,
            _ => alpha.value()?,
        };
        let a_is_read = alpha != E::Number::ZERO;
        quick_return(!a_is_read && beta == E::Number::ONE)?;
        pointers(!c.is_null() && (!a_is_read || !a.is_null() && !b.is_null()))?;

        shape.run(alpha, (a, lda), (b, ldb), beta, (c, ldc), (c, ldc));
        Ok(())
    })
}

/// D = alpha op(A) op(B) + beta C with the types given by arguments. `algo`, `solution_index` and `flags`
/// select one of the vendor's kernels and have no meaning here.
pub(crate) unsafe extern "C" fn gemm_ex<I: Index, F: Form>(
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
    _algo: Code,
    _solution_index: i32,
    _flags: u32,
) -> Status {
    compute(handle, |_| {
        let [m, n, k, lda, ldb, ldc, ldd] = wide([m, n, k, lda, ldb, ldc, ldd]);
        let sizes = [m, n, k, F::count(batch_count)];
        let shape = Shape::legal([trans_a, trans_b], sizes, [lda, ldb, ldc.min(ldd)])?;
        let call = ExCall {
            shape,
            alpha,
            a: (F::operand(a, stride_a), lda),
            b: (F::operand(b, stride_b), ldb),
            beta,
            c: (F::operand(c, stride_c), ldc),
            d: (F::operand(d, stride_d), ldd),
            same_type: c_type == d_type,
        };
        call.check_arrays_present()?;
        match compute_type {
            F16 => call.check::<f16>(),
            F32 => call.check::<f32>(),
            F64 => call.check::<f64>(),
            C32 => call.check::<Complex<f32>>(),
            C64 => call.check::<Complex<f64>>(),
            _ => call.check_same_output(),
        }?;
        match (a_type, b_type, c_type, d_type, compute_type) {
            (F16, F16, F16, F16, F16) => call.run::<f16, f16, f16>(),
            (F16, F16, F16, F16, F32) => call.run::<f16, f16, f32>(),
            (F16, F16, F32, F32, F32) => call.run::<f16, f32, f32>(),
            (BF16, BF16, BF16, BF16, F32) => call.run::<bf16, bf16, f32>(),
            (BF16, BF16, F32, F32, F32) => call.run::<bf16, f32, f32>(),
            (F32, F32, F32, F32, F32) => call.run::<f32, f32, f32>(),
            (F64, F64, F64, F64, F64) => call.run::<f64, f64, f64>(),
            (C32, C32, C32, C32, C32) => call.run::<Complex<f32>, Complex<f32>, Complex<f32>>(),
            (C64, C64, C64, C64, C64) => call.run::<Complex<f64>, Complex<f64>, Complex<f64>>(),
            _ => Err(Status::NotImplemented),
        }
    })
}

/// The arguments of `gemm_ex` before their types are determined. Each array is paired with its leading
/// dimension.
struct ExCall {
    shape: Shape,
    alpha: Scalar<Untyped>,
    a: (Operand<Untyped>, i64),
    b: (Operand<Untyped>, i64),
    beta: Scalar<Untyped>,
    c: (Operand<Untyped>, i64),
    d: (Operand<Untyped>, i64),
    same_type: bool,
}

impl ExCall {
    fn check_arrays_present(&self) -> Course {
        let alpha_missing = self.shape.k > 0 && self.alpha.is_null();
        pointers(!alpha_missing && !self.beta.is_null() && !self.d.0.is_null())
    }

    /// C may be null only if beta is zero; A and B may be null only if alpha is zero.
    fn check<S: Element>(&self) -> Course {
        let zero = S::Number::ZERO;
        pointers(!self.c.0.is_null() || self.beta.of::<S>().value()? == zero)?;
        let ab_present = !self.a.0.is_null() && !self.b.0.is_null();
        pointers(self.shape.k == 0 || ab_present || self.alpha.of::<S>().value()? == zero)?;
        self.check_same_output()
    }

    /// An output that replaces C must have C's shape and type.
    fn check_same_output(&self) -> Course {
        let in_place = self.c.0.address() == self.d.0.address();
        sizes(!in_place || self.c.1 == self.d.1)?;
        values(!in_place || self.same_type)
    }

    /// Runs with inputs of type `I`, outputs of type `O` and scalars of type `S`.
    fn run<I, O, S>(&self) -> Course
    where
        I: Element,
        O: Element<Number = I::Number>,
        S: Element<Number = I::Number>,
    {
        let (a, lda) = self.a;
        let (b, ldb) = self.b;
        let (c, ldc) = self.c;
        let (d, ldd) = self.d;
        let alpha = if self.shape.k > 0 { self.alpha.of::<S>().value()? } else { S::Number::ZERO };
        let beta = self.beta.of::<S>().value()?;
        self.shape.run::<I, O>(
            alpha,
            (a.of(), lda),
            (b.of(), ldb),
            beta,
            (c.of(), ldc),
            (d.of(), ldd),
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests;
