//! Archives and markers: parsing valid ones, and rejecting hostile ones.

use super::{
    testing::{Scheme, Value, archive, reference, segments as records, with_table},
    *,
};
use crate::testing::{Counted, code_object};

const NAME: &str = "stage/lib/librocblas.so.5";

fn read(bytes: &[u8]) -> Result<Archive, crate::Malformed> {
    Archive::read(bytes, bytes.len() as u64)
}

fn sample(scheme: Scheme) -> Vec<u8> {
    let (one, two) = (code_object(0x2f, &["trsm.kd"]), code_object(0x2f, &["gemv.kd", "dot.kd"]));
    archive(
        scheme,
        &[
            ("stage/lib/librocblas.so.5#0", "gfx906", &one),
            ("stage/lib/librocblas.so.5#1", "gfx906:xnack-", &two),
            ("stage/lib/librocblas.so.51#0", "gfx906", &one),
        ],
    )
}

/// A table with these pairs.
fn table(pairs: Vec<(&str, Value<'_>)>) -> Vec<u8> {
    with_table(vec![0; 1024], &Value::Map(pairs).bytes())
}

#[test]
fn objects_and_kernels_are_those_of_the_library() {
    for scheme in [Scheme::None, Scheme::Zstd] {
        let bytes = sample(scheme);
        let archive = read(&bytes).expect("well-formed");
        let (targets, objects): (Vec<&str>, Vec<&Object>) = archive.objects(NAME).unzip();
        assert_eq!(targets, ["gfx906", "gfx906:xnack-"], "{scheme:?}");
        let kernels = archive.kernels(&bytes[..], &objects).expect("well-formed");
        assert_eq!(kernels, [vec!["trsm"], vec!["gemv", "dot"]], "{scheme:?}");
    }
}

#[test]
fn of_gigabytes_only_the_header_and_the_table_are_read() {
    struct Sparse<'a>(Counted<'a>, u64);
    impl crate::ReadAt for Sparse<'_> {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
            // The data after the header begins gigabytes later.
            let from = if offset < 64 { offset } else { offset - self.1 };
            self.0.read_at(buffer, from)
        }
    }
    let gap = 8 << 30;
    let mut bytes = sample(Scheme::None);
    let at = u64::from_le_bytes(bytes[8..16].try_into().expect("8 bytes"));
    bytes[8..16].copy_from_slice(&(at + gap).to_le_bytes());
    let length = bytes.len() as u64;
    let reader = Sparse(Counted::new(&bytes, length), gap);
    Archive::read(&reader, length + gap).expect("well-formed");
    assert!(reader.0.read.get() < 2048, "{} bytes", reader.0.read.get());
}

#[test]
fn an_archive_is_malformed_wherever_it_is_cut() {
    for scheme in [Scheme::None, Scheme::Zstd] {
        let bytes = sample(scheme);
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{scheme:?}: {length} bytes");
            // The same for a file that shrinks after its length was read.
            assert!(Archive::read(&bytes[..length], bytes.len() as u64).is_err(), "{length} bytes");
        }
    }
}

#[test]
fn any_changed_byte_is_an_error_or_an_answer() {
    for scheme in [Scheme::None, Scheme::Zstd] {
        let good = sample(scheme);
        for at in 0..good.len() {
            for byte in [0, 0x7f, 0x80, 0xc1, 0xdd, 0xff] {
                let mut bytes = good.clone();
                bytes[at] = byte;
                let Ok(archive) = read(&bytes) else { continue };
                let objects: Vec<&Object> =
                    archive.objects(NAME).map(|(_, object)| object).collect();
                let _ = archive.kernels(&bytes[..], &objects);
            }
        }
    }
}

#[test]
fn hostile_tables_are_malformed() {
    let number = Value::Number;
    let blob = |offset, size| Value::Map(vec![("offset", number(offset)), ("size", number(size))]);
    let line = |ordinal, size| {
        let line = Value::Map(vec![("ordinal", number(ordinal)), ("original_size", number(size))]);
        Value::Map(vec![("lib#0", Value::Map(vec![("gfx906", line)]))])
    };
    let plain = |blobs: Vec<Value<'static>>, toc| {
        let scheme = Value::Text("none");
        table(vec![("compression_scheme", scheme), ("blobs", Value::Array(blobs)), ("toc", toc)])
    };
    let zstd = |offset, size| {
        table(vec![
            ("compression_scheme", Value::Text("zstd-per-kernel")),
            ("zstd_offset", number(offset)),
            ("zstd_size", number(size)),
        ])
    };
    read(&plain(vec![blob(64, 100), blob(164, 8)], line(0, 100))).expect("well-formed");
    read(&zstd(64, 960)).expect("well-formed");
    for (what, bytes) in [
        ("a blob behind the end", plain(vec![blob(1000, 100)], line(0, 100))),
        ("a blob in the header", plain(vec![blob(8, 100)], line(0, 100))),
        ("a blob that overflows", plain(vec![blob(u64::MAX, u64::MAX)], line(0, u64::MAX))),
        ("overlapping blobs", plain(vec![blob(64, 100), blob(163, 8)], line(0, 100))),
        ("an ordinal without a blob", plain(vec![blob(64, 100)], line(1, 100))),
        ("an ordinal of 2^64", plain(vec![blob(64, 100)], line(u64::MAX, 100))),
        ("another size", plain(vec![blob(64, 100)], line(0, 99))),
        ("a region behind the end", zstd(64, 961)),
        ("a region that overflows", zstd(u64::MAX, 2)),
        ("an unknown scheme", table(vec![("compression_scheme", Value::Text("lzma"))])),
        ("no scheme", table(vec![])),
        ("another version", table(vec![("format_version", number(2))])),
        ("a string of 4 GiB", with_table(vec![0; 64], &[0x81, 0xdb, 0xff, 0xff, 0xff, 0xff])),
        ("an array of 2^32", with_table(vec![0; 64], b"\x81\xaagfx_arches\xdd\xff\xff\xff\xff")),
        ("a map of 2^32", with_table(vec![0; 64], &[0xdf, 0xff, 0xff, 0xff, 0xff])),
    ] {
        assert!(read(&bytes).is_err(), "{what}");
    }
}

#[test]
fn a_million_arrays_in_each_other_are_passed_over() {
    let mut deep = b"\x82\xa1x".to_vec();
    deep.extend(std::iter::repeat_n(0x91, 1 << 20));
    deep.push(0xc0);
    deep.extend(b"\xb2compression_scheme\xafzstd-per-kernel");
    let error = read(&with_table(vec![0; 64], &deep)).expect_err("no region");
    assert!(error.what.contains("zstd_offset"), "{error}");
}

#[test]
fn a_table_of_more_than_16_mib_is_not_read() {
    let mut bytes = vec![0; 64];
    bytes = with_table(bytes, &[]);
    let reader = Counted::new(&bytes, 1 << 40);
    assert!(Archive::read(&reader, 1 << 40).is_err());
    assert!(reader.read.get() < 100, "{} bytes", reader.read.get());
}

#[test]
fn hostile_frames_are_malformed() {
    let good = sample(Scheme::Zstd);
    let kernels = |bytes: &[u8]| {
        let archive = read(bytes).expect("the table is well-formed");
        let objects: Vec<&Object> = archive.objects(NAME).map(|(_, object)| object).collect();
        archive.kernels(bytes, &objects)
    };
    assert!(kernels(&good).is_ok());
    for (what, at, bytes) in [
        ("2^32 frames", 64, [0xff; 4]),
        ("no frames", 64, [0; 4]),
        ("a frame past its region", 68, [0xff; 4]),
        ("a frame that is cut off", 68, [9, 0, 0, 0]),
        ("no frame of zstd", 72, [0; 4]),
    ] {
        let mut image = good.clone();
        image[at..at + 4].copy_from_slice(&bytes);
        assert!(kernels(&image).is_err(), "{what}");
    }
}

#[test]
fn bombs_are_not_decompressed() {
    // The table is right, and the frame is a thousandth of it.
    let bytes =
        archive(Scheme::Zstd, &[("stage/lib/librocblas.so.5#0", "gfx906", &vec![0; 64 << 20])]);
    let archive_ = read(&bytes).expect("well-formed");
    let objects: Vec<&Object> = archive_.objects(NAME).map(|(_, object)| object).collect();
    let error = archive_.kernels(&bytes[..], &objects).expect_err("a bomb");
    assert!(error.what.contains("more than its frame may become"), "{error}");

    // The table has a smaller size than the frame expands to.
    let image = code_object(0x2f, &["a.kd"]);
    let mut bytes = archive(Scheme::Zstd, &[("stage/lib/librocblas.so.5#0", "gfx906", &image)]);
    let place = bytes.windows(13).rposition(|w| w == b"original_size").expect("the key") + 14;
    bytes[place..place + 8].copy_from_slice(&(image.len() as u64 - 1).to_be_bytes());
    let archive_ = read(&bytes).expect("well-formed");
    let objects: Vec<&Object> = archive_.objects(NAME).map(|(_, object)| object).collect();
    let error = archive_.kernels(&bytes[..], &objects).expect_err("longer");
    assert!(error.what.contains("has not the size"), "{error}");
}

#[test]
fn a_marker_has_a_name_and_paths() {
    let good = reference(NAME, &["../.kpack/blas_lib_@GFXARCH@.kpack"]);
    let parsed = Reference::parse(&good, 0).expect("well-formed");
    assert_eq!(parsed.kernel_name, NAME);
    assert_eq!(parsed.search_paths, ["../.kpack/blas_lib_@GFXARCH@.kpack"]);
    // Bytes may follow, since a section may be padded.
    assert!(Reference::parse(&[&good[..], &[0; 8]].concat(), 0).is_ok());
    for length in 0..good.len() {
        assert!(Reference::parse(&good[..length], 0).is_err(), "{length} bytes");
    }
    for (what, bytes) in [
        ("no path", reference(NAME, &[])),
        ("an empty path", reference(NAME, &[""])),
        ("too many paths", reference(NAME, &["a"; 65])),
        ("no map", vec![0x90]),
        ("longer than the runtime reads", [&good[..], &[0; 64 << 10]].concat()),
        ("a path that commands a terminal", reference(NAME, &["\x1b"])),
    ] {
        assert!(Reference::parse(&bytes, 0).is_err(), "{what}");
    }
}

#[test]
fn records_say_whether_code_is_split() {
    let split = records(2);
    assert_eq!(segments(&split, 0), Ok(vec![Segment::Split(0), Segment::Split(1)]));
    let mut whole = records(1);
    whole[..4].copy_from_slice(b"FPIH");
    assert_eq!(segments(&whole, 0), Ok(vec![Segment::Whole]));
    assert!(segments(&[&split[..], &whole].concat(), 0).is_err());
    assert!(segments(&split[..47], 0).is_err());
    for at in [0, 4] {
        let mut bad = split.clone();
        bad[at] = 9;
        assert!(segments(&bad, 0).is_err(), "{at}");
    }
}
