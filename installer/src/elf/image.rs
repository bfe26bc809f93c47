//! An ELF file by its headers, and bounded reads from it.

use super::malformed::{Fault, Malformed};
use goblin::{
    container::{Container, Ctx, Endian},
    elf::{
        Elf,
        header::{
            EI_CLASS, EI_DATA, ELFCLASS64, ELFDATA2LSB, ELFMAG, EM_X86_64, Header, header32,
            header64,
        },
        program_header::{PT_LOAD, ProgramHeader},
        section_header::SectionHeader,
    },
};
use std::{fs::File, io, os::unix::fs::FileExt};

/// The limits for each, above any real file; a sparse file can have any length.
const MOST_SEGMENTS: u64 = 1 << 12;
const MOST_BYTES: u64 = 256 << 20;

/// The source of the bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    File(&'a File),
    Bytes(&'a [u8]),
}

/// A file whose headers have been read.
#[derive(Debug)]
pub(super) struct Image<'a> {
    source: Source<'a>,
    size: u64,
    pub(super) header: Header,
    /// Empty unless [`Self::is_native`].
    pub(super) segments: Vec<ProgramHeader>,
}

/// The only supported format: 64-bit, little-endian.
pub(super) fn context() -> Ctx {
    Ctx::new(Container::Big, Endian::Little)
}

impl<'a> Image<'a> {
    /// Reads the headers, and checks the file's length against them.
    pub(super) fn open(source: Source<'a>) -> Result<Self, Malformed> {
        let size = match source {
            Source::File(file) => file.metadata().map_err(|e| Fault::Unreadable(e).at(0))?.len(),
            Source::Bytes(bytes) => bytes.len() as u64,
        };
        let mut image = Self { source, size, header: Header::new(context()), segments: Vec::new() };
        image.header = image.read_header()?;
        if image.is_native() {
            image.segments = image.read_segments()?;
            image.check_sections()?;
        }
        Ok(image)
    }

    /// Whether it is for x86-64: 64-bit, little-endian.
    pub(super) fn is_native(&self) -> bool {
        self.header.e_ident[EI_CLASS] == ELFCLASS64
            && self.header.e_ident[EI_DATA] == ELFDATA2LSB
            && self.header.e_machine == EM_X86_64
    }

    /// Reads bytes of the file, all or none.
    pub(super) fn read(
        &self,
        offset: u64,
        size: u64,
        what: &'static str,
    ) -> Result<Vec<u8>, Malformed> {
        self.check(offset, size, what)?;
        if size > MOST_BYTES {
            return Err(Fault::Excessive { what: "bytes", count: size }.at(offset));
        }
        // MOST_BYTES fits.
        let mut bytes = vec![0; size as usize];
        self.read_into(&mut bytes, offset, what)?;
        Ok(bytes)
    }

    /// Reads a few bytes at an offset.
    pub(super) fn array<const N: usize>(
        &self,
        offset: u64,
        what: &'static str,
    ) -> Result<[u8; N], Malformed> {
        self.check(offset, N as u64, what)?;
        let mut bytes = [0; N];
        self.read_into(&mut bytes, offset, what)?;
        Ok(bytes)
    }

    /// The file offset of an address of the loaded image, and how many bytes follow in its segment.
    pub(super) fn locate(&self, address: u64, what: &str) -> Result<(u64, u64), Malformed> {
        self.segments
            .iter()
            .filter(|segment| segment.p_type == PT_LOAD)
            .find_map(|segment| {
                let into = address.checked_sub(segment.p_vaddr)?;
                let left = segment.p_filesz.checked_sub(into).filter(|left| *left > 0)?;
                // The segment ends within the file, so this does not overflow.
                Some((segment.p_offset + into, left))
            })
            .ok_or_else(|| {
                let what = format!("{what} at address {address:#x} are in no segment");
                Fault::Invalid(what).at(self.header.e_phoff)
            })
    }

    /// The section headers; none if they are stripped.
    pub(super) fn sections(&self) -> Result<Vec<SectionHeader>, Malformed> {
        let offset = self.header.e_shoff;
        // Above 65,279 sections the number is stored elsewhere; no linked file has that many.
        if offset == 0 || self.header.e_shnum == 0 {
            return Ok(Vec::new());
        }
        let bytes = self.read(offset, self.sections_size(), "the section headers")?;
        SectionHeader::parse_from(&bytes, 0, self.header.e_shnum.into(), context())
            .map_err(|e| Fault::Invalid(format!("malformed section headers: {e}")).at(offset))
    }

    /// Checks that the file contains a range.
    pub(super) fn check(
        &self,
        offset: u64,
        size: u64,
        what: &'static str,
    ) -> Result<(), Malformed> {
        match offset.checked_add(size) {
            Some(end) if end <= self.size => Ok(()),
            _ => Err(Fault::Truncated(what).at(offset)),
        }
    }

    fn read_into(
        &self,
        bytes: &mut [u8],
        offset: u64,
        what: &'static str,
    ) -> Result<(), Malformed> {
        match self.source {
            Source::File(file) => file.read_exact_at(bytes, offset).map_err(|e| match e.kind() {
                // The file has shrunk since its length was read.
                io::ErrorKind::UnexpectedEof => Fault::Truncated(what).at(offset),
                _ => Fault::Unreadable(e).at(offset),
            }),
            Source::Bytes(all) => {
                // Checked by the caller.
                let start = offset as usize;
                bytes.copy_from_slice(&all[start..start + bytes.len()]);
                Ok(())
            }
        }
    }

    fn read_header(&self) -> Result<Header, Malformed> {
        let bytes = self.read(0, self.size.min(header64::SIZEOF_EHDR as u64), "the ELF header")?;
        if !bytes.starts_with(ELFMAG) {
            return Err(Fault::NotElf.at(0));
        }
        let size = match bytes.get(EI_CLASS) {
            Some(&ELFCLASS64) => header64::SIZEOF_EHDR,
            _ => header32::SIZEOF_EHDR,
        };
        if bytes.len() < size {
            return Err(Fault::Truncated("the ELF header's bytes").at(0));
        }
        Elf::parse_header(&bytes)
            .map_err(|e| Fault::Invalid(format!("malformed ELF header: {e}")).at(0))
    }

    fn read_segments(&self) -> Result<Vec<ProgramHeader>, Malformed> {
        let offset = self.header.e_phoff;
        let count = u64::from(self.header.e_phnum);
        if count > MOST_SEGMENTS {
            return Err(Fault::Excessive { what: "program headers", count }.at(offset));
        }
        let size = ProgramHeader::size(context()) as u64;
        if count > 0 && u64::from(self.header.e_phentsize) != size {
            let what = format!("program headers of {} bytes each", self.header.e_phentsize);
            return Err(Fault::Invalid(what).at(offset));
        }
        let bytes = self.read(offset, count * size, "the program headers")?;
        let segments = ProgramHeader::parse(&bytes, 0, count as usize, context())
            .map_err(|e| Fault::Invalid(format!("malformed program headers: {e}")).at(offset))?;
        for segment in segments.iter().filter(|segment| segment.p_type == PT_LOAD) {
            self.check(segment.p_offset, segment.p_filesz, "a segment's bytes")?;
        }
        Ok(segments)
    }

    /// Sections come last in a file, so a truncated copy lacks them first.
    fn check_sections(&self) -> Result<(), Malformed> {
        let (offset, count) = (self.header.e_shoff, self.header.e_shnum);
        if offset == 0 || count == 0 {
            return Ok(());
        }
        let size = SectionHeader::size(context());
        if usize::from(self.header.e_shentsize) != size {
            let what = format!("section headers of {} bytes each", self.header.e_shentsize);
            return Err(Fault::Invalid(what).at(offset));
        }
        self.check(offset, self.sections_size(), "the section headers")
    }

    fn sections_size(&self) -> u64 {
        u64::from(self.header.e_shnum) * SectionHeader::size(context()) as u64
    }
}
