//! The note in a reduced file: which version reduced it, the digest of the whole file, and the GPUs.

use super::{
    elf::{Elf, LE},
    error::Error,
};
use crate::ReadAt;
use object::elf;
use rocblas_contract::note;

/// The contents of the note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The version of the program that reduced the file.
    pub version: String,
    /// The digest of the whole file, with the name of its algorithm: `blake3:...`.
    pub source: String,
    /// The GPUs that the file was reduced to, as the caller named them.
    pub gpus: Vec<String>,
}

impl Note {
    /// The bytes of the note's section.
    pub(super) fn encode(&self) -> Vec<u8> {
        let Self { version, source, gpus } = self;
        let name = note::SLIM_NAME;
        let gpus = gpus.join(",");
        let text = format!("{name}\nversion={version}\nsource={source}\ngpus={gpus}\n\0");
        let mut bytes = Vec::with_capacity(12 + text.len() + 3);
        for number in [text.len() as u32, 0, note::SLIM_TYPE] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    /// Parses the name of a note; `None` if it is not one of ours or lacks a line.
    fn parse(name: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(name).ok()?.lines();
        if lines.next() != Some(note::SLIM_NAME) {
            return None;
        }
        let line = |key: &str| {
            let mut lines = lines.clone();
            lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('=').map(str::to_owned))
        };
        let gpus = line("gpus")?.split(',').map(str::to_owned).collect();
        Some(Self { version: line("version")?, source: line("source")?, gpus })
    }
}

/// The note of a file; `None` if the file has not been reduced.
///
/// # Errors
/// If the file is not an ELF file for x86-64, or if its notes cannot be read.
pub fn note<R: ReadAt + ?Sized>(reader: &R, size: u64) -> Result<Option<Note>, Error> {
    find(&Elf::open(reader, size)?)
}

pub(super) fn find<R: ReadAt + ?Sized>(elf: &Elf<'_, R>) -> Result<Option<Note>, Error> {
    let is_note = |segment: &&super::elf::Segment| segment.p_type.get(LE) == elf::PT_NOTE;
    for segment in elf.segments.iter().filter(is_note) {
        let (offset, length) = (segment.p_offset.get(LE), segment.p_filesz.get(LE));
        let bytes: Vec<u8> = elf.table(offset, length, "notes")?;
        let align = if segment.p_align.get(LE) == 8 { 8 } else { 4 };
        if let Some(note) = parse(&bytes, align) {
            return Ok(Some(note));
        }
    }
    Ok(None)
}

/// Finds the note among those of a segment.
fn parse(mut rest: &[u8], align: usize) -> Option<Note> {
    loop {
        let head = rest.split_at_checked(12)?;
        let number = |at| crate::number::<4>(head.0, at).and_then(|n| usize::try_from(n).ok());
        let (name_size, size, kind) = (number(0)?, number(4)?, number(8)?);
        let start = 12_usize.checked_add(name_size)?.checked_next_multiple_of(align)?;
        let end = start.checked_add(size)?;
        let name = rest.get(12..12 + name_size)?.strip_suffix(b"\0");
        if kind == note::SLIM_TYPE as usize
            && size == 0
            && let Some(note) = name.and_then(Note::parse)
        {
            return Some(note);
        }
        rest = rest.get(end.checked_next_multiple_of(align)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_found_behind_others() {
        let gpus = vec!["gfx906".to_owned(), "gfx90a:xnack-".to_owned()];
        let note = Note { version: "1.2.3".to_owned(), source: "blake3:00".to_owned(), gpus };
        let mut bytes = b"\x04\0\0\0\x03\0\0\0\x03\0\0\0GNU\0abc\0".to_vec();
        assert_eq!(parse(&bytes, 4), None);
        bytes.extend(note.encode());
        assert_eq!(parse(&bytes, 4), Some(note));
        for cut in 0..bytes.len() - 4 {
            assert_eq!(parse(&bytes[..cut], 4), None, "{cut}");
        }
    }
}
