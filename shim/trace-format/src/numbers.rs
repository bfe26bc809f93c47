//! Computations on an operand's elements: how many are NaN or infinite, and a digest.
//!
//! They are here and not in the shim because this crate is optimised for speed and the shim for size: a
//! thread of the shim has to keep up with the GPU.
//!
//! They cover only elements that the function uses, not the gaps between columns or problems, nor the other half of a
//! triangle.

use crate::{layout::MIXER, options::Check};
use rocblas_abi::operands::{Element, Layout};

/// The elements of an operand in the shim's memory.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a> {
    /// Memory with the elements, and with the gaps between them.
    pub bytes: &'a [u8],
    /// Their type.
    pub element: Element,
    /// The positions of elements relative to their problem's address.
    pub layout: Layout,
    /// The number of problems in the batch.
    pub problems: i64,
    /// The distance from one problem's address to the next, in elements.
    pub stride: i64,
    /// The position of the first element in `bytes`, relative to the first problem's address.
    pub first: i64,
}

/// Consecutive elements in memory.
#[derive(Clone, Copy, Debug)]
struct Chunk<'a> {
    problem: i64,
    /// The position of the first one, relative to its problem's address.
    place: i64,
    bytes: &'a [u8],
}

/// The result of a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bad {
    /// Elements that are NaN.
    pub nan: u64,
    /// Infinite elements.
    pub inf: u64,
    /// The number of the first bad element, in the order of batch, column and row.
    pub first: Option<u64>,
}

/// See [`crate::layout::event::DIGEST`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Digest {
    /// A hash of the bits of all elements, in order.
    pub hash: u64,
    /// The number of elements that are NaN or infinite, which the sums and the largest value exclude.
    pub not_finite: u64,
    /// The sum of all real and imaginary parts.
    pub sum: f64,
    /// The sum of their absolute values.
    pub absolute: f64,
    /// The sum with a sign for each element that depends on its position.
    pub projection: f64,
    /// The largest absolute value.
    pub largest: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Finite,
    Infinite,
    Nan,
}

/// The type of the one or two real numbers of an element.
#[derive(Clone, Copy, Debug)]
enum Real {
    F16,
    Bf16,
    F32,
    F64,
    /// Integers, which are always finite.
    I8,
    U8,
    I32,
    U32,
    I64,
}

impl Real {
    fn of(element: Element) -> Self {
        match element {
            Element::F16 | Element::C16 => Self::F16,
            Element::Bf16 => Self::Bf16,
            Element::F32 | Element::C32 => Self::F32,
            Element::F64 | Element::C64 => Self::F64,
            Element::I8 => Self::I8,
            Element::U8 => Self::U8,
            Element::I32 => Self::I32,
            Element::U32 => Self::U32,
            Element::I64 => Self::I64,
        }
    }
}

impl<'a> Elements<'a> {
    /// The type of a single number.
    #[must_use]
    pub fn one(bytes: &'a [u8], element: Element) -> Self {
        let layout = Layout::Vector { len: 1, inc: 1 };
        Self { bytes, element, layout, problems: 1, stride: 0, first: 0 }
    }

    fn visit(&self, mut visit: impl FnMut(Chunk<'a>)) {
        let size = self.element.size();
        let bytes_of = |place: i64, len: i64| {
            let start = usize::try_from(place.checked_sub(self.first)?).ok()?.checked_mul(size)?;
            let length = usize::try_from(len).ok()?.checked_mul(size)?;
            self.bytes.get(start..start.checked_add(length)?)
        };
        for problem in 0..self.problems {
            let Some(base) = problem.checked_mul(self.stride) else { return };
            for run in self.layout.runs() {
                let (pieces, len) = if run.step == 1 { (1, run.len) } else { (run.len, 1) };
                for piece in 0..pieces {
                    let place = run.first + piece * run.step;
                    if let Some(bytes) = bytes_of(base.saturating_add(place), len) {
                        visit(Chunk { problem, place, bytes });
                    }
                }
            }
        }
    }

    /// The number of an element, counted as if each problem were a matrix or a vector without gaps.
    fn number(&self, problem: i64, place: i64) -> u64 {
        let number = match self.layout {
            Layout::Vector { len, inc } => {
                let from_address = place / inc.saturating_abs().max(1);
                let number = if inc < 0 { len - 1 - from_address } else { from_address };
                problem.saturating_mul(len).saturating_add(number)
            }
            Layout::Matrix { rows, columns, ld, .. } => {
                let (column, row) = (place / ld.max(1), place % ld.max(1));
                let before = problem.saturating_mul(columns).saturating_add(column);
                before.saturating_mul(rows).saturating_add(row)
            }
            Layout::Packed { order, .. } => {
                problem.saturating_mul(order.saturating_mul(order + 1) / 2).saturating_add(place)
            }
            Layout::Band { columns, ld, .. } => {
                problem.saturating_mul(columns.saturating_mul(ld)).saturating_add(place)
            }
        };
        number.try_into().unwrap_or(0)
    }

    /// Counts NaN and infinite elements. A complex one with both is NaN.
    #[must_use]
    pub fn bad(&self, check: Check) -> Bad {
        let size = self.element.size();
        let mut bad = Bad::default();
        let mut of = |chunk: Chunk<'_>, class: &dyn Fn(&[u8]) -> Class| {
            for (i, element) in chunk.bytes.chunks_exact(size).enumerate() {
                let class = class(element);
                if class == Class::Finite {
                    continue;
                }
                let (count, is_wanted) = match class {
                    Class::Nan => (&mut bad.nan, check.nan),
                    _ => (&mut bad.inf, check.inf),
                };
                *count += 1;
                if is_wanted {
                    let number = self.number(chunk.problem, chunk.place + i as i64);
                    bad.first = Some(bad.first.map_or(number, |first| first.min(number)));
                }
            }
        };
        match Real::of(self.element) {
            Real::F16 => self.visit(|chunk| of(chunk, &|bytes| class_of_halves(bytes, 0x7c00))),
            Real::Bf16 => self.visit(|chunk| of(chunk, &|bytes| class_of_halves(bytes, 0x7f80))),
            Real::F32 => self.visit(|chunk| of(chunk, &class_of_floats)),
            Real::F64 => self.visit(|chunk| of(chunk, &class_of_doubles)),
            Real::I8 | Real::U8 | Real::I32 | Real::U32 | Real::I64 => {}
        }
        bad
    }

    /// A digest. It does not depend on gaps.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut digest = Digest::default();
        let (size, real) = (self.element.size(), Real::of(self.element));
        let part = if self.element.is_complex() { size / 2 } else { size };
        let (mut count, mut signs) = (0_u64, 0_u64);
        self.visit(|chunk| {
            for bytes in chunk.bytes.chunks_exact(part) {
                let word = word_of(bytes);
                digest.hash = (digest.hash ^ word).wrapping_mul(MIXER).rotate_left(29);
                if count.is_multiple_of(64) {
                    signs = mixed(count);
                }
                let sign = if signs >> (count % 64) & 1 == 0 { 1.0 } else { -1.0 };
                count += 1;
                let value = value(real, word);
                if value.is_finite() {
                    digest.sum += value;
                    digest.absolute += value.abs();
                    digest.projection += sign * value;
                    digest.largest = digest.largest.max(value.abs());
                }
            }
            let class: fn(&[u8]) -> Class = match real {
                Real::F16 => |bytes| class_of_halves(bytes, 0x7c00),
                Real::Bf16 => |bytes| class_of_halves(bytes, 0x7f80),
                Real::F32 => class_of_floats,
                Real::F64 => class_of_doubles,
                _ => return,
            };
            let elements = chunk.bytes.chunks_exact(size);
            digest.not_finite += elements.filter(|e| class(e) != Class::Finite).count() as u64;
        });
        digest.hash = mixed(digest.hash ^ count);
        digest
    }
}

/// The finaliser of SplitMix64.
fn mixed(word: u64) -> u64 {
    let word = word.wrapping_add(MIXER);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

fn word_of(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

fn class_of_halves(bytes: &[u8], exponent: u16) -> Class {
    let class = |part: &[u8]| class_of(u64::from(word_of(part) as u16 & 0x7fff), exponent.into());
    bytes.chunks_exact(2).map(class).max().unwrap_or(Class::Finite)
}

fn class_of_floats(bytes: &[u8]) -> Class {
    let class = |part: &[u8]| class_of(word_of(part) & 0x7fff_ffff, 0x7f80_0000);
    bytes.chunks_exact(4).map(class).max().unwrap_or(Class::Finite)
}

fn class_of_doubles(bytes: &[u8]) -> Class {
    let class = |part: &[u8]| class_of(word_of(part) & (u64::MAX >> 1), 0x7ff0_0000_0000_0000);
    bytes.chunks_exact(8).map(class).max().unwrap_or(Class::Finite)
}

/// The class of a number, from its bits without the sign, and the bits of infinity.
fn class_of(magnitude: u64, infinity: u64) -> Class {
    match magnitude.cmp(&infinity) {
        core::cmp::Ordering::Less => Class::Finite,
        core::cmp::Ordering::Equal => Class::Infinite,
        core::cmp::Ordering::Greater => Class::Nan,
    }
}

/// The value of a real number; 64-bit integers above 2^53 are rounded.
fn value(real: Real, word: u64) -> f64 {
    match real {
        Real::F16 => half_precision(word as u16),
        Real::Bf16 => f64::from(f32::from_bits((word as u32) << 16)),
        Real::F32 => f64::from(f32::from_bits(word as u32)),
        Real::F64 => f64::from_bits(word),
        Real::I8 => f64::from(word as i8),
        Real::U8 => f64::from(word as u8),
        Real::I32 => f64::from(word as i32),
        Real::U32 => f64::from(word as u32),
        Real::I64 => word as i64 as f64,
    }
}

fn half_precision(bits: u16) -> f64 {
    const SUBNORMAL: f64 = 1.0 / (1 << 24) as f64;
    let (exponent, mantissa) = (u64::from(bits >> 10 & 0x1f), u64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => mantissa as f64 * SUBNORMAL,
        0x1f if mantissa == 0 => f64::INFINITY,
        0x1f => f64::NAN,
        _ => f64::from_bits((exponent + 1023 - 15) << 52 | mantissa << 42),
    };
    if bits >> 15 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests;
