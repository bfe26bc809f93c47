//! Level 3, compared with plain loops. The solver is checked by multiplying its solutions back.

use proptest::prelude::*;

use crate::handle::Handle;
use crate::personality::Personality;
use crate::testing::*;

/// m, n, k and by how much the leading dimensions exceed the minimum.
pub(super) type Shape = (i64, i64, i64, i64);

pub(super) fn shapes() -> impl Strategy<Value = (Shape, usize, u64)> {
    ((0_i64..7, 0_i64..7, 0_i64..5, 0_i64..3), 1_usize..4, any::<u64>())
}

pub(super) fn cells(rows: i64, columns: i64) -> impl Iterator<Item = (i64, i64)> {
    (0..columns).flat_map(move |j| (0..rows).map(move |i| (i, j)))
}

/// Element (i, j) of S G, or of G S on the right; `s` is the special matrix.
pub(super) fn side_product<E: Sample>(
    side: i32,
    order: i64,
    s: impl Fn(i64, i64) -> C64,
    general: &Operand<E>,
    p: usize,
    (i, j): (i64, i64),
) -> C64 {
    let terms = (0..order).map(|l| match side {
        LEFT => s(i, l) * general.want(p, l, j),
        _ => general.want(p, i, l) * s(l, j),
    });
    terms.sum()
}

/// trmm is compared with the plain loop; trsm must undo trmm.
fn triangular<E: Sample>((m, n, _, spare): Shape, problems: usize, seed: u64) {
    for side in [LEFT, RIGHT] {
        for_all_triangles(|fill, operation, diagonal| {
            let options = [fill, operation, diagonal];
            Bench::everywhere(problems, seed, |bench| {
                let order = if side == LEFT { m } else { n };
                let mut a = triangle::<E>(bench, order, order + spare, fill, diagonal);
                let mut b = bench.matrix::<E>(m, n, m + spare);
                let mut c = bench.matrix::<E>(m, n, m + spare + 1);
                let alpha: E = bench.alpha();
                for p in 0..bench.problems {
                    for (i, j) in cells(m, n) {
                        let element = |i, j| triangle_element(&a, options, p, i, j);
                        let product = side_product(side, order, element, &b, p, (i, j));
                        c.expect(p, i, j, alpha.value() * product);
                    }
                }
                let begin = |kind: &str| {
                    let call = bench.call(&format!("{}{kind}", E::LETTER)).code(side).code(fill);
                    call.code(operation).code(diagonal).int(m).int(n)
                };

                let call = begin("trmm").scalar(&alpha).operand(&mut a).operand(&mut b);
                assert_eq!(call.operand(&mut c).batch().run(), SUCCESS);
                c.check("trmm");
                b.check("the factor of trmm");

                // trmm also works in place.
                let mut in_place = bench.matrix_like(&b);
                for p in 0..bench.problems {
                    cells(m, n).for_each(|(i, j)| in_place.expect(p, i, j, c.want(p, i, j)));
                }
                let call = begin("trmm").scalar(&alpha).operand(&mut a).operand(&mut in_place);
                assert_eq!(call.operand(&mut in_place).batch().run(), SUCCESS);
                in_place.check("trmm in place");

                // C is alpha op(A) B, so solving with 1 / alpha restores B. An alpha of zero makes
                // zeros instead.
                let solvable = alpha.value() != C64::default();
                for p in 0..bench.problems {
                    for (i, j) in cells(m, n) {
                        c.expect(p, i, j, if solvable { b.want(p, i, j) } else { 0.0.into() });
                    }
                }
                let inverse = if solvable { alpha.value().inv() } else { 0.0.into() };
                let inverse = E::sample(inverse);
                let call = begin("trsm").scalar(&inverse).operand(&mut a);
                assert_eq!(call.operand(&mut c).batch().run(), SUCCESS);
                c.check("trsm");
            });
        });
    }
}

fn symmetric<E: Sample>(hermitian: bool, shape: Shape, problems: usize, seed: u64) {
    let (m, n, _, spare) = shape;
    for (side, fill) in [(LEFT, UPPER), (LEFT, LOWER), (RIGHT, UPPER), (RIGHT, LOWER)] {
        Bench::everywhere(problems, seed, |bench| {
            let order = if side == LEFT { m } else { n };
            let mut a = bench.matrix::<E>(order, order, order + spare);
            a.poison(|i, j| if fill == LOWER { i < j } else { i > j });
            let mut b = bench.matrix::<E>(m, n, m + spare);
            let mut c = bench.matrix::<E>(m, n, m + spare + 1);
            let (alpha, beta): (E, E) = (bench.alpha(), bench.alpha());
            c.poison(|_, _| beta.value() == C64::default());
            for p in 0..bench.problems {
                for (i, j) in cells(m, n) {
                    let element = |i, j| mirrored_element(&a, hermitian, fill, p, i, j);
                    let product = side_product(side, order, element, &b, p, (i, j));
                    let kept = c.kept(beta, p, i, j);
                    c.expect(p, i, j, alpha.value() * product + kept);
                }
            }
            let name = format!("{}{}", E::LETTER, if hermitian { "hemm" } else { "symm" });
            let call = bench.call(&name).code(side).code(fill).int(m).int(n).scalar(&alpha);
            let call = call.operand(&mut a).operand(&mut b).scalar(&beta).operand(&mut c);
            assert_eq!(call.batch().run(), SUCCESS);
            c.check(&name);
        });
    }
}

/// syrk, or herk with real scalars.
fn rank_k<E: Sample, S: Sample>(hermitian: bool, shape: Shape, problems: usize, seed: u64) {
    let (n, _, k, spare) = shape;
    let transposition = if hermitian { CONJUGATE } else { TRANSPOSE };
    for (fill, operation) in
        [(UPPER, NONE), (UPPER, transposition), (LOWER, NONE), (LOWER, transposition)]
    {
        Bench::everywhere(problems, seed, |bench| {
            let (rows, columns) = if operation == NONE { (n, k) } else { (k, n) };
            let mut a = bench.matrix::<E>(rows, columns, rows + spare);
            let mut c = bench.matrix::<E>(n, n, n + spare);
            let (alpha, beta): (S, S) = (bench.alpha(), bench.alpha());
            let untouched = |i: i64, j: i64| if fill == LOWER { i < j } else { i > j };
            c.poison(|i, j| untouched(i, j) || beta.value() == C64::default());
            let unchanged = (k == 0 || alpha.value() == C64::default()) && beta.value().re == 1.0;
            for p in 0..bench.problems {
                for (i, j) in cells(n, n).filter(|(i, j)| !untouched(*i, *j) && !unchanged) {
                    let element = |i, l| a.want_op(operation, p, i, l);
                    let terms = (0..k).map(|l| {
                        let other = element(j, l);
                        element(i, l) * if hermitian { other.conj() } else { other }
                    });
                    let sum = alpha.value() * terms.sum::<C64>() + c.kept(beta, p, i, j);
                    let is_real = hermitian && i == j;
                    c.expect(p, i, j, if is_real { sum.re.into() } else { sum });
                }
            }
            let name = format!("{}{}", E::LETTER, if hermitian { "herk" } else { "syrk" });
            let call = bench.call(&name).code(fill).code(operation).int(n).int(k);
            let call = call.scalar(&alpha).operand(&mut a).scalar(&beta).operand(&mut c);
            assert_eq!(call.batch().run(), SUCCESS);
            c.check(&name);
        });
    }
}

fn syrk<E: Sample>(shape: Shape, problems: usize, seed: u64) {
    rank_k::<E, E>(false, shape, problems, seed);
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn triangles_multiply_and_solve((shape, problems, seed) in shapes()) {
        for_standard_types!(triangular(shape, problems, seed));
    }
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn symmetric_products_read_one_half((shape, problems, seed) in shapes()) {
        for_standard_types!(symmetric(false, shape, problems, seed));
        symmetric::<C32>(true, shape, problems, seed);
        symmetric::<C64>(true, shape, problems, seed);
    }

    #[test]
    fn rank_k_updates_write_one_half((shape, problems, seed) in shapes()) {
        for_standard_types!(syrk(shape, problems, seed));
        rank_k::<C32, f32>(true, shape, problems, seed);
        rank_k::<C64, f64>(true, shape, problems, seed);
    }
}

/// The solve of llama.cpp at a size at which errors would accumulate. Checks the residual A X - B,
/// relative to the size of B.
#[test]
fn a_solve_of_512_unknowns_leaves_no_residual() {
    fn residual<E: Sample>(side: i32, n: i64, right_sides: i64) {
        let mut bench = Bench::new(FormName::Batched, false, 1, 77);
        let mut a = triangle::<E>(&mut bench, n, n, UPPER, NON_UNIT);
        let (rows, columns) = if side == LEFT { (n, right_sides) } else { (right_sides, n) };
        let mut x = bench.matrix::<E>(rows, columns, rows);
        let one = E::sample(1.0.into());
        let call = bench.call(&format!("{}trsm", E::LETTER)).code(side).code(UPPER).code(NONE);
        let call = call.code(NON_UNIT).int(rows).int(columns).scalar(&one);
        assert_eq!(call.operand(&mut a).operand(&mut x).batch().run(), SUCCESS);
        for (i, j) in cells(rows, columns) {
            let terms = (0..n).map(|l| match side {
                LEFT => triangle_element(&a, [UPPER, NONE, NON_UNIT], 0, i, l) * x.got(0, l, j),
                _ => x.got(0, i, l) * triangle_element(&a, [UPPER, NONE, NON_UNIT], 0, l, j),
            });
            let residual = (terms.sum::<C64>() - x.want(0, i, j)).norm();
            assert!(residual <= E::TOLERANCE, "{residual} at ({i}, {j})");
        }
    }
    residual::<f32>(LEFT, 512, 8);
    residual::<f32>(RIGHT, 512, 8);
    residual::<C64>(LEFT, 512, 4);
    residual::<f32>(RIGHT, 79, 417);
}

/// strsm_batched as llama.cpp calls it, with the C prototype written out.
#[test]
fn the_plain_c_prototype_reaches_the_solver() {
    type Strsm = unsafe extern "C" fn(
        *const Handle,
        u32,
        u32,
        u32,
        u32,
        i32,
        i32,
        *const f32,
        *const *const f32,
        i32,
        *const *mut f32,
        i32,
        i32,
    ) -> i32;
    let function = crate::entry_point("rocblas_strsm_batched").expect("implemented");
    // SAFETY: the vendor's prototype.
    let strsm = unsafe { core::mem::transmute::<*const (), Strsm>(function) };
    let handle = Handle::new(Personality::current());
    // X [2 1; 0 4] = [6 11]
    let a = [2.0_f32, 0.0, 1.0, 4.0];
    let mut b = [6.0_f32, 11.0];
    let (a_table, b_table) = ([a.as_ptr()], [b.as_mut_ptr()]);
    // SAFETY: tables of one matrix each, of the sizes given.
    let status = unsafe {
        strsm(&handle, 142, 121, 111, 131, 1, 2, &1.0, a_table.as_ptr(), 2, b_table.as_ptr(), 1, 1)
    };
    assert_eq!((status, b), (SUCCESS, [3.0, 2.0]));
}

#[test]
fn a_solver_without_kernels_fails_past_its_checks_only() {
    static STOCK: Personality =
        Personality { version: "5.0.2", atomics_allowed: false, trsm_has_kernels: false };
    Bench::everywhere(2, 5, |bench| {
        *bench.handle = Handle::new(&STOCK);
        let (mut a, mut b) = (bench.matrix::<f32>(3, 3, 3), bench.matrix::<f32>(3, 3, 3));
        let mut x = bench.vector::<f32>(3, 1);
        let (one, zero) = (1.0_f32, 0.0_f32);
        let zero = &raw const zero as i64;
        check_order(
            || {
                let call = bench.call("strsm").code(LEFT).code(UPPER).code(NONE).code(UNIT);
                call.int(3).int(3).scalar(&one).operand(&mut a).operand(&mut b).batch()
            },
            &[
                ("handle", 0, INVALID_HANDLE),
                ("lda", -1, INVALID_SIZE),
                ("m", 0, SUCCESS),
                ("B", 0, INVALID_POINTER),
                ("diag", UNIT.into(), INTERNAL_ERROR),
            ],
        );
        check_order(
            || {
                let call = bench.call("strsv").code(UPPER).code(NONE).code(UNIT).int(3);
                call.operand(&mut a).operand(&mut x).batch()
            },
            &[
                ("lda", -1, INVALID_SIZE),
                ("n", 0, SUCCESS),
                ("x", 0, INVALID_POINTER),
                ("diag", UNIT.into(), INTERNAL_ERROR),
            ],
        );
        b.check("b");
        x.check("x");

        // With an alpha of zero nothing is solved, so the missing kernel does not matter.
        let call = bench.call("strsm").code(LEFT).code(UPPER).code(NONE).code(UNIT).int(3).int(3);
        let call = call.scalar(&one).operand(&mut a).operand(&mut b).batch();
        assert_eq!(call.with("alpha", zero).run(), SUCCESS);
        assert!((0..bench.problems).all(|p| b.got(p, 2, 2) == C64::default()));
    });
}

#[test]
fn the_first_wrong_argument_decides() {
    Bench::everywhere(2, 5, |bench| {
        let mut a = bench.matrix::<f32>(3, 3, 3);
        let (mut b, mut c) = (bench.matrix::<f32>(3, 3, 3), bench.matrix::<f32>(3, 3, 4));
        let (half, zero, one) = (0.5_f32, 0.0_f32, 1.0_f32);
        let address = |scalar: &f32| &raw const *scalar as i64;
        check_order(
            || {
                let call = bench.call("strsm").code(LEFT).code(UPPER).code(NONE).code(UNIT);
                call.int(3).int(3).scalar(&half).operand(&mut a).operand(&mut b).batch()
            },
            &[
                ("handle", 0, INVALID_HANDLE),
                ("side", 143, INVALID_VALUE),
                ("uplo", 120, INVALID_VALUE),
                ("trans", 114, INVALID_VALUE),
                ("diag", 133, INVALID_VALUE),
                ("batch_count", -1, INVALID_SIZE),
                ("ldb", -1, INVALID_SIZE),
                ("lda", -1, INVALID_SIZE),
                ("n", -1, INVALID_SIZE),
                ("n", 0, SUCCESS),
                ("B", 0, INVALID_POINTER),
                ("alpha", 0, INVALID_POINTER),
                ("A", 0, INVALID_POINTER),
            ],
        );
        check_order(
            || {
                let call = bench.call("strmm").code(LEFT).code(UPPER).code(NONE).code(UNIT);
                let call = call.int(3).int(3).scalar(&half).operand(&mut a);
                call.operand(&mut c).operand(&mut c).batch()
            },
            &[
                ("side", 143, INVALID_VALUE),
                ("diag", 133, INVALID_VALUE),
                ("ldb", -1, INVALID_SIZE),
                ("n", 0, SUCCESS),
                ("alpha", 0, INVALID_POINTER),
                ("A", 0, INVALID_POINTER),
            ],
        );
        // In place, B and C are the same matrix, so they must have the same leading dimension.
        check_order(
            || {
                let call = bench.call("strmm").code(LEFT).code(UPPER).code(NONE).code(UNIT);
                let call = call.int(3).int(3).scalar(&half).operand(&mut a);
                call.operand(&mut c).operand(&mut c).batch()
            },
            &[("ldc", 3, INVALID_VALUE)],
        );
        check_order(
            || {
                let call = bench.call("ssymm").code(RIGHT).code(UPPER).int(3).int(3).scalar(&half);
                let call = call.operand(&mut a).operand(&mut b).scalar(&half).operand(&mut c);
                call.batch()
            },
            &[
                ("side", 143, INVALID_VALUE),
                ("uplo", 123, INVALID_VALUE),
                ("ldc", -1, INVALID_SIZE),
                ("m", 0, SUCCESS),
                ("beta", 0, INVALID_POINTER),
                ("alpha", address(&zero), SUCCESS),
                ("beta", address(&one), INVALID_POINTER),
                ("B", 0, INVALID_POINTER),
            ],
        );
        check_order(
            || {
                let call = bench.call("ssyrk").code(UPPER).code(CONJUGATE).int(3).int(3);
                let call = call.scalar(&half).operand(&mut a).scalar(&half).operand(&mut c);
                call.batch()
            },
            &[
                ("handle", 0, INVALID_HANDLE),
                ("uplo", 123, INVALID_VALUE),
                ("trans", 114, INVALID_VALUE),
                ("k", -1, INVALID_SIZE),
                ("ldc", -1, INVALID_SIZE),
                ("n", 0, SUCCESS),
                ("alpha", 0, INVALID_POINTER),
                ("beta", 0, INVALID_POINTER),
                ("alpha", address(&zero), SUCCESS),
                ("beta", address(&one), INVALID_POINTER),
                ("A", 0, INVALID_POINTER),
                ("C", 0, INVALID_POINTER),
            ],
        );
        // One below the minimum is too short.
        let mut trsm = || {
            let call = bench.call("strsm").code(RIGHT).code(UPPER).code(NONE).code(UNIT);
            call.int(2).int(3).scalar(&half).operand(&mut a).operand(&mut b).batch()
        };
        assert_eq!(trsm().with("lda", 2).run(), INVALID_SIZE);
        assert_eq!(trsm().with("ldb", 1).run(), INVALID_SIZE);
        b.check("b");
        c.check("c");
    });
}

#[test]
fn complex_rank_k_updates_refuse_the_other_transposition() {
    let mut bench = Bench::new(FormName::Single, false, 1, 3);
    let (mut a, mut c) = (bench.matrix::<C32>(2, 2, 2), bench.matrix::<C32>(2, 2, 2));
    let (complex, real): (C32, f32) = (bench.number(), bench.number());
    let call = bench.call("csyrk").code(UPPER).code(CONJUGATE).int(2).int(2);
    let call = call.scalar(&complex).operand(&mut a).scalar(&complex).operand(&mut c);
    assert_eq!(call.run(), INVALID_VALUE);
    let call = bench.call("cherk").code(UPPER).code(TRANSPOSE).int(2).int(2);
    let call = call.scalar(&real).operand(&mut a).scalar(&real).operand(&mut c);
    assert_eq!(call.run(), INVALID_VALUE);
    c.check("c");
}
