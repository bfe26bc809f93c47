//! Level 2: band and packed matrices, and updates by vectors.

use crate::*;

fn mirrored_products<T: Number>(whole: &str, in_band: &str, in_half: &str) {
    let mut random = Random::new(1);
    for half in HALVES {
        let [a, x, y] = [N * N, N, 2 * N].map(|count| numbers::<T>(&mut random, count));
        let scalars = numbers::<T>(&mut random, 2);
        let (alpha, beta) = scalars.split_at(1);
        let (incx, incy) = (-1, 2);
        let product = |a: &[T]| {
            let mut y = y.clone();
            call!(name::<T>(whole), half, N, alpha, a, N, &x[..], incx, beta, &mut y[..], incy);
            y
        };
        let (ap, mut got) = (packed(&a, half), y.clone());
        call!(name::<T>(in_half), half, N, alpha, &ap[..], &x[..], incx, beta, &mut got[..], incy);
        assert_close(&got, &product(&a));

        for k in [0, 2, N] {
            let (below, above) = one_side(half, k);
            let (ab, mut got) = (band(&a, N, below, above), y.clone());
            let a = limited(&a, N, k, k);
            call!(
                name::<T>(in_band),
                half,
                N,
                k,
                alpha,
                &ab[..],
                k + 1,
                &x[..],
                incx,
                beta,
                &mut got[..],
                incy
            );
            assert_close(&got, &product(&a));
        }
    }
}

#[test]
fn products_with_symmetric_matrices_do_not_depend_on_their_storage() {
    mirrored_products::<f64>("symv", "sbmv", "spmv");
    mirrored_products::<C64>("hemv", "hbmv", "hpmv");
}

fn band_products<T: Number>() {
    let mut random = Random::new(2);
    let (m, n) = (5, 4);
    for (operation, (kl, ku)) in
        OPERATIONS.into_iter().flat_map(|o| [(1, 2), (0, 0), (6, 1)].map(|k| (o, k)))
    {
        let [a, x, y] = [m * n, 5, 2 * 5].map(|count| numbers::<T>(&mut random, count));
        let scalars = numbers::<T>(&mut random, 2);
        let (alpha, beta) = scalars.split_at(1);
        let (ab, ld) = (band(&a, m, kl, ku), kl + ku + 1);
        let a = limited(&a, m, kl, ku);
        let (mut got, mut expected) = (y.clone(), y);
        call!(
            name::<T>("gbmv"),
            operation,
            m,
            n,
            kl,
            ku,
            alpha,
            &ab[..],
            ld,
            &x[..],
            -1,
            beta,
            &mut got[..],
            2
        );
        call!(
            name::<T>("gemv"),
            operation,
            m,
            n,
            alpha,
            &a[..],
            m,
            &x[..],
            -1,
            beta,
            &mut expected[..],
            2
        );
        assert_close(&got, &expected);
    }
}

#[test]
fn products_with_general_matrices_do_not_depend_on_their_storage() {
    band_products::<f64>();
    band_products::<C64>();
}

fn triangular<T: Number>() {
    let mut random = Random::new(3);
    for (half, operation) in HALVES.into_iter().flat_map(|h| OPERATIONS.map(|o| (h, o))) {
        for (diag, (whole, in_band, in_half)) in DIAGONALS.into_iter().flat_map(|diag| {
            [("trmv", "tbmv", "tpmv"), ("trsv", "tbsv", "tpsv")].map(|names| (diag, names))
        }) {
            let [a, x] = [N * N, 2 * N].map(|count| numbers::<T>(&mut random, count));
            let expected = |a: &[T]| {
                let mut x = x.clone();
                call!(name::<T>(whole), half, operation, diag, N, a, N, &mut x[..], -2);
                x
            };
            let (ap, mut got) = (packed(&a, half), x.clone());
            call!(name::<T>(in_half), half, operation, diag, N, &ap[..], &mut got[..], -2);
            assert_close(&got, &expected(&a));

            let (below, above) = one_side(half, 2);
            let (ab, mut got) = (band(&a, N, below, above), x.clone());
            let a = limited(&a, N, below, above);
            call!(name::<T>(in_band), half, operation, diag, N, 2, &ab[..], 3, &mut got[..], -2);
            assert_close(&got, &expected(&a));
        }
    }
}

#[test]
fn triangular_products_and_solutions_do_not_depend_on_storage() {
    triangular::<f64>();
    triangular::<C64>();
}

#[test]
fn updates_by_vectors_are_halves_of_general_ones() {
    let mut random = Random::new(4);
    for half in HALVES {
        let [a, x, y] = [N * N, N, N].map(|count| numbers::<C64>(&mut random, count));
        let alpha = [C64::new(random.number(), random.number())];
        let conjugate = [alpha[0].conj()];
        let real = [alpha[0].re];
        let product = |routine: &str, terms: &[(&[C64; 1], &[C64], &[C64])]| {
            let mut product = a.clone();
            for (alpha, x, y) in terms {
                call!(routine, N, N, &alpha[..], *x, 1, *y, 1, &mut product[..], N);
            }
            if routine == "zgerc" {
                real_diagonal(&mut product);
            }
            product
        };
        let (x, y, alpha) = (&x[..], &y[..], &alpha);
        let whole = |run: &dyn Fn(&mut [C64]), expected: Vec<C64>| {
            let mut got = a.clone();
            run(&mut got);
            assert_close(&got, &only_half(half, &expected, &a));
        };
        whole(
            &|a| call!("zsyr", half, N, &alpha[..], x, 1, a, N),
            product("zgeru", &[(alpha, x, x)]),
        );
        let expected = product("zgerc", &[(&[C64::new(real[0], 0.0)], x, x)]);
        whole(&|a| call!("zher", half, N, &real[..], x, 1, a, N), expected.clone());
        let two = product("zgeru", &[(alpha, x, y), (alpha, y, x)]);
        whole(&|a| call!("zsyr2", half, N, &alpha[..], x, 1, y, 1, a, N), two);
        let two = product("zgerc", &[(alpha, x, y), (&conjugate, y, x)]);
        whole(&|a| call!("zher2", half, N, &alpha[..], x, 1, y, 1, a, N), two.clone());

        let ap = packed(&a, half);
        let in_half = |run: &dyn Fn(&mut [C64]), expected: &[C64]| {
            let mut got = ap.clone();
            run(&mut got);
            assert_close(&got, &packed(expected, half));
        };
        in_half(
            &|ap| call!("zspr", half, N, &alpha[..], x, 1, ap),
            &product("zgeru", &[(alpha, x, x)]),
        );
        in_half(&|ap| call!("zhpr", half, N, &real[..], x, 1, ap), &expected);
        in_half(&|ap| call!("zhpr2", half, N, &alpha[..], x, 1, y, 1, ap), &two);

        let [a, x, y] = [N * N, N, N].map(|count| numbers::<f64>(&mut random, count));
        let (mut expected, mut got) = (a.clone(), packed(&a, half));
        call!("dsyr2", half, N, &real[..], &x[..], 1, &y[..], 1, &mut expected[..], N);
        call!("dspr2", half, N, &real[..], &x[..], 1, &y[..], 1, &mut got[..]);
        assert_close(&got, &packed(&expected, half));
    }
}
