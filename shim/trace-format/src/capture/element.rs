//! Types of elements, their names in files, and the values of their bytes.

use half::{bf16, f16};
use rocblas_abi::operands::Element;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// All types.
pub(super) const ALL: [Element; 12] = [
    Element::F16,
    Element::Bf16,
    Element::F32,
    Element::F64,
    Element::C16,
    Element::C32,
    Element::C64,
    Element::I8,
    Element::U8,
    Element::I32,
    Element::U32,
    Element::I64,
];

/// The safetensors name of a type, or of the parts of a complex type.
pub(super) const fn dtype(element: Element) -> &'static str {
    match element {
        Element::F16 | Element::C16 => "F16",
        Element::Bf16 => "BF16",
        Element::F32 | Element::C32 => "F32",
        Element::F64 | Element::C64 => "F64",
        Element::I8 => "I8",
        Element::U8 => "U8",
        Element::I32 => "I32",
        Element::U32 => "U32",
        Element::I64 => "I64",
    }
}

/// The alignment of a type's tensors in a file, in bytes.
pub(super) fn alignment(element: Element) -> usize {
    if element.is_complex() { element.size() / 2 } else { element.size() }
}

/// The value of an element from its bytes in memory, as a real and an imaginary part; 64-bit integers above 2^53
/// are rounded. Missing bytes count as zero.
#[must_use]
pub fn value(element: Element, bytes: &[u8]) -> [f64; 2] {
    let size = if element.is_complex() { element.size() / 2 } else { element.size() };
    let part = |number: usize| {
        let mut part = [0; 8];
        let there = bytes.get(number * size..).unwrap_or_default();
        for (place, byte) in part[..size].iter_mut().zip(there) {
            *place = *byte;
        }
        let word = u64::from_le_bytes(part);
        match element {
            Element::F16 | Element::C16 => f16::from_bits(word as u16).to_f64(),
            Element::Bf16 => bf16::from_bits(word as u16).to_f64(),
            Element::F32 | Element::C32 => f64::from(f32::from_bits(word as u32)),
            Element::F64 | Element::C64 => f64::from_bits(word),
            Element::I8 => f64::from(word as i8),
            Element::U8 => f64::from(word as u8),
            Element::I32 => f64::from(word as i32),
            Element::U32 => f64::from(word as u32),
            Element::I64 => word as i64 as f64,
        }
    };
    [part(0), if element.is_complex() { part(1) } else { 0.0 }]
}

pub(super) fn serialize<S: Serializer>(element: &Element, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(element.name())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Element, D::Error> {
    let name = String::deserialize(from)?;
    let known = ALL.into_iter().find(|element| element.name() == name);
    known.ok_or_else(|| D::Error::custom(format_args!("there is no element type `{name}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_the_values_of_their_bytes() {
        for (element, bytes, expected) in [
            (Element::F16, &[0x00, 0x3c][..], [1.0, 0.0]),
            (Element::Bf16, &[0x80, 0xbf], [-1.0, 0.0]),
            (Element::F32, &0.5_f32.to_le_bytes(), [0.5, 0.0]),
            (Element::F64, &(-2.25_f64).to_le_bytes(), [-2.25, 0.0]),
            (Element::C16, &[0x00, 0x3c, 0x00, 0xc0], [1.0, -2.0]),
            (Element::C32, &[0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0], [1.0, -2.0]),
            (Element::C64, &[1.0_f64.to_le_bytes(), 3.0_f64.to_le_bytes()].concat(), [1.0, 3.0]),
            (Element::I8, &[0xff], [-1.0, 0.0]),
            (Element::U8, &[0xff], [255.0, 0.0]),
            (Element::I32, &(-7_i32).to_le_bytes(), [-7.0, 0.0]),
            (Element::U32, &[0xff; 4], [4_294_967_295.0, 0.0]),
            (Element::I64, &(-9_i64).to_le_bytes(), [-9.0, 0.0]),
        ] {
            assert_eq!(bytes.len(), element.size(), "{element:?}");
            assert_eq!(value(element, bytes), expected, "{element:?}");
            let _ = value(element, &bytes[1..]);
        }
        assert!(value(Element::F16, &[0xff, 0xff])[0].is_nan());
    }
}
