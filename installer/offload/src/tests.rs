//! What the whole crate guarantees: bundle forms, sections of bundles, limits, hostile bytes.

use super::{testing::*, *};
use proptest::prelude::*;

fn gfx906() -> Target {
    Target::device("gfx906").expect("a target")
}

fn all(bytes: &[u8]) -> Range<u64> {
    0..bytes.len() as u64
}

fn read(bytes: &[u8]) -> Result<Vec<Bundle>, Malformed> {
    bundles(bytes, all(bytes)).collect()
}

/// The targets of a section that has no faults.
fn counts<R: ReadAt + ?Sized>(reader: &R, range: Range<u64>) -> BTreeMap<String, usize> {
    let Targets { counts, problems } = targets(reader, range);
    assert!(problems.is_empty(), "{problems:?}");
    counts
}

/// Runs every operation on hostile bytes, which may fail but must terminate.
fn ask_everything(bytes: &[u8]) {
    let _ = has_code_for(bytes, &gfx906());
    let _ = targets(bytes, all(bytes));
    for bundle in bundles(bytes, all(bytes)).filter_map(Result::ok) {
        let _ = kernels_of(bytes, &bundle, |_| true);
    }
}

#[test]
fn code_is_found_by_target_in_every_form() {
    for (identifiers, expected) in [
        (&[HOST, GFX906, GFX90A][..], true),
        (&[HOST, GFX90A], false),
        (&["hip-amdgcn-amd-amdhsa-gfx906"], true),
        (&["hipv4-amdgcn-amd-amdhsa--gfx9-generic:xnack-"], true),
        (&[HOST, SPIRV], true),
        (&[HOST], false),
        (&[], false),
    ] {
        let mut plain = labelled(identifiers);
        assert_eq!(has_code_for(&plain, &gfx906()), Ok(expected), "{identifiers:?}");
        for form in forms() {
            let mut image = compress(form, &plain);
            image.extend([0xa5; 4096]);
            let found = has_code_for(&image, &gfx906());
            assert_eq!(found, Ok(expected), "{form:?} {identifiers:?}");
        }
        plain.extend([0xa5; 4096]);
        assert_eq!(has_code_for(&plain, &gfx906()), Ok(expected), "{identifiers:?} and more");
    }
}

#[test]
fn a_placeholder_without_code_is_no_code() {
    let empty = plain(&[(GFX906, &[]), (SPIRV, &[]), (GFX90A, &[1])]);
    assert_eq!(has_code_for(&empty, &gfx906()), Ok(false));
    let counts = counts(&empty[..], all(&empty));
    assert_eq!(counts, BTreeMap::from([("gfx90a:xnack-".to_owned(), 1)]));
}

#[test]
fn a_single_code_object_is_known_by_its_flags() {
    for (flags, expected) in [
        (0x02f, true),
        (0x22f, true),
        (0xe2f, true),
        (0x32f, false),
        (0xa2f, false),
        (0x051, true),
        (0x03f, false),
        (0x0ff, false),
    ] {
        let image = code_object(flags, &[]);
        assert_eq!(has_code_for(&image, &gfx906()), Ok(expected), "{flags:#x}");
    }
}

#[test]
fn what_is_no_code_is_malformed() {
    let mut x86 = code_object(0x2f, &[]);
    x86[18] = 62;
    for image in [&b""[..], b"CCO", b"CCOB", b"\x7fEL", b"hello", &[0; 64], &x86] {
        assert!(has_code_for(image, &gfx906()).is_err(), "{image:?}");
    }
}

#[test]
fn a_bundle_tells_all_of_its_table() {
    let plain = plain(&[(HOST, &[]), (GFX906, &[1; 100]), (GFX90A, &[2; 10])]);
    let whole = section(&[labelled(&[HOST]), plain.clone()]);
    let found = read(&whole).expect("well-formed");
    let bundle = &found[1];
    assert_eq!((bundle.offset, bundle.size), (4096, plain.len() as u64));
    assert!(!bundle.compressed);
    let entry = &bundle.entries[2];
    assert_eq!(entry.identifier, GFX90A);
    assert_eq!(entry.target, Target::parse("gfx90a:xnack-"));
    let code = plain.len() - 10;
    assert_eq!((entry.offset, entry.size), (code as u64, 10));
    assert_eq!(bundle.entries[0].target, None);
}

#[test]
fn targets_are_counted_by_bundles() {
    let bundles = [
        labelled(&[HOST, GFX906, GFX90A]),
        labelled(&[HOST, GFX906, GFX906]),
        compress((3, Method::Zstd), &labelled(&[HOST, GFX906, SPIRV])),
    ];
    let section = section(&bundles);
    let counts = counts(&section[..], all(&section));
    let expected =
        [("amdgcnspirv", 1), ("gfx906", 3), ("gfx90a:xnack-", 1)].map(|(n, c)| (n.to_owned(), c));
    assert_eq!(counts, BTreeMap::from(expected));
}

#[test]
fn bundles_are_found_over_padding_and_from_any_start() {
    let mut bytes = b"what comes before".to_vec();
    let start = bytes.len() as u64;
    let mut padded = vec![0; 8192];
    padded.extend(labelled(&[GFX906]));
    // The linker fills the rest of the page with arbitrary bytes, and whole pages with zeros.
    padded.resize(padded.len().next_multiple_of(4096), 0xee);
    padded.resize(padded.len() + 25 * 4096, 0);
    let aligned = padded.len();
    padded.extend(compress((1, Method::Zlib), &labelled(&[GFX90A])));
    padded.resize(padded.len().next_multiple_of(4096), 0);
    padded.extend(compress((2, Method::Zlib), &labelled(&[GFX90A])));
    padded.extend([0; 5000]);
    bytes.extend(&padded);
    let found: Result<Vec<_>, _> = bundles(&bytes[..], start..bytes.len() as u64).collect();
    let found = found.expect("well-formed");
    let offsets: Vec<u64> = found.iter().map(|bundle| bundle.offset - start).collect();
    let second = aligned as u64;
    assert_eq!(offsets, [8192, second, second + 4096]);
    // Version 1 does not record the bundle's size.
    assert_eq!(found[1].size, 4096);
    assert!(found[2].size < 4096);
}

#[test]
fn an_empty_range_has_no_bundles_and_one_without_any_is_malformed() {
    assert_eq!(read(b""), Ok(vec![]));
    let error = read(&[0; 10_000]).expect_err("no bundle");
    assert_eq!(error.to_string(), "no offload bundle begins here (offset 0x0)");
    let error = bundles(&[0; 9000][..], 4096..9000).next().expect("an item").expect_err("none");
    assert_eq!(error.offset, 4096);
}

/// Three bundles, of which the second is a damaged copy of a good one.
fn damaged(good: Vec<u8>, damage: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut section = section(&[labelled(&[GFX906]), good, labelled(&[GFX90A])]);
    damage(&mut section[4096..]);
    section
}

#[test]
fn errors_tell_the_place_in_the_file_and_the_walk_goes_on() {
    // The damage is in the offset of the code.
    let section = damaged(labelled(&[GFX906]), |bundle| bundle[32 + 7] = 1);
    let found: Vec<_> = bundles(&section[..], all(&section)).collect();
    assert_eq!(found.len(), 3);
    let error = found[1].clone().expect_err("malformed");
    let told = "an entry in a bundle's table lies outside of it (offset 0x1020)";
    assert_eq!(error.to_string(), told);
    let Targets { counts, problems } = targets(&section[..], all(&section));
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["gfx906", "gfx90a:xnack-"]);
    assert_eq!(problems, [error]);
}

#[test]
fn a_bundle_without_its_magic_is_noticed_in_every_form() {
    let plain = labelled(&[GFX906, GFX90A]);
    let images = forms().map(|form| compress(form, &plain)).chain([plain.clone()]);
    for image in images {
        for zeroed in [false, true] {
            let section = damaged(image.clone(), |bundle| match zeroed {
                true => bundle[..24].fill(0),
                false => bundle[0] ^= 0xff,
            });
            let Targets { counts, problems } = targets(&section[..], all(&section));
            assert_eq!(counts.values().sum::<usize>(), 2, "the first and the last");
            let [problem] = problems.as_slice() else { panic!("{problems:?}") };
            assert!((4096..8192).contains(&problem.offset), "{problem}");
            assert!(problem.what.contains("neither an offload bundle nor padding"), "{problem}");
        }
    }
    // Here the damaged bundle is the last one, with no bundle after it.
    let mut section = section(&[plain.clone(), plain]);
    let last = section.len() / 4096 / 2 * 4096;
    section[last] ^= 0xff;
    assert_eq!(targets(&section[..], all(&section)).problems.len(), 1);
}

#[test]
fn every_damaged_bundle_is_told() {
    let mut section = section(&vec![labelled(&[GFX906]); 5]);
    for n in [1, 3] {
        section[n * 4096 + 32 + 7] = 1;
    }
    let Targets { counts, problems } = targets(&section[..], all(&section));
    assert_eq!(counts["gfx906"], 3);
    let places: Vec<u64> = problems.iter().map(|problem| problem.offset).collect();
    assert_eq!(places, [4096 + 32, 3 * 4096 + 32]);
}

#[test]
fn a_stream_that_claims_to_become_much_is_refused() {
    let plain = labelled(&[GFX906]);
    for (version, method) in forms() {
        let stream = &compress((version, method), &plain)[[20, 24, 32][usize::from(version) - 1]..];
        for (claimed, refused) in [(1 << 20, false), ((1 << 20) + 1, true), (1 << 31, true)] {
            let image = wrap(version, method, stream, claimed);
            let found = has_code_for(&image, &gfx906());
            assert_eq!(found.is_err(), refused, "{version} {method:?} {claimed}: {found:?}");
        }
    }
    // A longer stream may expand to more: the limit is relative to its length.
    let noise: Vec<u8> = (0..1_u32 << 16).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
    let mut long = labelled(&[GFX906]);
    long.extend(noise);
    let stream = &compress((3, Method::Zstd), &long)[32..];
    let image = wrap(3, Method::Zstd, stream, stream.len() * 128);
    assert_eq!(has_code_for(&image, &gfx906()), Ok(true));
    assert!(
        has_code_for(&wrap(3, Method::Zstd, stream, stream.len() * 128 + 1), &gfx906()).is_err()
    );
}

#[test]
fn a_file_that_broke_off_is_malformed() {
    let section = section(&[labelled(&[GFX906]), labelled(&[GFX906])]);
    let claimed = all(&section);
    for length in 0..section.len() {
        let found = targets(&section[..length], claimed.clone());
        assert!(!found.problems.is_empty(), "{length} bytes");
    }
}

#[test]
fn a_bundle_beyond_its_range_is_malformed() {
    let plain = labelled(&[HOST, GFX906]);
    for image in [plain.clone(), compress((2, Method::Zlib), &plain)] {
        let bytes = section(&[image.clone(), image.clone()]);
        let range = 0..image.len() as u64;
        assert!(targets(&bytes[..], range.clone()).problems.is_empty());
        assert!(!targets(&bytes[..], 0..range.end - 1).problems.is_empty());
    }
}

#[test]
fn a_cut_bundle_is_malformed_wherever_it_is_cut() {
    let whole = labelled(&[HOST, GFX906]);
    for length in 0..whole.len() {
        assert!(has_code_for(&whole[..length], &gfx906()).is_err(), "{length} bytes");
    }
    for form in forms() {
        let image = compress(form, &whole);
        for length in 0..image.len() {
            // Version 1 does not record the bundle's size, and the end of the stream is not needed.
            let found = has_code_for(&image[..length], &gfx906());
            assert!(found.is_err() || form.0 == 1, "{form:?} {length}");
        }
    }
}

#[test]
fn hostile_tables_are_malformed() {
    let good = labelled(&[GFX906, GFX90A]);
    let (count, first) = (24, 32);
    let second = first + 24 + GFX906.len();
    let bad = |at: usize, bytes: &[u8]| {
        let mut image = good.clone();
        image[at..at + bytes.len()].copy_from_slice(bytes);
        // The table is checked inside a compressed bundle too.
        let compressed = compress((3, Method::Zstd), &image);
        has_code_for(&image, &gfx906()).is_err() && has_code_for(&compressed, &gfx906()).is_err()
    };
    for (at, what) in [(count, "count"), (first, "offset"), (first + 8, "size"), (48, "length")] {
        for value in [u64::MAX, 1 << 63, 1 << 32, good.len() as u64] {
            assert!(bad(at, &value.to_le_bytes()), "{what} {value}");
        }
    }
    assert!(bad(first + 24, &[0xff]), "an identifier that is no text");
    assert!(bad(first + 24, b"\x1b"), "an identifier that commands a terminal");
    assert!(bad(first, &8_u64.to_le_bytes()), "code in the table");
    let offset = good[first..first + 8].to_vec();
    assert!(bad(second, &offset), "code twice");
    assert!(!bad(first, &offset), "no change");
}

#[test]
fn hostile_headers_are_malformed() {
    let plain = labelled(&[GFX906]);
    let good = compress((3, Method::Zstd), &plain);
    let bad = |at: usize, bytes: &[u8]| {
        let mut image = good.clone();
        image[at..at + bytes.len()].copy_from_slice(bytes);
        has_code_for(&image, &gfx906()).is_err()
    };
    assert!(!bad(0, b"C"), "no change");
    assert!(bad(4, &0_u16.to_le_bytes()), "version 0");
    assert!(bad(4, &4_u16.to_le_bytes()), "version 4");
    assert!(bad(6, &7_u16.to_le_bytes()), "method 7");
    assert!(bad(6, &0_u16.to_le_bytes()), "zstd called zlib");
    assert!(bad(8, &u64::MAX.to_le_bytes()), "longer than all memory");
    assert!(bad(8, &(good.len() as u64 + 1).to_le_bytes()), "longer than the image");
    assert!(bad(8, &32_u64.to_le_bytes()), "nothing but its header");
    assert!(bad(16, &10_u64.to_le_bytes()), "uncompressed to less than a table");
    assert!(bad(16, &u64::MAX.to_le_bytes()), "uncompressed to more than all memory");
    assert!(bad(32, &[0; 4]), "no frame");
}

#[test]
fn a_table_without_end_is_not_read() {
    // Each entry takes 24 bytes, so this count claims a gigabyte with 40 million entries.
    let mut bytes = bundle::MAGIC.to_vec();
    bytes.extend(40_000_000_u64.to_le_bytes());
    let reader = Counted::new(&bytes, 1 << 30);
    // The walk continues after it, having read only its table.
    assert!(bundles(&reader, 0..1 << 30).next().expect("an item").is_err());
    assert!(reader.read.get() < 100_000, "{} bytes", reader.read.get());
}

#[test]
fn a_bundle_up_to_the_last_offset_ends_the_walk() {
    let mut table = labelled(&[GFX906]);
    let offset = u64::from_le_bytes(table[32..40].try_into().expect("eight bytes"));
    table[40..48].copy_from_slice(&(u64::MAX - 1 - offset).to_le_bytes());
    let reader = Counted::new(&table, u64::MAX);
    assert_eq!(counts(&reader, 0..u64::MAX)["gfx906"], 1);
}

#[test]
fn a_section_of_nothing_is_given_up() {
    let reader = Counted::new(&[], u64::MAX);
    assert_eq!(targets(&reader, 0..u64::MAX).problems.len(), 1);
}

#[test]
fn of_a_gigabyte_a_few_kilobytes_are_read() {
    let mut table = labelled(&[HOST, GFX906]);
    let size = 32 + 24 + HOST.len() + 8;
    table[size..size + 8].copy_from_slice(&((1_u64 << 30) - 4096).to_le_bytes());
    let reader = Counted::new(&table, 1 << 30);
    assert_eq!(counts(&reader, 0..1 << 30)["gfx906"], 1);
    assert!(reader.read.get() < 5000, "{} bytes", reader.read.get());
}

#[test]
fn of_a_compressed_bundle_the_beginning_is_read() {
    let noise: Vec<u8> = (0..1_u32 << 18).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
    let plain = plain(&[(GFX906, &noise), (GFX90A, &noise)]);
    for form in [(3, Method::Zlib), (3, Method::Zstd)] {
        let image = compress(form, &plain);
        let reader = Counted::new(&image, image.len() as u64);
        assert_eq!(counts(&reader, all(&image)).len(), 2);
        let read = reader.read.get();
        assert!(read < image.len() as u64 / 4, "{form:?}: {read} of {}", image.len());
    }
}

#[test]
fn numbers_are_little_endian_and_never_read_beyond() {
    assert_eq!(number::<2>(&[1, 2, 3], 1), Some(0x0302));
    assert_eq!(number::<2>(&[1, 2, 3], 2), None);
    assert_eq!(number::<8>(&[0; 9], usize::MAX), None);
}

/// The possible contents of a bundle: identifiers, and whether there is code for them.
fn tables() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let identifier = "(hip|hipv4)-amdgcn-amd-amdhsa--gfx[0-9]{3}(:xnack[+-])?";
    proptest::collection::vec((identifier, proptest::collection::vec(any::<u8>(), 0..40)), 0..5)
}

proptest! {
    #[test]
    fn any_section_is_read_as_it_was_made(
        tables in proptest::collection::vec((tables(), 0..7_usize), 1..5)
    ) {
        let forms: Vec<_> = forms().collect();
        let made: Vec<Vec<u8>> = tables
            .iter()
            .map(|(table, form)| {
                let entries: Vec<_> = table.iter().map(|(i, c)| (i.as_str(), &c[..])).collect();
                let plain = plain(&entries);
                forms.get(*form).map_or(plain.clone(), |&form| compress(form, &plain))
            })
            .collect();
        let found = read(&section(&made)).expect("well-formed");
        prop_assert_eq!(found.len(), tables.len());
        for (bundle, (table, form)) in found.iter().zip(&tables) {
            prop_assert_eq!(bundle.compressed, *form < forms.len());
            let identifiers = bundle.entries.iter().map(|e| (&e.identifier, e.size as usize));
            prop_assert!(identifiers.eq(table.iter().map(|(i, code)| (i, code.len()))));
        }
    }

    #[test]
    fn hostile_bytes_are_answered(
        start in prop::sample::select(vec![
            &b""[..],
            bundle::MAGIC,
            b"CCOB\x02\0\0\0",
            b"CCOB\x03\0\x01\0",
            code_object::MAGIC,
        ]),
        rest in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        ask_everything(&[start, &rest].concat());
    }

    #[test]
    fn a_damaged_section_is_answered(
        form in 0..7_usize,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let plain = plain(&[(HOST, &[]), (GFX906, &code_object(0x2f, &["solve.kd", "solve"]))]);
        let one = forms().nth(form).map_or(plain.clone(), |form| compress(form, &plain));
        let mut section = section(&[one.clone(), one]);
        for (at, byte) in damage {
            let at = at.index(section.len());
            section[at] ^= byte;
        }
        ask_everything(&section);
    }
}
