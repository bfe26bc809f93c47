//! Decides whether two digests of an output may be of the same result with different rounding.
//!
//! Releases add products in different orders, so equal bits are not required. A digest contains the sum of an
//! output, the sum of absolute values, the sum with pseudo-random signs and the largest absolute value. Each
//! may differ by the accumulated rounding errors of all elements:
//!
//! - An element is stored with a relative error of one unit roundoff `u` of its type on each side.
//! - An element is the sum of `k` products, where `k` is the number of operations of the call divided by the
//!   number of elements of its outputs. Errors of partial sums are independent, so the error is `sqrt(k)`
//!   times `u` of the type in which they are added.
//! - The size of the partial sums is unknown, since digests describe only outputs and products may cancel
//!   out. It is estimated as the largest element times [`CANCELLED`], and as more if there are so few
//!   elements that all of them may be small: in one of 1,000 calls, the result of a dot product is 1,000
//!   times smaller than its partial sums.
//! - Errors of elements are independent, so the error of a sum is `sqrt(n)` times that of an element, times
//!   [`DEVIATIONS`].
//!
//! So a reported difference is rarely due to rounding, unless a system is ill-conditioned. Replaying the call
//! settles this, as the inputs are then known. Conversely, a single wrong element among many half-precision
//! ones may go unnoticed.

use rocblas_abi::operands::Element;
use rocblas_trace::read::Digest;
use serde::Serialize;

/// How much larger than the largest element partial sums may be, if there are many elements.
const CANCELLED: f64 = 64.0;
/// With fewer elements than this, all of them may be small.
const FEW: f64 = 32.0;
/// How many standard deviations a sum of errors stays within.
const DEVIATIONS: f64 = 4.0;
/// The rounding error of the digests themselves: they are sums of doubles.
const OF_DIGEST: f64 = 1e-13;

/// The assumed number of products in each element of an input, since its origin is unknown.
const UNKNOWN_TERMS: f64 = 1024.0;

/// What is known about an operand apart from its digests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    /// The type in which its elements are stored.
    pub(super) element: Element,
    /// The type in which its elements are summed up.
    pub(super) computed: Element,
    /// How many elements it has.
    pub(super) elements: f64,
    /// How many products are summed up in an element.
    pub(super) terms: f64,
}

/// A difference that is too large.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Deviation {
    /// `sum`
    pub measure: &'static str,
    /// The value on each side.
    pub values: [f64; 2],
    /// The difference that rounding explains.
    pub allowed: f64,
}

/// How two outputs compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Agreement {
    /// The bits are the same.
    Same,
    /// The numbers are the same except for rounding.
    Rounded,
    /// The numbers differ.
    Different(Deviation),
}

impl Output {
    /// Describes an input with these elements, as the output of an earlier call.
    pub(super) fn of_earlier(element: Element, elements: f64) -> Self {
        let computed = match element {
            Element::F16 | Element::Bf16 => Element::F32,
            Element::C16 => Element::C32,
            element => element,
        };
        // Do not assume that few elements are all small: unrelated inputs would then agree.
        Self { element, computed, elements: elements.max(FEW), terms: UNKNOWN_TERMS }
    }
}

/// The relative error of one rounding; `None` if there is no rounding.
fn roundoff(element: Element) -> Option<f64> {
    let bits = match element {
        Element::F16 | Element::C16 => 11,
        Element::Bf16 => 8,
        Element::F32 | Element::C32 => 24,
        Element::F64 | Element::C64 => 53,
        Element::I8 | Element::U8 | Element::I32 | Element::U32 | Element::I64 => return None,
    };
    Some(0.5_f64.powi(bits))
}

/// Compares numbers that earlier calls may have computed.
pub(super) fn numbers_agree(element: Element, a: &[f64], b: &[f64]) -> bool {
    let of_earlier = Output::of_earlier(element, 1.0);
    let [stored, added] = [element, of_earlier.computed].map(|it| roundoff(it).unwrap_or(0.0));
    let relative = DEVIATIONS * (2.0 * stored + CANCELLED * UNKNOWN_TERMS.sqrt() * added);
    let agree = |(a, b): (&f64, &f64)| {
        a.to_bits() == b.to_bits() || (a - b).abs() <= relative * a.abs().max(b.abs())
    };
    a.len() == b.len() && a.iter().zip(b).all(agree)
}

/// Compares the digests of an operand on two sides.
pub(super) fn agreement(output: &Output, a: &Digest, b: &Digest) -> Agreement {
    if a.hash == b.hash {
        return Agreement::Same;
    }
    let different =
        |measure, values, allowed| Agreement::Different(Deviation { measure, values, allowed });
    if a.not_finite != b.not_finite {
        let counts = [a.not_finite as f64, b.not_finite as f64];
        return different("elements that are not finite", counts, 0.0);
    }
    let Some(stored) = roundoff(output.element) else {
        return different("sum", [a.sum, b.sum], 0.0);
    };
    let added = roundoff(output.computed).unwrap_or(0.0);
    let n = output.elements.max(1.0);
    let largest = a.largest.min(b.largest);
    let hidden = CANCELLED * (1.0 + (FEW / n).powi(2));
    let element = largest * (2.0 * stored + hidden * output.terms.max(1.0).sqrt() * added);
    let all = DEVIATIONS * n.sqrt() * element + OF_DIGEST * a.absolute.max(b.absolute);
    // Types that are truncated instead of rounded shift all elements in the same direction.
    let biased = all + 2.0 * stored * a.absolute.max(b.absolute);
    let measures = [
        ("largest element", [a.largest, b.largest], DEVIATIONS * element),
        ("sum of absolute values", [a.absolute, b.absolute], biased),
        ("sum", [a.sum, b.sum], biased),
        ("sum with pseudo-random signs", [a.projection, b.projection], biased),
    ];
    let differs = |(_, [a, b], allowed): &(_, [f64; 2], f64)| {
        let difference = (a - b).abs();
        // Sums of finite elements may be infinite, and their difference is then NaN.
        difference > *allowed || difference.is_nan()
    };
    match measures.into_iter().find(differs) {
        Some((measure, values, allowed)) => different(measure, values, allowed),
        None => Agreement::Rounded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rocblas_trace::read::CallId;

    /// Bits that look random.
    fn mixed(number: u64) -> u64 {
        let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number between -1 and 1.
    fn number(seed: u64) -> f64 {
        (mixed(seed) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    fn digest(numbers: &[f64]) -> Digest {
        let finite = || numbers.iter().enumerate().filter(|(_, x)| x.is_finite());
        let sign = |i: usize| if mixed(i as u64 ^ 99) & 1 == 0 { 1.0 } else { -1.0 };
        Digest {
            begin: 0,
            call: CallId { thread: 1, sequence: 0 },
            parameter: 0,
            is_before: false,
            hash: numbers.iter().fold(0, |hash, x| mixed(hash ^ x.to_bits())),
            not_finite: (numbers.len() - finite().count()) as u64,
            sum: finite().map(|(_, x)| x).sum(),
            absolute: finite().map(|(_, x)| x.abs()).sum(),
            projection: finite().map(|(i, x)| x * sign(i)).sum(),
            largest: finite().fold(0.0, |largest, (_, x)| x.abs().max(largest)),
        }
    }

    fn output(element: Element, computed: Element, elements: usize, terms: usize) -> Output {
        Output { element, computed, elements: elements as f64, terms: terms as f64 }
    }

    /// Inner products of `n` pairs of vectors of `k` numbers, added up in single precision from either end.
    fn products(n: usize, k: usize, seed: u64) -> [Vec<f64>; 2] {
        let of = |is_reversed: bool| {
            let sum = |i: usize| {
                let term = |l: usize| {
                    let at = (seed << 40) + ((i * k + l) as u64) * 2;
                    number(at) as f32 * number(at + 1) as f32
                };
                let sum = match is_reversed {
                    true => (0..k).rev().fold(0_f32, |sum, l| sum + term(l)),
                    false => (0..k).fold(0_f32, |sum, l| sum + term(l)),
                };
                f64::from(sum)
            };
            (0..n).map(sum).collect::<Vec<_>>()
        };
        [of(false), of(true)]
    }

    fn compared(output: &Output, a: &[f64], b: &[f64]) -> Agreement {
        agreement(output, &digest(a), &digest(b))
    }

    #[test]
    fn the_order_of_summation_is_no_difference() {
        let mut rounded = 0;
        for (n, k, runs) in
            [(1, 24, 3000), (2, 100, 1000), (3, 1, 100), (30, 24, 300), (1000, 64, 20)]
        {
            let output = output(Element::F32, Element::F32, n, k);
            for seed in 0..runs {
                let [a, b] = products(n, k, seed);
                let agreement = compared(&output, &a, &b);
                assert!(
                    !matches!(agreement, Agreement::Different(_)),
                    "{n} {k} {seed}: {agreement:?}"
                );
                rounded += usize::from(agreement == Agreement::Rounded);
            }
        }
        assert!(rounded > 2000, "{rounded} of 4420 are not the same bits");
    }

    #[test]
    fn an_element_that_is_twice_what_it_should_be_is_a_difference() {
        for (n, k) in [(30, 24), (400, 24), (4096, 100)] {
            let output = output(Element::F32, Element::F32, n, k);
            let [a, mut b] = products(n, k, 7);
            b[n / 3] *= 2.0;
            assert!(matches!(compared(&output, &a, &b), Agreement::Different(_)), "{n} {k}");
        }
    }

    #[test]
    fn a_number_that_is_not_one_is_a_difference_whatever_the_type() {
        for element in [Element::F16, Element::Bf16, Element::F32, Element::C64] {
            let output = output(element, element, 20, 5);
            let a: Vec<f64> = (0..20).map(number).collect();
            let mut b = a.clone();
            b[11] = f64::NAN;
            let Agreement::Different(deviation) = compared(&output, &a, &b) else {
                panic!("{element:?}");
            };
            assert_eq!(deviation.measure, "elements that are not finite");
            assert_eq!(deviation.values, [0.0, 1.0]);
        }
    }

    #[test]
    fn halves_are_stored_with_an_error_of_their_own() {
        let output = output(Element::F16, Element::F32, 500, 64);
        let a: Vec<f64> = (0..500).map(number).collect();
        let last_bits: Vec<f64> = a.iter().map(|x| x * (1.0 + 0.5_f64.powi(11))).collect();
        assert_eq!(compared(&output, &a, &last_bits), Agreement::Rounded);
        let stale: Vec<f64> = a.iter().map(|x| x * 1.02).collect();
        assert!(matches!(compared(&output, &a, &stale), Agreement::Different(_)));
    }

    #[test]
    fn positions_are_the_same_or_not() {
        let output = output(Element::I32, Element::I32, 1, 1);
        assert_eq!(compared(&output, &[7.0], &[7.0]), Agreement::Same);
        assert!(matches!(compared(&output, &[7.0], &[8.0]), Agreement::Different(_)));
    }

    #[test]
    fn elements_that_change_places_are_a_difference() {
        let output = output(Element::F64, Element::F64, 100, 30);
        let a: Vec<f64> = (0..100).map(number).collect();
        let mut b = a.clone();
        b.rotate_left(10);
        let Agreement::Different(deviation) = compared(&output, &a, &b) else { panic!("moved") };
        assert_eq!(deviation.measure, "sum with pseudo-random signs");
    }
}
