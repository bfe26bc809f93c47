//! The symbols that clang emits for the bundle of each translation unit.

use super::{
    elf::{Elf, LE, place},
    error::{Error, layout},
};
use crate::ReadAt;
use object::{
    LittleEndian,
    elf::{self, Sym64},
};
use std::{collections::BTreeMap, mem::offset_of};

type Symbol = Sym64<LittleEndian>;

/// The offsets of the values of symbols in a section, and their new values. `moved` maps the old
/// addresses of bundles to the new ones.
pub(super) fn values<R: ReadAt + ?Sized>(
    elf: &Elf<'_, R>,
    number: usize,
    moved: &BTreeMap<u64, u64>,
) -> Result<Vec<(u64, u64)>, Error> {
    let mut values = Vec::new();
    let is_table = |kind| matches!(kind, elf::SHT_SYMTAB | elf::SHT_DYNSYM);
    for section in elf.sections.iter().filter(|section| is_table(section.sh_type.get(LE))) {
        let (offset, size) = place(section);
        let table: Vec<Symbol> = elf.table(offset, size, "symbols")?;
        for (at, symbol) in (0..).zip(&table) {
            // The section's own symbol stays at its start.
            if usize::from(symbol.st_shndx.get(LE).0) != number
                || symbol.st_type() == elf::STT_SECTION
            {
                continue;
            }
            let start = offset + at * size_of::<Symbol>() as u64;
            let value = moved.get(&symbol.st_value.get(LE));
            let value = value.ok_or_else(|| layout(start, "a symbol is within a bundle"))?;
            values.push((start + offset_of!(Symbol, st_value) as u64, *value));
        }
    }
    Ok(values)
}
