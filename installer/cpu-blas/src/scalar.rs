//! The number types: those that are stored in memory and those that arithmetic uses.
//!
//! Half and bfloat16 exist only in storage; their arithmetic uses `f32`. Because of this split,
//! every algorithm is written once, over [`Number`], and the views of `views.rs` convert on each
//! read and write.

use core::ops::{Add, Div, Mul, Neg, Sub};

use half::{bf16, f16};
use num_complex::Complex;

/// A number for arithmetic: `f32`, `f64` and the complex numbers over them.
pub(crate) trait Number:
    Copy
    + PartialEq
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Mul<Self::Real, Output = Self>
    + 'static
{
    /// Type of the real and the imaginary part.
    type Real: Number<Real = Self::Real> + PartialOrd + Into<f64>;
    const COMPLEX: bool;
    const ZERO: Self;
    const ONE: Self;

    fn from_real(real: Self::Real) -> Self;
    fn real(self) -> Self::Real;
    fn conjugate(self) -> Self;
    /// |re| + |im|, the magnitude that asum, iamax and iamin use.
    fn magnitude(self) -> Self::Real;
    /// The two parts in double precision, for the norm.
    fn parts(self) -> [f64; 2];
    /// The number with these parts, rounded; a real number has the first one only.
    fn from_parts(parts: [f64; 2]) -> Self;
    /// The Givens rotation that annihilates the second of `(a, b)`, with the results in rotg's
    /// order: the new `a`, the new `b`, the cosine and the sine.
    fn givens(a: Self, b: Self) -> (Self, Self, Self::Real, Self);
}

/// Multiplication by a scalar that may be real where the number is complex.
///
/// Not `Mul` itself: a bound on `Mul<S>` would hide a number's own multiplication from type
/// inference.
pub(crate) trait Scale<S> {
    fn scaled(self, by: S) -> Self;
}

impl<N: Mul<S, Output = N>, S> Scale<S> for N {
    fn scaled(self, by: S) -> Self {
        self * by
    }
}

macro_rules! real_number {
    ($($real:ty),+) => {$(
        impl Number for $real {
            type Real = $real;
            const COMPLEX: bool = false;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;

            fn from_real(real: $real) -> Self {
                real
            }
            fn real(self) -> $real {
                self
            }
            fn conjugate(self) -> Self {
                self
            }
            fn magnitude(self) -> $real {
                self.abs()
            }
            fn parts(self) -> [f64; 2] {
                [self.into(), 0.0]
            }
            fn from_parts([re, _]: [f64; 2]) -> Self {
                re as $real
            }
            fn givens(a: Self, b: Self) -> (Self, Self, $real, Self) {
                let larger = if a.abs() > b.abs() { a } else { b };
                let r = a.hypot(b).copysign(larger);
                if r == 0.0 {
                    return (0.0, 0.0, 1.0, 0.0);
                }
                let (c, s) = (a / r, b / r);
                // One number that determines both cosine and sine, which BLAS stores in b.
                let z = if a.abs() > b.abs() {
                    s
                } else if c != 0.0 {
                    1.0 / c
                } else {
                    1.0
                };
                (r, z, c, s)
            }
        }

        impl Number for Complex<$real> {
            type Real = $real;
            const COMPLEX: bool = true;
            const ZERO: Self = Complex::new(0.0, 0.0);
            const ONE: Self = Complex::new(1.0, 0.0);

            fn from_real(real: $real) -> Self {
                Complex::new(real, 0.0)
            }
            fn real(self) -> $real {
                self.re
            }
            fn conjugate(self) -> Self {
                self.conj()
            }
            fn magnitude(self) -> $real {
                self.re.abs() + self.im.abs()
            }
            fn parts(self) -> [f64; 2] {
                [self.re.into(), self.im.into()]
            }
            fn from_parts([re, im]: [f64; 2]) -> Self {
                Complex::new(re as $real, im as $real)
            }
            fn givens(a: Self, b: Self) -> (Self, Self, $real, Self) {
                let length = a.norm();
                if length == 0.0 {
                    return (b, b, 0.0, Self::ONE);
                }
                let norm = length.hypot(b.norm());
                let direction = a / length;
                (direction * norm, b, length / norm, direction * b.conj() / norm)
            }
        }
    )+};
}

real_number!(f32, f64);

/// A number as it is stored in the caller's memory.
pub(crate) trait Element: Copy + 'static {
    /// Type of the arithmetic on these elements.
    type Number: Number;
    /// Storage type of the real scalars and results that belong to these elements.
    type Real: Element<Number = <Self::Number as Number>::Real>;

    fn load(self) -> Self::Number;
    /// Rounds to the nearest representable number.
    fn store(number: Self::Number) -> Self;
}

macro_rules! element {
    ($($stored:ty, $number:ty, $real:ty, $load:expr, $store:expr;)+) => {$(
        impl Element for $stored {
            type Number = $number;
            type Real = $real;

            fn load(self) -> $number {
                $load(self)
            }
            fn store(number: $number) -> Self {
                $store(number)
            }
        }
    )+};
}

element! {
    f16, f32, f32, f16::to_f32, f16::from_f32;
    bf16, f32, f32, bf16::to_f32, bf16::from_f32;
    f32, f32, f32, core::convert::identity, core::convert::identity;
    f64, f64, f64, core::convert::identity, core::convert::identity;
    Complex<f32>, Complex<f32>, f32, core::convert::identity, core::convert::identity;
    Complex<f64>, Complex<f64>, f64, core::convert::identity, core::convert::identity;
}

/// A number stored in single precision whose arithmetic uses double precision.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct InDouble<T>(T);

impl Element for InDouble<f32> {
    type Number = f64;
    type Real = f64;

    fn load(self) -> f64 {
        self.0.into()
    }
    fn store(number: f64) -> Self {
        Self(number as f32)
    }
}

impl Element for InDouble<Complex<f32>> {
    type Number = Complex<f64>;
    type Real = f64;

    fn load(self) -> Complex<f64> {
        Complex::new(self.0.re.into(), self.0.im.into())
    }
    fn store(number: Complex<f64>) -> Self {
        Self(Complex::new(number.re as f32, number.im as f32))
    }
}
