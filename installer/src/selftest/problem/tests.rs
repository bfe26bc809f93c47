use super::*;
use proptest::prelude::*;

/// The product in single precision, summed from either end.
fn product(gemm: &Gemm, backwards: bool) -> Vec<f32> {
    let mut c = gemm.c.clone();
    for column in 0..gemm.n {
        for row in 0..gemm.m {
            let term = |i: usize| gemm.a[row * gemm.lda + i] * gemm.b[column * gemm.ldb + i];
            let mut sum = 0.0_f32;
            for i in 0..gemm.k {
                sum += term(if backwards { gemm.k - 1 - i } else { i });
            }
            let entry = &mut c[column * gemm.ldc + row];
            *entry = gemm.alpha * sum + gemm.beta * *entry;
        }
    }
    c
}

/// Substitution in single precision.
fn substituted(trsm: &Trsm) -> Vec<f32> {
    blocked(trsm, 1)
}

/// As GPU libraries do it: blocks of the diagonal inverted, and multiplied with.
fn blocked(trsm: &Trsm, block: usize) -> Vec<f32> {
    let (m, n) = (trsm.m, trsm.n);
    let mut x = vec![0.0_f32; m * n];
    for start in (0..n).step_by(block) {
        let size = block.min(n - start);
        let inverse = inverse(trsm, start, size);
        for row in 0..m {
            let rest: Vec<f32> = (start..start + size)
                .map(|column| {
                    let known: f32 =
                        (0..start).map(|i| x[i * m + row] * trsm.a[column * n + i]).sum();
                    trsm.b[column * m + row] - known
                })
                .collect();
            for column in 0..size {
                x[(start + column) * m + row] =
                    (0..=column).map(|i| rest[i] * inverse[column * size + i]).sum();
            }
        }
    }
    x
}

fn inverse(trsm: &Trsm, start: usize, size: usize) -> Vec<f32> {
    let entry = |row: usize, column: usize| trsm.a[(start + column) * trsm.n + start + row];
    let mut inverse = vec![0.0_f32; size * size];
    for column in 0..size {
        inverse[column * size + column] = 1.0 / entry(column, column);
        for row in (0..column).rev() {
            let sum: f32 =
                (row + 1..=column).map(|i| entry(row, i) * inverse[column * size + i]).sum();
            inverse[column * size + row] = -sum / entry(row, row);
        }
    }
    inverse
}

#[test]
fn right_products_are_within_the_bound() {
    let gemm = Gemm::new(67, 43, 129);
    for backwards in [false, true] {
        let deviation = gemm.deviation(&product(&gemm, backwards));
        assert!(deviation.is_right() && deviation.error > 0.0, "{deviation:?}");
    }
}

#[test]
fn wrong_products_are_not() {
    let gemm = Gemm::new(67, 43, 129);
    let right = product(&gemm, false);
    let mut nothing_done = gemm.c.clone();
    assert!(!gemm.deviation(&nothing_done).is_right());
    nothing_done.fill(0.0);
    assert!(!gemm.deviation(&nothing_done).is_right());
    let mut one_entry = right.clone();
    one_entry[20 * gemm.ldc + 30] += 1e-2;
    assert!(!gemm.deviation(&one_entry).is_right());
    let mut beyond = right.clone();
    beyond[gemm.m] += 1e-6;
    assert!(!gemm.deviation(&beyond).is_right(), "what is between columns was written");
    let mut not_a_number = right;
    not_a_number[0] = f32::NAN;
    assert_eq!(gemm.deviation(&not_a_number).error, f64::INFINITY);
    let mut other = gemm.clone();
    other.beta = 0.0;
    assert!(!gemm.deviation(&product(&other, false)).is_right(), "beta left out");
}

#[test]
fn wrong_solutions_are_not() {
    let trsm = Trsm::new(65, 42, 5);
    let right = substituted(&trsm);
    let mut one_entry = right.clone();
    one_entry[65 * 20 + 30] += 1e-3;
    let mut not_a_number = right.clone();
    not_a_number[3] = f32::NAN;
    let diagonal_only: Vec<f32> =
        (0..65 * 42).map(|i| trsm.b[i] / trsm.a[(i / 65) * 42 + i / 65]).collect();
    let mut lower = trsm.clone();
    for column in 0..42 {
        for row in 0..column {
            lower.a[column * 42 + row] = trsm.a[row * 42 + column] / 100.0;
        }
    }
    let other_triangle = substituted(&lower);
    for wrong in [one_entry, not_a_number, diagonal_only, other_triangle, trsm.b.clone()] {
        assert!(!trsm.deviation(&wrong).is_right());
    }
}

#[test]
fn matrices_are_as_the_bound_takes_them_to_be() {
    let trsm = Trsm::new(3, 79, 9);
    for column in 0..79 {
        let above: f32 = (0..column).map(|row| trsm.a[column * 79 + row].abs()).sum();
        let diagonal = trsm.a[column * 79 + column].abs();
        assert!(above <= 0.25 && (1.0..=2.0).contains(&diagonal), "{above} {diagonal}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_way_to_solve_is_within_the_bound(
        (m, n) in (1_usize..40, 1_usize..90),
        block in prop::sample::select(vec![1_usize, 2, 16, 32, 64, 128]),
        seed: u64,
    ) {
        let trsm = Trsm::new(m, n, seed);
        let deviation = trsm.deviation(&blocked(&trsm, block));
        prop_assert!(deviation.is_right(), "{deviation:?}");
    }
}
