//! The layout of the reduced file.
//!
//! ```text
//! whole file                      reduced file, addresses unchanged
//! [ .rodata  .hip_fatbin  .eh_frame ... ][ .data ... ]   one PT_LOAD with the kernels
//! [ .rodata  .hip_fatbin ][ program headers, note ][ .eh_frame ... ][ .data ... ]   three
//! ```
//!
//! The reduced file has more program headers, so they do not fit in their old place. They must be within a
//! PT_LOAD: glibc looks for them in memory, and Linux before 5.18 passes a program the address that they
//! would have if the whole file were mapped in one piece. That address is correct here, as the new PT_LOAD
//! follows the shortened one both in the file and in memory. They are at the start of that PT_LOAD, because
//! `strip` can write them only there or directly after the ELF header.

use super::{
    elf::{Elf, LE, Section, Segment, has_bytes, is_load, place, range, zeroed},
    error::{Error, layout},
};
use crate::ReadAt;
use object::{U32, U64, elf};
use rocblas_contract::note;
use std::ops::Range;

const PAGE: u64 = 4096;

/// The headers of the reduced file, and the offsets of its parts.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) header: super::elf::Header,
    pub(super) segments: Vec<Segment>,
    /// The offset of the note, which directly follows the program headers.
    pub(super) note: u64,
    pub(super) sections: Vec<Section>,
    pub(super) names: Vec<u8>,
    /// The offset of the section names.
    pub(super) names_offset: u64,
    /// What follows the bundles in the whole file, as a range there.
    pub(super) rest: Range<u64>,
    shift: Shift,
}

/// Maps offsets in the whole file to offsets in the reduced one.
#[derive(Clone, Debug)]
struct Shift {
    /// The section of bundles, as a range in the whole file.
    fatbin: Range<u64>,
    /// By how many bytes everything after the section moves towards the start.
    by: u64,
}

impl Shift {
    fn offset(&self, offset: u64, length: u64, what: &str) -> Result<u64, Error> {
        if offset >= self.fatbin.end {
            Ok(offset - self.by)
        } else if offset.checked_add(length).is_some_and(|end| end <= self.fatbin.start) {
            Ok(offset)
        } else if length == 0 {
            Ok(self.fatbin.start)
        } else {
            Err(layout(offset, format!("{what} overlaps the section of GPU code")))
        }
    }
}

impl Layout {
    /// The offset in the reduced file of a pointer at `offset` in the whole one.
    pub(super) fn offset(&self, offset: u64) -> Result<u64, Error> {
        self.shift.offset(offset, 8, "a pointer")
    }

    /// Plans a file whose section `number` holds `packed` bytes of bundles, followed by zeros up to the end
    /// of the page. Returns `None` if the file would not become smaller.
    pub(super) fn new<R: ReadAt + ?Sized>(
        elf: &Elf<'_, R>,
        number: usize,
        packed: u64,
        note_size: u64,
    ) -> Result<Option<Self>, Error> {
        let fatbin = range(&elf.sections[number]);
        let split = Split::new(elf, &elf.sections[number], fatbin.clone(), packed, note_size)?;
        let Some(split) = split else {
            return Ok(None);
        };
        let shift = Shift { fatbin: fatbin.clone(), by: split.by };
        let segments = segments(elf, &split, &shift)?;

        let mut rest = fatbin.end..fatbin.end;
        let others = (elf.sections.iter().enumerate())
            .filter(|(number, section)| *number != names_number(elf) && has_bytes(section))
            .map(|(_, section)| range(section).end)
            .chain(elf.segments.iter().map(|s| s.p_offset.get(LE) + s.p_filesz.get(LE)));
        rest.end = others.fold(rest.end, u64::max);
        check_end(elf, rest.end)?;

        let mut names = elf.names.clone();
        let note_name = names.len() as u32;
        names.extend(note::SLIM_SECTION.bytes());
        names.push(0);
        let names_offset = rest.end - split.by;
        let mut sections = Vec::with_capacity(elf.sections.len() + 1);
        for (at, section) in elf.sections.iter().enumerate() {
            let mut section = *section;
            let (offset, size) = place(&section);
            if at == number {
                section.sh_size = U64::new(LE, split.table - fatbin.start);
            } else if at == names_number(elf) {
                section.sh_offset = U64::new(LE, names_offset);
                section.sh_size = U64::new(LE, names.len() as u64);
            } else {
                let length = if has_bytes(&section) { size } else { 0 };
                section.sh_offset = U64::new(LE, shift.offset(offset, length, "a section")?);
            }
            sections.push(section);
        }
        sections.push(Section {
            sh_name: U32::new(LE, note_name),
            sh_type: U32::new(LE, elf::SHT_NOTE),
            sh_flags: U64::new(LE, elf::SHF_ALLOC),
            sh_addr: U64::new(LE, split.address.wrapping_add(split.table_size)),
            sh_offset: U64::new(LE, split.table + split.table_size),
            sh_size: U64::new(LE, note_size),
            sh_addralign: U64::new(LE, 4),
            ..zeroed()
        });

        let mut header = elf.header;
        header.e_phoff = U64::new(LE, split.table);
        header.e_phnum.set(LE, segments.len() as u16);
        let section_table = (names_offset + names.len() as u64).next_multiple_of(8);
        header.e_shoff = U64::new(LE, section_table);
        header.e_shnum.set(LE, sections.len() as u16);
        let note = split.table + split.table_size;
        Ok(Some(Self { header, segments, note, sections, names, names_offset, rest, shift }))
    }
}

/// Splits the segment with the kernels into three segments, or into two if the segment ends with the kernels.
struct Split {
    /// The number of the segment that is split.
    number: usize,
    /// How many of its bytes are kept, up to the program headers.
    kept: u64,
    /// The program headers: offset in the file, address in memory, and length.
    table: u64,
    address: u64,
    table_size: u64,
    note_size: u64,
    /// The offset of the third segment in the whole file.
    resume: u64,
    /// Whether there is a third segment.
    has_third: bool,
    /// By how many bytes it moves towards the start.
    by: u64,
}

impl Split {
    /// Returns `None` if no page would be saved.
    fn new<R: ReadAt + ?Sized>(
        elf: &Elf<'_, R>,
        section: &Section,
        fatbin: Range<u64>,
        packed: u64,
        note_size: u64,
    ) -> Result<Option<Self>, Error> {
        let bad = |what: &'static str| layout(fatbin.start, what);
        let whole = |segment: &Segment| {
            let start = segment.p_offset.get(LE);
            start <= fatbin.start && fatbin.end <= start + segment.p_filesz.get(LE)
        };
        let (number, segment) = (elf.segments.iter().enumerate())
            .find(|(_, segment)| is_load(segment) && whole(segment))
            .ok_or_else(|| bad("the section of GPU code is in no segment"))?;
        let (offset, address) = (segment.p_offset.get(LE), segment.p_vaddr.get(LE));
        if section.sh_addr.get(LE).wrapping_sub(address) != fatbin.start - offset {
            return Err(bad("the section of GPU code is not at its address"));
        }
        if !fatbin.start.is_multiple_of(PAGE) || !section.sh_addr.get(LE).is_multiple_of(PAGE) {
            return Err(bad("the section of GPU code does not begin with a page"));
        }
        if segment.p_flags.get(LE).0 & elf::PF_W.0 != 0 {
            return Err(bad("the section of GPU code is in a writable segment"));
        }
        let has_interpreter = elf.segments.iter().any(|s| s.p_type.get(LE) == elf::PT_INTERP);
        let first = elf.segments.iter().find(|segment| is_load(segment)).unwrap_or(segment);
        let base =
            |segment: &Segment| segment.p_vaddr.get(LE).wrapping_sub(segment.p_offset.get(LE));
        if has_interpreter && base(first) != base(segment) {
            return Err(bad("Linux before 5.18 would not find the program headers of the program"));
        }
        let alignments = elf.segments.iter().filter(|segment| is_load(segment));
        let alignment = alignments.map(|s| s.p_align.get(LE)).fold(PAGE, u64::max);
        if !alignment.is_power_of_two() || alignment > MOST_ALIGNMENT {
            return Err(bad("segments are not aligned to a power of two"));
        }
        let has_third = offset + segment.p_filesz.get(LE) > fatbin.end
            || segment.p_memsz.get(LE) > segment.p_filesz.get(LE);
        // One segment becomes two or three, and the note adds another.
        let count = elf.segments.len() as u64 + 2 + u64::from(has_third);
        if count >= u64::from(u16::MAX) || elf.sections.len() + 1 >= MOST_SECTIONS {
            return Err(bad("there are too many segments or sections"));
        }
        let table_size = count * size_of::<Segment>() as u64;
        // There must be no gap before the table, because `strip` would move the table into it.
        let table = (fatbin.start + packed).next_multiple_of(PAGE);
        let end = (table + table_size + note_size).next_multiple_of(PAGE);
        let resume = fatbin.end / PAGE * PAGE;
        let by = resume.saturating_sub(end) / alignment * alignment;
        Ok((by > 0).then(|| Self {
            number,
            kept: table - offset,
            table,
            address: address.wrapping_add(table - offset),
            table_size,
            note_size,
            resume,
            has_third,
            by,
        }))
    }
}

/// From this number on, section numbers are reserved for special meanings.
const MOST_SECTIONS: usize = 0xff00;

/// Larger than any linker's alignment for x86-64, whose largest page is 1 GiB.
const MOST_ALIGNMENT: u64 = 1 << 30;

fn segments<R: ReadAt + ?Sized>(
    elf: &Elf<'_, R>,
    split: &Split,
    shift: &Shift,
) -> Result<Vec<Segment>, Error> {
    let mut segments = Vec::with_capacity(elf.segments.len() + 3);
    for (number, segment) in elf.segments.iter().enumerate() {
        let (offset, size) = (segment.p_offset.get(LE), segment.p_filesz.get(LE));
        if number == split.number {
            let into = split.resume - offset;
            let address = segment.p_vaddr.get(LE).wrapping_add(into);
            let table = split.table_size + split.note_size;
            segments.push(at(segment, offset, segment.p_vaddr.get(LE), split.kept, split.kept));
            segments.push(without_execution(at(segment, split.table, split.address, table, table)));
            let memory = segment.p_memsz.get(LE).checked_sub(into);
            let memory = memory.ok_or_else(|| layout(offset, "a segment is cut off in memory"))?;
            if split.has_third {
                let third = at(segment, split.resume - split.by, address, size - into, memory);
                let has_code = elf.sections.iter().any(|section| {
                    let into = section.sh_addr.get(LE).wrapping_sub(address);
                    section.sh_flags.get(LE).0 & elf::SHF_EXECINSTR.0 != 0 && into < memory
                });
                segments.push(if has_code { third } else { without_execution(third) });
            }
        } else if segment.p_type.get(LE) == elf::PT_PHDR {
            let size = split.table_size;
            segments.push(at(segment, split.table, split.address, size, size));
        } else {
            let mut segment = *segment;
            segment.p_offset = U64::new(LE, shift.offset(offset, size, "a segment")?);
            segments.push(segment);
        }
    }
    let note = Segment {
        p_type: U32::new(LE, elf::PT_NOTE),
        p_flags: U32::new(LE, elf::PF_R),
        p_align: U64::new(LE, 4),
        ..zeroed()
    };
    let into = split.table_size;
    segments.push(at(
        &note,
        split.table + into,
        split.address.wrapping_add(into),
        split.note_size,
        split.note_size,
    ));
    Ok(segments)
}

/// Returns the segment without its permission to execute.
fn without_execution(mut segment: Segment) -> Segment {
    let flags = segment.p_flags.get(LE).0 & !elf::PF_X.0;
    segment.p_flags = U32::new(LE, elf::ProgramFlags(flags));
    segment
}

/// A segment of the same kind at another place.
fn at(segment: &Segment, offset: u64, address: u64, size: u64, memory: u64) -> Segment {
    Segment {
        p_offset: U64::new(LE, offset),
        p_vaddr: U64::new(LE, address),
        p_paddr: U64::new(LE, address),
        p_filesz: U64::new(LE, size),
        p_memsz: U64::new(LE, memory),
        ..*segment
    }
}

fn names_number<R: ?Sized>(elf: &Elf<'_, R>) -> usize {
    elf.header.e_shstrndx.get(LE).0.into()
}

/// Checks that the file ends where its headers say. A signature would follow that end.
fn check_end<R: ReadAt + ?Sized>(elf: &Elf<'_, R>, rest: u64) -> Result<(), Error> {
    let table =
        elf.header.e_shoff.get(LE) + elf.sections.len() as u64 * size_of::<Section>() as u64;
    let end = range(&elf.sections[names_number(elf)]).end.max(table).max(rest);
    if elf.size > end {
        return Err(layout(end, "bytes follow the last section, as a signature would"));
    }
    Ok(())
}
