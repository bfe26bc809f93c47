//! The memory of a call's operands with padding around it, and which of its elements are used.

use super::random::Random;
use half::{bf16, f16};
use rocblas_abi::operands::{Batch, Element, Operand};
use std::fmt;

/// The number of elements before the first and after the last one of an operand.
const PADDING: i64 = 40;

/// Writes a number as an element; an integer element gets the number's bits.
///
/// # Panics
/// If the number of bytes is not the size of the element.
pub(super) fn store(element: Element, bytes: &mut [u8], [re, im]: [f64; 2]) {
    let parts = |re: &[u8], im: &[u8]| [re, im].concat();
    let stored = match element {
        Element::F16 => f16::from_f64(re).to_le_bytes().to_vec(),
        Element::Bf16 => bf16::from_f64(re).to_le_bytes().to_vec(),
        Element::F32 => (re as f32).to_le_bytes().to_vec(),
        Element::F64 => re.to_le_bytes().to_vec(),
        Element::C32 => parts(&(re as f32).to_le_bytes(), &(im as f32).to_le_bytes()),
        Element::C64 => parts(&re.to_le_bytes(), &im.to_le_bytes()),
        _ => re.to_bits().to_be_bytes()[1..][..element.size().min(7)].repeat(2)[..element.size()]
            .to_vec(),
    };
    bytes.copy_from_slice(&stored);
}

/// An element of an operand's memory.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    operand: usize,
    region: usize,
    /// Its offset from the start of the region.
    at: usize,
    /// Whether the operand's runs include it.
    pub used: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of region {}", self.at, self.region)
    }
}

/// The memory behind an operand's address: one region, or for an array of pointers one per problem.
#[derive(Clone, Debug)]
struct Region {
    words: Vec<u128>,
    size: usize,
    /// The offset of the element at the address.
    origin: usize,
    used: Vec<bool>,
}

impl Region {
    fn new(operand: &Operand, random: &mut Random) -> Self {
        let span = operand.span();
        let (first, len) =
            span.map_or((0, 0), |span| (span.first.min(0), span.first.max(0) + span.len));
        let elements = (len + 2 * PADDING) as usize;
        let size = operand.element.size();
        let origin = PADDING - first;
        let mut used = vec![false; elements];
        let problems: Vec<i64> = match operand.batch {
            Batch::Strided { count, stride } => {
                (0..count).map(|problem| problem * stride).collect()
            }
            Batch::One | Batch::Pointers { .. } => vec![0],
        };
        for problem in problems {
            for run in operand.layout.runs() {
                for i in 0..run.len {
                    used[(origin + problem + run.first + i * run.step) as usize] = true;
                }
            }
        }
        let words = vec![0; (elements * size).div_ceil(16)];
        let mut region = Self { words, size, origin: origin as usize, used };
        for at in 0..elements {
            store(operand.element, region.bytes_mut(at), [random.number(), random.number()]);
        }
        region
    }

    fn address(&mut self) -> u64 {
        let start = self.words.as_mut_ptr().cast::<u8>();
        start.wrapping_add(self.origin * self.size).expose_provenance() as u64
    }

    fn bytes(&self, at: usize) -> &[u8] {
        // SAFETY: the words consist of as many bytes, all of them initialised.
        let all = unsafe {
            core::slice::from_raw_parts(self.words.as_ptr().cast::<u8>(), 16 * self.words.len())
        };
        &all[at * self.size..][..self.size]
    }

    fn bytes_mut(&mut self, at: usize) -> &mut [u8] {
        // SAFETY: as in `bytes`; any bytes are a valid word.
        let all = unsafe {
            core::slice::from_raw_parts_mut(
                self.words.as_mut_ptr().cast::<u8>(),
                16 * self.words.len(),
            )
        };
        &mut all[at * self.size..][..self.size]
    }
}

/// The memory of all operands of a call.
#[derive(Clone, Debug)]
pub struct Memory(Vec<Vec<Region>>);

impl Memory {
    /// Memory with random numbers in every element, whether used or not.
    #[must_use]
    pub fn new(operands: &[Operand], random: &mut Random) -> Self {
        let regions = |operand: &Operand| {
            let count = match operand.batch {
                Batch::Pointers { count } => count,
                Batch::One | Batch::Strided { .. } => 1,
            };
            (0..count).map(|_| Region::new(operand, random)).collect()
        };
        Self(operands.iter().map(regions).collect())
    }

    /// The addresses of an operand: one, or one per problem.
    #[must_use]
    pub fn addresses(&mut self, operand: usize) -> Vec<u64> {
        self.0[operand].iter_mut().map(Region::address).collect()
    }

    /// All elements of an operand, including unused ones.
    pub fn places(&self, operand: usize) -> impl Iterator<Item = Place> + '_ {
        let regions = self.0[operand].iter().enumerate();
        regions.flat_map(move |(region, r)| {
            r.used.iter().enumerate().map(move |(at, used)| Place {
                operand,
                region,
                at,
                used: *used,
            })
        })
    }

    /// The bytes of an element.
    #[must_use]
    pub fn element(&self, place: Place) -> &[u8] {
        self.0[place.operand][place.region].bytes(place.at)
    }

    /// The number of values to try for a changed element.
    pub const ATTEMPTS: usize = 7;

    /// Changes the value of one element: to a usual, large or small number, a flag of rotm, or a value that
    /// matters even when multiplied by zero.
    pub fn change(&mut self, element: Element, place: Place, attempt: usize) {
        let number = [2.6, -3.3, 1000.0, 0.001, -2.0, -1000.0, f64::NAN][attempt];
        let bytes = self.0[place.operand][place.region].bytes_mut(place.at);
        store(element, bytes, [number, -number]);
    }

    /// Sets all bits of memory that is not read: padding, gaps, and operands for which `is_read` is false.
    pub fn spoil(&mut self, is_read: &[bool]) {
        for (regions, is_read) in self.0.iter_mut().zip(is_read) {
            for region in regions {
                for at in 0..region.used.len() {
                    if !is_read || !region.used[at] {
                        region.bytes_mut(at).fill(0xff);
                    }
                }
            }
        }
    }
}
