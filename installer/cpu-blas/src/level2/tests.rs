//! Level 2, compared with plain loops.

use proptest::prelude::*;

use crate::testing::*;

fn increments() -> impl Strategy<Value = i64> {
    (-3_i64..3).prop_map(|inc| if inc >= 0 { inc + 1 } else { inc })
}

/// Sizes, by how much the leading dimension exceeds the minimum, and increments.
type Shape = (i64, i64, i64, i64, i64);

fn shapes() -> impl Strategy<Value = (Shape, usize, u64)> {
    ((0_i64..8, 0_i64..8, 0_i64..3, increments(), increments()), 1_usize..4, any::<u64>())
}

/// y with NaNs where it must not be read, and the expected result: alpha product + beta y.
fn expect_update<E: Sample>(
    y: &mut Operand<E>,
    problems: usize,
    n: i64,
    [alpha, beta]: [E; 2],
    product: impl Fn(usize, i64) -> C64,
) {
    if beta.value() == C64::default() {
        y.poison(|_, _| true);
    }
    for p in 0..problems {
        for i in 0..n {
            let kept = y.kept(beta, p, i, 0);
            y.expect(p, i, 0, alpha.value() * product(p, i) + kept);
        }
    }
}

fn gemv<E: Sample>((m, n, spare, incx, incy): Shape, problems: usize, seed: u64) {
    for operation in [NONE, TRANSPOSE, CONJUGATE] {
        Bench::everywhere(problems, seed, |bench| {
            let (rows, columns) = if operation == NONE { (m, n) } else { (n, m) };
            let mut a = bench.matrix::<E>(m, n, m.max(1) + spare);
            let mut x = bench.vector::<E>(columns, incx);
            let mut y = bench.vector::<E>(rows, incy);
            let scalars: [E; 2] = [bench.alpha(), bench.alpha()];
            if m > 0 && n > 0 {
                expect_update(&mut y, bench.problems, rows, scalars, |p, i| {
                    (0..columns).map(|j| a.want_op(operation, p, i, j) * x.want(p, j, 0)).sum()
                });
            }
            let name = format!("{}gemv", E::LETTER);
            let call = bench.call(&name).code(operation).int(m).int(n).scalar(&scalars[0]);
            let call = call.operand(&mut a).operand(&mut x).scalar(&scalars[1]);
            assert_eq!(call.operand(&mut y).batch().run(), SUCCESS);
            y.check(&name);
            a.check(&name);
            x.check(&name);
        });
    }
}

fn ger<E: Sample>(kind: &str, (m, n, spare, incx, incy): Shape, problems: usize, seed: u64) {
    Bench::everywhere(problems, seed, |bench| {
        let (mut x, mut y) = (bench.vector::<E>(m, incx), bench.vector::<E>(n, incy));
        let mut a = bench.matrix::<E>(m, n, m.max(1) + spare);
        let alpha: E = bench.alpha();
        for p in 0..bench.problems {
            for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                let factor = y.want(p, j, 0);
                let factor = if kind == "gerc" { factor.conj() } else { factor };
                a.expect(p, i, j, alpha.value() * x.want(p, i, 0) * factor + a.want(p, i, j));
            }
        }
        let name = format!("{}{kind}", E::LETTER);
        let call = bench.call(&name).int(m).int(n).scalar(&alpha);
        let call = call.operand(&mut x).operand(&mut y).operand(&mut a).batch();
        assert_eq!(call.run(), SUCCESS);
        a.check(&name);
    });
}

fn symv<E: Sample>(hermitian: bool, (n, _, spare, incx, incy): Shape, problems: usize, seed: u64) {
    for fill in [UPPER, LOWER] {
        Bench::everywhere(problems, seed, |bench| {
            let mut a = bench.matrix::<E>(n, n, n.max(1) + spare);
            a.poison(|i, j| if fill == LOWER { i < j } else { i > j });
            let (mut x, mut y) = (bench.vector::<E>(n, incx), bench.vector::<E>(n, incy));
            let scalars: [E; 2] = [bench.alpha(), bench.alpha()];
            expect_update(&mut y, bench.problems, n, scalars, |p, i| {
                (0..n)
                    .map(|j| mirrored_element(&a, hermitian, fill, p, i, j) * x.want(p, j, 0))
                    .sum()
            });
            let name = format!("{}{}", E::LETTER, if hermitian { "hemv" } else { "symv" });
            let call = bench.call(&name).code(fill).int(n).scalar(&scalars[0]).operand(&mut a);
            let call = call.operand(&mut x).scalar(&scalars[1]).operand(&mut y).batch();
            assert_eq!(call.run(), SUCCESS);
            y.check(&name);
        });
    }
}

/// trmv is compared with a plain loop; trsv must undo trmv.
fn triangular<E: Sample>((n, _, spare, incx, _): Shape, problems: usize, seed: u64) {
    for_all_triangles(|fill, operation, diagonal| {
        Bench::everywhere(problems, seed, |bench| {
            let mut a = triangle::<E>(bench, n, n.max(1) + spare, fill, diagonal);
            let mut x = bench.vector::<E>(n, incx);
            let before: Vec<C64> = x.memory.iter().map(|x| x.value()).collect();
            for p in 0..bench.problems {
                let product: Vec<C64> = (0..n)
                    .map(|i| {
                        let row = (0..n).map(|j| {
                            triangle_element(&a, [fill, operation, diagonal], p, i, j)
                                * x.want(p, j, 0)
                        });
                        row.sum()
                    })
                    .collect();
                for (i, value) in (0..).zip(product) {
                    x.expect(p, i, 0, value);
                }
            }
            let mut run = |kind: &str, x: &mut Operand<E>| {
                let call = bench.call(&format!("{}{kind}", E::LETTER)).code(fill).code(operation);
                let call = call.code(diagonal).int(n).operand(&mut a).operand(x).batch();
                assert_eq!(call.run(), SUCCESS);
            };
            run("trmv", &mut x);
            x.check("trmv");
            run("trsv", &mut x);
            for (got, want) in x.memory.iter().zip(before) {
                assert_close(*got, want, || "trsv after trmv".to_owned());
            }
        });
    });
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn products_are_what_plain_loops_make_of_them((shape, problems, seed) in shapes()) {
        for_standard_types!(gemv(shape, problems, seed));
    }

    #[test]
    fn symmetric_products_read_one_half((shape, problems, seed) in shapes()) {
        for_standard_types!(symv(false, shape, problems, seed));
        symv::<C32>(true, shape, problems, seed);
        symv::<C64>(true, shape, problems, seed);
    }

    #[test]
    fn rank_one_updates_add_a_product((shape, problems, seed) in shapes()) {
        ger::<f32>("ger", shape, problems, seed);
        ger::<f64>("ger", shape, problems, seed);
        for kind in ["geru", "gerc"] {
            ger::<C32>(kind, shape, problems, seed);
            ger::<C64>(kind, shape, problems, seed);
        }
    }
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn triangles_multiply_and_solve((shape, problems, seed) in shapes()) {
        for_standard_types!(triangular(shape, problems, seed));
    }
}

#[test]
fn the_first_wrong_argument_decides() {
    Bench::everywhere(2, 5, |bench| {
        let (mut a, mut x) = (bench.matrix::<f32>(3, 3, 3), bench.vector::<f32>(3, 1));
        let mut y = bench.vector::<f32>(3, 1);
        let (half, zero, one) = (0.5_f32, 0.0_f32, 1.0_f32);
        let address = |scalar: &f32| &raw const *scalar as i64;
        check_order(
            || {
                let call = bench.call("sgemv").code(NONE).int(3).int(3).scalar(&half);
                let call = call.operand(&mut a).operand(&mut x).scalar(&half);
                call.operand(&mut y).batch()
            },
            &[
                ("handle", 0, INVALID_HANDLE),
                ("trans", 110, INVALID_VALUE),
                ("m", -1, INVALID_SIZE),
                ("n", -1, INVALID_SIZE),
                ("lda", 0, INVALID_SIZE),
                ("incx", 0, INVALID_SIZE),
                ("incy", 0, INVALID_SIZE),
                ("batch_count", -1, INVALID_SIZE),
                ("m", 0, SUCCESS),
                ("n", 0, SUCCESS),
                ("batch_count", 0, SUCCESS),
                ("alpha", 0, INVALID_POINTER),
                ("beta", 0, INVALID_POINTER),
                ("alpha", address(&zero), SUCCESS),
                ("beta", address(&one), INVALID_POINTER),
                ("A", 0, INVALID_POINTER),
                ("x", 0, INVALID_POINTER),
                ("y", 0, INVALID_POINTER),
            ],
        );
        check_order(
            || {
                let call = bench.call("ssymv").code(LOWER).int(3).scalar(&half);
                let call = call.operand(&mut a).operand(&mut x).scalar(&half);
                call.operand(&mut y).batch()
            },
            &[
                ("handle", 0, INVALID_HANDLE),
                ("uplo", 123, INVALID_VALUE),
                ("n", -1, INVALID_SIZE),
                ("lda", 0, INVALID_SIZE),
                ("incx", 0, INVALID_SIZE),
                ("n", 0, SUCCESS),
                ("beta", 0, INVALID_POINTER),
                ("alpha", address(&zero), INVALID_POINTER),
                ("y", 0, INVALID_POINTER),
            ],
        );
        check_order(
            || {
                let call = bench.call("sger").int(3).int(3).scalar(&half);
                call.operand(&mut x).operand(&mut y).operand(&mut a).batch()
            },
            &[
                ("handle", 0, INVALID_HANDLE),
                ("m", -1, INVALID_SIZE),
                ("incy", 0, INVALID_SIZE),
                ("lda", 0, INVALID_SIZE),
                ("n", 0, SUCCESS),
                ("alpha", 0, INVALID_POINTER),
                ("alpha", address(&zero), SUCCESS),
                ("x", 0, INVALID_POINTER),
                ("A", 0, INVALID_POINTER),
            ],
        );
        for routine in ["strmv", "strsv"] {
            check_order(
                || {
                    let call = bench.call(routine).code(LOWER).code(NONE).code(UNIT).int(3);
                    call.operand(&mut a).operand(&mut x).batch()
                },
                &[
                    ("handle", 0, INVALID_HANDLE),
                    ("uplo", 123, INVALID_VALUE),
                    ("trans", 0, INVALID_VALUE),
                    ("diag", 130, INVALID_VALUE),
                    ("lda", 0, INVALID_SIZE),
                    ("incx", 0, INVALID_SIZE),
                    ("n", 0, SUCCESS),
                    ("A", 0, INVALID_POINTER),
                    ("x", 0, INVALID_POINTER),
                ],
            );
        }
        // One below the minimum is too short.
        let call = bench.call("strmv").code(LOWER).code(NONE).code(UNIT).int(3);
        let call = call.operand(&mut a).operand(&mut x).batch();
        assert_eq!(call.with("lda", 2).run(), INVALID_SIZE);
        a.check("a");
        x.check("x");
        y.check("y");
    });
}
