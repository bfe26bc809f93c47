//! Modified Givens rotations: rotm and rotmg. A parameter array is a flag followed by a matrix H, column by
//! column. The flag determines which elements of H are stored: with -1, all; with 0, the antidiagonal (the
//! main diagonal is ones); with 1, the main diagonal (the antidiagonal is 1 above and -1 below). With -2, H
//! is the identity.

use super::FromDouble;
use crate::abi::{Form, Index, compute, wide};
use crate::checks::{pointers, quick_return};
use crate::handle::HandlePointer;
use crate::scalar::{Element, Number};
use crate::status::Status;
use crate::views::Vector;

/// (x, y) = H (x, y)
pub(crate) unsafe extern "C" fn rotm<E: Element, I: Index, F: Form>(
    handle: HandlePointer,
    n: I,
    x: F::Array<E>,
    incx: I,
    stride_x: F::Stride,
    y: F::Array<E>,
    incy: I,
    stride_y: F::Stride,
    param: F::Array<E>,
    stride_param: F::Stride,
    batch_count: F::Count<I>,
) -> Status {
    compute(handle, |_| {
        let [n, incx, incy] = wide([n, incx, incy]);
        let (x, y) = (F::operand(x, stride_x), F::operand(y, stride_y));
        let param = F::operand(param, stride_param);
        let batch_count = F::count(batch_count);

        quick_return(n <= 0 || batch_count <= 0)?;
        pointers(!x.is_null() && !y.is_null() && !param.is_null())?;

        for problem in 0..batch_count {
            let (x, y) = (x.vector(problem, n, incx), y.vector(problem, n, incy));
            let Some([h11, h21, h12, h22]) = matrix(param.vector(problem, 5, 1)) else { continue };
            for i in 0..n {
                let (xi, yi) = (x.get(i), y.get(i));
                x.set(i, h11 * xi + h12 * yi);
                y.set(i, h21 * xi + h22 * yi);
            }
        }
        Ok(())
    })
}

/// Reads H; `None` for the identity.
fn matrix<E: Element>(param: Vector<E>) -> Option<[E::Number; 4]> {
    let (one, minus_one) = (E::Number::ONE, -E::Number::ONE);
    let two = one + one;
    match param.get(0) {
        flag if flag == -two => None,
        flag if flag == E::Number::ZERO => Some([one, param.get(2), param.get(3), one]),
        flag if flag == one => Some([param.get(1), minus_one, one, param.get(4)]),
        _ => Some([1, 2, 3, 4].map(|i| param.get(i))),
    }
}

/// Sets up the rotation that annihilates the second of (sqrt(d1) x1, sqrt(d2) y1), as in the reference BLAS.
pub(crate) unsafe extern "C" fn rotmg<E: Element, I: Index, F: Form>(
    handle: HandlePointer,
    d1: F::Array<E>,
    stride_d1: F::Stride,
    d2: F::Array<E>,
    stride_d2: F::Stride,
    x1: F::Array<E>,
    stride_x1: F::Stride,
    y1: F::Array<E>,
    stride_y1: F::Stride,
    param: F::Array<E>,
    stride_param: F::Stride,
    batch_count: F::Count<I>,
) -> Status
where
    E::Number: FromDouble + Into<f64>,
{
    compute(handle, |_| {
        let (d1, d2) = (F::operand(d1, stride_d1), F::operand(d2, stride_d2));
        let (x1, y1) = (F::operand(x1, stride_x1), F::operand(y1, stride_y1));
        let param = F::operand(param, stride_param);
        let batch_count = F::count(batch_count);

        quick_return(batch_count <= 0)?;
        let inputs = !d1.is_null() && !d2.is_null() && !x1.is_null() && !y1.is_null();
        pointers(inputs && !param.is_null())?;

        for problem in 0..batch_count {
            let [d1, d2, x1, y1] = [d1, d2, x1, y1].map(|place| place.vector(problem, 1, 1));
            let param = param.vector(problem, 5, 1);
            let mut setup = Setup {
                d: [d1.get(0).into(), d2.get(0).into()],
                x: x1.get(0).into(),
                flag: -1.0,
                h: [0.0; 4],
            };
            setup.run(y1.get(0).into());
            let number = E::Number::from_double;
            d1.set(0, number(setup.d[0]));
            d2.set(0, number(setup.d[1]));
            x1.set(0, number(setup.x));
            param.set(0, number(setup.flag));
            let used: &[usize] = match setup.flag {
                -1.0 => &[0, 1, 2, 3],
                0.0 => &[1, 2],
                1.0 => &[0, 3],
                _ => &[],
            };
            for i in used {
                param.set(*i as i64 + 1, number(setup.h[*i]));
            }
        }
        Ok(())
    })
}

/// The working values of rotmg, in double precision. H is stored column by column.
struct Setup {
    d: [f64; 2],
    x: f64,
    flag: f64,
    h: [f64; 4],
}

impl Setup {
    /// Values are scaled by this and its square, powers of two, so that no digits are lost.
    const GAM: f64 = 4096.0;

    fn run(&mut self, y: f64) {
        if self.d[0] < 0.0 {
            return self.annul();
        }
        let p2 = self.d[1] * y;
        if p2 == 0.0 {
            self.flag = -2.0;
            return;
        }
        let p1 = self.d[0] * self.x;
        let (q1, q2) = (p1 * self.x, p2 * y);
        if q1.abs() > q2.abs() {
            let (h21, h12) = (-y / self.x, p2 / p1);
            let u = 1.0 - h12 * h21;
            if u <= 0.0 {
                return self.annul();
            }
            (self.flag, self.h) = (0.0, [1.0, h21, h12, 1.0]);
            self.d = self.d.map(|d| d / u);
            self.x *= u;
        } else if q2 < 0.0 {
            return self.annul();
        } else {
            let (h11, h22) = (p1 / p2, self.x / y);
            let u = 1.0 + h11 * h22;
            (self.flag, self.h) = (1.0, [h11, -1.0, 1.0, h22]);
            self.d = [self.d[1] / u, self.d[0] / u];
            self.x = y * u;
        }
        self.scale();
    }

    fn annul(&mut self) {
        *self = Self { d: [0.0; 2], x: 0.0, flag: -1.0, h: [0.0; 4] };
    }

    /// Scales both elements of `d` into range. If it scales any, H is stored in full.
    fn scale(&mut self) {
        let square = Self::GAM * Self::GAM;
        for row in 0..2 {
            loop {
                let size = self.d[row].abs();
                let is_in_range = size > 1.0 / square && size < square;
                if size == 0.0 || !size.is_finite() || is_in_range {
                    break;
                }
                self.flag = -1.0;
                let by = if size < 1.0 { 1.0 / Self::GAM } else { Self::GAM };
                self.d[row] /= by * by;
                if row == 0 {
                    self.x *= by;
                }
                for h in [row, row + 2] {
                    self.h[h] *= by;
                }
            }
        }
    }
}
