//! The two problems: matrices, the correct results in double precision, and a bound on the error of a
//! single-precision result that holds for every order of summation and every solver that libraries use. A
//! result within the bounds is correct; missing kernels, or those for another GPU, are wrong by whole values.
//!
//! Matrices are column-major. u is half of single precision's epsilon; double precision's own errors
//! are less than a millionth of the bounds.

/// Unit roundoff of single precision.
const U: f64 = f32::EPSILON as f64 / 2.0;

/// `C = alpha A^T B + beta C`, with odd sizes and padding in each column, to detect a kernel that is correct
/// only for round sizes.
#[derive(Clone, Debug)]
pub(super) struct Gemm {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) alpha: f32,
    pub(super) beta: f32,
    /// k by m.
    pub(super) a: Vec<f32>,
    pub(super) lda: usize,
    /// k by n.
    pub(super) b: Vec<f32>,
    pub(super) ldb: usize,
    /// m by n.
    pub(super) c: Vec<f32>,
    pub(super) ldc: usize,
}

/// `X A = B` with an upper triangular A, as llama.cpp's SOLVE_TRI calls `rocblas_strsm_batched`.
#[derive(Clone, Debug)]
pub(super) struct Trsm {
    /// Rows of X and B.
    pub(super) m: usize,
    /// Order of A.
    pub(super) n: usize,
    /// n by n. The elements below the diagonal are not part of it and not zero, to detect a solver that reads
    /// them.
    pub(super) a: Vec<f32>,
    /// m by n.
    pub(super) b: Vec<f32>,
}

/// The error of a result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Deviation {
    /// The largest difference; infinite if an element is NaN.
    pub(super) error: f64,
    /// The largest ratio of a difference to the bound of its element; up to 1 is allowed.
    pub(super) of_bound: f64,
}

impl Deviation {
    const NONE: Self = Self { error: 0.0, of_bound: 0.0 };

    pub(super) fn is_right(self) -> bool {
        self.of_bound <= 1.0
    }

    fn and(self, computed: f32, exact: f64, bound: f64) -> Self {
        let difference = (f64::from(computed) - exact).abs();
        // `max` would drop a NaN.
        let difference = if difference.is_nan() { f64::INFINITY } else { difference };
        let of_bound = if difference == 0.0 { 0.0 } else { difference / bound };
        Self { error: self.error.max(difference), of_bound: self.of_bound.max(of_bound) }
    }

    /// The larger of two.
    pub(super) fn max(self, other: Self) -> Self {
        Self { error: self.error.max(other.error), of_bound: self.of_bound.max(other.of_bound) }
    }
}

impl Gemm {
    /// Entries between -1 and 1.
    pub(super) fn new(m: usize, n: usize, k: usize) -> Self {
        let mut random = Random(1);
        let (lda, ldb, ldc) = (k + 3, k + 1, m + 5);
        let mut matrix = |size: usize| (0..size).map(|_| random.signed()).collect::<Vec<f32>>();
        let (a, b, c) = (matrix(lda * m), matrix(ldb * n), matrix(ldc * n));
        Self { m, n, k, alpha: 1.5, beta: -0.75, a, lda, b, ldb, c, ldc }
    }

    /// The error of C, including the padding, which must be unchanged.
    ///
    /// An entry takes k products and k additions in any order, and three operations more; so its
    /// error is at most gamma (|alpha| |A|^T |B| + |beta| |C|) with gamma = (k + 3) u / (1 - (k + 3) u)
    /// (Higham, Accuracy and Stability of Numerical Algorithms, 3.5; fused operations round less).
    pub(super) fn deviation(&self, computed: &[f32]) -> Deviation {
        let (alpha, beta) = (f64::from(self.alpha), f64::from(self.beta));
        let gamma = gamma(self.k + 3);
        let mut worst = Deviation::NONE;
        for (position, &computed) in computed.iter().enumerate() {
            let (row, column) = (position % self.ldc, position / self.ldc);
            let before = f64::from(self.c[position]);
            if row >= self.m {
                worst = worst.and(computed, before, f64::MIN_POSITIVE);
                continue;
            }
            let (mut sum, mut size) = (0.0, 0.0);
            for i in 0..self.k {
                let product = f64::from(self.a[row * self.lda + i])
                    * f64::from(self.b[column * self.ldb + i]);
                sum += product;
                size += product.abs();
            }
            let exact = alpha * sum + beta * before;
            let bound = gamma * (alpha.abs() * size + (beta * before).abs());
            worst = worst.and(computed, exact, bound);
        }
        worst
    }
}

impl Trsm {
    /// A system whose matrix has diagonal elements between 1 and 2 and, above them, elements that sum to at
    /// most 1/4 in each column. B is between -1 and 1.
    pub(super) fn new(m: usize, n: usize, seed: u64) -> Self {
        let mut random = Random(seed);
        let mut a = vec![7.0; n * n];
        for column in 0..n {
            for row in 0..column {
                let signed = random.signed();
                a[column * n + row] = (0.5 * signed + 0.5 * signed.signum()) / (4 * column) as f32;
            }
            let signed = random.signed();
            a[column * n + column] = signed + signed.signum();
        }
        let b = (0..m * n).map(|_| random.signed()).collect();
        Self { m, n, a, b }
    }

    /// X by substitution, in double precision.
    fn solution(&self) -> Vec<f64> {
        let (m, n) = (self.m, self.n);
        let mut x = vec![0.0; m * n];
        for column in 0..n {
            for row in 0..m {
                let known: f64 =
                    (0..column).map(|i| x[i * m + row] * f64::from(self.a[column * n + i])).sum();
                x[column * m + row] = (f64::from(self.b[column * m + row]) - known)
                    / f64::from(self.a[column * n + column]);
            }
        }
        x
    }

    /// The error of X.
    ///
    /// Each row x of X is measured by its largest entry, and A accordingly by its largest column sum:
    /// |A| <= 2.25, |A^-1| <= 1 / (1 - 1/4), so cond(A) <= 3. Substitution alone has an error of
    /// cond(A) gamma_n |x|. GPU libraries invert blocks of the diagonal and multiply with the
    /// inverses: for a block, (cond^2 + 3 cond) gamma_n |x| = 18 gamma_n |x|, of which no more than
    /// 1/4 |A^-1| = 1/3 comes into the blocks behind it, which makes 27 gamma_n |x| altogether. The
    /// bound is 32 gamma_n |x|.
    pub(super) fn deviation(&self, computed: &[f32]) -> Deviation {
        let exact = self.solution();
        let mut sizes = vec![0.0_f64; self.m];
        for (position, x) in exact.iter().enumerate() {
            let size = &mut sizes[position % self.m];
            *size = size.max(x.abs());
        }
        let gamma = 32.0 * gamma(self.n);
        let entries = computed.iter().zip(&exact).enumerate();
        entries.fold(Deviation::NONE, |worst, (position, (&computed, &exact))| {
            worst.and(computed, exact, gamma * sizes[position % self.m])
        })
    }
}

/// The error of n successive roundings, relative to the rounded value.
fn gamma(n: usize) -> f64 {
    let nu = n as f64 * U;
    nu / (1.0 - nu)
}

/// Pseudo-random numbers that are the same on every machine (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Between -1 and 1, with 24 bits: exact in single precision.
    fn signed(&mut self) -> f32 {
        let bits = self.next() >> 40;
        (bits as f32 + 0.5) / (1 << 23) as f32 - 1.0
    }
}

#[cfg(test)]
mod tests;
