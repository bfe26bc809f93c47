//! Matrix products D = alpha A^T B + beta C, and the error of a result.

use crate::random::Random;
use half::{bf16, f16};

/// A type of matrix entries.
pub trait Element: Copy {
    /// rocBLAS's name for it.
    const NAME: &'static str;
    /// Half the distance from 1 to the next number: the largest error of rounding to nearest.
    const ROUNDING: f64;
    /// Rounds to the nearest number of this type.
    fn round(value: f32) -> Self;
    /// The number, exactly.
    fn exact(self) -> f64;
}

macro_rules! element {
    ($type:ty, $name:literal, $round:expr) => {
        impl Element for $type {
            const NAME: &'static str = $name;
            const ROUNDING: f64 = {
                // 2^-DIGITS
                let mut rounding = 1.0;
                let mut digit = 0;
                while digit < <$type>::MANTISSA_DIGITS {
                    rounding /= 2.0;
                    digit += 1;
                }
                rounding
            };

            fn round(value: f32) -> Self {
                $round(value)
            }

            fn exact(self) -> f64 {
                f64::from(self)
            }
        }
    };
}

element!(f32, "f32", std::convert::identity);
element!(f16, "f16", f16::from_f32);
element!(bf16, "bf16", bf16::from_f32);

/// D and C are m by n, A is k by m and B k by n: the product with A transposed, which llama.cpp requests
/// since it stores weights by row.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Rows of D.
    pub m: usize,
    /// Columns of D.
    pub n: usize,
    /// Length of the sums.
    pub k: usize,
}

/// Both are exact in every type, and a wrong value would not be mistaken for either.
pub const ALPHA: f32 = 1.5;
/// See [`ALPHA`].
pub const BETA: f32 = -0.75;

/// The operands of one product, column-major, inputs of type `I` and output of type `O`.
#[derive(Clone, Debug)]
pub struct Product<I, O> {
    /// The sizes.
    pub shape: Shape,
    /// k by m.
    pub a: Vec<I>,
    /// k by n.
    pub b: Vec<I>,
    /// m by n.
    pub c: Vec<O>,
}

impl<I: Element, O: Element> Product<I, O> {
    /// Operands with entries between -1 and 1.
    pub fn random(shape: Shape, random: &mut Random) -> Self {
        let Shape { m, n, k } = shape;
        let a = (0..k * m).map(|_| I::round(random.signed())).collect();
        let b = (0..k * n).map(|_| I::round(random.signed())).collect();
        let c = (0..m * n).map(|_| O::round(random.signed())).collect();
        Self { shape, a, b, c }
    }

    /// The largest error of an element of `d`, relative to |alpha| |A|^T |B| + |beta| |C| there, computed in
    /// double precision. Infinite if `d` contains NaN.
    ///
    /// # Panics
    /// If `d` is not m by n.
    #[must_use]
    pub fn error(&self, d: &[O]) -> f64 {
        let Shape { m, n, k } = self.shape;
        assert_eq!(d.len(), m * n, "D has the shape of C");
        let (alpha, beta) = (f64::from(ALPHA), f64::from(BETA));
        let mut worst = 0.0_f64;
        for column in 0..n {
            let b = &self.b[column * k..(column + 1) * k];
            for row in 0..m {
                let a = &self.a[row * k..(row + 1) * k];
                let (mut sum, mut size) = (0.0, 0.0);
                for (a, b) in a.iter().zip(b) {
                    let product = a.exact() * b.exact();
                    sum += product;
                    size += product.abs();
                }
                let c = self.c[row + column * m].exact();
                let wanted = alpha * sum + beta * c;
                let scale = alpha.abs() * size + beta.abs() * c.abs();
                let error = (d[row + column * m].exact() - wanted).abs() / scale;
                // `max` would drop a NaN.
                worst = if error.is_nan() { f64::INFINITY } else { worst.max(error) };
            }
        }
        worst
    }

    /// The bound of the error if the sums are computed in `S`: k roundings of each sum, three for alpha, beta
    /// and their sum, and one to the output type.
    #[must_use]
    pub fn bound<S: Element>(&self) -> f64 {
        (self.shape.k + 3) as f64 * S::ROUNDING + O::ROUNDING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { m: 7, n: 5, k: 33 };

    fn result<I: Element, O: Element>(product: &Product<I, O>, alpha: f32, beta: f32) -> Vec<O> {
        let Shape { m, n, k } = product.shape;
        let entry = |i: usize| {
            let (row, column) = (i % m, i / m);
            let sum: f64 = (0..k)
                .map(|l| product.a[row * k + l].exact() * product.b[column * k + l].exact())
                .sum();
            O::round((f64::from(alpha) * sum + f64::from(beta) * product.c[i].exact()) as f32)
        };
        (0..m * n).map(entry).collect()
    }

    fn check<I: Element, O: Element, S: Element>() {
        let product = Product::<I, O>::random(SHAPE, &mut Random::new(3));
        let right = result(&product, ALPHA, BETA);
        assert!(product.error(&right) <= product.bound::<S>());
        for (alpha, beta) in [(1.0, BETA), (ALPHA, 0.0), (ALPHA, 1.0), (0.0, 0.0)] {
            assert!(product.error(&result(&product, alpha, beta)) > product.bound::<S>());
        }
        let mut one_entry = right;
        one_entry[17] = O::round(one_entry[17].exact() as f32 + 1.0);
        assert!(product.error(&one_entry) > product.bound::<S>());
        one_entry[17] = O::round(f32::NAN);
        assert_eq!(product.error(&one_entry), f64::INFINITY);
    }

    #[test]
    fn a_right_product_passes_and_wrong_ones_do_not() {
        check::<f32, f32, f32>();
        check::<f16, f16, f16>();
        check::<f16, f16, f32>();
        check::<f16, f32, f32>();
        check::<bf16, bf16, f32>();
    }

    #[test]
    fn rounding_is_that_of_the_formats() {
        assert_eq!(f32::ROUNDING, f64::from(f32::EPSILON) / 2.0);
        assert_eq!(f16::ROUNDING, f16::EPSILON.exact() / 2.0);
        assert_eq!(bf16::ROUNDING, bf16::EPSILON.exact() / 2.0);
    }
}
