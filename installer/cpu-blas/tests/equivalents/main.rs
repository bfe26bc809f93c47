//! Compares routines for band and packed matrices, and for halves of matrices, with those for whole matrices,
//! which have their own tests: the same numbers in different storage give the same results.

#[path = "../operands/callee.rs"]
mod callee;
mod level2;
mod level3;

use callee::{Callee, handle};
use num_complex::Complex64 as C64;
use rocblas_abi::{by_name, value};
use std::ops::{Add, Mul, Sub};
use tests::valid::Random;
use value::{diagonal, fill, operation, side};

const HALVES: [i32; 2] = [fill::UPPER, fill::LOWER];
const OPERATIONS: [i32; 3] =
    [operation::NONE, operation::TRANSPOSE, operation::CONJUGATE_TRANSPOSE];
const DIAGONALS: [i32; 2] = [diagonal::NON_UNIT, diagonal::UNIT];
const NONE: i32 = operation::NONE;

/// The order of square matrices.
const N: usize = 5;

/// An argument as a machine word.
trait Word {
    fn word(self) -> u64;
}

impl Word for i32 {
    fn word(self) -> u64 {
        self as u64
    }
}

impl Word for usize {
    fn word(self) -> u64 {
        self as u64
    }
}

impl<T> Word for &[T] {
    fn word(self) -> u64 {
        self.as_ptr().expose_provenance() as u64
    }
}

impl<T> Word for &mut [T] {
    fn word(self) -> u64 {
        self.as_mut_ptr().expose_provenance() as u64
    }
}

/// Calls a function of the given precision with a handle and these arguments.
macro_rules! call {
    ($name:expr, $($argument:expr),+ $(,)?) => {{
        let name = format!("rocblas_{}", $name);
        let callee = by_name(&name).and_then(Callee::of).unwrap_or_else(|| panic!("no {name}"));
        let words = [handle() $(, Word::word($argument))+];
        assert_eq!(words.len(), callee.function.params.len(), "{name}");
        assert_eq!(callee.call(&words), 0, "{name}");
    }};
}

use call;

/// Elements in double precision.
trait Number:
    Copy + std::fmt::Debug + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + 'static
{
    const LETTER: &str;
    fn new(re: f64, im: f64) -> Self;
    fn size(self) -> f64;
}

impl Number for f64 {
    const LETTER: &str = "d";
    fn new(re: f64, _: f64) -> Self {
        re
    }
    fn size(self) -> f64 {
        self.abs()
    }
}

impl Number for C64 {
    const LETTER: &str = "z";
    fn new(re: f64, im: f64) -> Self {
        C64::new(re, im)
    }
    fn size(self) -> f64 {
        self.norm()
    }
}

fn name<T: Number>(routine: &str) -> String {
    format!("{}{routine}", T::LETTER)
}

fn numbers<T: Number>(random: &mut Random, count: usize) -> Vec<T> {
    (0..count).map(|_| T::new(random.number(), random.number())).collect()
}

#[track_caller]
fn assert_close<T: Number>(got: &[T], expected: &[T]) {
    assert_eq!(got.len(), expected.len());
    let close = got.iter().zip(expected).all(|(a, b)| (*a - *b).size() < 1e-10 * (1.0 + b.size()));
    assert!(close, "{got:?} is not {expected:?}");
}

fn in_half(half: i32, i: usize, j: usize) -> bool {
    if half == fill::UPPER { i <= j } else { i >= j }
}

/// One half of a square matrix, column by column, without gaps.
fn packed<T: Number>(a: &[T], half: i32) -> Vec<T> {
    let places = (0..N * N).filter(|at| in_half(half, at % N, at / N));
    places.map(|at| a[at]).collect()
}

/// The elements of `product` in the given half, and those of `before` elsewhere.
fn only_half<T: Number>(half: i32, product: &[T], before: &[T]) -> Vec<T> {
    (0..N * N)
        .map(|at| if in_half(half, at % N, at / N) { product[at] } else { before[at] })
        .collect()
}

fn in_band(i: usize, j: usize, below: usize, above: usize) -> bool {
    i <= j + below && j <= i + above
}

/// The matrix with zeros outside the band.
fn limited<T: Number>(a: &[T], rows: usize, below: usize, above: usize) -> Vec<T> {
    let zero = T::new(0.0, 0.0);
    let of = |(at, value): (usize, &T)| {
        if in_band(at % rows, at / rows, below, above) { *value } else { zero }
    };
    a.iter().enumerate().map(of).collect()
}

/// The band as it is stored, with garbage in the corners.
fn band<T: Number>(a: &[T], rows: usize, below: usize, above: usize) -> Vec<T> {
    let (ld, columns) = (below + above + 1, a.len() / rows);
    let mut stored = vec![T::new(f64::NAN, 1e300); ld * columns];
    for (i, j) in (0..columns).flat_map(|j| (0..rows).map(move |i| (i, j))) {
        if in_band(i, j, below, above) {
            stored[above + i - j + j * ld] = a[i + j * rows];
        }
    }
    stored
}

/// How many diagonals below and above the main one are stored, if a half has k.
fn one_side(half: i32, k: usize) -> (usize, usize) {
    if half == fill::UPPER { (0, k) } else { (k, 0) }
}

/// Makes the diagonal real, as Hermitian diagonals are; the original contents may not be real.
fn real_diagonal(a: &mut [C64]) {
    a.iter_mut().step_by(N + 1).for_each(|value| value.im = 0.0);
}

#[test]
fn modified_rotations_annihilate_and_keep_the_norm() {
    let mut random = Random::new(8);
    let mut flags = std::collections::BTreeSet::new();
    for round in 0..500 {
        let size = 10_f64.powi(random.below(21) as i32 - 10);
        let (d1, d2) = (random.number().abs() * size, random.number().abs());
        let (x, y) = (random.number(), if round % 50 == 0 { 0.0 } else { random.number() });
        let ([mut new_d1], [mut new_d2], [mut new_x]) = ([d1], [d2], [x]);
        let mut param = [7.0; 5];
        call!(
            "drotmg",
            std::slice::from_mut(&mut new_d1),
            std::slice::from_mut(&mut new_d2),
            std::slice::from_mut(&mut new_x),
            &[y][..],
            &mut param[..]
        );
        flags.insert(param[0] as i32);
        let (mut rotated, mut rest) = ([x], [y]);
        call!("drotm", 1, &mut rotated[..], 1, &mut rest[..], 1, &param[..]);
        assert_close(&rotated, &[new_x]);
        assert_close(&rest, &[0.0]);
        let norm = d1 * x * x + d2 * y * y;
        assert_close(&[new_d1 * new_x * new_x / norm], &[1.0]);
        assert!(y == 0.0 || new_d1.max(new_d2) < 4096.0 * 4096.0);
    }
    assert_eq!(flags.into_iter().collect::<Vec<_>>(), [-2, -1, 0, 1]);
}
