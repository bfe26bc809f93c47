//! A library's imports and exports, with versions, as the loader sees them.
//!
//! The loader looks up the symbols that relocations refer to, and finds those in the hash table; this module
//! does the same. Nothing else gives the number of symbols if section headers are stripped.

use super::{
    dynamic::Dynamic,
    hashed::Hashed,
    image::{Image, Source, context},
    malformed::{Fault, Malformed},
    versions::{INDEX, NeededVersion, Versions},
};
use goblin::elf::{
    Reloc, Symtab,
    dynamic::{DT_JMPREL, DT_PLTRELSZ, DT_RELA, DT_RELASZ, DT_SYMTAB, DT_VERSYM},
    reloc::{R_X86_64_JUMP_SLOT, RelocSection},
    section_header::SHN_UNDEF,
    sym::{
        STB_GLOBAL, STB_GNU_UNIQUE, STB_WEAK, STT_COMMON, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE,
        STT_OBJECT, STT_TLS, Sym,
    },
};
use std::{collections::HashMap, fs::File};

/// More than in any real library.
pub(super) const MOST_SYMBOLS: u64 = 1 << 22;
const MOST_RELOCATIONS: u64 = 1 << 24;

/// `sizeof(Elf64_Sym)` and `sizeof(Elf64_Rela)`.
const SYMBOL: u64 = 24;
const RELOCATION: u64 = 24;

/// `SHN_ABS`: a value that is not an address.
const ABSOLUTE: usize = 0xfff1;

/// How much is read at once of tables that are not kept.
const PART: u64 = RELOCATION << 15;

/// The version with which a symbol is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The node.
    pub name: String,
    /// The file that defined it when the importing file was linked, by its SONAME.
    pub file: String,
}

/// A symbol that must be defined elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Its name.
    pub name: String,
    /// `None` if any version will do.
    pub version: Option<Version>,
    /// Whether the loader accepts its absence.
    pub weak: bool,
    /// Whether it is a function that is only called, so that with lazy binding it is looked up at the first
    /// call: every relocation that refers to it is an `R_X86_64_JUMP_SLOT`.
    pub only_called: bool,
}

/// One definition of an exported name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its version node; `None` if it is unversioned.
    pub version: Option<String>,
    /// Whether it is only found with its version (`name@V`, not `name@@V`).
    pub hidden: bool,
    /// Whether it belongs to the first node, which unversioned programs get.
    first: bool,
}

/// What a file imports and exports.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    /// In symbol table order.
    pub imports: Vec<Import>,
    /// By name.
    pub exports: HashMap<String, Vec<Definition>>,
    /// The version nodes that it needs, in its order.
    pub versions_needed: Vec<NeededVersion>,
    /// Whether its symbols have versions.
    pub versioned: bool,
}

impl Symbols {
    /// Whether the loader would find a name here with that version or any (glibc's `check_match`).
    #[must_use]
    pub fn provide(&self, name: &str, version: Option<&str>) -> bool {
        self.exports.get(name).is_some_and(|definitions| {
            definitions.iter().any(|definition| match (version, &definition.version) {
                _ if !self.versioned => true,
                (Some(wanted), Some(had)) => wanted == had,
                (Some(_), None) => !definition.hidden,
                (None, _) => definition.first || !definition.hidden,
            })
        })
    }
}

/// Reads a file's imports and exports. A file for another machine has none.
pub fn symbols(file: &File) -> Result<Symbols, Malformed> {
    read(Source::File(file))
}

/// Like [`symbols`], for a file in memory.
pub fn symbols_of(bytes: &[u8]) -> Result<Symbols, Malformed> {
    read(Source::Bytes(bytes))
}

fn read(source: Source<'_>) -> Result<Symbols, Malformed> {
    let image = Image::open(source)?;
    let dynamic = Dynamic::read(&image)?;
    let Some(table) = dynamic.value(DT_SYMTAB) else {
        return Ok(Symbols::default());
    };
    let versions = Versions::read(&image, &dynamic)?;
    let references = references(&image, &dynamic)?;
    let hashed = Hashed::read(&image, &dynamic)?;
    let count = hashed.end.max(references.len() as u64);
    if count == 0 {
        return Ok(Symbols { versions_needed: versions.needed, ..Symbols::default() });
    }

    let (offset, left) = image.locate(table, SYMBOLS)?;
    if count > MOST_SYMBOLS {
        return Err(Fault::Excessive { what: "symbols", count }.at(offset));
    }
    if count * SYMBOL > left {
        return Err(Fault::Truncated(SYMBOLS).at(offset));
    }
    let bytes = image.read(offset, count * SYMBOL, SYMBOLS)?;
    let table = Symtab::parse(&bytes, 0, count as usize, context())
        .map_err(|e| Fault::Invalid(format!("malformed symbol table: {e}")).at(offset))?;
    let indices = indices(&image, &dynamic, count)?;
    // A version's index identifies its node, and the file if it is a needed one.
    let mut nodes: HashMap<u16, (&str, &str)> = HashMap::new();
    nodes.extend(versions.needed.iter().map(|v| (v.index, (v.name.as_str(), v.file.as_str()))));
    let own = versions.defined.iter().filter(|version| !version.base);
    nodes.extend(own.map(|v| (v.index, (v.name.as_str(), ""))));

    let mut imports = Vec::new();
    let mut exports: HashMap<String, Vec<Definition>> = HashMap::new();
    for (i, symbol) in table.iter().enumerate() {
        let index = indices.get(i).copied();
        let node = index.and_then(|index| nodes.get(&(index & INDEX)));
        let reference = references.get(i).copied().unwrap_or_default();
        if reference != Reference::None && is_looked_up(&symbol) {
            imports.push(Import {
                name: dynamic.strings.get(symbol.st_name as u64)?,
                version: node.map(|(name, file)| Version {
                    name: (*name).to_owned(),
                    file: (*file).to_owned(),
                }),
                weak: symbol.st_bind() == STB_WEAK,
                only_called: reference == Reference::Called,
            });
        } else if (hashed.start..hashed.end).contains(&(i as u64)) && is_found(&symbol) {
            let definition = Definition {
                version: node.map(|(name, _)| (*name).to_owned()),
                hidden: index.is_some_and(|index| index & !INDEX != 0),
                first: index.is_none_or(|index| index & INDEX < 3),
            };
            exports
                .entry(dynamic.strings.get(symbol.st_name as u64)?)
                .or_default()
                .push(definition);
        }
    }
    let versioned = !indices.is_empty();
    Ok(Symbols { imports, exports, versions_needed: versions.needed, versioned })
}

const SYMBOLS: &str = "the dynamic symbols";

fn is_looked_up(symbol: &Sym) -> bool {
    symbol.st_shndx == SHN_UNDEF as usize
        && matches!(symbol.st_bind(), STB_GLOBAL | STB_WEAK | STB_GNU_UNIQUE)
}

fn is_found(symbol: &Sym) -> bool {
    let kind = symbol.st_type();
    symbol.st_shndx != SHN_UNDEF as usize
        && (symbol.st_value != 0 || symbol.st_shndx == ABSOLUTE || kind == STT_TLS)
        && matches!(symbol.st_bind(), STB_GLOBAL | STB_WEAK | STB_GNU_UNIQUE)
        && matches!(kind, STT_NOTYPE | STT_OBJECT | STT_FUNC | STT_COMMON | STT_TLS | STT_GNU_IFUNC)
}

/// How relocations refer to a symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reference {
    #[default]
    None,
    /// Only by call slots.
    Called,
    Otherwise,
}

/// The references of all relocations, by symbol index.
fn references(image: &Image<'_>, dynamic: &Dynamic) -> Result<Vec<Reference>, Malformed> {
    let mut references = Vec::new();
    for (table, size) in [(DT_RELA, DT_RELASZ), (DT_JMPREL, DT_PLTRELSZ)] {
        let (Some(address), Some(size)) = (dynamic.value(table), dynamic.value(size)) else {
            continue;
        };
        if size == 0 {
            continue;
        }
        let (mut offset, left) = image.locate(address, RELOCATIONS)?;
        if size > left {
            return Err(Fault::Truncated(RELOCATIONS).at(offset));
        }
        let count = size / RELOCATION;
        if count > MOST_RELOCATIONS {
            return Err(Fault::Excessive { what: "relocations", count }.at(offset));
        }
        let end = offset + size;
        while offset < end {
            let bytes = image.read(offset, PART.min(end - offset), RELOCATIONS)?;
            let relocations = RelocSection::parse(&bytes, 0, bytes.len(), true, context())
                .map_err(|e| Fault::Invalid(format!("malformed relocations: {e}")).at(offset))?;
            for relocation in &relocations {
                refer(&mut references, &relocation)
                    .map_err(|count| Fault::Excessive { what: "symbols", count }.at(offset))?;
            }
            offset += bytes.len() as u64;
        }
    }
    Ok(references)
}

const RELOCATIONS: &str = "the relocations";

/// The error is the number of symbols that would be required.
fn refer(references: &mut Vec<Reference>, relocation: &Reloc) -> Result<(), u64> {
    let symbol = relocation.r_sym;
    if symbol == 0 {
        return Ok(());
    }
    if symbol as u64 >= MOST_SYMBOLS {
        return Err(symbol as u64);
    }
    if symbol >= references.len() {
        references.resize(symbol + 1, Reference::None);
    }
    references[symbol] = match (references[symbol], relocation.r_type) {
        (Reference::None | Reference::Called, R_X86_64_JUMP_SLOT) => Reference::Called,
        _ => Reference::Otherwise,
    };
    Ok(())
}

/// The version indices of that many symbols; none if they have none.
fn indices(image: &Image<'_>, dynamic: &Dynamic, count: u64) -> Result<Vec<u16>, Malformed> {
    const INDICES: &str = "the versions of symbols";
    let Some(address) = dynamic.value(DT_VERSYM) else {
        return Ok(Vec::new());
    };
    let (offset, left) = image.locate(address, INDICES)?;
    if count * 2 > left {
        return Err(Fault::Truncated(INDICES).at(offset));
    }
    let bytes = image.read(offset, count * 2, INDICES)?;
    Ok(bytes.chunks_exact(2).map(|index| u16::from_le_bytes([index[0], index[1]])).collect())
}

#[cfg(test)]
mod tests;
