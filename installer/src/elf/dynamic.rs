//! The dynamic section and its strings, which the loader uses.

use super::{
    image::{Image, context},
    malformed::{Fault, Malformed},
};
use goblin::elf::{
    dynamic::{self, DT_STRSZ, DT_STRTAB, Dyn, dyn64},
    program_header::{PT_DYNAMIC, ProgramHeader},
};
use std::cell::Cell;

/// More than in any real library.
const MOST_ENTRIES: u64 = 1 << 12;

/// The entries of a dynamic section; empty if the file has none.
#[derive(Debug)]
pub(super) struct Dynamic {
    entries: Vec<Dyn>,
    pub(super) strings: Strings,
}

impl Dynamic {
    pub(super) fn read(image: &Image<'_>) -> Result<Self, Malformed> {
        let Some(segment) = image.segments.iter().find(|s| s.p_type == PT_DYNAMIC) else {
            return Ok(Self { entries: Vec::new(), strings: Strings::default() });
        };
        let (offset, size) = (segment.p_offset, segment.p_filesz);
        let count = size / dyn64::SIZEOF_DYN as u64;
        if count > MOST_ENTRIES {
            return Err(Fault::Excessive { what: "dynamic entries", count }.at(offset));
        }
        let bytes = image.read(offset, size, "the dynamic entries")?;
        // goblin finds them by their segment; the range given here consists of them alone.
        let alone = ProgramHeader { p_type: PT_DYNAMIC, p_filesz: size, ..Default::default() };
        let entries = dynamic::Dynamic::parse(&bytes, &[alone], context())
            .map_err(|e| Fault::Invalid(format!("malformed dynamic section: {e}")).at(offset))?
            .map(|parsed| parsed.dyns)
            .unwrap_or_default();
        let mut dynamic = Self { entries, strings: Strings::default() };
        if let (Some(address), Some(size)) = (dynamic.value(DT_STRTAB), dynamic.value(DT_STRSZ)) {
            let (offset, left) = image.locate(address, "the dynamic strings")?;
            if size > left {
                return Err(Fault::Truncated("the dynamic strings").at(offset));
            }
            let bytes = image.read(offset, size, "the dynamic strings")?;
            dynamic.strings = Strings::new(bytes, offset);
        }
        Ok(dynamic)
    }

    /// The value of the last entry of a tag, which the loader uses.
    pub(super) fn value(&self, tag: u64) -> Option<u64> {
        self.values(tag).last()
    }

    /// The values of all entries of a tag.
    pub(super) fn values(&self, tag: u64) -> impl Iterator<Item = u64> {
        self.entries.iter().filter(move |entry| entry.d_tag == tag).map(|entry| entry.d_val)
    }

    /// The string named by the entry of a tag.
    pub(super) fn string(&self, tag: u64) -> Result<Option<String>, Malformed> {
        self.value(tag).map(|at| self.strings.get(at)).transpose()
    }

    /// The strings named by the entries of a tag.
    pub(super) fn strings(&self, tag: u64) -> Result<Vec<String>, Malformed> {
        self.values(tag).map(|at| self.strings.get(at)).collect()
    }
}

/// A string table.
#[derive(Debug, Default)]
pub(super) struct Strings {
    bytes: Vec<u8>,
    offset: u64,
    /// How many more bytes may be returned. Entries may share strings, but no linker produces a file in which
    /// a million entries share a string of a megabyte.
    left: Cell<usize>,
}

/// The limit for the strings returned from a table, relative to its size.
const MOST_SHARED: usize = 16;

impl Strings {
    pub(super) fn new(bytes: Vec<u8>, offset: u64) -> Self {
        let left = Cell::new(bytes.len().saturating_mul(MOST_SHARED).saturating_add(1 << 16));
        Self { bytes, offset, left }
    }

    /// The string at an offset of the table. Invalid UTF-8 is replaced.
    pub(super) fn get(&self, at: u64) -> Result<String, Malformed> {
        let place = self.offset.saturating_add(at);
        let string = usize::try_from(at)
            .ok()
            .and_then(|at| self.bytes.get(at..))
            .and_then(|rest| rest.split_at_checked(rest.iter().position(|byte| *byte == 0)?))
            .map(|(string, _)| string)
            .ok_or_else(|| Fault::Invalid("a name is not in the string table".into()).at(place))?;
        let left = self.left.get().checked_sub(string.len() + 1).ok_or_else(|| {
            let count = (self.bytes.len() as u64).saturating_mul(MOST_SHARED as u64);
            Fault::Excessive { what: "bytes of names that share a small table", count }.at(place)
        })?;
        self.left.set(left);
        Ok(String::from_utf8_lossy(string).into_owned())
    }
}
