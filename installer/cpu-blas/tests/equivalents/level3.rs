//! Level 3: products of which one half is computed, sums, diagonal products, inverses.

use crate::*;

#[test]
fn products_of_which_one_half_is_wanted_are_halves_of_general_ones() {
    let mut random = Random::new(5);
    let k = 3;
    for half in HALVES {
        let [a, b, c] = [N * k, N * k, N * N].map(|count| numbers::<C64>(&mut random, count));
        let scalars = numbers::<C64>(&mut random, 2);
        let (alpha, beta) = scalars.split_at(1);
        let conjugate = [alpha[0].conj()];
        let real_beta = [beta[0].re];
        let one = [C64::new(1.0, 0.0)];
        type Term<'a> = (&'a [C64], i32, &'a [C64], i32, &'a [C64]);
        let product = |beta: &[C64], terms: &[Term<'_>]| {
            let mut product = c.clone();
            for (number, (alpha, of_a, a, of_b, b)) in terms.iter().enumerate() {
                let beta = if number == 0 { beta } else { &one };
                let ld = |operation, rows, columns| if operation == NONE { rows } else { columns };
                let (lda, ldb) = (ld(*of_a, N, k), ld(*of_b, k, N));
                call!(
                    "zgemm",
                    *of_a,
                    *of_b,
                    N,
                    N,
                    k,
                    *alpha,
                    *a,
                    lda,
                    *b,
                    ldb,
                    beta,
                    &mut product[..],
                    N
                );
            }
            product
        };
        let (a, b) = (&a[..], &b[..]);
        for (of_a, of_b) in OPERATIONS.into_iter().flat_map(|a| OPERATIONS.map(|b| (a, b))) {
            let mut got = c.clone();
            let (lda, ldb) = (if of_a == NONE { N } else { k }, if of_b == NONE { k } else { N });
            call!("zgemmt", half, of_a, of_b, N, k, alpha, a, lda, b, ldb, beta, &mut got[..], N);
            let expected = product(beta, &[(alpha, of_a, a, of_b, b)]);
            assert_close(&got, &only_half(half, &expected, &c));
        }
        for (is_twice, symmetric, hermitian) in
            [(true, "zsyr2k", "zher2k"), (false, "zsyrkx", "zherkx")]
        {
            for (first, second, is_hermitian) in [
                (NONE, operation::TRANSPOSE, false),
                (operation::TRANSPOSE, NONE, false),
                (NONE, operation::CONJUGATE_TRANSPOSE, true),
                (operation::CONJUGATE_TRANSPOSE, NONE, true),
            ] {
                let ld = if first == NONE { N } else { k };
                let mut got = c.clone();
                let other = if is_hermitian { &conjugate[..] } else { alpha };
                let terms = [(alpha, first, a, second, b), (other, first, b, second, a)];
                let terms = if is_twice { &terms[..] } else { &terms[..1] };
                let expected = if is_hermitian {
                    call!(
                        hermitian,
                        half,
                        first,
                        N,
                        k,
                        alpha,
                        a,
                        ld,
                        b,
                        ld,
                        &real_beta[..],
                        &mut got[..],
                        N
                    );
                    let mut expected = product(&[C64::new(real_beta[0], 0.0)], terms);
                    real_diagonal(&mut expected);
                    expected
                } else {
                    call!(symmetric, half, first, N, k, alpha, a, ld, b, ld, beta, &mut got[..], N);
                    product(beta, terms)
                };
                assert_close(&got, &only_half(half, &expected, &c));
            }
        }
    }
}

/// The identity, or a matrix with this diagonal.
fn diagonal_matrix(values: &[C64]) -> Vec<C64> {
    let mut matrix = vec![C64::default(); values.len() * values.len()];
    matrix
        .iter_mut()
        .step_by(values.len() + 1)
        .zip(values)
        .for_each(|(place, value)| *place = *value);
    matrix
}

#[test]
fn sums_and_diagonal_products_are_general_products() {
    let mut random = Random::new(6);
    let (m, n) = (4, 3);
    let (one, zero) = ([C64::new(1.0, 0.0)], [C64::default()]);
    let identity = diagonal_matrix(&[one[0]; 3]);
    for (of_a, of_b) in OPERATIONS.into_iter().flat_map(|a| OPERATIONS.map(|b| (a, b))) {
        let [a, b] = [m * n, m * n].map(|count| numbers::<C64>(&mut random, count));
        let scalars = numbers::<C64>(&mut random, 2);
        let (alpha, beta) = scalars.split_at(1);
        let (lda, ldb) = (if of_a == NONE { m } else { n }, if of_b == NONE { m } else { n });
        let mut got = vec![C64::new(f64::NAN, 0.0); m * n];
        call!("zgeam", of_a, of_b, m, n, alpha, &a[..], lda, beta, &b[..], ldb, &mut got[..], m);
        let mut expected = got.clone();
        for (operation, factor, a, ld, kept) in
            [(of_a, alpha, &a, lda, &zero), (of_b, beta, &b, ldb, &one)]
        {
            call!(
                "zgemm",
                operation,
                NONE,
                m,
                n,
                n,
                factor,
                &a[..],
                ld,
                &identity[..],
                n,
                &kept[..],
                &mut expected[..],
                m
            );
        }
        assert_close(&got, &expected);
    }

    let a = numbers::<C64>(&mut random, m * n);
    let x = numbers::<C64>(&mut random, 2 * m);
    for (side, len) in [(side::LEFT, m), (side::RIGHT, n)] {
        // With a negative increment, the order is reversed.
        let factors: Vec<C64> = (0..len).rev().map(|i| x[2 * i]).collect();
        let factors = diagonal_matrix(&factors);
        let (mut got, mut expected) = (a.clone(), a.clone());
        call!("zdgmm", side, m, n, &a[..], m, &x[..], -2, &mut got[..], m);
        let (first, second) = if side == side::LEFT { (&factors, &a) } else { (&a, &factors) };
        call!(
            "zgemm",
            NONE,
            NONE,
            m,
            n,
            len,
            &one[..],
            &first[..],
            m,
            &second[..],
            len,
            &zero[..],
            &mut expected[..],
            m
        );
        assert_close(&got, &expected);
    }
}

#[test]
fn a_triangle_times_its_inverse_is_the_identity() {
    let mut random = Random::new(7);
    let one = [C64::new(1.0, 0.0)];
    for (half, diag) in HALVES.into_iter().flat_map(|half| DIAGONALS.map(|diag| (half, diag))) {
        let a = numbers::<C64>(&mut random, N * N);
        let mut inverse = vec![C64::default(); N * N];
        call!("ztrtri", half, diag, N, &a[..], N, &mut inverse[..], N);
        let mut product = inverse.clone();
        call!(
            "ztrmm",
            side::LEFT,
            half,
            NONE,
            diag,
            N,
            N,
            &one[..],
            &a[..],
            N,
            &inverse[..],
            N,
            &mut product[..],
            N
        );
        assert_close(&product, &diagonal_matrix(&[one[0]; N]));
    }
}
