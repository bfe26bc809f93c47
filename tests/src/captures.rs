//! Artificial captures of calls: operands of any function, with values chosen by a test.

use half::{bf16, f16};
use rocblas_abi::{Base, by_name, params};
use rocblas_trace::{
    call::{NumberKind, scalar_kind},
    capture::{Capture, Element, Meta, Scalar, Tensor, Time},
};

/// The address of the first operand; each has a gigabyte.
const FIRST: u64 = 1 << 32;

/// A call to be captured.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The function's name.
    pub function: &'a str,
    /// Integers and enums by the parameters' names.
    pub integers: &'a [(&'a str, i64)],
    /// Scalars that the call reads, by the parameters' names.
    pub scalars: &'a [(&'a str, f64)],
}

impl Call<'_> {
    /// The call's capture. `value` returns the value before the call for a parameter and a position in its
    /// span.
    ///
    /// # Panics
    /// If the function is not described, or if an argument is missing.
    #[must_use]
    pub fn captured(&self, value: impl Fn(&str, usize) -> f64) -> Capture<'static> {
        let function = usize::from(by_name(self.function).expect("a function").index);
        let named = |list: &[(&str, i64)], name: &str| {
            list.iter().find(|(given, _)| *given == name).map(|(_, value)| *value)
        };
        let word = |(position, param): (usize, rocblas_abi::Param)| {
            if let Some(integer) = named(self.integers, param.name) {
                return integer as u64;
            }
            match (param.ty.pointers, param.ty.base) {
                (1.., _) => FIRST + ((position as u64) << 30),
                (_, Base::Handle) => 1,
                // Like garbage in the upper half of a word.
                _ => panic!("{} has no {}", self.function, param.name),
            }
        };
        let words: Vec<u64> = params(function).enumerate().map(word).collect();
        let scalar = |position: usize| {
            let param = params(function).nth(position)?;
            let (_, value) = self.scalars.iter().find(|(name, _)| *name == param.name)?;
            let kind = scalar_kind(function, &param, &|position| words[position])?;
            let element = element_of(kind);
            Some(Scalar::new(element, &bytes(element, *value), value.to_string()))
        };
        let meta = Meta::of_call(function, &words, &scalar).expect("a function that is described");
        let mut tensors = Vec::new();
        for (number, operand) in meta.operands.iter().enumerate() {
            if operand.read {
                let count = operand.bytes().expect("a small operand") / operand.element.size();
                let values = (0..count)
                    .flat_map(|place| bytes(operand.element, value(&operand.parameter, place)));
                let data: Vec<u8> = values.collect();
                tensors.push(Tensor { operand: number, time: Time::Before, data: data.into() });
            }
        }
        Capture { meta, tensors }
    }
}

/// A reproducible value between -1 and 1 for a parameter and a position.
#[must_use]
pub fn noise(parameter: &str, place: usize) -> f64 {
    let seed = parameter.bytes().fold(place as u64, |seed, byte| seed * 31 + u64::from(byte));
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

fn element_of(kind: NumberKind) -> Element {
    match kind {
        NumberKind::F16 => Element::F16,
        NumberKind::Bf16 => Element::Bf16,
        NumberKind::F32 => Element::F32,
        NumberKind::F64 => Element::F64,
        NumberKind::C32 => Element::C32,
        NumberKind::C64 => Element::C64,
        NumberKind::I32 => Element::I32,
        NumberKind::I64 => Element::I64,
    }
}

/// The bytes of an element; the imaginary part of a complex one is half the real one.
fn bytes(element: Element, value: f64) -> Vec<u8> {
    let parts = |one: fn(f64) -> Vec<u8>| [one(value), one(value / 2.0)].concat();
    match element {
        Element::F16 => f16::from_f64(value).to_le_bytes().to_vec(),
        Element::Bf16 => bf16::from_f64(value).to_le_bytes().to_vec(),
        Element::F32 => (value as f32).to_le_bytes().to_vec(),
        Element::F64 => value.to_le_bytes().to_vec(),
        Element::C16 => parts(|part| f16::from_f64(part).to_le_bytes().to_vec()),
        Element::C32 => parts(|part| (part as f32).to_le_bytes().to_vec()),
        Element::C64 => parts(|part| part.to_le_bytes().to_vec()),
        Element::I8 => (value as i8).to_le_bytes().to_vec(),
        Element::U8 => (value as u8).to_le_bytes().to_vec(),
        Element::I32 => (value as i32).to_le_bytes().to_vec(),
        Element::U32 => (value as u32).to_le_bytes().to_vec(),
        Element::I64 => (value as i64).to_le_bytes().to_vec(),
    }
}
