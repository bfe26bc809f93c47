//! Elements of each type in each layout.

use super::*;
use rocblas_abi::operands::Part;

const BOTH: Check = Check { nan: true, inf: true, digest: false, inputs: false };

fn matrix(bytes: &[u8], element: Element) -> Elements<'_> {
    let layout = Layout::Matrix { rows: 2, columns: 3, ld: 4, part: Part::All };
    Elements { bytes, element, layout, problems: 2, stride: 13, first: 0 }
}

/// The bytes of NaN and of infinity, as each part of an element.
fn specials(element: Element) -> Option<[Vec<u8>; 2]> {
    Some(match element {
        Element::F16 | Element::C16 => [vec![0x01, 0xfe], vec![0x00, 0xfc]],
        Element::Bf16 => [vec![0x81, 0xff], vec![0x80, 0x7f]],
        Element::F32 | Element::C32 => {
            [f32::NAN.to_le_bytes().to_vec(), f32::NEG_INFINITY.to_le_bytes().to_vec()]
        }
        Element::F64 | Element::C64 => {
            [f64::NAN.to_le_bytes().to_vec(), f64::INFINITY.to_le_bytes().to_vec()]
        }
        _ => return None,
    })
}

const ALL: [Element; 12] = [
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

#[test]
fn each_type_has_its_nan_and_its_infinity() {
    for element in ALL {
        let size = element.size();
        let mut bytes = vec![0; 24 * size];
        let Some([nan, inf]) = specials(element) else {
            bytes.fill(0xff);
            assert_eq!(matrix(&bytes, element).bad(BOTH), Bad::default(), "{element:?}");
            continue;
        };
        assert_eq!(matrix(&bytes, element).bad(BOTH), Bad::default(), "{element:?}");
        // The second part of a complex number; element (1, 2) of problem 1.
        let end = (13 + 2 * 4 + 1 + 1) * size;
        bytes[end - nan.len()..end].copy_from_slice(&nan);
        let found = matrix(&bytes, element).bad(BOTH);
        assert_eq!(found, Bad { nan: 1, inf: 0, first: Some(11) }, "{element:?}");
        // Element (0, 1) of problem 0.
        bytes[4 * size..4 * size + inf.len()].copy_from_slice(&inf);
        let found = matrix(&bytes, element).bad(BOTH);
        assert_eq!(found, Bad { nan: 1, inf: 1, first: Some(2) }, "{element:?}");
        let only_nan = Check { inf: false, ..BOTH };
        assert_eq!(matrix(&bytes, element).bad(only_nan).first, Some(11), "{element:?}");
        let digest = matrix(&bytes, element).digest();
        assert_eq!((digest.not_finite, digest.sum), (2, 0.0), "{element:?}");
    }
}

#[test]
fn gaps_and_the_other_triangle_are_not_looked_at() {
    let nan = f32::NAN.to_le_bytes();
    let mut bytes: Vec<u8> = nan.iter().copied().cycle().take(24 * 4).collect();
    let elements = matrix(&[], Element::F32);
    for place in [0, 1, 4, 5, 8, 9, 13, 14, 17, 18, 21, 22] {
        bytes[4 * place..4 * place + 4].copy_from_slice(&2_f32.to_le_bytes());
    }
    let elements = Elements { bytes: &bytes, ..elements };
    assert_eq!(elements.bad(BOTH), Bad::default());
    assert_eq!(elements.digest().sum, 24.0);
    let layout = Layout::Matrix { rows: 2, columns: 2, ld: 4, part: Part::Lower };
    let mut bytes = bytes.clone();
    bytes[4 * 4..4 * 5].copy_from_slice(&nan);
    let lower = Elements { bytes: &bytes, layout, problems: 1, ..elements };
    assert_eq!(lower.bad(BOTH), Bad::default());
}

#[test]
fn vectors_are_numbered_from_their_first_element() {
    let mut bytes = vec![0; 5 * 8];
    bytes[32..].copy_from_slice(&f64::NAN.to_le_bytes());
    for (inc, first) in [(2, 2), (-2, 0)] {
        let layout = Layout::Vector { len: 3, inc };
        let vector = Elements {
            bytes: &bytes,
            element: Element::F64,
            layout,
            problems: 1,
            stride: 0,
            first: 0,
        };
        assert_eq!(vector.bad(BOTH).first, Some(first));
    }
}

#[test]
fn a_digest_tells_values_apart_and_not_layouts() {
    let vector = |values: &[f32], inc: usize| {
        let mut bytes = vec![0xff; (values.len() * inc) * 4];
        for (i, value) in values.iter().enumerate() {
            bytes[4 * i * inc..4 * i * inc + 4].copy_from_slice(&value.to_le_bytes());
        }
        let layout = Layout::Vector { len: values.len() as i64, inc: inc as i64 };
        let element = Element::F32;
        Elements { bytes: &bytes, element, layout, problems: 1, stride: 0, first: 0 }.digest()
    };
    let values: Vec<f32> = (0..200_u8).map(|i| f32::from(i) - 99.5).collect();
    let digest = vector(&values, 1);
    assert_eq!(digest, vector(&values, 3));
    assert_eq!((digest.sum, digest.absolute, digest.largest), (0.0, 10_000.0, 99.5));
    assert!(digest.projection != 0.0 && digest.projection.abs() < digest.absolute);
    let mut swapped = values.clone();
    swapped.swap(3, 70);
    assert_ne!(vector(&swapped, 1).hash, digest.hash);
    assert_eq!(vector(&swapped, 1).sum, digest.sum);
    assert_ne!(vector(&values[..199], 1).hash, digest.hash);
}

#[test]
fn halves_have_their_values() {
    for (bits, expected) in [
        (0x3c00, 1.0),
        (0xc000, -2.0),
        (0x7bff, 65504.0),
        (0x0001, 5.960_464_477_539_063e-8),
        (0x0400, 6.103_515_625e-5),
        (0x8000, 0.0),
    ] {
        assert_eq!(half_precision(bits), expected, "{bits:x}");
    }
    assert!(half_precision(0x7c00).is_infinite() && half_precision(0xfe00).is_nan());
}

#[test]
fn too_few_bytes_are_not_read_beyond() {
    let bytes = [0; 30];
    assert_eq!(matrix(&bytes, Element::F64).bad(BOTH), Bad::default());
    assert_eq!(matrix(&bytes, Element::C64).digest().not_finite, 0);
}
