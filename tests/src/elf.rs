//! The dynamic section and symbols of a shared library, read with goblin.

use goblin::elf::{Elf, VerneedSection, sym::STB_LOCAL};
use std::{collections::BTreeSet, fs, path::Path};

/// The dynamic interface of a library.
#[derive(Debug)]
pub struct Face {
    /// DT_SONAME.
    pub soname: String,
    /// DT_NEEDED.
    pub needed: Vec<String>,
    /// The names of its exported symbols.
    pub exports: BTreeSet<String>,
    /// The required version nodes: library, version (`GLIBC_2.34`).
    pub needs: BTreeSet<(String, String)>,
}

/// The names of the symbols that a library or program imports.
///
/// # Panics
/// When the file is not a readable ELF file.
#[must_use]
pub fn imports(path: &Path) -> BTreeSet<String> {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let elf = Elf::parse(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let undefined = elf.dynsyms.iter().filter(|sym| sym.st_shndx == 0);
    undefined.filter_map(|sym| elf.dynstrtab.get_at(sym.st_name).map(str::to_owned)).collect()
}

/// Reads a library.
///
/// # Panics
/// When the file is not a readable ELF library.
#[must_use]
pub fn face(path: &Path) -> Face {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let elf = Elf::parse(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let exports = elf
        .dynsyms
        .iter()
        .filter(|sym| sym.st_shndx != 0 && sym.st_bind() != STB_LOCAL)
        .filter_map(|sym| elf.dynstrtab.get_at(sym.st_name).map(str::to_owned))
        .collect();
    let mut needs = BTreeSet::new();
    for file in elf.verneed.iter().flat_map(VerneedSection::iter) {
        let library = elf.dynstrtab.get_at(file.vn_file).unwrap_or_default();
        for version in file.iter() {
            let version = elf.dynstrtab.get_at(version.vna_name).unwrap_or_default();
            needs.insert((library.to_owned(), version.to_owned()));
        }
    }
    Face {
        soname: elf.soname.unwrap_or_default().to_owned(),
        needed: elf.libraries.iter().map(|s| (*s).to_owned()).collect(),
        exports,
        needs,
    }
}
