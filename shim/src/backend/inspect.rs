//! Refuses files that cannot be a backend, before the loader maps them and runs their constructors.
//!
//! It reads headers, the dynamic section and its strings, never the whole file: rocBLAS has a gigabyte
//! of code objects. It maps nothing, so a truncated file is an error here and not a SIGBUS in the
//! loader.

use super::refusal::Refusal;
use crate::own;
use goblin::{
    container::{Container, Ctx, Endian},
    elf::{
        Elf,
        dynamic::{DT_NEEDED, DT_SONAME, DT_STRSZ, DT_STRTAB, Dyn, dyn64},
        header::{
            self, EI_CLASS, EI_DATA, ELFCLASS64, ELFDATA2LSB, ELFMAG, EM_X86_64, ET_DYN, Header,
        },
        program_header::{PT_DYNAMIC, PT_LOAD, PT_NOTE, ProgramHeader},
        section_header::{SHT_DYNSYM, SectionHeader},
        sym::{STB_GNU_UNIQUE, st_bind, sym64},
    },
};
use rocblas_contract::{
    libraries::{BACKEND_SONAME, is_rocblas},
    note::HEAD,
    sentences,
};
use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

/// More than any real library has; a file with a larger number in its headers is refused.
const MOST_HEADERS: u64 = 1 << 12;
const MOST_STRINGS: u64 = 64 << 20;
const MOST_NOTES: u64 = 1 << 16;

/// The names in a library's dynamic section.
#[derive(Debug)]
pub(crate) struct Library {
    pub(crate) soname: String,
    /// DT_NEEDED
    pub(crate) needed: Vec<String>,
}

/// Checks that a file is a rocBLAS for this machine and not a shim.
pub(crate) fn inspect(path: &Path) -> Result<Library, Refusal> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(sentences::directory(path.join(BACKEND_SONAME).display()).into());
    }
    if !metadata.is_file() {
        return Err(sentences::special().into());
    }
    if let Some(shim) = own::file().and_then(|file| fs::metadata(file).ok())
        && (shim.dev(), shim.ino()) == (metadata.dev(), metadata.ino())
    {
        return Err(sentences::is_shim().into());
    }
    let file = Reader { file: File::open(path)?, size: metadata.size() };
    let headers = file.program_headers()?;
    if file.has_note_of_a_shim(&headers)? {
        return Err(sentences::is_shim().into());
    }
    let (soname, needed) = file.names(&headers)?;
    match soname {
        Some(soname) if is_rocblas(&soname) => Ok(Library { soname, needed }),
        Some(soname) => Err(sentences::other_soname(soname).into()),
        None => Err(sentences::no_soname().into()),
    }
}

/// The symbols that a library defines as `STB_GNU_UNIQUE`: the loader binds all libraries of a process to one
/// definition of such a symbol, whatever scope they are in. A library without section headers is assumed to have
/// none, because the number of its symbols is not known.
pub(crate) fn unique_symbols(path: &Path) -> Result<Vec<String>, Refusal> {
    let metadata = fs::metadata(path)?;
    let file = Reader { file: File::open(path)?, size: metadata.size() };
    let header = file.header()?;
    let entry = SectionHeader::size(context()) as u64;
    let count = u64::from(header.e_shnum);
    if count == 0 || u64::from(header.e_shentsize) != entry {
        return Ok(Vec::new());
    }
    let bytes = file.read(header.e_shoff, count * entry, "its section headers")?;
    // `parse` takes an offset of 0 to mean that the file has no section headers.
    let sections = SectionHeader::parse_from(&bytes, 0, count as usize, context())
        .map_err(|e| sentences::bad_headers("section headers", e))?;
    let mut names = Vec::new();
    for symbols in sections.iter().filter(|section| section.sh_type == SHT_DYNSYM) {
        let strings = sections.get(symbols.sh_link as usize);
        let strings = strings.ok_or_else(|| sentences::lacks("dynamic string table"))?;
        if symbols.sh_size > MOST_STRINGS || strings.sh_size > MOST_STRINGS {
            let size = symbols.sh_size.max(strings.sh_size);
            return Err(sentences::implausible(size, "bytes of dynamic strings").into());
        }
        let strings = file.read(strings.sh_offset, strings.sh_size, "its dynamic strings")?;
        let symbols = file.read(symbols.sh_offset, symbols.sh_size, "its dynamic symbols")?;
        for symbol in symbols.chunks_exact(sym64::SIZEOF_SYM) {
            // Name, type and binding, visibility, section, as in `Elf64_Sym`.
            let name = u32::from_le_bytes([symbol[0], symbol[1], symbol[2], symbol[3]]);
            let is_defined = symbol[6..8] != [0, 0];
            if st_bind(symbol[4]) == STB_GNU_UNIQUE && is_defined {
                let rest = strings.get(name as usize..).unwrap_or_default();
                let name = rest.split(|byte| *byte == 0).next().unwrap_or_default();
                names.push(String::from_utf8_lossy(name).into_owned());
            }
        }
    }
    Ok(names)
}

struct Reader {
    file: File,
    size: u64,
}

fn context() -> Ctx {
    Ctx::new(Container::Big, Endian::Little)
}

impl Reader {
    /// Reads `size` bytes at `offset`; a shorter file is an error.
    fn read(&self, offset: u64, size: u64, what: &str) -> Result<Vec<u8>, Refusal> {
        if offset.checked_add(size).is_none_or(|end| end > self.size) {
            let offset = format_args!("{offset:#x}");
            return Err(sentences::truncated_part(what, offset, size, self.size).into());
        }
        let mut bytes = vec![0; usize::try_from(size).map_err(|e| e.to_string())?];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn header(&self) -> Result<Header, Refusal> {
        let start = self.read(0, self.size.min(16), "its first bytes")?;
        if !start.starts_with(ELFMAG) {
            return Err(match start.as_slice() {
                [] => sentences::empty_file(),
                text if text
                    .iter()
                    .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) =>
                {
                    sentences::text_file()
                }
                _ => sentences::not_elf(),
            }
            .into());
        }
        let bytes = self.read(0, header::header64::SIZEOF_EHDR as u64, "its ELF header")?;
        if bytes[EI_CLASS] != ELFCLASS64 {
            return Err(sentences::elf32().into());
        }
        if bytes[EI_DATA] != ELFDATA2LSB {
            return Err(sentences::big_endian().into());
        }
        let header =
            Elf::parse_header(&bytes).map_err(|e| sentences::bad_headers("ELF header", e))?;
        if header.e_machine != EM_X86_64 {
            let machine = header::machine_to_str(header.e_machine);
            return Err(sentences::other_machine(machine).into());
        }
        if header.e_type != ET_DYN {
            return Err(sentences::not_shared().into());
        }
        Ok(header)
    }

    fn program_headers(&self) -> Result<Vec<ProgramHeader>, Refusal> {
        let header = self.header()?;
        let count = u64::from(header.e_phnum);
        if count == 0 || count > MOST_HEADERS {
            return Err(sentences::implausible(count, "program headers").into());
        }
        let size = ProgramHeader::size(context()) as u64;
        let bytes = self.read(header.e_phoff, count * size, "its program headers")?;
        let headers = ProgramHeader::parse(&bytes, 0, count as usize, context())
            .map_err(|e| sentences::bad_headers("program headers", e))?;
        // Section headers come last in a file, so an incomplete copy lacks them first.
        let sections = u64::from(header.e_shentsize) * u64::from(header.e_shnum);
        if header.e_shoff.checked_add(sections).is_none_or(|end| end > self.size) {
            let end = header.e_shoff.saturating_add(sections);
            let what = "its section headers end";
            return Err(sentences::truncated_end(what, end, self.size).into());
        }
        for segment in headers.iter().filter(|h| h.p_type == PT_LOAD) {
            if segment.p_offset.checked_add(segment.p_filesz).is_none_or(|end| end > self.size) {
                let end = segment.p_offset.saturating_add(segment.p_filesz);
                return Err(sentences::truncated_end("a segment ends", end, self.size).into());
            }
        }
        Ok(headers)
    }

    fn has_note_of_a_shim(&self, headers: &[ProgramHeader]) -> Result<bool, Refusal> {
        for segment in headers.iter().filter(|h| h.p_type == PT_NOTE && h.p_filesz <= MOST_NOTES) {
            let notes = self.read(segment.p_offset, segment.p_filesz, "its notes")?;
            if notes.chunks(4).enumerate().any(|(i, _)| notes[4 * i..].starts_with(&HEAD)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// DT_SONAME and DT_NEEDED.
    fn names(&self, headers: &[ProgramHeader]) -> Result<(Option<String>, Vec<String>), Refusal> {
        let dynamic = headers
            .iter()
            .find(|h| h.p_type == PT_DYNAMIC)
            .ok_or_else(|| sentences::lacks("dynamic section"))?;
        if dynamic.p_filesz > MOST_STRINGS {
            return Err(sentences::implausible(dynamic.p_filesz, "bytes of dynamic section").into());
        }
        let bytes = self.read(dynamic.p_offset, dynamic.p_filesz, "its dynamic section")?;
        let entries: Vec<Dyn> = bytes
            .chunks_exact(dyn64::SIZEOF_DYN)
            .map(|entry| {
                let (tag, value) = entry.split_at(8);
                let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("8 bytes"));
                Dyn { d_tag: word(tag), d_val: word(value) }
            })
            .take_while(|entry| entry.d_tag != 0)
            .collect();
        let value = |tag| entries.iter().find(|e| e.d_tag == tag).map(|e| e.d_val);
        let (Some(address), Some(size)) = (value(DT_STRTAB), value(DT_STRSZ)) else {
            return Err(sentences::lacks("dynamic string table").into());
        };
        if size > MOST_STRINGS {
            return Err(sentences::implausible(size, "bytes of dynamic strings").into());
        }
        let offset = headers
            .iter()
            .find(|h| {
                h.p_type == PT_LOAD && h.p_vaddr <= address && address - h.p_vaddr < h.p_filesz
            })
            .map(|h| address - h.p_vaddr + h.p_offset)
            .ok_or_else(sentences::strings_outside)?;
        let bytes = self.read(offset, size, "its dynamic strings")?;
        let name = |at: u64| {
            let rest = bytes.get(usize::try_from(at).ok()?..)?;
            let name = rest.split(|byte| *byte == 0).next()?;
            Some(String::from_utf8_lossy(name).into_owned())
        };
        let needed = entries.iter().filter(|e| e.d_tag == DT_NEEDED);
        Ok((value(DT_SONAME).and_then(name), needed.filter_map(|e| name(e.d_val)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;

    /// The libc of this process: a real shared library of this machine that is not rocBLAS.
    fn libc() -> std::path::PathBuf {
        own::file_of(libc::getenv as *const ()).expect("loaded")
    }

    fn refusal(bytes: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        fs::write(file.path(), bytes).expect("write");
        inspect(file.path()).expect_err("not a backend").why
    }

    #[test]
    fn every_kind_of_wrong_file_has_its_own_sentence() {
        let elf = fs::read(libc()).expect("readable");
        let patched = |at: usize, byte: u8| {
            let mut copy = elf.clone();
            copy[at] = byte;
            refusal(&copy)
        };
        assert_eq!(refusal(b""), "is empty");
        assert_eq!(refusal(b"not a library\n"), sentences::text_file());
        assert_eq!(refusal(&[0, 1, 2, 3]), "is not an ELF file");
        assert_eq!(patched(EI_CLASS, 1), "is a 32-bit ELF file, but this process is 64-bit");
        assert!(patched(EI_DATA, 2).starts_with("is a big-endian ELF file"));
        assert_eq!(patched(18, 183), "is an ELF file for AARCH64, but this machine is x86-64");
        assert_eq!(patched(16, 2), "is an ELF file, but not a shared library");
        assert!(refusal(&elf[..20]).starts_with("is truncated: its ELF header"));
        assert!(refusal(&elf[..100]).starts_with("is truncated: its program headers"));
        assert!(refusal(&elf[..elf.len() / 2]).starts_with("is truncated: its section headers"));
        assert_eq!(refusal(&elf), "is not rocBLAS: its SONAME is libc.so.6");
    }

    #[test]
    fn directories_and_special_files_are_refused() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let inspect = |path: &Path| inspect(path).expect_err("not a backend").why;
        assert_eq!(inspect(&directory.path().join("absent")), "does not exist");
        assert!(inspect(directory.path()).starts_with("is a directory: name the library in it"));
        assert_eq!(inspect(Path::new("/dev/null")), "is not a regular file");
        let program = env::current_exe().expect("this test");
        assert!(inspect(&program).starts_with("is "), "a program, or this shim's own test");
    }

    #[test]
    fn truncated_or_changed_headers_do_not_panic() {
        let elf = fs::read(libc()).expect("readable");
        for cut in (0..4096).step_by(7) {
            refusal(&elf[..cut]);
        }
        for at in 0..1024 {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut copy = elf[..elf.len().min(1 << 16)].to_vec();
                copy[at] = byte;
                refusal(&copy);
            }
        }
    }
}
