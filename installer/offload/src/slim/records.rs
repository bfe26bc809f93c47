//! The records through which the HIP runtime finds bundles: `.hipFatBinSegment`, 24 bytes each: magic number,
//! version, the bundle's address, and a word that the runtime uses.
//!
//! The dynamic loader writes the address. How the linker stores it depends on how the file was linked: as the
//! addend of a relocation (RELA), in place (RELR), or in place as the final value (in a program that is
//! loaded at a fixed address).

use super::{
    elf::{Elf, LE, Segment, is_load, place},
    error::{Error, layout},
};
use crate::ReadAt;
use object::{
    LittleEndian, U64,
    elf::{self, Rela64},
};
use rocblas_contract::kpack;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

/// The section that contains the bundles.
pub(super) const FATBIN_SECTION: &str = ".hip_fatbin";

/// More translation units with GPU code than any library has; rocSOLVER has 235.
const MOST_RECORDS: u64 = 1 << 16;

/// The offset of the bundle's address in a record.
const POINTER: u64 = 8;

/// A record's pointer.
#[derive(Clone, Debug, Default)]
pub(super) struct Pointer {
    /// The address of the bundle that it points to.
    pub(super) bundle: u64,
    /// The offsets in the file of the 64-bit words that hold this address.
    pub(super) words: Vec<u64>,
}

/// Reads all records. `fatbin` is the range of addresses that contains the bundles.
pub(super) fn pointers<R: ReadAt + ?Sized>(
    elf: &Elf<'_, R>,
    fatbin: &Range<u64>,
) -> Result<Vec<Pointer>, Error> {
    let mut pointers = unresolved(elf)?;
    by_addend(elf, fatbin, &mut pointers)?;
    in_place(elf, fatbin, &mut pointers)?;
    for (&address, pointer) in &mut pointers {
        if pointer.words.is_empty() {
            let offset = elf.locate(address, 8, "a pointer to a bundle")?;
            if elf.header.e_type.get(LE) != elf::ET_EXEC {
                let what = "a pointer to a bundle is not the target of a RELATIVE relocation";
                return Err(layout(offset, what));
            }
            *pointer = Pointer { bundle: elf.word(offset)?, words: vec![offset] };
        }
    }
    Ok(pointers.into_values().collect())
}

/// The pointers of all records by their own addresses, not yet resolved.
fn unresolved<R: ReadAt + ?Sized>(elf: &Elf<'_, R>) -> Result<BTreeMap<u64, Pointer>, Error> {
    type Record = [U64<LittleEndian>; 3];
    const SIZE: u64 = size_of::<Record>() as u64;
    let (_, section) = elf.section(kpack::SEGMENT_SECTION).ok_or(Error::NoKernels)?;
    let (offset, size) = place(section);
    if !size.is_multiple_of(SIZE) {
        return Err(layout(offset, "records of bundles are not of 24 bytes"));
    }
    if size / SIZE > MOST_RECORDS {
        return Err(layout(offset, "there are too many records of bundles"));
    }
    let words: Vec<U64<LittleEndian>> = elf.table(offset, size, "the records of bundles")?;
    let mut pointers = BTreeMap::new();
    for (number, record) in (0..).zip(words.chunks_exact(3)) {
        let into = number * SIZE;
        match record[0].get(LE) as u32 {
            kpack::MAGIC => {}
            kpack::SPLIT_MAGIC => return Err(Error::Split),
            _ => return Err(layout(offset + into, "a record of a bundle has no magic number")),
        }
        let address = section.sh_addr.get(LE).checked_add(into + POINTER);
        let address = address.ok_or_else(|| layout(offset, "a record has no address"))?;
        pointers.insert(address, Pointer::default());
    }
    Ok(pointers)
}

/// Resolves the pointers that have a relocation with an addend.
fn by_addend<R: ReadAt + ?Sized>(
    elf: &Elf<'_, R>,
    fatbin: &Range<u64>,
    pointers: &mut BTreeMap<u64, Pointer>,
) -> Result<(), Error> {
    const ADDEND: u64 = 16;
    let (start, table) = elf.dynamic_table::<Rela64<LittleEndian>>(
        (elf::DT_RELA, elf::DT_RELASZ),
        "the table of relocations",
    )?;
    for (number, relocation) in (0..).zip(&table) {
        let offset = start + number * size_of::<Rela64<LittleEndian>>() as u64;
        let is_relative = relocation.r_info.get(LE) == u64::from(elf::R_X86_64_RELATIVE.0);
        let address = relocation.r_offset.get(LE);
        let addend = relocation.r_addend.get(LE) as u64;
        match pointers.get_mut(&address) {
            Some(pointer) if is_relative => {
                pointer.bundle = addend;
                pointer.words.push(offset + ADDEND);
                // Some linkers write the address in place as well.
                let place = elf.locate(address, 8, "a pointer to a bundle")?;
                if elf.word(place)? == addend {
                    pointer.words.push(place);
                }
            }
            Some(_) => {
                return Err(layout(offset, "a pointer to a bundle has a relocation by symbol"));
            }
            None if is_relative && fatbin.contains(&addend) => return Err(stray(offset)),
            None => {}
        }
    }
    Ok(())
}

/// Resolves the pointers listed in the compact relocation table: a word with bit 0 clear is the address of a
/// pointer; a word with bit 0 set is a bitmap of the 63 words that follow.
fn in_place<R: ReadAt + ?Sized>(
    elf: &Elf<'_, R>,
    fatbin: &Range<u64>,
    pointers: &mut BTreeMap<u64, Pointer>,
) -> Result<(), Error> {
    let what = "the compact table of relocations";
    let (start, table) =
        elf.dynamic_table::<U64<LittleEndian>>((elf::DT_RELR, elf::DT_RELRSZ), what)?;
    let mut visit = |address: u64| {
        let offset = elf.locate(address, 8, "a relocated pointer")?;
        let target = elf.word(offset)?;
        match pointers.get_mut(&address) {
            Some(pointer) => *pointer = Pointer { bundle: target, words: vec![offset] },
            None if fatbin.contains(&target) => return Err(stray(offset)),
            None => {}
        }
        Ok(())
    };
    let mut next = 0_u64;
    for word in table.iter().map(|word| word.get(LE)) {
        let overflow = || layout(start, "the compact table of relocations overflows");
        if word & 1 == 0 {
            visit(word)?;
            next = word.checked_add(8).ok_or_else(overflow)?;
            continue;
        }
        for bit in (1..64).filter(|bit| word >> bit & 1 == 1) {
            visit(next.checked_add((bit - 1) * 8).ok_or_else(overflow)?)?;
        }
        next = next.checked_add(63 * 8).ok_or_else(overflow)?;
    }
    Ok(())
}

/// Refuses a program at a fixed address that contains the address of a bundle outside of its records. Without
/// relocations it is unknown which words are addresses, so every word that equals the address of a bundle is
/// treated as one.
pub(super) fn check_fixed<R: ReadAt + ?Sized>(
    elf: &Elf<'_, R>,
    bundles: &BTreeSet<u64>,
    pointers: &[Pointer],
) -> Result<(), Error> {
    if elf.header.e_type.get(LE) != elf::ET_EXEC {
        return Ok(());
    }
    let known: BTreeSet<u64> =
        pointers.iter().flat_map(|pointer| &pointer.words).copied().collect();
    let is_data =
        |segment: &&Segment| is_load(segment) && segment.p_flags.get(LE).0 & elf::PF_W.0 != 0;
    for segment in elf.segments.iter().filter(is_data) {
        let (start, size) = (segment.p_offset.get(LE), segment.p_filesz.get(LE));
        // Pointers are aligned to eight bytes in memory.
        let skipped = segment.p_vaddr.get(LE).wrapping_neg() % 8;
        let (mut next, end) = (start + skipped.min(size), start + size);
        while next + 8 <= end {
            let length = (end - next).min(CHUNK);
            let words: Vec<U64<LittleEndian>> = elf.table(next, length, "data")?;
            let mut words = (next..).step_by(8).zip(&words);
            let found =
                words.find(|(at, word)| bundles.contains(&word.get(LE)) && !known.contains(at));
            if let Some((offset, _)) = found {
                return Err(stray(offset));
            }
            next += length / 8 * 8;
        }
    }
    Ok(())
}

/// How much data is read at a time, in bytes.
const CHUNK: u64 = 1 << 20;

fn stray(offset: u64) -> Error {
    layout(offset, "a pointer that belongs to no record points to GPU code")
}
