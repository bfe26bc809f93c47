//! Reduced libraries in memory: what must be unchanged, which files are refused, and hostile files.

use super::{
    testing::{FATBIN, Linked, library, memory, pointers},
    *,
};
use crate::testing::{GFX90A, GFX906, HOST, Method, SPIRV, compress, forms, plain};
use proptest::prelude::*;
use std::io::Cursor;

const GENERIC: &str = "hipv4-amdgcn-amd-amdhsa--gfx9-generic:xnack-";
const IDENTIFIERS: [&str; 5] = [HOST, GFX906, GFX90A, GENERIC, SPIRV];

fn note(gpus: &[&str]) -> Note {
    let gpus = gpus.iter().map(|&gpu| gpu.to_owned()).collect();
    Note { version: "1.2.3".to_owned(), source: "blake3:00".to_owned(), gpus }
}

/// Reduces a file in memory.
fn reduce(file: &[u8], gpus: &[&str]) -> Result<(Slimmed, Vec<u8>), Error> {
    reduce_to(Form::AsBefore, file, gpus)
}

fn reduce_to(form: Form, file: &[u8], gpus: &[&str]) -> Result<(Slimmed, Vec<u8>), Error> {
    let mut output = Cursor::new(Vec::new());
    let slimmed = slim(file, file.len() as u64, &note(gpus), form, &mut output)?;
    Ok((slimmed, output.into_inner()))
}

/// Reduces a file from which something must be removable.
fn reduced(file: &[u8], gpus: &[&str]) -> Vec<u8> {
    let (slimmed, bytes) = reduce(file, gpus).expect("reduced");
    assert!(slimmed.changed, "{slimmed:?}");
    assert_eq!(slimmed.size.after, bytes.len() as u64);
    assert!(bytes.len() < file.len());
    bytes
}

/// Code of several pages for each target, so that removing some of it saves pages. It does not compress.
fn code(identifier: &str, seed: u8) -> Vec<u8> {
    let length = if identifier == HOST { 0 } else { CODE + 13 * usize::from(seed) };
    let mut state = u64::from(seed) << 32 | identifier.len() as u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// The length of the code with seed 0.
const CODE: usize = 20_000;

fn bundle_of(identifiers: &[&str], seed: u8) -> Vec<u8> {
    let code: Vec<Vec<u8>> = identifiers.iter().map(|identifier| code(identifier, seed)).collect();
    let entries: Vec<(&str, &[u8])> =
        identifiers.iter().copied().zip(code.iter().map(Vec::as_slice)).collect();
    plain(&entries)
}

/// The identifiers and code objects of the bundle at an address.
fn code_objects(file: &[u8], address: usize) -> Vec<(String, Vec<u8>)> {
    let memory = memory(file);
    let (bundle, _) = bundle_at(&memory, address);
    let mut bytes = memory[address..].to_vec();
    if bundle.compressed {
        let header = crate::compressed::header(&bytes[..], 0..bundle.size).expect("a header");
        let mut plain = Vec::new();
        std::io::Read::read_to_end(
            &mut header.decompress(&bytes[..]).expect("a stream"),
            &mut plain,
        )
        .expect("decompressed");
        bytes = plain;
    }
    let objects = bundle.entries.into_iter().map(|entry| {
        // An entry without code may lie anywhere.
        let start = if entry.size == 0 { 0 } else { entry.offset as usize };
        (entry.identifier, bytes[start..start + entry.size as usize].to_vec())
    });
    objects.collect()
}

fn bundle_at(memory: &[u8], address: usize) -> (Bundle, bool) {
    let rest = &memory[address..];
    crate::bundle::read(rest, 0..rest.len() as u64).expect("a bundle")
}

/// Checks that a reduced file equals the whole one in memory, except for bundles and pointers, and that each
/// pointer points to the original code objects that are to stay.
fn check(linked: Linked, whole: &[u8], small: &[u8], bundles: usize, stays: &[&str]) {
    let (before, after) = (memory(whole), memory(small));
    let records = bundles + 1;
    let (old, new) = (pointers(whole, linked, records), pointers(small, linked, records));
    let end = FATBIN as u64 + section_size(whole);
    assert_eq!(before.len(), after.len());
    for at in 0..before.len() {
        // The headers describe the file, not memory.
        let may_differ = at < 0x400
            || (FATBIN..end as usize).contains(&at)
            || old.iter().any(|(place, _)| (*place..place + 8).contains(&at));
        assert!(may_differ || before[at] == after[at], "{at:#x}");
    }
    for ((place, was), (same_place, is)) in old.into_iter().zip(new) {
        assert_eq!(place, same_place);
        let mut expected = code_objects(whole, was);
        expected.retain(|(identifier, _)| stays.contains(&identifier.as_str()));
        assert_eq!(code_objects(small, is), expected);
    }
}

fn section_size(file: &[u8]) -> u64 {
    let elf = Elf::open(file, file.len() as u64).expect("an ELF file");
    let (_, section) = elf.section(FATBIN_SECTION).expect("the section");
    section.sh_size.get(LE)
}

#[test]
fn only_the_wanted_code_stays_in_every_form() {
    let plain = bundle_of(&IDENTIFIERS, 7);
    let mut bundles = vec![plain.clone()];
    bundles.extend(forms().map(|form| compress(form, &plain)));
    for linked in [Linked::Rela, Linked::Relr, Linked::Fixed] {
        let whole = library(linked, &bundles);
        let small = reduced(&whole, &["gfx906"]);
        check(linked, &whole, &small, bundles.len(), &[HOST, GFX906, GENERIC, SPIRV]);
    }
}

#[test]
fn a_compressed_bundle_keeps_its_version_and_has_the_hash_of_its_contents() {
    let plain = bundle_of(&[HOST, GFX906, GFX90A], 3);
    for form in forms() {
        let whole = library(Linked::Rela, &[compress(form, &plain)]);
        let small = reduced(&whole, &["gfx906"]);
        let bundle = &small[FATBIN..];
        assert_eq!(bundle[..6], whole[FATBIN..FATBIN + 6], "{form:?}");
        assert_eq!(bundle[6], form.1 as u8, "{form:?}");
        let header = crate::compressed::header(bundle, 0..bundle.len() as u64).expect("a header");
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut header.decompress(bundle).expect("a stream"), &mut plain)
            .expect("decompressed");
        let hash = &<md5::Md5 as md5::Digest>::digest(&plain)[..8];
        let size = header.format.header_size() as usize;
        assert_eq!(&bundle[size - 8..size], hash, "{form:?}");
    }
}

#[test]
fn plain_bundles_are_compressed_when_asked_and_others_keep_their_form() {
    // Code that compresses well.
    let code = [0x55; 30_000];
    let plain = plain(&[(HOST, &[]), (GFX906, &code), (GFX90A, &code)]);
    let whole = library(Linked::Rela, &[plain.clone(), compress((3, Method::Zlib), &plain)]);
    for gpus in [&["gfx906"][..], &["gfx906", "gfx90a"]] {
        let (slimmed, small) = reduce_to(Form::Compressed, &whole, gpus).expect("reduced");
        assert!(slimmed.changed);
        let stays = if gpus.len() == 1 { &[HOST, GFX906][..] } else { &[HOST, GFX906, GFX90A] };
        check(Linked::Rela, &whole, &small, 2, stays);
        let formats = pointers(&small, Linked::Rela, 2).into_iter().map(|(_, start)| {
            let range = start as u64..small.len() as u64;
            let format = crate::compressed::header(&small[..], range).expect("a header").format;
            (format.version, format.zstd)
        });
        assert_eq!(formats.collect::<Vec<_>>(), [(2, true), (3, false)]);
        let (again, _) = reduce_to(Form::Compressed, &small, gpus).expect("nothing to do");
        assert!(!again.changed);
    }
    let uncompressed = reduced(&whole, &["gfx906"]);
    let error = reduce_to(Form::Compressed, &uncompressed, &["gfx906"]).expect_err("refused");
    assert!(matches!(error, Error::NotCompressed), "{error}");
}

#[test]
fn code_objects_stay_aligned_as_they_were() {
    for alignment in [64, 4096] {
        let code = [0x55; 20_000];
        let mut bundle = plain(&[(HOST, &[]), (GFX90A, &code), (GFX906, &code)]);
        if alignment == 4096 {
            // A table, then one code object after the other.
            let [first, second] = [4096_usize, 4096 * 6];
            bundle.resize(second + code.len(), 0);
            bundle[first..first + code.len()].fill(0x55);
            bundle[second..].fill(0x55);
            let entry = 32 + 24 + HOST.len();
            bundle[entry..entry + 8].copy_from_slice(&first.to_le_bytes());
            let entry = entry + 24 + GFX90A.len();
            bundle[entry..entry + 8].copy_from_slice(&second.to_le_bytes());
        }
        let small = reduced(&library(Linked::Rela, &[bundle]), &["gfx906"]);
        let (bundle, _) = bundle_at(&small, FATBIN);
        let kept = bundle.entries.iter().find(|entry| entry.size > 0).expect("code");
        let table = (32 + 48 + HOST.len() + GFX906.len()) as u64;
        assert_eq!(kept.offset, table.next_multiple_of(alignment));
    }
}

#[test]
fn a_name_without_features_keeps_the_code_for_all_of_them() {
    let on = "hipv4-amdgcn-amd-amdhsa--gfx90a:xnack+";
    let whole = library(Linked::Rela, &[bundle_of(&[HOST, GFX90A, on, GFX906], 1)]);
    for (gpu, stays) in [("gfx90a", &[HOST, GFX90A, on][..]), ("gfx90a:xnack-", &[HOST, GFX90A])] {
        check(Linked::Rela, &whole, &reduced(&whole, &[gpu]), 1, stays);
    }
}

#[test]
fn a_bundle_without_wanted_code_keeps_its_table() {
    let bundles = [bundle_of(&[HOST, GFX90A], 1), bundle_of(&[HOST, GFX906, GFX90A], 2)];
    let whole = library(Linked::Relr, &bundles);
    check(Linked::Relr, &whole, &reduced(&whole, &["gfx906"]), 2, &[HOST, GFX906]);
}

#[test]
fn the_report_has_sizes_by_target() {
    let whole = library(Linked::Rela, &[bundle_of(&[HOST, GFX906, GFX90A], 0)]);
    let (slimmed, _) = reduce(&whole, &["gfx906"]).expect("reduced");
    let size = |after| Size { before: CODE as u64, after };
    let expected = [("gfx906", size(CODE as u64)), ("gfx90a:xnack-", size(0))];
    let expected = expected.map(|(name, size)| (name.to_owned(), size));
    assert_eq!(slimmed.targets, BTreeMap::from(expected));
}

#[test]
fn symbols_follow_their_bundles() {
    let bundles = [1, 2].map(|seed| bundle_of(&[HOST, GFX90A, GFX906], seed));
    let small = reduced(&library(Linked::Rela, &bundles), &["gfx906"]);
    let elf = Elf::open(&small[..], small.len() as u64).expect("an ELF file");
    let (_, symbols) = elf.section(".symtab").expect("symbols");
    let start = elf::place(symbols).0 + 24;
    let values = [start, start + 24].map(|at| elf.word(at + 8).expect("a value") as usize);
    assert_eq!(
        values.to_vec(),
        pointers(&small, Linked::Rela, 2).iter().map(|p| p.1).collect::<Vec<_>>()
    );
}

#[test]
fn the_note_says_what_was_done_and_reducing_again_changes_nothing() {
    let whole = library(Linked::Rela, &[bundle_of(&IDENTIFIERS, 5)]);
    let find = |file: &[u8]| super::note(file, file.len() as u64).expect("read");
    assert_eq!(find(&whole), None);
    let small = reduced(&whole, &["gfx906"]);
    assert_eq!(find(&small), Some(note(&["gfx906"])));
    let (again, _) = reduce(&small, &["gfx906"]).expect("nothing to do");
    assert!(!again.changed);
    assert_eq!(again.size, Size { before: small.len() as u64, after: small.len() as u64 });
    for others in [&["gfx90a"][..], &["gfx906", "gfx90a"]] {
        let error = reduce(&small, others).expect_err("refused");
        assert!(matches!(&error, Error::AlreadySlim { kept } if kept == &["gfx906"]), "{error}");
    }
}

#[test]
fn a_file_with_nothing_to_leave_out_is_left_alone() {
    let whole = library(Linked::Rela, &[bundle_of(&[HOST, GFX906], 5)]);
    assert!(!reduce(&whole, &["gfx906"]).expect("nothing to do").0.changed);
}

#[test]
fn what_cannot_be_reduced_is_refused_with_the_reason() {
    let bundles = [1, 2].map(|seed| bundle_of(&[HOST, GFX906, GFX90A], seed));
    let whole = library(Linked::Rela, &bundles);
    let refusal = |file: &[u8], gpu| reduce(file, &[gpu]).expect_err("refused").to_string();
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut file = whole.clone();
        change(&mut file);
        refusal(&file, "gfx906")
    };
    let found = pointers(&whole, Linked::Rela, 3);
    let relocation = found[1].0 - 16;
    for (message, expected) in [
        (refusal(&whole, "gfx942"), "no kernels for gfx942; it has kernels for gfx906, gfx90a"),
        (refusal(b"#!/bin/sh", "gfx906"), "not an ELF file"),
        (changed(&|file| file.push(0)), "bytes follow the last section"),
        (changed(&|file| file[relocation + 8] = 1), "has a relocation by symbol"),
        (changed(&|file| file[relocation] ^= 0x80), "points to GPU code"),
        (changed(&|file| file[relocation + 17] ^= 0x10), "points to no bundle's start"),
        (
            changed(&|file| file.copy_within(found[0].0..found[0].0 + 8, found[1].0)),
            "has no record",
        ),
        (changed(&|file| file[found[1].1] = b'X'), "neither an offload bundle nor padding"),
        (changed(&|file| file[FATBIN + 32 + 24 + HOST.len() + 1] ^= 0x10), "overlap"),
    ] {
        assert!(message.contains(expected), "{expected}: {message}");
    }
    let name = whole.windows(12).position(|bytes| bytes == b".hip_fatbin\0").expect("the name");
    let none = changed(&|file| file[name + 1] = b'x');
    assert!(none.contains("has no GPU code"), "{none}");
    let record = whole.windows(4).position(|b| b == b"FPIH").expect("a record");
    let split = changed(&|file| file[record..record + 4].copy_from_slice(b"HIPK"));
    assert!(split.contains(".kpack archives"), "{split}");
}

#[test]
fn a_pointer_without_a_relocation_is_refused() {
    let whole = library(Linked::Relr, &[bundle_of(&[HOST, GFX906, GFX90A], 1)]);
    let mut file = whole;
    // Make the second entry of the table equal to the first one.
    file.copy_within(0x400..0x408, 0x408);
    let error = reduce(&file, &["gfx906"]).expect_err("refused").to_string();
    assert!(error.contains("not the target of a RELATIVE relocation"), "{error}");
}

#[test]
fn an_address_of_a_bundle_in_the_data_of_a_fixed_program_is_refused() {
    let whole = library(Linked::Fixed, &[bundle_of(&[HOST, GFX906, GFX90A], 1)]);
    let data = whole.windows(0x20).position(|bytes| bytes == [0x33; 0x20]).expect("data");
    let mut file = whole;
    file[data + 8..data + 16].copy_from_slice(&FATBIN.to_le_bytes());
    let error = reduce(&file, &["gfx906"]).expect_err("refused").to_string();
    assert!(error.contains("belongs to no record"), "{error}");
}

#[test]
fn the_symbol_of_the_section_stays_at_its_start() {
    let whole = library(Linked::Rela, &[bundle_of(&[HOST, GFX906, GFX90A], 1)]);
    let elf = Elf::open(&whole[..], whole.len() as u64).expect("an ELF file");
    let symbol = elf::place(elf.section(".symtab").expect("symbols").1).0 as usize + 24;
    let mut file = whole.clone();
    // STT_SECTION, and an address at which no bundle begins.
    file[symbol + 4] = 3;
    file[symbol + 8] = 0x10;
    let small = reduced(&file, &["gfx906"]);
    let elf = Elf::open(&small[..], small.len() as u64).expect("an ELF file");
    let symbol = elf::place(elf.section(".symtab").expect("symbols").1).0 + 24;
    assert_eq!(elf.word(symbol + 8).expect("a value"), FATBIN as u64 + 0x10);
}

#[test]
fn targets_keep_their_sizes_where_no_page_is_saved() {
    let bundle = plain(&[(HOST, &[]), (GFX906, &[1; 64]), (GFX90A, &[2; 64])]);
    let whole = library(Linked::Rela, &[bundle]);
    let (slimmed, _) = reduce(&whole, &["gfx906"]).expect("nothing to do");
    assert!(!slimmed.changed);
    assert!(slimmed.targets.values().all(|size| size.before == size.after), "{slimmed:?}");
}

#[test]
fn segments_keep_their_alignment() {
    let bundles = [1, 2, 3].map(|seed| bundle_of(&[HOST, GFX906, GFX90A], seed));
    let mut file = library(Linked::Rela, &bundles);
    let data = |file: &[u8]| {
        let elf = Elf::open(file, file.len() as u64).expect("an ELF file");
        let loads: Vec<_> = elf.segments.iter().filter(|segment| elf::is_load(segment)).collect();
        loads.last().expect("a segment").p_offset.get(LE)
    };
    let before = data(&file);
    for alignment in [0x1000_u64, 0x4000] {
        // The alignment of the second program header.
        file[64 + 56 + 48..64 + 56 + 56].copy_from_slice(&alignment.to_le_bytes());
        let moved = before - data(&reduced(&file, &["gfx906"]));
        assert!(moved > 0 && moved.is_multiple_of(alignment), "{moved:#x} {alignment:#x}");
        assert!(alignment == 0x4000 || !moved.is_multiple_of(0x4000), "tells nothing: {moved:#x}");
    }
}

#[test]
fn memory_is_bounded_whatever_a_file_claims() {
    let bundle = bundle_of(&[HOST, GFX906, GFX90A], 1);
    // There are more bundles than records; reading must stop early.
    let tiny = plain(&[(HOST, &[])]);
    let many = crate::testing::section(&[vec![bundle], vec![tiny; 10]].concat());
    let error = reduce(&library(Linked::Rela, &[many]), &["gfx906"]).expect_err("refused");
    assert!(error.to_string().contains("a bundle has no record"), "{error}");
    // Tables that take almost no room once they are compressed.
    let names = vec![(GFX906, &[][..]); 1100];
    let table = compress((3, Method::Zstd), &plain(&names));
    let error =
        reduce(&library(Linked::Fixed, &vec![table; 1000]), &["gfx906"]).expect_err("refused");
    assert!(error.to_string().contains("too many code objects"), "{error}");
}

fn linked() -> impl Strategy<Value = Linked> {
    prop_oneof![Just(Linked::Rela), Just(Linked::Relr), Just(Linked::Fixed)]
}

/// A bundle with some of the identifiers, in some form.
fn some_bundle() -> impl Strategy<Value = Vec<u8>> {
    let identifiers = prop::sample::subsequence(IDENTIFIERS.to_vec(), 0..=IDENTIFIERS.len());
    let form = prop::option::of((1..=3_u16, prop_oneof![Just(Method::Zlib), Just(Method::Zstd)]));
    (identifiers, any::<u8>(), form).prop_map(|(identifiers, seed, form)| {
        let plain = bundle_of(&identifiers, seed);
        form.map_or(plain.clone(), |form| compress(form, &plain))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn all_else_is_the_same_whatever_the_bundles_are(
        linked in linked(),
        bundles in prop::collection::vec(some_bundle(), 1..4),
    ) {
        let whole = library(linked, &bundles);
        match reduce(&whole, &["gfx906"]) {
            Ok((slimmed, small)) if slimmed.changed => {
                check(linked, &whole, &small, bundles.len(), &[HOST, GFX906, GENERIC, SPIRV]);
            }
            Ok((slimmed, _)) => prop_assert_eq!(slimmed.size.after, whole.len() as u64),
            Err(error) => {
                let is_expected = matches!(error, Error::NotServed { .. });
                prop_assert!(is_expected, "{}", error);
            }
        }
    }

    #[test]
    fn hostile_files_are_refused_or_written_without_a_panic(
        linked in linked(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        end in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut file = library(linked, &[bundle_of(&[HOST, GFX906, GFX90A], 1)]);
        // Changes hit headers and tables, not the code between them.
        let places: Vec<usize> = (0..0x500)
            .chain(FATBIN..FATBIN + 200)
            .chain(file.len() - 0x500..file.len())
            .collect();
        for (place, byte) in changes {
            let at = *place.get(&places);
            file[at] = byte;
        }
        if is_cut {
            file.truncate(end.index(file.len()));
        }
        if let Ok((slimmed, small)) = reduce(&file, &["gfx906"])
            && slimmed.changed
        {
            prop_assert!(small.len() < file.len() + 8192);
            prop_assert!(Elf::open(&small[..], small.len() as u64).is_ok());
        }
    }
}
