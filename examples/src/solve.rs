//! Triangular systems A X = B like those of llama.cpp's SOLVE_TRI, and the error of a solution.

use crate::random::Random;

/// A system, stored row-major like ggml's matrices: A is n by n and lower triangular, X and B are n by k.
#[derive(Clone, Debug)]
pub struct System {
    /// Order of A.
    pub n: usize,
    /// Right-hand sides.
    pub k: usize,
    /// The matrix. The elements above the diagonal are not part of it and not zero, to detect a solver that
    /// reads them.
    pub a: Vec<f32>,
    /// The right-hand sides.
    pub b: Vec<f32>,
}

/// An upper bound of the condition number of a [`System`]'s matrix in the maximum norm.
///
/// The diagonal elements are between 1 and 2, and the others sum to at most 1/2 in each row: |A| <= 2.5 and
/// |A^-1| <= 1 / (1 - 1/2).
const CONDITION: f64 = 5.0;

impl System {
    /// A well-conditioned system.
    pub fn random(n: usize, k: usize, random: &mut Random) -> Self {
        let mut a = vec![0.0; n * n];
        for (position, entry) in a.iter_mut().enumerate() {
            let (row, column) = (position / n, position % n);
            *entry = if column > row {
                7.0
            } else if column < row {
                random.signed() / (2 * n) as f32
            } else {
                let x = random.signed();
                x.signum() * (1.0 + x.abs())
            };
        }
        let b = (0..n * k).map(|_| random.signed()).collect();
        Self { n, k, a, b }
    }

    /// The largest element of |A X - B|, relative to |A| |X| in the maximum norm, computed in double
    /// precision. Infinite if `x` contains NaN.
    ///
    /// # Panics
    /// If `x` is not n by k.
    #[must_use]
    pub fn residual(&self, x: &[f32]) -> f64 {
        let (n, k) = (self.n, self.k);
        assert_eq!(x.len(), n * k, "X has the shape of B");
        let (mut worst, mut norm_a) = (0.0_f64, 0.0_f64);
        for row in 0..n {
            let a = &self.a[row * n..=row * n + row];
            norm_a = norm_a.max(a.iter().map(|x| f64::from(x.abs())).sum());
            for column in 0..k {
                let product: f64 =
                    (0..=row).map(|i| f64::from(a[i]) * f64::from(x[i * k + column])).sum();
                let difference = (product - f64::from(self.b[row * k + column])).abs();
                // `max` would drop a NaN.
                worst = if difference.is_nan() { f64::INFINITY } else { worst.max(difference) };
            }
        }
        let norm_x = x.iter().map(|x| f64::from(x.abs())).fold(0.0, f64::max);
        if worst == 0.0 || worst.is_infinite() { worst } else { worst / (norm_a * norm_x) }
    }

    /// The bound of the residual of a solution in single precision.
    ///
    /// With u = epsilon / 2, substitution gives |A x - b| <= n u |A| |x|. GPU libraries invert blocks of the
    /// diagonal and multiply with the inverse: both steps add n u and a factor of the condition number, so 2
    /// n u cond(A) = n epsilon cond(A) bounds either method.
    #[must_use]
    pub fn bound(&self) -> f64 {
        self.n as f64 * f64::from(f32::EPSILON) * CONDITION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Forward substitution in double precision.
    fn solution(system: &System) -> Vec<f32> {
        let (n, k) = (system.n, system.k);
        let mut x = vec![0.0_f64; n * k];
        for row in 0..n {
            for column in 0..k {
                let known: f64 =
                    (0..row).map(|i| f64::from(system.a[row * n + i]) * x[i * k + column]).sum();
                x[row * k + column] = (f64::from(system.b[row * k + column]) - known)
                    / f64::from(system.a[row * n + row]);
            }
        }
        x.into_iter().map(|x| x as f32).collect()
    }

    #[test]
    fn a_right_solution_passes_and_wrong_ones_do_not() {
        let system = System::random(64, 20, &mut Random::new(1));
        let right = solution(&system);
        assert!(system.residual(&right) < system.bound() / 10.0);

        let mut one_entry = right.clone();
        one_entry[777] += 1e-3;
        let scaled: Vec<f32> = right.iter().map(|x| x * 1.001).collect();
        let diagonal_only: Vec<f32> =
            (0..64 * 20).map(|i| system.b[i] / system.a[(i / 20) * 64 + i / 20]).collect();
        let mut not_a_number = right.clone();
        not_a_number[0] = f32::NAN;
        for wrong in [one_entry, scaled, diagonal_only, system.b.clone(), vec![0.0; 64 * 20]] {
            assert!(system.residual(&wrong) > system.bound());
        }
        assert_eq!(system.residual(&not_a_number), f64::INFINITY);
    }

    #[test]
    fn a_solver_that_reads_above_the_diagonal_or_transposes_is_found_out() {
        let system = System::random(42, 3, &mut Random::new(2));
        let mut transposed = system.clone();
        for row in 0..42 {
            for column in 0..row {
                transposed.a[row * 42 + column] = system.a[column * 42 + row];
            }
        }
        assert!(system.residual(&solution(&transposed)) > system.bound());
    }
}
