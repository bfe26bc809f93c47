//! Each fault has its documented effect and no other.

use super::with;
use crate::testing::*;

/// The results of m by n by k products on one thread, computed one after the other with betas of
/// 0.5, 1.5 and so on.
fn products<E: Sample>(sizes: &[[i64; 3]]) -> Vec<Vec<E>> {
    let mut bench = Bench::new(FormName::Single, false, 1, 42);
    let mut product = |(number, [m, n, k]): (usize, &[i64; 3])| {
        let mut a = bench.matrix::<E>(*m, *k, *m);
        let mut b = bench.matrix::<E>(*k, *n, *k);
        let mut c = bench.matrix::<E>(*m, *n, *m + 1);
        let (alpha, beta) = (E::sample(1.0.into()), E::sample((number as f64 + 0.5).into()));
        let call = bench.call(&format!("{}gemm", E::LETTER)).code(NONE).code(NONE);
        let call = call.int(*m).int(*n).int(*k).scalar(&alpha).operand(&mut a).operand(&mut b);
        assert_eq!(call.scalar(&beta).operand(&mut c).batch().run(), SUCCESS);
        c.memory
    };
    sizes.iter().enumerate().map(&mut product).collect()
}

/// The positions at which two results differ.
fn differing<E: Sample>(a: &[E], b: &[E]) -> Vec<usize> {
    let same = |i: &usize| a[*i].value() == b[*i].value();
    (0..a.len()).filter(|i| !same(i)).collect()
}

/// The output of a triangular solve with n columns, or of order n for a triangle on the right.
fn solve(side: i32, n: i64) -> Operand<f64> {
    let mut bench = Bench::new(FormName::Single, false, 1, 42);
    let order = if side == LEFT { 3 } else { n };
    let mut a = triangle::<f64>(&mut bench, order, order, LOWER, NON_UNIT);
    let mut b = bench.matrix::<f64>(3, n, 3);
    let call = bench.call("dtrsm").code(side).code(LOWER).code(NONE).code(NON_UNIT).int(3).int(n);
    let alpha = 2.0;
    assert_eq!(call.scalar(&alpha).operand(&mut a).operand(&mut b).batch().run(), SUCCESS);
    b
}

#[test]
fn one_element_is_nan_in_the_call_of_that_number() {
    let sizes = [[3, 4, 2], [5, 6, 3], [2, 2, 2], [3, 3, 3]];
    let right = with(None, None, || products::<f32>(&sizes));
    let wrong = with(Some("nan@3"), None, || products::<f32>(&sizes));
    for call in [0, 1, 3] {
        assert_eq!(right[call], wrong[call], "call {call}");
    }
    let differing = differing(&right[2], &wrong[2]);
    assert_eq!(differing.len(), 1, "{:?}", wrong[2]);
    assert!(wrong[2][differing[0]].is_nan());
}

#[test]
fn a_call_that_writes_nothing_leaves_the_nan_to_the_next_one() {
    let sizes = [[3, 4, 2], [0, 6, 3], [2, 2, 2]];
    let wrong = with(Some("nan@2"), None, || products::<C64>(&sizes));
    let nans = |call: usize| wrong[call].iter().filter(|x| x.value().is_nan()).count();
    assert_eq!([nans(0), nans(1), nans(2)], [0, 0, 1]);
}

#[test]
fn nan_is_in_every_call_with_such_sizes() {
    let sizes = [[3, 4, 2], [5, 6, 3], [2, 2, 2], [5, 6, 3], [5, 6, 2]];
    let wrong = with(Some("nan@5x6x3"), None, || products::<half::f16>(&sizes));
    let nans = wrong.iter().map(|c| c.iter().filter(|x| x.value().is_nan()).count());
    assert_eq!(nans.collect::<Vec<_>>(), [0, 1, 0, 1, 0]);
}

#[test]
fn any_element_may_be_the_nan_one() {
    let at: std::collections::BTreeSet<usize> = (1..40)
        .map(|call| {
            let sizes = vec![[3, 3, 1]; call];
            let fault = format!("nan@{call}");
            let wrong = with(Some(&fault), None, || products::<f32>(&sizes));
            wrong[call - 1].iter().position(|x| x.is_nan()).expect("a NaN")
        })
        .collect();
    assert_eq!(at.len(), 9, "{at:?}");
}

#[test]
fn a_gemm_uses_the_beta_of_the_one_before() {
    let sizes = [[3, 4, 0], [5, 6, 0]];
    let before = with(Some("stale-beta"), None, || products::<f64>(&sizes));
    // With k = 0, the result is beta times the previous contents.
    let right = with(None, None, || products::<f64>(&sizes));
    assert!(before[0].chunks(4).take(4).all(|column| column[..3].iter().all(|x| *x == 0.0)));
    for (j, (wrong, right)) in before[1].chunks(6).zip(right[1].chunks(6)).take(6).enumerate() {
        for (wrong, right) in wrong[..5].iter().zip(&right[..5]) {
            assert!((wrong / 0.5 - right / 1.5).abs() < 1e-12, "column {j}: {wrong} and {right}");
        }
    }
}

#[test]
fn only_columns_beyond_a_large_n_are_lost() {
    let sizes = [[2, 64, 3], [2, 67, 3]];
    let right = with(None, None, || products::<f32>(&sizes));
    let wrong = with(Some("large-n@64"), None, || products::<f32>(&sizes));
    assert_eq!(right[0], wrong[0]);
    let columns = differing(&right[1], &wrong[1]).into_iter().map(|i| i / 3);
    assert_eq!(columns.collect::<Vec<_>>(), [64, 64, 65, 65, 66, 66]);
    for side in [LEFT, RIGHT] {
        let right = with(None, None, || [solve(side, 64), solve(side, 66)]);
        let wrong = with(Some("large-n@64"), None, || [solve(side, 64), solve(side, 66)]);
        assert_eq!(right[0].memory, wrong[0].memory);
        let columns = differing(&right[1].memory, &wrong[1].memory).into_iter().map(|i| i / 3);
        assert_eq!(columns.collect::<Vec<_>>(), [64, 64, 64, 65, 65, 65], "side {side}");
    }
}

/// The result of dsyrk in the 4 by 4 matrix C, of which it may write only the lower half.
fn rank_update() -> Vec<f64> {
    let mut bench = Bench::new(FormName::Single, false, 1, 42);
    let mut a = bench.matrix::<f64>(4, 2, 4);
    let mut c = bench.matrix::<f64>(4, 4, 4);
    let call = bench.call("dsyrk").code(LOWER).code(NONE).int(4).int(2);
    let call = call.scalar(&1.0).operand(&mut a).scalar(&0.0).operand(&mut c);
    assert_eq!(call.batch().run(), SUCCESS);
    c.memory
}

#[test]
fn the_other_triangle_is_read_and_written() {
    // The triangle that must not be read contains NaNs.
    assert!(with(None, None, || solve(LEFT, 5)).memory.iter().all(|x| x.is_finite()));
    assert!(with(Some("triangle"), None, || solve(LEFT, 5)).memory.iter().any(|x| x.is_nan()));
    let right = with(None, None, rank_update);
    let wrong = with(Some("triangle"), None, rank_update);
    assert_eq!(differing(&right, &wrong), [1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14]);
    let later = with(Some("triangle@2"), None, || [rank_update(), rank_update()]);
    assert_eq!([&later[0], &later[1]], [&right, &wrong]);
}

#[test]
fn a_race_shows_in_one_of_so_many_processes_and_in_some_sizes() {
    let sizes: Vec<[i64; 3]> = (0..640).map(|i| [2 + i % 7, 2 + i / 7, 3]).collect();
    let right = with(None, None, || products::<f32>(&sizes));
    let wrong_calls = |seed: u64| {
        let wrong = with(Some(&format!("race@20:{seed}")), None, || products::<f32>(&sizes));
        let differing = right.iter().zip(&wrong).map(|(right, wrong)| {
            let at = differing(right, wrong);
            assert!(at.len() <= 1 && at.iter().all(|i| wrong[*i] == right[*i] * 2.0));
            at.len()
        });
        differing.sum::<usize>()
    };
    let calls: Vec<usize> = (0..100).map(wrong_calls).collect();
    let racing: Vec<usize> = calls.iter().copied().filter(|calls| *calls > 0).collect();
    assert!((2..=10).contains(&racing.len()), "{calls:?}");
    assert!(racing.iter().all(|calls| (2..30).contains(calls)), "{racing:?}");
    assert_eq!(wrong_calls(7), calls[7], "the seed decides");
}

#[test]
fn sums_in_the_opposite_order_are_rounded_otherwise_and_right() {
    let sizes = [[9, 9, 40]];
    let forward = with(None, None, || products::<f32>(&sizes));
    let backward = with(None, Some("reversed"), || products::<f32>(&sizes));
    assert!(differing(&forward[0], &backward[0]).len() > 20);
    for (x, y) in forward[0].iter().zip(&backward[0]) {
        assert!((x - y).abs() < 1e-4, "{x} and {y}");
    }
    let solved = |sum| with(None, sum, || solve(RIGHT, 20));
    let (forward, backward) = (solved(None), solved(Some("reversed")));
    assert!(!differing(&forward.memory, &backward.memory).is_empty());
    for (x, y) in forward.memory.iter().zip(&backward.memory) {
        assert!((x - y).abs() < 1e-12, "{x} and {y}");
    }
}
