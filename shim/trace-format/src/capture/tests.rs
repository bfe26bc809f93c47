use super::*;
use crate::process::Backend;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{fs, path::Path};

/// An operand with five elements in each problem.
fn operand(parameter: &str, element: Element, batch: Batch) -> Operand {
    let (first, len) = match batch {
        Batch::Strided { count, stride } => {
            ((count - 1) * stride.min(0), 5 + (count - 1) * stride.abs())
        }
        _ => (0, 5),
    };
    Operand {
        parameter: parameter.to_owned(),
        direction: Direction::InOut,
        read: true,
        scalar: false,
        element,
        layout: Layout::Vector { len: 3, inc: -2 },
        batch,
        first,
        len: len as u64,
    }
}

fn meta(operands: Vec<Operand>) -> Meta {
    Meta {
        format: FORMAT.to_owned(),
        function: "rocblas_sgemm".to_owned(),
        arguments: vec![Argument {
            name: "alpha".to_owned(),
            word: u64::MAX,
            scalar: Some(Scalar::new(Element::F32, &1.5_f32.to_le_bytes(), "1.5".to_owned())),
        }],
        operands,
        backend: Backend { name: "6.3.0".to_owned(), ..Backend::default() },
        origin: Origin { why: "NaN in C".to_owned(), ..Origin::default() },
        ..Meta::default()
    }
}

/// Bytes that differ at every position.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 + i / 251) as u8).collect()
}

/// A capture of an operand of each type, in all forms of a batch.
fn sample() -> Capture<'static> {
    let batches =
        [Batch::One, Batch::Strided { count: 2, stride: -2 }, Batch::Pointers { count: 3 }];
    let of = |(i, element)| operand(&format!("P{i}"), element, batches[i % 3]);
    let operands: Vec<_> = element::ALL.into_iter().enumerate().map(of).collect();
    let mut tensors = Vec::new();
    for (position, operand) in operands.iter().enumerate() {
        for time in [Time::Before, Time::After] {
            let data = pattern(operand.bytes().expect("few")).into();
            tensors.push(Tensor { operand: position, time, data });
        }
    }
    Capture { meta: meta(operands), tensors }
}

fn header(bytes: &[u8]) -> Value {
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight")) as usize;
    serde_json::from_slice(&bytes[8..8 + length]).expect("JSON")
}

/// A file with this header and that many bytes of data.
fn file(header: &Value, data: usize) -> Vec<u8> {
    let header = header.to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn refusal(bytes: &[u8]) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("x.safetensors");
    fs::write(&path, bytes).expect("write");
    Capture::read(&path).expect_err("refused").to_string()
}

#[test]
fn what_was_written_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let capture = sample();
    let path = capture.write(directory.path(), "call").expect("written");
    assert_eq!(path, directory.path().join("call.safetensors"));
    assert_eq!(Capture::read(&path).expect("readable"), capture);
    let names: Vec<_> = fs::read_dir(directory.path()).expect("a directory").collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn metadata_are_strings_and_tensors_are_aligned() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = sample().write(directory.path(), "call").expect("written");
    let bytes = fs::read(path).expect("readable");
    let header = header(&bytes);
    let metadata = header["__metadata__"].as_object().expect("a map");
    assert!(metadata.values().all(Value::is_string), "{metadata:?}");
    assert_eq!(metadata["function"], "rocblas_sgemm");
    let start = bytes.len() - sample().tensors.iter().map(|t| t.data.len()).sum::<usize>();
    for (name, tensor) in header.as_object().expect("a map") {
        let Some(offset) = tensor["data_offsets"][0].as_u64() else { continue };
        let size = match tensor["dtype"].as_str().expect("a type") {
            "F64" | "I64" => 8,
            "F32" | "I32" | "U32" => 4,
            "F16" | "BF16" => 2,
            _ => 1,
        };
        assert_eq!((start as u64 + offset) % size, 0, "{name}");
    }
    assert_eq!(header["P5.after"]["dtype"], "F32");
    assert_eq!(header["P5.after"]["shape"], json!([3, 5, 2]));
    assert_eq!(header["P1.before"]["shape"], json!([7]));
}

#[test]
fn a_name_that_is_taken_gets_a_number() {
    let directory = tempfile::tempdir().expect("a directory");
    let capture = sample();
    fs::write(directory.path().join("call-2.safetensors"), "mine").expect("written");
    capture.write(directory.path(), "call").expect("written");
    let second = capture.write(directory.path(), "call").expect("written");
    assert_eq!(second, directory.path().join("call-3.safetensors"));
    let kept = fs::read(directory.path().join("call-2.safetensors")).expect("readable");
    assert_eq!(kept, b"mine");
    for name in ["", "a/b", "../a", "a\0"] {
        capture.write(directory.path(), name).expect_err("not a name");
    }
}

#[test]
fn what_does_not_fit_is_not_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let refused = |capture: &Capture<'_>| {
        capture.write(directory.path(), "call").expect_err("refused");
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 0);
    };
    let mut short = sample();
    short.tensors[3].data.to_mut().pop();
    refused(&short);
    let mut twice = sample();
    twice.tensors[1].time = Time::Before;
    refused(&twice);
    let mut of_none = sample();
    of_none.tensors[0].operand = 99;
    refused(&of_none);
    let mut large = sample();
    large.meta.environment.insert("A".to_owned(), "b".repeat(LARGEST_HEADER));
    refused(&large);
}

#[test]
fn a_file_without_values_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let Capture { mut meta, .. } = sample();
    meta.values = Values::Redacted;
    let capture = Capture { meta, tensors: Vec::new() };
    let path = capture.write(directory.path(), "call").expect("written");
    assert_eq!(Capture::read(&path).expect("readable"), capture);
}

#[test]
fn no_length_of_a_file_is_believed() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = sample().write(directory.path(), "call").expect("written");
    let good = fs::read(path).expect("readable");
    let (header, data) = (header(&good), sample().tensors.iter().map(|t| t.data.len()).sum());
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut header = header.clone();
        change(&mut header);
        refusal(&file(&header, data))
    };
    for (text, change) in [
        (
            "is not what its operand is",
            &(|h: &mut Value| h["P0.after"]["shape"] = json!([6])) as &dyn Fn(&mut Value),
        ),
        ("is not what its operand is", &|h| h["P0.after"]["dtype"] = json!("F32")),
        ("is not what its operand is", &|h| h["P2.after"]["shape"] = json!([1_u64 << 63, 5])),
        ("overlap or leave gaps", &|h| {
            h["P0.after"]["data_offsets"] = h["P0.before"]["data_offsets"].clone();
        }),
        ("overlap or leave gaps", &|h| {
            h["P8.after"]["data_offsets"] = json!([1_u64 << 40, (1_u64 << 40) + 15]);
        }),
        ("outside of the file", &|h| {
            h["P8.after"]["data_offsets"] = json!([u64::MAX - 15, u64::MAX]);
        }),
        ("is not valid", &|h| h["P8.after"]["data_offsets"] = json!([-1, 7])),
        ("is of no operand", &|h| h["Q.after"] = h["P8.after"].clone()),
        ("has the format `rocblas-call 2`", &|h| {
            h["__metadata__"]["format"] = json!("rocblas-call 2");
        }),
        ("no `format`", &|h| h["__metadata__"]["format"] = json!("pt")),
        ("is not a string", &|h| h["__metadata__"]["operands"] = json!([])),
        ("is not valid", &|h| h["__metadata__"]["operands"] = json!("[")),
        ("without metadata", &|h| h["__metadata__"] = json!(null)),
        ("has no values, and has some", &|h| h["__metadata__"]["values"] = json!("\"redacted\"")),
        ("missing field `function`", &|h| {
            h["__metadata__"].as_object_mut().expect("a map").remove("function");
        }),
    ] {
        let refusal = changed(change);
        assert!(refusal.contains(text), "{text}: {refusal}");
    }
    assert!(refusal(&file(&header, data - 1)).contains("cut off"));
    assert!(refusal(&file(&header, data + 1)).contains("something behind"));
    for bytes in [&b""[..], &[0; 7], &[0xff; 8], &[2, 0, 0, 0, 0, 0, 0, 0, b'{'], &[0; 8]] {
        refusal(bytes);
    }
    for (from, to) in [("\"len\":5", "\"len\":18446744073709551615"), ("\"len\":3", "\"len\":4")] {
        let inconsistent = changed(&|h| {
            let operands = h["__metadata__"]["operands"].as_str().expect("a string");
            h["__metadata__"]["operands"] = json!(operands.replacen(from, to, 1));
        });
        assert!(inconsistent.contains("not as long as its layout says"), "{inconsistent}");
    }
}

#[test]
fn a_part_of_a_tensor_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let capture = sample();
    let path = capture.write(directory.path(), "call").expect("written");
    let reader = Reader::open(&path).expect("readable");
    let entry = reader.entry(3, Time::After).expect("there");
    let mut part = [0; 9];
    reader.read_part(entry, 3, &mut part).expect("readable");
    assert_eq!(part, capture.tensors[7].data[3..12]);
    reader.read_part(entry, entry.bytes() - 8, &mut part).expect_err("outside of it");
    reader.read_part(entry, usize::MAX, &mut part).expect_err("outside of it");
}

#[test]
fn a_call_has_the_operands_that_its_arguments_say() {
    let gemm = usize::from(rocblas_abi::by_name("rocblas_sgemm").expect("there").index);
    // The upper half of m's register is garbage.
    let words = [1, 111, 112, 3 | 7 << 32, 2, 4, 0x10, 0xa00, 5, 0xb00, 6, 0x20, 0xc00, 7];
    let of = |beta: f32| {
        let scalar = |position| match position {
            6 => Some(Scalar::new(Element::F32, &2_f32.to_le_bytes(), String::new())),
            11 => Some(Scalar::new(Element::F32, &beta.to_le_bytes(), String::new())),
            _ => None,
        };
        Meta::of_call(gemm, &words, &scalar).expect("described")
    };
    let meta = of(-0.0);
    assert_eq!((meta.function.as_str(), meta.arguments.len()), ("rocblas_sgemm", 14));
    assert_eq!((meta.arguments[3].name.as_str(), meta.arguments[3].word), ("m", 3));
    let operands: Vec<_> =
        meta.operands.iter().map(|o| (o.parameter.as_str(), o.direction, o.read, o.len)).collect();
    assert_eq!(
        operands,
        [
            ("A", Direction::In, true, 18),
            ("B", Direction::In, true, 20),
            ("C", Direction::InOut, false, 10)
        ]
    );
    assert!(of(1.0).operands[2].read);
    let without_b: Vec<u64> =
        words.iter().map(|word| if *word == 0xb00 { 0 } else { *word }).collect();
    assert_eq!(Meta::of_call(gemm, &without_b, &|_| None).expect("described").operands.len(), 2);
    let create = usize::from(rocblas_abi::by_name("rocblas_create_handle").expect("there").index);
    assert_eq!(Meta::of_call(create, &[1], &|_| None), None);
}

#[test]
fn pipes_and_devices_are_not_read() {
    for path in ["/dev/zero", "/dev/null", "/", "/nowhere"] {
        Capture::read(Path::new(path)).expect_err("not a file");
    }
}

#[test]
fn a_scalar_has_its_bytes() {
    let scalar = Scalar::new(Element::C32, &[0, 0x9f, 1, 2, 3, 4, 5, 0xff], String::new());
    assert_eq!(scalar.bits, "009f0102030405ff");
    assert_eq!(scalar.bytes(), Some(vec![0, 0x9f, 1, 2, 3, 4, 5, 0xff]));
    for bits in ["", "00", "009f0102030405f", "009f0102030405fg", "é09f0102030405f", "+0000000"] {
        let scalar = Scalar { bits: bits.to_owned(), element: Element::F32, ..scalar.clone() };
        assert_eq!(scalar.bytes(), None, "{bits}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    /// A file with any changed bytes is either refused or read within the bounds of its length.
    #[test]
    fn any_damage_is_an_error_or_a_capture(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), cut in any::<prop::sample::Index>()) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = sample().write(directory.path(), "call").expect("written");
        let mut bytes = fs::read(&path).expect("readable");
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if cut.index(4) == 0 {
            bytes.truncate(cut.index(bytes.len()));
        }
        fs::write(&path, &bytes).expect("written");
        if let Ok(read) = Capture::read(&path) {
            let data: usize = read.tensors.iter().map(|tensor| tensor.data.len()).sum();
            prop_assert!(data < bytes.len());
        }
    }
}
