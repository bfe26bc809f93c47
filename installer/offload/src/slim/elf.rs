//! The headers and tables of an ELF file, as far as they are needed to rewrite it.
//!
//! Every offset and size is checked against the file's length before it is used, and tables have a maximum
//! length, so a hostile file can cause neither high memory use nor a panic.

use super::error::{Error, layout};
use crate::{
    Malformed, ReadAt,
    read_at::{Window, fill},
};
use object::{
    LittleEndian,
    elf::{self, Dyn64, FileHeader64, ProgramHeader64, SectionHeader64},
    pod::{self, Pod},
};
use std::ops::Range;

/// The byte order of x86-64.
pub(super) const LE: LittleEndian = LittleEndian;
pub(super) type Header = FileHeader64<LittleEndian>;
pub(super) type Segment = ProgramHeader64<LittleEndian>;
pub(super) type Section = SectionHeader64<LittleEndian>;

/// The longest table that is read as a whole, in bytes: ten times the length of rocSOLVER's longest.
const LONGEST_TABLE: u64 = 64 << 20;

/// An ELF file, with its headers read.
#[derive(Debug)]
pub(super) struct Elf<'a, R: ?Sized> {
    pub(super) reader: &'a R,
    pub(super) size: u64,
    pub(super) header: Header,
    pub(super) segments: Vec<Segment>,
    pub(super) sections: Vec<Section>,
    /// The contents of the section that holds the section names.
    pub(super) names: Vec<u8>,
}

impl<'a, R: ReadAt + ?Sized> Elf<'a, R> {
    pub(super) fn open(reader: &'a R, size: u64) -> Result<Self, Error> {
        let mut elf = Self {
            reader,
            size,
            header: zeroed(),
            segments: Vec::new(),
            sections: Vec::new(),
            names: Vec::new(),
        };
        if size < size_of::<Header>() as u64 {
            return Err(Error::NotElf);
        }
        elf.header = elf.table::<Header>(0, size_of::<Header>() as u64, "the ELF header")?[0];
        let header = elf.header;
        let ident = header.e_ident;
        let is_native = ident.magic == elf::ELFMAG
            && ident.class == elf::ELFCLASS64
            && ident.data == elf::ELFDATA2LSB
            && header.e_machine.get(LE) == elf::EM_X86_64
            && matches!(header.e_type.get(LE), elf::ET_DYN | elf::ET_EXEC)
            && usize::from(header.e_phentsize.get(LE)) == size_of::<Segment>()
            && usize::from(header.e_shentsize.get(LE)) == size_of::<Section>();
        // With more than 65,279 sections or 65,534 segments, the counts are stored elsewhere.
        let (segments, sections) = (header.e_phnum.get(LE), header.e_shnum.get(LE));
        let names = usize::from(header.e_shstrndx.get(LE).0);
        if !is_native || segments == u16::MAX || names >= usize::from(sections) {
            return Err(Error::NotElf);
        }
        let length = u64::from(segments) * size_of::<Segment>() as u64;
        elf.segments = elf.table(header.e_phoff.get(LE), length, "the program headers")?;
        let length = u64::from(sections) * size_of::<Section>() as u64;
        elf.sections = elf.table(header.e_shoff.get(LE), length, "the section headers")?;
        let (offset, size) = place(&elf.sections[names]);
        elf.names = elf.table(offset, size, "the names of sections")?;
        for segment in &elf.segments {
            elf.check(segment.p_offset.get(LE), segment.p_filesz.get(LE), "a segment")?;
        }
        for section in elf.sections.iter().filter(|section| has_bytes(section)) {
            let (offset, size) = place(section);
            elf.check(offset, size, "a section")?;
        }
        Ok(elf)
    }

    /// The section with a given name, and its number.
    pub(super) fn section(&self, name: &str) -> Option<(usize, &Section)> {
        self.sections.iter().enumerate().find(|(_, section)| {
            let rest = self.names.get(section.sh_name.get(LE) as usize..).unwrap_or_default();
            rest.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
        })
    }

    /// Reads a table of structures. Bytes of `length` after the last whole structure are not read.
    pub(super) fn table<T: Pod>(
        &self,
        offset: u64,
        length: u64,
        what: &'static str,
    ) -> Result<Vec<T>, Error> {
        self.check(offset, length, what)?;
        if length > LONGEST_TABLE {
            return Err(layout(offset, format!("{what} are {length} bytes long")));
        }
        let mut table = vec![zeroed::<T>(); length as usize / size_of::<T>()];
        let bytes = pod::bytes_of_slice_mut(&mut table);
        let read = fill(&mut Window::new(self.reader, offset..offset + length), bytes)
            .map_err(|e| Malformed::reading(offset, what, &e))?;
        if read < bytes.len() {
            return Err(Malformed::new(offset, format!("{what} are cut off")).into());
        }
        Ok(table)
    }

    /// The 64-bit number at an offset.
    pub(super) fn word(&self, offset: u64) -> Result<u64, Error> {
        Ok(u64::from_le(self.table::<u64>(offset, 8, "a pointer")?[0]))
    }

    /// The file offset of the bytes in a range of addresses.
    pub(super) fn locate(&self, address: u64, length: u64, what: &str) -> Result<u64, Error> {
        let found = self.segments.iter().filter(|segment| is_load(segment)).find_map(|segment| {
            let into = address.checked_sub(segment.p_vaddr.get(LE))?;
            let rest = segment.p_filesz.get(LE).checked_sub(into)?;
            // A segment's bytes are within the file, so the sum does not overflow.
            (rest >= length).then(|| segment.p_offset.get(LE) + into)
        });
        found.ok_or_else(|| {
            layout(0, format!("{what} at address {address:#x} is in no segment of the file"))
        })
    }

    /// The value of an entry of the dynamic section, found by its tag.
    pub(super) fn dynamic(&self, tag: elf::DynamicTag) -> Result<Option<u64>, Error> {
        let Some(segment) = self.segments.iter().find(|s| s.p_type.get(LE) == elf::PT_DYNAMIC)
        else {
            return Ok(None);
        };
        let (offset, length) = (segment.p_offset.get(LE), segment.p_filesz.get(LE));
        let table: Vec<Dyn64<LittleEndian>> = self.table(offset, length, "the dynamic section")?;
        let mut entries = table.iter().take_while(|entry| entry.d_tag.get(LE) != elf::DT_NULL);
        Ok(entries.find(|entry| entry.d_tag.get(LE) == tag).map(|entry| entry.d_val.get(LE)))
    }

    /// Reads the table whose address and length are given by two entries of the dynamic section. Returns its
    /// offset in the file and the table.
    pub(super) fn dynamic_table<T: Pod>(
        &self,
        (address, length): (elf::DynamicTag, elf::DynamicTag),
        what: &'static str,
    ) -> Result<(u64, Vec<T>), Error> {
        let (Some(address), Some(length)) = (self.dynamic(address)?, self.dynamic(length)?) else {
            return Ok((0, Vec::new()));
        };
        let offset = self.locate(address, length, what)?;
        Ok((offset, self.table(offset, length, what)?))
    }

    fn check(&self, offset: u64, length: u64, what: &str) -> Result<(), Error> {
        match offset.checked_add(length) {
            Some(end) if end <= self.size => Ok(()),
            _ => Err(Malformed::new(offset, format!("the file ends before {what}")).into()),
        }
    }
}

/// Whether a segment is loaded.
pub(super) fn is_load(segment: &Segment) -> bool {
    segment.p_type.get(LE) == elf::PT_LOAD
}

/// Whether a section has bytes in the file.
pub(super) fn has_bytes(section: &Section) -> bool {
    !matches!(section.sh_type.get(LE), elf::SHT_NOBITS | elf::SHT_NULL)
}

/// A section's offset in the file, and its length.
pub(super) fn place(section: &Section) -> (u64, u64) {
    (section.sh_offset.get(LE), section.sh_size.get(LE))
}

/// The range of a section in the file. The section must have bytes there.
pub(super) fn range(section: &Section) -> Range<u64> {
    let (offset, size) = place(section);
    offset..offset + size
}

/// An ELF structure with all bytes zero.
pub(super) fn zeroed<T: Pod>() -> T {
    let bytes = [0_u64; 8];
    *pod::from_bytes(pod::bytes_of_slice(&bytes)).expect("as large as the largest of them").0
}
