//! The general product, compared with plain loops.

use half::{bf16, f16};
use proptest::prelude::*;
use rocblas_abi::Base;

use crate::datatype::{BF16, C32 as C32_TYPE, C64 as C64_TYPE, F16, F32, F64};
use crate::testing::*;

/// m, n, k and by how much the leading dimensions exceed the minimum.
type Shape = (i64, i64, i64, i64);

fn shapes() -> impl Strategy<Value = (Shape, [i32; 2], usize, u64)> {
    let operation = || prop::sample::select(vec![NONE, TRANSPOSE, CONJUGATE]);
    let shape = (0_i64..9, 0_i64..9, 0_i64..9, 0_i64..3);
    (shape, [operation(), operation()], 1_usize..4, any::<u64>())
}

fn inputs<E: Sample>(
    bench: &mut Bench,
    (m, n, k, spare): Shape,
    operations: [i32; 2],
) -> (Operand<E>, Operand<E>) {
    let mut stored = |operation, rows: i64, columns: i64| match operation {
        NONE => bench.matrix::<E>(rows, columns, rows + spare),
        _ => bench.matrix::<E>(columns, rows, columns + spare),
    };
    (stored(operations[0], m, k), stored(operations[1], k, n))
}

/// Element (i, j) of op(A) op(B).
fn product<E: Sample>(
    (a, b): (&Operand<E>, &Operand<E>),
    operations: [i32; 2],
    k: i64,
    p: usize,
    (i, j): (i64, i64),
) -> C64 {
    let terms =
        (0..k).map(|l| a.want_op(operations[0], p, i, l) * b.want_op(operations[1], p, l, j));
    terms.sum()
}

fn gemm<E: Sample>(shape: Shape, operations: [i32; 2], problems: usize, seed: u64) {
    let (m, n, k, spare) = shape;
    Bench::everywhere(problems, seed, |bench| {
        let (mut a, mut b) = inputs::<E>(bench, shape, operations);
        let mut c = bench.matrix::<E>(m, n, m + spare);
        let (alpha, beta): (E, E) = (bench.alpha(), bench.alpha());
        c.poison(|_, _| beta.value() == C64::default());
        for p in 0..bench.problems {
            for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                let product = product((&a, &b), operations, k, p, (i, j));
                c.expect(p, i, j, alpha.value() * product + c.kept(beta, p, i, j));
            }
        }
        let name = format!("{}gemm", E::LETTER);
        let call = bench.call(&name).code(operations[0]).code(operations[1]);
        let call = call.int(m).int(n).int(k).scalar(&alpha).operand(&mut a).operand(&mut b);
        assert_eq!(call.scalar(&beta).operand(&mut c).batch().run(), SUCCESS);
        c.check(&name);
        a.check(&name);
        b.check(&name);
    });
}

/// Runs gemm_ex both with a separate D and with D in place of C.
fn gemm_ex<I: Sample, O: Sample, S: Sample>(
    [input, output, compute]: [i32; 3],
    (shape, operations, problems, seed): (Shape, [i32; 2], usize, u64),
) {
    let (m, n, k, spare) = shape;
    for in_place in [false, true] {
        Bench::everywhere(problems, seed, |bench| {
            let (mut a, mut b) = inputs::<I>(bench, shape, operations);
            let mut c = bench.matrix::<O>(m, n, m + spare);
            let mut d = bench.matrix::<O>(m, n, m + spare + 1);
            let (alpha, beta): (S, S) = (bench.alpha(), bench.alpha());
            c.poison(|_, _| beta.value() == C64::default());
            for p in 0..bench.problems {
                for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                    let product = product((&a, &b), operations, k, p, (i, j));
                    let value = alpha.value() * product + c.kept(beta, p, i, j);
                    let output = if in_place { &mut c } else { &mut d };
                    output.expect(p, i, j, value);
                }
            }
            let call = bench.call("gemm_ex").code(operations[0]).code(operations[1]);
            let call = call.int(m).int(n).int(k).scalar(&alpha);
            let call = call.typed_operand(&mut a, input).typed_operand(&mut b, input);
            let call = call.scalar(&beta).typed_operand(&mut c, output);
            let call = call.typed_operand(if in_place { &mut c } else { &mut d }, output).batch();
            assert_eq!(call.code(compute).code(0).code(0).code(0).run(), SUCCESS);
            c.check("C of gemm_ex");
            d.check("D of gemm_ex");
        });
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn products_are_what_plain_loops_make_of_them(
        (shape, operations, problems, seed) in shapes(),
    ) {
        gemm::<f16>(shape, operations, problems, seed);
        for_standard_types!(gemm(shape, operations, problems, seed));
    }

    #[test]
    fn products_of_mixed_types_round_once(case in shapes()) {
        gemm_ex::<f16, f16, f16>([F16, F16, F16], case);
        gemm_ex::<f16, f16, f32>([F16, F16, F32], case);
        gemm_ex::<f16, f32, f32>([F16, F32, F32], case);
        gemm_ex::<bf16, bf16, f32>([BF16, BF16, F32], case);
        gemm_ex::<bf16, f32, f32>([BF16, F32, F32], case);
        gemm_ex::<f32, f32, f32>([F32, F32, F32], case);
        gemm_ex::<f64, f64, f64>([F64, F64, F64], case);
        gemm_ex::<C32, C32, C32>([C32_TYPE, C32_TYPE, C32_TYPE], case);
        gemm_ex::<C64, C64, C64>([C64_TYPE, C64_TYPE, C64_TYPE], case);
    }
}

/// 4096 ones sum up to 4096; a half precision accumulator would stop at 2048.
#[test]
fn half_products_accumulate_in_single_precision() {
    let bench = Bench::new(FormName::Single, false, 1, 1);
    let (one, zero) = (f16::ONE, f16::ZERO);
    let (mut ones, mut c) = (vec![one; 4096], one);
    let ones = ones.as_mut_ptr();
    let call = bench.call("hgemm").code(NONE).code(NONE).int(1).int(1).int(4096).scalar(&one);
    let call = call.pointer(Base::F16, ones).int(1).pointer(Base::F16, ones).int(4096);
    let call = call.scalar(&zero).pointer(Base::F16, &raw mut c).int(1);
    assert_eq!(call.run(), SUCCESS);
    assert_eq!(c.to_f32(), 4096.0);
}

/// Sizes at which the product is computed in blocks.
#[test]
fn a_product_of_some_hundreds_is_right_too() {
    gemm::<f32>((131, 67, 257, 2), [TRANSPOSE, NONE], 1, 9);
    gemm::<C64>((67, 131, 129, 0), [NONE, CONJUGATE], 1, 9);
}

#[test]
fn the_first_wrong_argument_decides() {
    Bench::everywhere(2, 5, |bench| {
        let (mut a, mut b) = (bench.matrix::<f32>(3, 3, 3), bench.matrix::<f32>(3, 3, 3));
        let (mut c, mut d) = (bench.matrix::<f32>(3, 3, 3), bench.matrix::<f32>(3, 3, 3));
        let (half, zero, one) = (0.5_f32, 0.0_f32, 1.0_f32);
        let address = |scalar: &f32| &raw const *scalar as i64;
        let mut gemm = || {
            let call = bench.call("sgemm").code(NONE).code(TRANSPOSE).int(3).int(3).int(3);
            let call = call.scalar(&half).operand(&mut a).operand(&mut b).scalar(&half);
            call.operand(&mut c).batch()
        };
        check_order(
            &mut gemm,
            &[
                ("handle", 0, INVALID_HANDLE),
                ("transA", 0, INVALID_VALUE),
                ("transB", 114, INVALID_VALUE),
                ("m", -1, INVALID_SIZE),
                ("k", -1, INVALID_SIZE),
                ("batch_count", -1, INVALID_SIZE),
                ("ldb", -1, INVALID_SIZE),
                ("n", 0, SUCCESS),
                ("beta", 0, INVALID_POINTER),
                ("alpha", 0, INVALID_POINTER),
                ("alpha", address(&zero), SUCCESS),
                ("beta", address(&one), INVALID_POINTER),
                ("A", 0, INVALID_POINTER),
                ("C", 0, INVALID_POINTER),
            ],
        );
        // Without products, alpha, A and B are not read.
        let without_products = |call: Call<'_>| {
            let call = [("k", 0), ("alpha", 0), ("A", 0), ("B", 0)]
                .into_iter()
                .fold(call, |call, (name, word)| call.with(name, word));
            call.run()
        };
        assert_eq!(without_products(gemm()), SUCCESS);
        assert_eq!(without_products(gemm().with("beta", address(&one))), SUCCESS);

        // One below the minimum is too short.
        for ld in ["lda", "ldb", "ldc"] {
            assert_eq!(gemm().with(ld, 2).run(), INVALID_SIZE, "{ld}");
        }

        let mut gemm_ex = |compute| {
            let call = bench.call("gemm_ex").code(NONE).code(TRANSPOSE).int(3).int(3).int(3);
            let call = call.scalar(&half).typed_operand(&mut a, F32).typed_operand(&mut b, F32);
            let call = call.scalar(&half).typed_operand(&mut c, F32).typed_operand(&mut d, F32);
            call.batch().code(compute).code(0).code(0).code(0)
        };
        check_order(
            || gemm_ex(F32),
            &[
                ("handle", 0, INVALID_HANDLE),
                ("transA", 0, INVALID_VALUE),
                ("n", -1, INVALID_SIZE),
                ("ldd", -1, INVALID_SIZE),
                ("ldc", -1, INVALID_SIZE),
                ("lda", -1, INVALID_SIZE),
                ("m", 0, SUCCESS),
                ("alpha", 0, INVALID_POINTER),
                ("beta", 0, INVALID_POINTER),
                ("d", 0, INVALID_POINTER),
                ("c", 0, INVALID_POINTER),
                ("a", 0, INVALID_POINTER),
                ("a_type", F64.into(), NOT_IMPLEMENTED),
            ],
        );
        assert_eq!(gemm_ex(160).run(), NOT_IMPLEMENTED);
        assert_eq!(gemm_ex(F32).with("d_type", F16.into()).run(), NOT_IMPLEMENTED);
        // C may be null if nothing of it is kept.
        let call = gemm_ex(F32).with("c", 0).with("beta", address(&zero));
        assert_eq!(call.run(), SUCCESS);
        let call = gemm_ex(F32).with("a", 0).with("alpha", address(&zero));
        assert_eq!(call.run(), SUCCESS);
        // In place, C and D are the same matrix, so they must have the same shape and type.
        let d_address = gemm_ex(F32).argument("d");
        let mut in_place = || gemm_ex(F32).with("c", d_address);
        assert_eq!(in_place().with("ldc", 4).run(), INVALID_SIZE);
        assert_eq!(in_place().with("c_type", F16.into()).run(), INVALID_VALUE);
        assert_eq!(in_place().run(), SUCCESS);
    });
}
