//! Writes a library without code: a name, its dependencies, and the version nodes that it defines.
//!
//! A library built for ROCm 6 needs `libamdhip64.so.6`. A symlink of that name to `.so.7` is found through a
//! search path, but never through the loader's cache, which lists a file by its SONAME only. A stub whose
//! SONAME is `libamdhip64.so.6` and which needs `libamdhip64.so.7` is cached like any library, and the
//! program loads one runtime, not two.
//!
//! The loader checks version nodes against the file of the needed name, so the stub defines them; it then
//! finds the symbols themselves in the stub's dependencies.

use object::{
    Endianness, elf,
    write::{
        StringId,
        elf::{FileHeader, ProgramHeader, Sym, Verdef, Writer},
    },
};

/// x86-64's pages, and the alignment of the segments.
const PAGE: u64 = 0x1000;

/// `sizeof(Elf64_Sym)`
const SYMBOL: u64 = 24;

/// Symbols identify their version by 15 bits; the first two values are reserved.
const MOST_VERSIONS: usize = 0x7ffd;

/// The description of a stub.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stub {
    /// Its SONAME.
    pub soname: String,
    /// Its dependencies.
    pub needed: Vec<String>,
    /// Where the loader searches for them first: `$ORIGIN` for its own directory.
    pub runpath: Option<String>,
    /// The version nodes that others need from this name.
    pub versions: Vec<String>,
}

/// Why the stub cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("a library {soname} cannot be written: {why}")]
pub struct Unwritable {
    soname: String,
    why: String,
}

/// The bytes of a stub library for x86-64; equal for equal descriptions.
pub fn stub(stub: &Stub) -> Result<Vec<u8>, Unwritable> {
    let unwritable = |why: String| Unwritable { soname: stub.soname.clone(), why };
    if stub.versions.len() > MOST_VERSIONS {
        return Err(unwritable(format!("{} version nodes are too many", stub.versions.len())));
    }
    let mut names = stub.needed.iter().chain(&stub.versions).chain(&stub.runpath);
    if stub.soname.contains('\0') || names.any(|name| name.contains('\0')) {
        return Err(unwritable("a name contains a NUL byte".to_owned()));
    }
    write(stub).map_err(|e| unwritable(e.to_string()))
}

fn write(stub: &Stub) -> Result<Vec<u8>, object::write::Error> {
    let mut bytes = Vec::new();
    let mut file = Writer::new(Endianness::Little, true, &mut bytes);
    let contents = Contents::add(&mut file, stub);
    let layout = Layout::reserve(&mut file, &contents)?;
    write_headers(&mut file, &layout)?;
    write_symbols(&mut file, &contents);
    file.write_dynstr();
    file.pad_until(layout.dynamic);
    write_dynamic(&mut file, &contents, &layout)?;
    write_section_headers(&mut file, &layout);
    Ok(bytes)
}

/// What is said by strings.
struct Contents<'a> {
    /// The file's own name and then its version nodes; empty if it has none.
    nodes: Vec<(&'a str, StringId)>,
    /// Entries of the dynamic section.
    names: Vec<(elf::DynamicTag, StringId)>,
}

impl<'a> Contents<'a> {
    fn add(file: &mut Writer<'a>, stub: &'a Stub) -> Self {
        let mut add = |text: &'a str| file.add_dynamic_string(text.as_bytes());
        let soname = add(&stub.soname);
        let mut names: Vec<_> = stub.needed.iter().map(|n| (elf::DT_NEEDED, add(n))).collect();
        names.push((elf::DT_SONAME, soname));
        names.extend(stub.runpath.iter().map(|path| (elf::DT_RUNPATH, add(path))));
        let mut nodes = Vec::new();
        if !stub.versions.is_empty() {
            nodes.push((stub.soname.as_str(), soname));
            nodes.extend(stub.versions.iter().map(|node| (node.as_str(), add(node))));
        }
        Self { nodes, names }
    }

    /// At most [`MOST_VERSIONS`] and one.
    fn node_count(&self) -> u16 {
        self.nodes.len() as u16
    }

    /// The null symbol, and a constant named after each node, as GNU ld creates them: it does not link with a
    /// library that has versions but no symbol.
    fn symbol_count(&self) -> u32 {
        u32::from(self.node_count()).max(1)
    }
}

/// Offsets in the file, which are also addresses. Read-only: headers, symbols, versions, strings. Then, on a
/// page of its own, the dynamic section, into which the loader writes. After it, in no segment, the section
/// headers.
struct Layout {
    symbols: u64,
    hash: u64,
    symbol_versions: u64,
    nodes: u64,
    strings: u64,
    /// The end of the read-only part.
    constant: u64,
    dynamic: u64,
    /// The end of the dynamic section.
    end: u64,
    /// Entries of the dynamic section.
    values: Vec<(elf::DynamicTag, u64)>,
}

impl Layout {
    fn reserve(
        file: &mut Writer<'_>,
        contents: &Contents<'_>,
    ) -> Result<Self, object::write::Error> {
        let has_nodes = !contents.nodes.is_empty();
        let symbol_count = contents.symbol_count();
        file.reserve_file_header();
        file.reserve_program_headers(4);
        file.reserve_null_dynamic_symbol_index();
        for _ in 1..symbol_count {
            file.reserve_dynamic_symbol_index();
        }
        let symbols = file.reserve_dynsym();
        let hash = file.reserve_hash(symbol_count, symbol_count);
        let symbol_versions = if has_nodes { file.reserve_gnu_versym() } else { 0 };
        let nodes = file.reserve_gnu_verdef(contents.node_count(), contents.nodes.len());
        let strings = file.reserve_dynstr()?;
        let constant = file.reserved_len();
        let dynamic = constant.next_multiple_of(PAGE);
        file.reserve_until(dynamic);
        let mut values = vec![
            (elf::DT_HASH, hash),
            (elf::DT_STRTAB, strings),
            (elf::DT_SYMTAB, symbols),
            (elf::DT_STRSZ, file.dynstr_len().into()),
            (elf::DT_SYMENT, SYMBOL),
        ];
        if has_nodes {
            values.extend([
                (elf::DT_VERSYM, symbol_versions),
                (elf::DT_VERDEF, nodes),
                (elf::DT_VERDEFNUM, contents.node_count().into()),
            ]);
        }
        values.push((elf::DT_NULL, 0));
        file.reserve_dynamic(contents.names.len() + values.len());
        let end = file.reserved_len();

        file.reserve_dynsym_section_index();
        file.reserve_hash_section_index();
        if has_nodes {
            file.reserve_gnu_versym_section_index();
            file.reserve_gnu_verdef_section_index();
        }
        file.reserve_dynstr_section_index();
        file.reserve_dynamic_section_index();
        file.reserve_shstrtab_section_index();
        file.reserve_shstrtab()?;
        file.reserve_section_headers();
        Ok(Self { symbols, hash, symbol_versions, nodes, strings, constant, dynamic, end, values })
    }
}

fn write_headers(file: &mut Writer<'_>, layout: &Layout) -> Result<(), object::write::Error> {
    file.write_file_header(&FileHeader {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_type: elf::ET_DYN,
        e_machine: elf::EM_X86_64,
        e_entry: 0,
        e_flags: elf::FileFlags(0),
    })?;
    file.write_align_program_headers();
    let (read, write) = (elf::PF_R, elf::PF_R | elf::PF_W);
    for (p_type, p_flags, range, p_align) in [
        (elf::PT_LOAD, read, 0..layout.constant, PAGE),
        (elf::PT_LOAD, write, layout.dynamic..layout.end, PAGE),
        (elf::PT_DYNAMIC, write, layout.dynamic..layout.end, 8),
        // Without this header, the stack of the process would become executable.
        (elf::PT_GNU_STACK, write, 0..0, 16),
    ] {
        let (start, size) = (range.start, range.end - range.start);
        file.write_program_header(&ProgramHeader {
            p_type,
            p_flags,
            p_offset: start,
            p_vaddr: start,
            p_paddr: start,
            p_filesz: size,
            p_memsz: size,
            p_align,
        });
    }
    Ok(())
}

fn write_symbols(file: &mut Writer<'_>, contents: &Contents<'_>) {
    let symbol_count = contents.symbol_count();
    file.write_null_dynamic_symbol();
    for (_, name) in contents.nodes.iter().skip(1) {
        file.write_dynamic_symbol(&Sym {
            section: None,
            st_name: file.dynamic_string_offset(Some(*name)),
            st_info: elf::SymbolInfo::new(elf::STB_GLOBAL, elf::STT_OBJECT),
            st_other: elf::SymbolOther(0),
            st_shndx: elf::SHN_ABS,
            st_value: 0,
            st_size: 0,
        });
    }
    file.write_hash(symbol_count, symbol_count, |symbol| {
        let node = contents.nodes.get(symbol as usize).filter(|_| symbol > 0);
        node.map(|(name, _)| elf::hash(name.as_bytes()))
    });
    if contents.nodes.is_empty() {
        return;
    }
    file.write_null_gnu_versym();
    for index in 2..=contents.node_count() {
        file.write_gnu_versym(elf::VersionIndex(index).into());
    }
    file.write_align_gnu_verdef();
    for (index, (name, id)) in (1..).zip(&contents.nodes) {
        file.write_gnu_verdef(&Verdef {
            version: elf::VER_DEF_CURRENT,
            flags: if index == 1 { elf::VER_FLG_BASE } else { elf::VersionFlags(0) },
            index: elf::VersionIndex(index),
            aux_count: 1,
            name: file.dynamic_string_offset(Some(*id)),
            hash: elf::hash(name.as_bytes()),
        });
    }
}

fn write_dynamic(
    file: &mut Writer<'_>,
    contents: &Contents<'_>,
    layout: &Layout,
) -> Result<(), object::write::Error> {
    file.write_align_dynamic();
    for (tag, name) in &contents.names {
        file.write_dynamic_string(*tag, *name)?;
    }
    for (tag, value) in &layout.values {
        file.write_dynamic(*tag, *value)?;
    }
    Ok(())
}

/// Only for linkers and `readelf`.
fn write_section_headers(file: &mut Writer<'_>, layout: &Layout) {
    file.write_shstrtab();
    file.write_null_section_header();
    file.write_dynsym_section_header(layout.symbols, 1);
    file.write_hash_section_header(layout.hash);
    file.write_gnu_versym_section_header(layout.symbol_versions);
    file.write_gnu_verdef_section_header(layout.nodes);
    file.write_dynstr_section_header(layout.strings);
    file.write_dynamic_section_header(layout.dynamic);
    file.write_shstrtab_section_header();
}

#[cfg(test)]
mod tests;
