//! Level 1, compared with plain loops.

use half::{bf16, f16};
use proptest::prelude::*;
use rocblas_abi::Base;

use crate::testing::*;

/// Sizes and increments of a vector routine.
type Shape = (i64, i64, i64);

fn shapes() -> impl Strategy<Value = (Shape, usize, u64)> {
    ((-1_i64..9, -3_i64..4, -3_i64..4), 1_usize..4, any::<u64>())
}

fn axpy<E: Sample>((n, incx, incy): Shape, problems: usize, seed: u64) {
    Bench::everywhere(problems, seed, |bench| {
        let (mut x, mut y) = (bench.vector::<E>(n, incx), bench.vector::<E>(n, incy));
        let alpha: E = bench.alpha();
        for p in 0..bench.problems {
            for i in 0..n {
                let value = alpha.value() * x.want(p, i, 0) + y.want(p, i, 0);
                // Rounded, because with an increment of zero the next step reads it back from
                // memory.
                y.expect(p, i, 0, E::sample(value).value());
            }
        }
        let name = format!("{}axpy", E::LETTER);
        let call = bench.call(&name).int(n).scalar(&alpha).operand(&mut x).operand(&mut y).batch();
        assert_eq!(call.run(), SUCCESS);
        x.check(&name);
        y.check(&name);
    });
}

fn scal<E: Sample, A: Sample>(name: &str, (n, incx, _): Shape, problems: usize, seed: u64) {
    Bench::everywhere(problems, seed, |bench| {
        let mut x = bench.vector::<E>(n, incx);
        let alpha: A = bench.alpha();
        for p in 0..bench.problems {
            for i in 0..if incx > 0 { n } else { 0 } {
                x.expect(p, i, 0, x.want(p, i, 0) * alpha.value());
            }
        }
        let call = bench.call(name).int(n).scalar(&alpha).operand(&mut x).batch();
        assert_eq!(call.run(), SUCCESS);
        x.check(name);
    });
}

fn copy_and_swap<E: Sample>((n, incx, incy): Shape, problems: usize, seed: u64) {
    Bench::everywhere(problems, seed, |bench| {
        for swap in [false, true] {
            let (mut x, mut y) = (bench.vector::<E>(n, incx), bench.vector::<E>(n, incy));
            for p in 0..bench.problems {
                for i in 0..n {
                    let (from_x, from_y) = (x.want(p, i, 0), y.want(p, i, 0));
                    if swap {
                        x.expect(p, i, 0, from_y);
                    }
                    y.expect(p, i, 0, from_x);
                }
            }
            let name = format!("{}{}", E::LETTER, if swap { "swap" } else { "copy" });
            let call = bench.call(&name).int(n).operand(&mut x).operand(&mut y).batch();
            assert_eq!(call.run(), SUCCESS);
            x.check(&name);
            y.check(&name);
        }
    });
}

fn dot<E: Sample>(kind: &str, (n, incx, incy): Shape, problems: usize, seed: u64) {
    Bench::everywhere(problems, seed, |bench| {
        let (mut x, mut y) = (bench.vector::<E>(n, incx), bench.vector::<E>(n, incy));
        let mut results = vec![bench.number::<E>(); bench.problems];
        let name = format!("{}{kind}", E::LETTER);
        let call = bench.call(&name).int(n).operand(&mut x).operand(&mut y).batch();
        assert_eq!(call.results(&mut results).run(), SUCCESS);
        for (p, result) in results.into_iter().enumerate() {
            let factor = |i| match kind {
                "dotc" => x.want(p, i, 0).conj(),
                _ => x.want(p, i, 0),
            };
            let want = (0..n).map(|i| factor(i) * y.want(p, i, 0)).sum();
            assert_close(result, want, || format!("{name} of {n}"));
        }
    });
}

fn reductions<E: Sample, R: Sample>(prefix: &str, shape: Shape, problems: usize, seed: u64) {
    let (n, incx, _) = shape;
    let len = if incx > 0 { n } else { 0 };
    Bench::everywhere(problems, seed, |bench| {
        let mut x = bench.vector::<E>(n, incx);
        for kind in ["nrm2", "asum"] {
            let mut results = vec![bench.number::<R>(); bench.problems];
            let call = bench.call(&format!("{prefix}{kind}")).int(n).operand(&mut x).batch();
            assert_eq!(call.results(&mut results).run(), SUCCESS);
            for (p, result) in results.into_iter().enumerate() {
                let elements = (0..len).map(|i| x.want(p, i, 0));
                let want = match kind {
                    "nrm2" => elements.map(|x| x.norm_sqr()).sum::<f64>().sqrt(),
                    _ => elements.map(|x| x.l1_norm()).sum(),
                };
                assert_close(result, want.into(), || format!("{prefix}{kind} of {n}"));
            }
        }
        for (kind, sign) in [("amax", 1.0), ("amin", -1.0)] {
            // Two elements have the same magnitude: the first of them counts.
            for p in 0..bench.problems {
                if len > 1 {
                    x.put(p, len - 1, 0, x.got(p, 0, 0));
                }
            }
            let mut results = vec![-1_i64; bench.problems];
            let name = format!("i{}{kind}", E::LETTER);
            let call = bench.call(&name).int(n).operand(&mut x).batch();
            assert_eq!(call.positions(&mut results).run(), SUCCESS);
            for p in 0..bench.problems {
                let size = |i| sign * x.want(p, i, 0).l1_norm();
                let best = (0..len).fold(None, |best: Option<i64>, i| match best {
                    Some(best) if size(best) >= size(i) => Some(best),
                    _ => Some(i),
                });
                let word = |i: usize| results[i / 2] >> (32 * (i % 2)) & 0xffff_ffff;
                let got = if bench.wide { results[p] } else { word(p) };
                assert_eq!(got, best.map_or(0, |best| best + 1), "{name} of {n}");
            }
        }
        x.check("the operand of a reduction");
    });
}

fn rot<E: Sample, C: Sample, S: Sample>(name: &str, shape: Shape, problems: usize, seed: u64) {
    let (n, incx, incy) = shape;
    Bench::everywhere(problems, seed, |bench| {
        let (mut x, mut y) = (bench.vector::<E>(n, incx), bench.vector::<E>(n, incy));
        let (c, s): (C, S) = (bench.number(), bench.number());
        for p in 0..bench.problems {
            for i in 0..n {
                let (xi, yi) = (x.want(p, i, 0), y.want(p, i, 0));
                x.expect(p, i, 0, c.value() * xi + s.value() * yi);
                y.expect(p, i, 0, c.value() * yi - s.value().conj() * xi);
            }
        }
        let call = bench.call(name).int(n).operand(&mut x).operand(&mut y);
        assert_eq!(call.scalar(&c).scalar(&s).batch().run(), SUCCESS);
        x.check(name);
        y.check(name);
    });
}

/// The rotation is unitary and maps (a, b) to (r, 0).
fn rotg<E: Sample, R: Sample>(problems: usize, seed: u64) {
    Bench::everywhere(problems, seed, |bench| {
        for zero in [None, Some(0), Some(1), Some(2)] {
            let (mut a, mut b) = (bench.vector::<E>(1, 1), bench.vector::<E>(1, 1));
            let (mut c, mut s) = (bench.vector::<R>(1, 1), bench.vector::<E>(1, 1));
            if matches!(zero, Some(0 | 2)) {
                a.put(0, 0, 0, 0.0.into());
            }
            if matches!(zero, Some(1 | 2)) {
                b.put(0, 0, 0, 0.0.into());
            }
            let call = bench.call(&format!("{}rotg", E::LETTER)).array(&mut a).stride(&a);
            let call = call.array(&mut b).stride(&b).array(&mut c).stride(&c);
            assert_eq!(call.array(&mut s).stride(&s).batch().run(), SUCCESS);
            for p in 0..bench.problems {
                let (before, after) = (a.want(p, 0, 0), b.want(p, 0, 0));
                let (cosine, sine) = (c.got(p, 0, 0), s.got(p, 0, 0));
                let close = |got: C64, want: C64, what: &str| {
                    assert_close(E::sample(got), want, || format!("{what}, zero {zero:?}"));
                };
                close((cosine.norm_sqr() + sine.norm_sqr()).into(), 1.0.into(), "c^2 + s^2");
                close(cosine * before + sine * after, a.got(p, 0, 0), "r");
                close(cosine * after - sine.conj() * before, 0.0.into(), "the annihilated");
            }
        }
    });
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn vectors_are_what_plain_loops_make_of_them((shape, problems, seed) in shapes()) {
        axpy::<f16>(shape, problems, seed);
        for_standard_types!(axpy(shape, problems, seed));
        for_standard_types!(copy_and_swap(shape, problems, seed));
        scal::<f32, f32>("sscal", shape, problems, seed);
        scal::<f64, f64>("dscal", shape, problems, seed);
        scal::<C32, C32>("cscal", shape, problems, seed);
        scal::<C64, C64>("zscal", shape, problems, seed);
        scal::<C32, f32>("csscal", shape, problems, seed);
        scal::<C64, f64>("zdscal", shape, problems, seed);
    }

    #[test]
    fn reductions_are_what_plain_loops_sum_up((shape, problems, seed) in shapes()) {
        dot::<f16>("dot", shape, problems, seed);
        dot::<bf16>("dot", shape, problems, seed);
        dot::<f32>("dot", shape, problems, seed);
        dot::<f64>("dot", shape, problems, seed);
        for kind in ["dotu", "dotc"] {
            dot::<C32>(kind, shape, problems, seed);
            dot::<C64>(kind, shape, problems, seed);
        }
        reductions::<f32, f32>("s", shape, problems, seed);
        reductions::<f64, f64>("d", shape, problems, seed);
        reductions::<C32, f32>("sc", shape, problems, seed);
        reductions::<C64, f64>("dz", shape, problems, seed);
    }

    #[test]
    fn rotations_rotate((shape, problems, seed) in shapes()) {
        rot::<f32, f32, f32>("srot", shape, problems, seed);
        rot::<f64, f64, f64>("drot", shape, problems, seed);
        rot::<C32, f32, C32>("crot", shape, problems, seed);
        rot::<C64, f64, C64>("zrot", shape, problems, seed);
        rot::<C32, f32, f32>("csrot", shape, problems, seed);
        rot::<C64, f64, f64>("zdrot", shape, problems, seed);
        rotg::<f32, f32>(problems, seed);
        rotg::<f64, f64>(problems, seed);
        rotg::<C32, f32>(problems, seed);
        rotg::<C64, f64>(problems, seed);
    }
}

/// rotg as BLAS specifies it for reals, for inputs with known results.
#[test]
fn rotg_packs_the_rotation_into_b() {
    for (a, b, want) in [
        (3.0, 4.0, [5.0, 1.0 / 0.6, 0.6, 0.8]),
        (4.0, 3.0, [5.0, 0.6, 0.8, 0.6]),
        (-4.0, 3.0, [-5.0, -0.6, 0.8, -0.6]),
        (0.0, 2.0, [2.0, 1.0, 0.0, 1.0]),
        (0.0, 0.0, [0.0, 0.0, 1.0, 0.0]),
    ] {
        let bench = Bench::new(FormName::Single, false, 1, 1);
        let mut numbers: [f64; 4] = [a, b, 9.0, 9.0];
        let pointers = [0, 1, 2, 3].map(|i| numbers.as_mut_ptr().wrapping_add(i));
        let call = pointers
            .into_iter()
            .fold(bench.call("drotg"), |call, pointer| call.pointer(Base::F64, pointer));
        assert_eq!(call.run(), SUCCESS);
        for (got, want) in numbers.into_iter().zip(want) {
            assert!((got - want).abs() < 1e-15, "({a}, {b}): {numbers:?}");
        }
    }
}

#[test]
fn the_norm_neither_overflows_nor_loses_a_nan() {
    let bench = Bench::new(FormName::Single, false, 1, 1);
    for (elements, want) in
        [([3e200, 4e200], 5e200), ([3e-200, 4e-200], 5e-200), ([0.0, f64::NAN], f64::NAN)]
    {
        let (mut x, mut result) = (elements, [7.0]);
        let call = bench.call("dnrm2").int(2).pointer(Base::F64, x.as_mut_ptr()).int(1);
        assert_eq!(call.results(&mut result).run(), SUCCESS);
        assert!((result[0] / want - 1.0).abs() < 1e-15 || result[0].is_nan() && want.is_nan());
    }
}

#[test]
fn the_first_wrong_argument_decides() {
    Bench::everywhere(2, 5, |bench| {
        let (mut x, mut y) = (bench.vector::<f32>(4, 1), bench.vector::<f32>(4, 1));
        let (half, zero) = (0.5_f32, 0.0_f32);
        let zero = &raw const zero as i64;
        check_order(
            || bench.call("saxpy").int(4).scalar(&half).operand(&mut x).operand(&mut y).batch(),
            &[
                ("handle", 0, INVALID_HANDLE),
                ("n", 0, SUCCESS),
                ("batch_count", -1, SUCCESS),
                ("alpha", 0, INVALID_POINTER),
                ("alpha", zero, SUCCESS),
                ("x", 0, INVALID_POINTER),
                ("y", 0, INVALID_POINTER),
            ],
        );
        check_order(
            || bench.call("sscal").int(4).scalar(&half).operand(&mut x).batch(),
            &[
                ("handle", 0, INVALID_HANDLE),
                ("n", 0, SUCCESS),
                ("incx", 0, SUCCESS),
                ("batch_count", 0, SUCCESS),
                ("x", 0, INVALID_POINTER),
                ("alpha", 0, INVALID_POINTER),
            ],
        );
        check_order(
            || bench.call("sswap").int(4).operand(&mut x).operand(&mut y).batch(),
            &[
                ("handle", 0, INVALID_HANDLE),
                ("n", -4, SUCCESS),
                ("x", 0, INVALID_POINTER),
                ("y", 0, INVALID_POINTER),
            ],
        );
        let mut results = [0.0_f32; 2];
        check_order(
            || {
                let call = bench.call("sdot").int(4).operand(&mut x).operand(&mut y).batch();
                call.results(&mut results)
            },
            &[
                ("handle", 0, INVALID_HANDLE),
                ("batch_count", 0, SUCCESS),
                ("result", 0, INVALID_POINTER),
                ("n", 0, SUCCESS),
                ("x", 0, INVALID_POINTER),
                ("y", 0, INVALID_POINTER),
            ],
        );
        check_order(
            || {
                let call = bench.call("srot").int(4).operand(&mut x).operand(&mut y);
                call.scalar(&half).scalar(&half).batch()
            },
            &[
                ("handle", 0, INVALID_HANDLE),
                ("n", 0, SUCCESS),
                ("x", 0, INVALID_POINTER),
                ("c", 0, INVALID_POINTER),
                ("s", 0, INVALID_POINTER),
            ],
        );
        x.check("x");
        y.check("y");
    });
}

#[test]
fn an_empty_reduction_answers_zero_and_wants_a_place_for_it() {
    Bench::everywhere(2, 5, |bench| {
        let mut x = bench.vector::<f64>(4, 1);
        for routine in ["dnrm2", "dasum", "idamax"] {
            for (n, inc) in [(0, 1), (4, 0), (4, -1), (-1, 1)] {
                let mut results = [7.0_f64, 7.0];
                let call = |place: *mut f64, x: &mut Operand<f64>| {
                    let call = bench.call(routine).int(n).array(x).int(inc).stride(x).batch();
                    let base = match (routine, bench.wide) {
                        ("idamax", true) => Base::I64,
                        ("idamax", false) => Base::Int,
                        _ => Base::F64,
                    };
                    call.pointer(base, place).run()
                };
                assert_eq!(call(core::ptr::null_mut(), &mut x), INVALID_POINTER);
                assert_eq!(call(results.as_mut_ptr(), &mut x), SUCCESS);
                let bytes = if routine == "idamax" && !bench.wide { 4 } else { 8 };
                let written = bytes * bench.problems;
                let seen: Vec<u8> = results.iter().flat_map(|r| r.to_ne_bytes()).collect();
                assert!(seen[..written].iter().all(|byte| *byte == 0), "{routine} {n} {inc}");
            }
        }
    });
}
