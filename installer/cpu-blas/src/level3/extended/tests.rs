//! Level 3 with the types given by arguments, compared with plain loops.

use half::{bf16, f16};
use num_complex::Complex;
use proptest::prelude::*;

use super::{MIN_PLUS, PLUS_MIN};
use crate::datatype::{F16, F32, F64};
use crate::level3::tests::{Shape, cells, shapes, side_product};
use crate::testing::*;

/// Runs a test in each variant that rocBLAS has of the routine.
fn everywhere(routine: &str, problems: usize, seed: u64, mut test: impl FnMut(&mut Bench)) {
    Bench::everywhere(problems, seed, |bench| {
        if bench.has(routine) {
            test(bench);
        }
    });
}

/// B is op(A) X for a known X. The inverses of A's blocks are NaN, and make no difference.
fn trsm_ex<E: Sample>((m, n, _, spare): Shape, problems: usize, seed: u64) {
    for side in [LEFT, RIGHT] {
        for_all_triangles(|fill, operation, diagonal| {
            let options = [fill, operation, diagonal];
            everywhere("trsm_ex", problems, seed, |bench| {
                let order = if side == LEFT { m } else { n };
                let mut a = triangle::<E>(bench, order, order + spare, fill, diagonal);
                let x = bench.matrix::<E>(m, n, m + spare);
                let mut b = bench.matrix::<E>(m, n, m + spare);
                let mut inverses = bench.matrix::<E>(128, order, 128);
                inverses.poison(|_, _| true);
                let alpha: E = bench.alpha();
                for p in 0..bench.problems {
                    for (i, j) in cells(m, n) {
                        let element = |i, j| triangle_element(&a, options, p, i, j);
                        b.put(p, i, j, side_product(side, order, element, &x, p, (i, j)));
                    }
                    for (i, j) in cells(m, n) {
                        b.expect(p, i, j, alpha.value() * x.want(p, i, j));
                    }
                }
                let call = bench.call("trsm_ex").code(side).code(fill).code(operation);
                let call = call.code(diagonal).int(m).int(n).scalar(&alpha).operand(&mut a);
                let call = call.operand(&mut b).batch().array(&mut inverses).int(128 * order);
                assert_eq!(call.stride(&inverses).code(E::DATATYPE).run(), SUCCESS);
                b.check("trsm_ex");
            });
        });
    }
}

/// `syrk_ex`, or `herk_ex` with real scalars.
fn rank_k<E: Sample, O: Sample, S: Sample>(
    hermitian: bool,
    compute: i32,
    ((n, _, k, spare), problems, seed): (Shape, usize, u64),
) {
    let routine = if hermitian { "herk_ex" } else { "syrk_ex" };
    let operations = if hermitian { [NONE, CONJUGATE] } else { [NONE, TRANSPOSE] };
    let options = [UPPER, LOWER].into_iter().flat_map(|fill| operations.map(|o| (fill, o)));
    for (fill, operation) in options {
        everywhere(routine, problems, seed, |bench| {
            let (rows, columns) = if operation == NONE { (n, k) } else { (k, n) };
            let mut a = bench.matrix::<E>(rows, columns, rows + spare);
            let mut c = bench.matrix::<O>(n, n, n + spare);
            let (alpha, beta): (S, S) = (bench.alpha(), bench.alpha());
            let untouched = |i: i64, j: i64| if fill == LOWER { i < j } else { i > j };
            c.poison(|i, j| untouched(i, j) || beta.value() == C64::default());
            let unchanged = (k == 0 || alpha.value() == C64::default()) && beta.value().re == 1.0;
            for p in 0..bench.problems {
                for (i, j) in cells(n, n).filter(|(i, j)| !untouched(*i, *j) && !unchanged) {
                    let terms = (0..k).map(|l| {
                        let other = a.want_op(operation, p, j, l);
                        let other = if hermitian { other.conj() } else { other };
                        a.want_op(operation, p, i, l) * other
                    });
                    let value = alpha.value() * terms.sum::<C64>() + c.kept(beta, p, i, j);
                    let is_real = hermitian && i == j;
                    c.expect(p, i, j, if is_real { value.re.into() } else { value });
                }
            }
            let call = bench.call(routine).code(fill).code(operation).int(n).int(k).scalar(&alpha);
            let call = call.typed_operand(&mut a, E::DATATYPE).scalar(&beta);
            let call = call.typed_operand(&mut c, O::DATATYPE).batch().code(compute);
            assert_eq!(call.run(), SUCCESS);
            c.check(routine);
        });
    }
}

/// Both operations of `geam_ex`, with a separate D and with D in place of C.
fn geam_ex<E: Sample>(shape: Shape, operations: [i32; 2], problems: usize, seed: u64) {
    let (m, n, k, spare) = shape;
    for (kind, in_place) in
        [(MIN_PLUS, false), (MIN_PLUS, true), (PLUS_MIN, false), (PLUS_MIN, true)]
    {
        everywhere("geam_ex", problems, seed, |bench| {
            let mut stored = |operation, rows: i64, columns: i64| {
                let (rows, columns) =
                    if operation == NONE { (rows, columns) } else { (columns, rows) };
                bench.matrix::<E>(rows, columns, rows + spare)
            };
            let (mut a, mut b) = (stored(operations[0], m, k), stored(operations[1], k, n));
            let mut c = bench.matrix::<E>(m, n, m + spare);
            let mut d = bench.matrix::<E>(m, n, m + spare + 1);
            let (alpha, beta): (E, E) = (bench.alpha(), bench.alpha());
            a.poison(|_, _| alpha.value() == C64::default());
            b.poison(|_, _| alpha.value() == C64::default());
            c.poison(|_, _| beta.value() == C64::default());
            let factor = alpha.value().re;
            for p in 0..bench.problems {
                for (i, j) in cells(m, n) {
                    let pair = |l| {
                        if factor == 0.0 {
                            return [0.0, 0.0];
                        }
                        let of_a = a.want_op(operations[0], p, i, l).re;
                        [of_a, b.want_op(operations[1], p, l, j).re]
                    };
                    let kept = c.kept(beta, p, i, j).re;
                    let pairs = (0..k).map(pair);
                    let value = if kind == MIN_PLUS {
                        pairs.map(|[a, b]| factor * (a + b)).fold(kept, f64::min)
                    } else {
                        kept + pairs.map(|[a, b]| (factor * a).min(factor * b)).sum::<f64>()
                    };
                    let output = if in_place { &mut c } else { &mut d };
                    output.expect(p, i, j, value.into());
                }
            }
            let call = bench.call("geam_ex").code(operations[0]).code(operations[1]);
            let call = call.int(m).int(n).int(k).scalar(&alpha);
            let call = call.typed_operand(&mut a, E::DATATYPE).typed_operand(&mut b, E::DATATYPE);
            let call = call.scalar(&beta).typed_operand(&mut c, E::DATATYPE);
            let output = if in_place { &mut c } else { &mut d };
            let call = call.typed_operand(output, E::DATATYPE).batch();
            assert_eq!(call.code(E::DATATYPE).code(kind).run(), SUCCESS);
            c.check("C of geam_ex");
            d.check("D of geam_ex");
        });
    }
}

proptest! {
    #![proptest_config(cases(30))]

    #[test]
    fn triangular_systems_are_solved((shape, problems, seed) in shapes()) {
        for_standard_types!(trsm_ex(shape, problems, seed));
    }

    #[test]
    fn updates_of_all_types_are_what_plain_loops_make_of_them(case in shapes()) {
        rank_k::<bf16, bf16, f32>(false, F32, case);
        rank_k::<bf16, f32, f32>(false, F32, case);
        rank_k::<f16, f16, f32>(false, F32, case);
        rank_k::<f16, f32, f32>(false, F32, case);
        rank_k::<f32, f32, f64>(false, F64, case);
        rank_k::<f32, f64, f64>(false, F64, case);
        rank_k::<C32, C32, f64>(true, C64::DATATYPE, case);
        rank_k::<C32, C64, f64>(true, C64::DATATYPE, case);
    }

    #[test]
    fn minima_and_sums_are_what_plain_loops_make_of_them((shape, problems, seed) in shapes()) {
        for operations in [[NONE, NONE], [NONE, TRANSPOSE], [TRANSPOSE, NONE], [TRANSPOSE; 2]] {
            geam_ex::<f16>(shape, operations, problems, seed);
            geam_ex::<f32>(shape, operations, problems, seed);
            geam_ex::<f64>(shape, operations, problems, seed);
        }
    }
}

/// 4096^2 + 1 has one digit more than single precision; all that is left of it here is the 1.
#[test]
fn updates_of_single_precision_are_computed_in_double_precision() {
    let bench = Bench::new(FormName::Single, false, 1, 1);
    let (alpha, beta) = (1.0_f64, -1.0_f64);
    let (mut a, mut c) = (bench_row::<f32>([4096.0, 1.0]), 16_777_216_f32);
    let call = bench.call("syrk_ex").code(UPPER).code(NONE).int(1).int(2).scalar(&alpha);
    let call = call.results(&mut a).code(F32).int(1).scalar(&beta);
    let call = call.results(core::slice::from_mut(&mut c)).code(F32).int(1).code(F64);
    assert_eq!((call.run(), c), (SUCCESS, 1.0));

    let (mut a, mut c) = (bench_row::<C32>([4096.0, 1.0]), Complex::new(16_777_216_f32, 0.0));
    let (of_a, of_compute) = (C32::DATATYPE, C64::DATATYPE);
    let call = bench.call("herk_ex").code(UPPER).code(NONE).int(1).int(2).scalar(&alpha);
    let call = call.results(&mut a).code(of_a).int(1).scalar(&beta);
    let call = call.results(core::slice::from_mut(&mut c)).code(of_a).int(1).code(of_compute);
    assert_eq!((call.run(), c), (SUCCESS, Complex::new(1.0, 0.0)));
}

fn bench_row<E: Sample>(numbers: [f64; 2]) -> [E; 2] {
    numbers.map(|number| E::sample(number.into()))
}

#[test]
fn only_the_documented_combinations_of_types_are_implemented() {
    Bench::everywhere(2, 5, |bench| {
        let mut matrix = || bench.matrix::<C64>(3, 3, 3);
        let (mut a, mut b, mut c, mut d) = (matrix(), matrix(), matrix(), matrix());
        let number = C64::new(0.5, 0.5);
        if bench.has("trsm_ex") {
            check_types(|| {
                let call = bench.call("trsm_ex").code(LEFT).code(UPPER).code(NONE).code(UNIT);
                let call = call.int(3).int(3).scalar(&number).operand(&mut a).operand(&mut b);
                call.batch().array(&mut c).int(9).stride(&c).code(0)
            });
        }
        for routine in ["syrk_ex", "herk_ex"] {
            if bench.has(routine) {
                check_types(|| {
                    let call = bench.call(routine).code(UPPER).code(NONE).int(3).int(3);
                    let call = call.scalar(&number).typed_operand(&mut a, 0).scalar(&number);
                    call.typed_operand(&mut c, 0).batch().code(0)
                });
            }
        }
        if bench.has("geam_ex") {
            check_types(|| {
                let call = bench.call("geam_ex").code(NONE).code(NONE).int(3).int(3).int(3);
                let call = call.scalar(&number).typed_operand(&mut a, 0).typed_operand(&mut b, 0);
                let call = call.scalar(&number).typed_operand(&mut c, 0);
                call.typed_operand(&mut d, 0).batch().code(0).code(MIN_PLUS)
            });
        }
    });
}

#[test]
fn the_first_wrong_argument_decides() {
    Bench::everywhere(2, 5, |bench| {
        let mut matrix = || bench.matrix::<f32>(3, 3, 3);
        let (mut a, mut b, mut c, mut d) = (matrix(), matrix(), matrix(), matrix());
        let (half, zero, one) = (0.5_f32, 0.0_f32, 1.0_f32);
        let address = |scalar: &f32| &raw const *scalar as i64;
        if bench.has("trsm_ex") {
            let mut call = || {
                let call = bench.call("trsm_ex").code(LEFT).code(UPPER).code(NONE).code(UNIT);
                let call = call.int(3).int(3).scalar(&half).operand(&mut a).operand(&mut b);
                call.batch().array(&mut c).int(9).stride(&c).code(F32)
            };
            check_order(
                &mut call,
                &[
                    ("compute_type", F16.into(), NOT_IMPLEMENTED),
                    ("handle", 0, INVALID_HANDLE),
                    ("side", 143, INVALID_VALUE),
                    ("uplo", 123, INVALID_VALUE),
                    ("transA", 0, INVALID_VALUE),
                    ("diag", 0, INVALID_VALUE),
                    ("lda", 2, INVALID_SIZE),
                    ("n", 0, SUCCESS),
                    ("B", 0, INVALID_POINTER),
                    ("alpha", address(&zero), SUCCESS),
                ],
            );
            assert_eq!(call().with("A", 0).run(), INVALID_POINTER);
            assert_eq!(call().with("invA", 0).run(), SUCCESS);
        }
        if bench.has("syrk_ex") {
            let (one, zero) = (1.0_f64, 0.0_f64);
            let mut call = || {
                let call = bench.call("syrk_ex").code(UPPER).code(NONE).int(3).int(3);
                let call = call.scalar(&one).typed_operand(&mut a, F32).scalar(&zero);
                call.typed_operand(&mut c, F32).batch().code(F64)
            };
            check_order(
                &mut call,
                &[
                    ("handle", 0, INVALID_HANDLE),
                    ("n", 0, SUCCESS),
                    ("c_type", F16.into(), NOT_IMPLEMENTED),
                    ("uplo", 123, INVALID_VALUE),
                    ("transA", 0, INVALID_VALUE),
                    ("k", -1, INVALID_SIZE),
                    ("ldc", 2, INVALID_SIZE),
                    ("beta", 0, INVALID_POINTER),
                    ("A", 0, INVALID_POINTER),
                ],
            );
            assert_eq!(call().with("transA", CONJUGATE.into()).run(), SUCCESS);
        }
        if bench.has("herk_ex") {
            let mut a = bench.matrix::<C32>(3, 3, 3);
            let mut c = bench.matrix::<C32>(3, 3, 3);
            let (one, complex) = (1.0_f64, C32::DATATYPE);
            let call = bench.call("herk_ex").code(UPPER).code(TRANSPOSE).int(3).int(3);
            let call = call.scalar(&one).typed_operand(&mut a, complex).scalar(&one);
            let call = call.typed_operand(&mut c, complex).batch().code(C64::DATATYPE);
            assert_eq!(call.run(), INVALID_VALUE);
        }
        if bench.has("geam_ex") {
            let mut call = || {
                let call = bench.call("geam_ex").code(NONE).code(NONE).int(3).int(3).int(3);
                let call = call.scalar(&half).typed_operand(&mut a, F32);
                let call = call.typed_operand(&mut b, F32).scalar(&half);
                let call = call.typed_operand(&mut c, F32).typed_operand(&mut d, F32);
                call.batch().code(F32).code(MIN_PLUS)
            };
            check_order(
                &mut call,
                &[
                    ("handle", 0, INVALID_HANDLE),
                    ("compute_type", 160, NOT_IMPLEMENTED),
                    ("transA", CONJUGATE.into(), INVALID_VALUE),
                    ("transB", 0, INVALID_VALUE),
                    ("k", -1, INVALID_SIZE),
                    ("ldd", 2, INVALID_SIZE),
                    ("m", 0, SUCCESS),
                    ("beta", 0, INVALID_POINTER),
                    ("D", 0, INVALID_POINTER),
                    ("alpha", 0, INVALID_POINTER),
                    ("B", 0, INVALID_POINTER),
                    ("C", 0, INVALID_POINTER),
                    ("a_type", F64.into(), NOT_IMPLEMENTED),
                ],
            );
            let in_place = call().with("C", call().argument("D"));
            assert_eq!(in_place.with("ldc", 4).run(), INVALID_SIZE);
            let call_without = |name, scalar| call().with(name, 0).with(scalar, address(&zero));
            let mut call_without = call_without;
            assert_eq!(call_without("A", "alpha").run(), SUCCESS);
            assert_eq!(call_without("C", "beta").run(), SUCCESS);
            assert_eq!(call().with("alpha", address(&one)).with("A", 0).run(), INVALID_POINTER);
        }
    });
}
