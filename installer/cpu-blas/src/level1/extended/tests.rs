//! Level 1 with the types given by arguments, compared with plain loops.

use half::{bf16, f16};
use proptest::prelude::*;

use crate::datatype::{F16, F32, F64};
use crate::testing::*;

/// Sizes and increments of vectors, the number of problems, and a seed.
type Case = ((i64, i64, i64), usize, u64);

fn cases_of_vectors() -> impl Strategy<Value = Case> {
    ((-1_i64..9, -3_i64..4, -3_i64..4), 1_usize..4, any::<u64>())
}

fn axpy_ex<A: Sample, E: Sample>(execution: i32, ((n, incx, incy), problems, seed): Case) {
    Bench::everywhere(problems, seed, |bench| {
        let (mut x, mut y) = (bench.vector::<E>(n, incx), bench.vector::<E>(n, incy));
        let alpha: A = bench.alpha();
        for p in 0..bench.problems {
            for i in 0..n {
                let value = alpha.value() * x.want(p, i, 0) + y.want(p, i, 0);
                // Rounded, because with an increment of zero the next step reads it back.
                y.expect(p, i, 0, E::sample(value).value());
            }
        }
        let call = bench.call("axpy_ex").int(n).scalar(&alpha).code(A::DATATYPE);
        let call = call.typed_operand(&mut x, E::DATATYPE).typed_operand(&mut y, E::DATATYPE);
        assert_eq!(call.batch().code(execution).run(), SUCCESS);
        x.check("x of axpy_ex");
        y.check("y of axpy_ex");
    });
}

fn scal_ex<A: Sample, E: Sample>(execution: i32, ((n, incx, _), problems, seed): Case) {
    Bench::everywhere(problems, seed, |bench| {
        let mut x = bench.vector::<E>(n, incx);
        let alpha: A = bench.alpha();
        for p in 0..bench.problems {
            for i in 0..if incx > 0 { n } else { 0 } {
                x.expect(p, i, 0, x.want(p, i, 0) * alpha.value());
            }
        }
        let call = bench.call("scal_ex").int(n).scalar(&alpha).code(A::DATATYPE);
        let call = call.typed_operand(&mut x, E::DATATYPE).batch().code(execution);
        assert_eq!(call.run(), SUCCESS);
        x.check("x of scal_ex");
    });
}

fn dot_ex<E: Sample, R: Sample>(execution: i32, ((n, incx, incy), problems, seed): Case) {
    Bench::everywhere(problems, seed, |bench| {
        for kind in ["dot_ex", "dotc_ex"] {
            let (mut x, mut y) = (bench.vector::<E>(n, incx), bench.vector::<E>(n, incy));
            let mut results = vec![bench.number::<R>(); bench.problems];
            let call = bench.call(kind).int(n).typed_operand(&mut x, E::DATATYPE);
            let call = call.typed_operand(&mut y, E::DATATYPE).batch().results(&mut results);
            assert_eq!(call.code(R::DATATYPE).code(execution).run(), SUCCESS);
            for (p, result) in results.into_iter().enumerate() {
                let factor = |i| match kind {
                    "dotc_ex" => x.want(p, i, 0).conj(),
                    _ => x.want(p, i, 0),
                };
                let want = (0..n).map(|i| factor(i) * y.want(p, i, 0)).sum();
                assert_close(result, want, || format!("{kind} of {n}"));
            }
        }
    });
}

fn nrm2_ex<E: Sample, R: Sample>(execution: i32, ((n, incx, _), problems, seed): Case) {
    Bench::everywhere(problems, seed, |bench| {
        let mut x = bench.vector::<E>(n, incx);
        let mut results = vec![bench.number::<R>(); bench.problems];
        let call = bench.call("nrm2_ex").int(n).typed_operand(&mut x, E::DATATYPE).batch();
        let call = call.results(&mut results).code(R::DATATYPE).code(execution);
        assert_eq!(call.run(), SUCCESS);
        for (p, result) in results.into_iter().enumerate() {
            let elements = (0..if incx > 0 { n } else { 0 }).map(|i| x.want(p, i, 0));
            let want = elements.map(|x| x.norm_sqr()).sum::<f64>().sqrt();
            assert_close(result, want.into(), || format!("nrm2_ex of {n}"));
        }
    });
}

fn rot_ex<E: Sample, S: Sample>(execution: i32, ((n, incx, incy), problems, seed): Case) {
    // With an increment of zero each step reads what the previous one has rounded.
    if incx == 0 || incy == 0 {
        return;
    }
    Bench::everywhere(problems, seed, |bench| {
        let (mut x, mut y) = (bench.vector::<E>(n, incx), bench.vector::<E>(n, incy));
        let (c, s): (S, S) = (bench.number(), bench.number());
        for p in 0..bench.problems {
            for i in 0..n {
                let (xi, yi) = (x.want(p, i, 0), y.want(p, i, 0));
                // The imaginary part of c is ignored.
                x.expect(p, i, 0, xi * c.value().re + s.value() * yi);
                y.expect(p, i, 0, yi * c.value().re - s.value().conj() * xi);
            }
        }
        let call = bench.call("rot_ex").int(n).typed_operand(&mut x, E::DATATYPE);
        let call = call.typed_operand(&mut y, E::DATATYPE).scalar(&c).scalar(&s);
        assert_eq!(call.code(S::DATATYPE).batch().code(execution).run(), SUCCESS);
        x.check("x of rot_ex");
        y.check("y of rot_ex");
    });
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn vectors_of_all_types_are_what_plain_loops_make_of_them(case in cases_of_vectors()) {
        axpy_ex::<bf16, bf16>(F32, case);
        axpy_ex::<f32, bf16>(F32, case);
        axpy_ex::<f16, f16>(F16, case);
        axpy_ex::<f16, f16>(F32, case);
        axpy_ex::<f32, f16>(F32, case);
        for_standard_types!(axpy_and_scal_of_one_type(case));
        scal_ex::<f32, bf16>(F32, case);
        scal_ex::<bf16, bf16>(F32, case);
        scal_ex::<f16, f16>(F16, case);
        scal_ex::<f16, f16>(F32, case);
        scal_ex::<f32, f16>(F32, case);
        scal_ex::<f32, C32>(C32::DATATYPE, case);
        scal_ex::<f64, C64>(C64::DATATYPE, case);
    }

    #[test]
    fn reductions_of_all_types_are_what_plain_loops_sum_up(case in cases_of_vectors()) {
        dot_ex::<f16, f16>(F16, case);
        dot_ex::<f16, f16>(F32, case);
        dot_ex::<bf16, bf16>(F32, case);
        dot_ex::<f32, f32>(F32, case);
        dot_ex::<f32, f64>(F64, case);
        dot_ex::<f64, f64>(F64, case);
        dot_ex::<C32, C32>(C32::DATATYPE, case);
        dot_ex::<C64, C64>(C64::DATATYPE, case);
        nrm2_ex::<bf16, bf16>(F32, case);
        nrm2_ex::<f16, f16>(F32, case);
        nrm2_ex::<f32, f32>(F32, case);
        nrm2_ex::<f64, f64>(F64, case);
        nrm2_ex::<C32, f32>(F32, case);
        nrm2_ex::<C64, f64>(F64, case);
    }

    #[test]
    fn rotations_of_all_types_rotate(case in cases_of_vectors()) {
        rot_ex::<bf16, bf16>(F32, case);
        rot_ex::<f16, f16>(F32, case);
        rot_ex::<f32, f32>(F32, case);
        rot_ex::<f64, f64>(F64, case);
        rot_ex::<C32, C32>(C32::DATATYPE, case);
        rot_ex::<C32, f32>(C32::DATATYPE, case);
        rot_ex::<C64, C64>(C64::DATATYPE, case);
        rot_ex::<C64, f64>(C64::DATATYPE, case);
    }
}

fn axpy_and_scal_of_one_type<E: Sample>(case: Case) {
    axpy_ex::<E, E>(E::DATATYPE, case);
    scal_ex::<E, E>(E::DATATYPE, case);
}

#[test]
fn only_the_documented_combinations_of_types_are_implemented() {
    Bench::everywhere(2, 5, |bench| {
        let (mut x, mut y) = (bench.vector::<C64>(3, 1), bench.vector::<C64>(3, 1));
        let (number, mut results) = (C64::new(0.5, 0.5), [C64::default(); 2]);
        check_types(|| {
            let call = bench.call("axpy_ex").int(3).scalar(&number).code(0);
            call.typed_operand(&mut x, 0).typed_operand(&mut y, 0).batch().code(0)
        });
        check_types(|| {
            let call = bench.call("scal_ex").int(3).scalar(&number).code(0);
            call.typed_operand(&mut x, 0).batch().code(0)
        });
        for kind in ["dot_ex", "dotc_ex"] {
            check_types(|| {
                let call = bench.call(kind).int(3).typed_operand(&mut x, 0);
                let call = call.typed_operand(&mut y, 0).batch().results(&mut results);
                call.code(0).code(0)
            });
        }
        check_types(|| {
            let call = bench.call("nrm2_ex").int(3).typed_operand(&mut x, 0).batch();
            call.results(&mut results).code(0).code(0)
        });
        check_types(|| {
            let call = bench.call("rot_ex").int(3).typed_operand(&mut x, 0);
            let call = call.typed_operand(&mut y, 0).scalar(&number).scalar(&number);
            call.code(0).batch().code(0)
        });
    });
}

#[test]
fn the_first_wrong_argument_decides() {
    Bench::everywhere(2, 5, |bench| {
        let (mut x, mut y) = (bench.vector::<f32>(4, 1), bench.vector::<f32>(4, 1));
        let (half, zero, one) = (0.5_f32, 0.0_f32, 1.0_f32);
        let address = |scalar: &f32| &raw const *scalar as i64;
        check_order(
            || {
                let call = bench.call("axpy_ex").int(4).scalar(&half).code(F32);
                call.typed_operand(&mut x, F32).typed_operand(&mut y, F32).batch().code(F32)
            },
            &[
                ("handle", 0, INVALID_HANDLE),
                ("n", 0, SUCCESS),
                ("batch_count", -1, SUCCESS),
                ("alpha", 0, INVALID_POINTER),
                ("x_type", F64.into(), NOT_IMPLEMENTED),
                ("alpha", address(&zero), SUCCESS),
                ("x", 0, INVALID_POINTER),
                ("y", 0, INVALID_POINTER),
            ],
        );
        check_order(
            || {
                let call = bench.call("scal_ex").int(4).scalar(&half).code(F32);
                call.typed_operand(&mut x, F32).batch().code(F32)
            },
            &[
                ("handle", 0, INVALID_HANDLE),
                ("n", 0, SUCCESS),
                ("incx", 0, SUCCESS),
                ("batch_count", 0, SUCCESS),
                ("x_type", F64.into(), NOT_IMPLEMENTED),
                ("alpha", 0, INVALID_POINTER),
                ("alpha", address(&one), SUCCESS),
                ("x", 0, INVALID_POINTER),
            ],
        );
        let mut results = [0.0_f32; 2];
        check_order(
            || {
                let call = bench.call("dot_ex").int(4).typed_operand(&mut x, F32);
                let call = call.typed_operand(&mut y, F32).batch().results(&mut results);
                call.code(F32).code(F32)
            },
            &[
                ("handle", 0, INVALID_HANDLE),
                ("batch_count", 0, SUCCESS),
                ("result", 0, INVALID_POINTER),
                ("n", 0, SUCCESS),
                ("x", 0, INVALID_POINTER),
                ("y", 0, INVALID_POINTER),
                ("y_type", F64.into(), NOT_IMPLEMENTED),
            ],
        );
        check_order(
            || {
                let call = bench.call("nrm2_ex").int(4).typed_operand(&mut x, F32).batch();
                call.results(&mut results).code(F32).code(F32)
            },
            &[
                ("handle", 0, INVALID_HANDLE),
                ("results", 0, INVALID_POINTER),
                ("batch_count", 0, SUCCESS),
                ("incx", -1, SUCCESS),
                ("x", 0, INVALID_POINTER),
                ("execution_type", F64.into(), NOT_IMPLEMENTED),
            ],
        );
        check_order(
            || {
                let call = bench.call("rot_ex").int(4).typed_operand(&mut x, F32);
                let call = call.typed_operand(&mut y, F32).scalar(&half).scalar(&half);
                call.code(F32).batch().code(F32)
            },
            &[
                ("handle", 0, INVALID_HANDLE),
                ("n", 0, SUCCESS),
                ("x", 0, INVALID_POINTER),
                ("y", 0, INVALID_POINTER),
                ("c", 0, INVALID_POINTER),
                ("s", 0, INVALID_POINTER),
                ("cs_type", F64.into(), NOT_IMPLEMENTED),
            ],
        );
        x.check("x");
        y.check("y");
    });
}

/// As many bytes are cleared as the type of the result has, even if the types are not implemented.
#[test]
fn an_empty_reduction_returns_zero_in_the_type_of_the_result() {
    Bench::everywhere(2, 5, |bench| {
        let mut x = bench.vector::<f64>(4, 1);
        let mut y = bench.vector::<f64>(4, 1);
        for (result_type, size) in [(F16, 2), (F32, 4), (F64, 8), (C64::DATATYPE, 16), (160, 1)] {
            for kind in ["dot_ex", "nrm2_ex"] {
                let mut results = [7.0_f64; 4];
                let call = bench.call(kind).int(0).typed_operand(&mut x, F64);
                let call = if kind == "dot_ex" { call.typed_operand(&mut y, F64) } else { call };
                let call = call.batch().results(&mut results).code(result_type).code(F64);
                assert_eq!(call.run(), SUCCESS);
                let seen: Vec<u8> = results.iter().flat_map(|r| r.to_ne_bytes()).collect();
                let before: Vec<u8> = [7.0_f64; 4].iter().flat_map(|r| r.to_ne_bytes()).collect();
                let cleared = size * bench.problems;
                assert!(seen[..cleared].iter().all(|byte| *byte == 0), "{kind} {result_type}");
                assert_eq!(seen[cleared..], before[cleared..], "{kind} {result_type}");
            }
        }
    });
}
