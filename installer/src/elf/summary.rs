//! The properties of an ELF file, without its symbols.

use super::{
    dynamic::Dynamic,
    image::{Image, Source, context},
    malformed::{Fault, Malformed},
    versions::Versions,
};
use goblin::elf::{
    dynamic::{
        DF_1_NOW, DF_1_PIE, DF_BIND_NOW, DT_BIND_NOW, DT_FLAGS, DT_FLAGS_1, DT_NEEDED, DT_RPATH,
        DT_RUNPATH, DT_SONAME,
    },
    header::{
        EI_CLASS, EI_DATA, ELFCLASS64, ELFDATA2LSB, ET_CORE, ET_DYN, ET_EXEC, ET_REL,
        machine_to_str,
    },
    note::NoteDataIterator,
    program_header::{PF_X, PT_INTERP, PT_LOAD, PT_NOTE, ProgramHeader},
    section_header::SHT_NOBITS,
};
use offload::kpack::{Reference, Segment, segments as kpack_segments};
use rocblas_contract::{kpack, note};
use serde::Serialize;
use std::{collections::BTreeMap, fs::File, ops::Range};

/// The owner and type of the shim's ELF note, whose description is the version.
const SHIM_NOTE: (&str, u32) = (note::NAME, note::TYPE);

/// Larger than in any real file, in bytes.
const MOST_NOTES: u64 = 1 << 16;
const MOST_INTERPRETER: u64 = 1 << 12;

/// The type of an ELF file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A shared library.
    Shared,
    /// A program, at a fixed address or position-independent.
    Executable,
    /// An object file that has not been linked.
    Relocatable,
    /// A core dump.
    Core,
}

/// The properties of an ELF file. For another machine only `kind` and `machine` are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The type of the file.
    pub kind: Kind,
    /// The machine that it is for, as text.
    pub machine: String,
    /// Whether that is x86-64: 64-bit, little-endian.
    pub machine_is_x86_64: bool,
    /// Its SONAME.
    pub soname: Option<String>,
    /// The libraries that it needs, in order.
    pub needed: Vec<String>,
    /// DT_RPATH, split into directories; empty if there is a DT_RUNPATH, since the loader then ignores it.
    pub rpath: Vec<String>,
    /// DT_RUNPATH, split into directories.
    pub runpath: Vec<String>,
    /// The shim's version, if it is one.
    pub shim: Option<String>,
    /// The dynamic loader that a program requests.
    pub interpreter: Option<String>,
    /// Whether all its functions are bound at load time, so that a missing one is an error then.
    pub bind_now: bool,
    /// Whether any part is executable; not so for a [stub](mod@super::stub).
    pub has_code: bool,
    /// The file ranges of the sections named `.hip_fatbin`: code objects for GPUs.
    pub fatbin: Vec<Range<u64>>,
    /// The archives with its GPU code, if that was split off.
    pub split: Option<Reference>,
    /// The version nodes that it defines.
    pub versions_defined: Vec<String>,
    /// The version nodes that it needs, by the file that must define them.
    pub versions_needed: BTreeMap<String, Vec<String>>,
}

/// Reads a file's summary, which takes a few pages of it.
pub fn summary(file: &File) -> Result<Summary, Malformed> {
    read(Source::File(file))
}

/// Like [`summary`], for a file in memory.
pub fn summary_of(bytes: &[u8]) -> Result<Summary, Malformed> {
    read(Source::Bytes(bytes))
}

fn read(source: Source<'_>) -> Result<Summary, Malformed> {
    let image = Image::open(source)?;
    let dynamic = Dynamic::read(&image)?;
    let versions = Versions::read(&image, &dynamic)?;
    let interpreter = interpreter(&image)?;
    let soname = dynamic.string(DT_SONAME)?;
    let flags = |tag| dynamic.value(tag).unwrap_or(0);
    let kind = match image.header.e_type {
        ET_REL => Kind::Relocatable,
        ET_EXEC => Kind::Executable,
        ET_CORE => Kind::Core,
        // Linkers before 2016 did not mark position-independent programs. libc.so.6 names an interpreter too.
        ET_DYN if flags(DT_FLAGS_1) & DF_1_PIE != 0 => Kind::Executable,
        ET_DYN if interpreter.is_some() && soname.is_none() => Kind::Executable,
        ET_DYN => Kind::Shared,
        // The position of the type in the header.
        other => return Err(Fault::Invalid(format!("type {other} is unknown")).at(0x10)),
    };
    let directories = |tag| -> Result<Vec<String>, Malformed> {
        let list = dynamic.string(tag)?;
        Ok(list.iter().flat_map(|list| list.split(':')).map(str::to_owned).collect())
    };
    let runpath = directories(DT_RUNPATH)?;
    let mut versions_needed: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for version in versions.needed {
        versions_needed.entry(version.file).or_default().push(version.name);
    }
    let defined = versions.defined.into_iter().filter(|version| !version.base);
    Ok(Summary {
        kind,
        machine: machine(&image),
        machine_is_x86_64: image.is_native(),
        needed: dynamic.strings(DT_NEEDED)?,
        rpath: if runpath.is_empty() { directories(DT_RPATH)? } else { Vec::new() },
        runpath,
        shim: shim(&image)?,
        bind_now: dynamic.value(DT_BIND_NOW).is_some()
            || flags(DT_FLAGS) & DF_BIND_NOW != 0
            || flags(DT_FLAGS_1) & DF_1_NOW != 0,
        has_code: image.segments.iter().any(|s| s.p_type == PT_LOAD && s.p_flags & PF_X != 0),
        fatbin: section(&image, ".hip_fatbin")?,
        split: split(&image)?,
        versions_defined: defined.map(|version| version.name).collect(),
        versions_needed,
        soname,
        interpreter,
    })
}

fn machine(image: &Image<'_>) -> String {
    let name = machine_to_str(image.header.e_machine);
    let bits = if image.header.e_ident[EI_CLASS] == ELFCLASS64 { 64 } else { 32 };
    let order = if image.header.e_ident[EI_DATA] == ELFDATA2LSB { "little" } else { "big" };
    format!("{name}, {bits}-bit, {order}-endian")
}

fn interpreter(image: &Image<'_>) -> Result<Option<String>, Malformed> {
    let Some(segment) = image.segments.iter().find(|segment| segment.p_type == PT_INTERP) else {
        return Ok(None);
    };
    let (offset, size) = (segment.p_offset, segment.p_filesz);
    if size > MOST_INTERPRETER {
        return Err(Fault::Excessive { what: "bytes of a loader's name", count: size }.at(offset));
    }
    let bytes = image.read(offset, size, "the bytes of the loader's name")?;
    let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(Some(String::from_utf8_lossy(name).into_owned()))
}

fn shim(image: &Image<'_>) -> Result<Option<String>, Malformed> {
    let is_notes = |s: &&ProgramHeader| s.p_type == PT_NOTE && s.p_filesz <= MOST_NOTES;
    for segment in image.segments.iter().filter(is_notes) {
        let data = image.read(segment.p_offset, segment.p_filesz, "the notes")?;
        let alignment = if segment.p_align == 8 { 8 } else { 4 };
        let ctx = (alignment, context());
        let mut notes = NoteDataIterator { data: &data, size: data.len(), offset: 0, ctx };
        // Notes that goblin cannot parse are not the shim's.
        let ours =
            notes.find_map(|note| note.ok().filter(|note| (note.name, note.n_type) == SHIM_NOTE));
        if let Some(note) = ours {
            let version = note.desc.split(|byte| *byte == 0).next().unwrap_or_default();
            return Ok(Some(String::from_utf8_lossy(version).into_owned()));
        }
    }
    Ok(None)
}

/// The file range of a section with contents.
fn section(image: &Image<'_>, wanted: &str) -> Result<Vec<Range<u64>>, Malformed> {
    if !image.is_native() {
        return Ok(Vec::new());
    }
    let wanted = [wanted.as_bytes(), &[0]].concat();
    let sections = image.sections()?;
    let Some(names) = sections.get(usize::from(image.header.e_shstrndx)) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    // A split library's `.hip_fatbin` is SHT_NOBITS: it keeps its size but has no bytes.
    for section in sections.iter().filter(|section| section.sh_type != SHT_NOBITS) {
        let name = section.sh_name as u64;
        let length = wanted.len() as u64;
        if name >= names.sh_size || names.sh_size - name < length {
            continue;
        }
        let offset = names.sh_offset.saturating_add(name);
        if image.read(offset, length, "the names of sections")? == wanted {
            let range = section.sh_offset..section.sh_offset.saturating_add(section.sh_size);
            image.check(range.start, section.sh_size, "the bytes of GPU code")?;
            found.push(range);
        }
    }
    Ok(found)
}

/// The marker of a library whose GPU code was split off. Records that are not of a split library, and a
/// marker without records, are rejected, as the runtime does.
fn split(image: &Image<'_>) -> Result<Option<Reference>, Malformed> {
    let Some(marker) = section(image, kpack::REFERENCE_SECTION)?.into_iter().next() else {
        return Ok(None);
    };
    let invalid = |e: offload::Malformed| Fault::Invalid(e.what.into_owned()).at(e.offset);
    // One byte over the limit is as good as all of them.
    let length = (marker.end - marker.start).min(kpack::MOST_REFERENCE as u64 + 1);
    let bytes = image.read(marker.start, length, "the bytes of the marker")?;
    let reference = Reference::parse(&bytes, marker.start).map_err(invalid)?;
    for records in section(image, kpack::SEGMENT_SECTION)? {
        let bytes = image.read(records.start, records.end - records.start, "the records")?;
        let segments = kpack_segments(&bytes, records.start).map_err(invalid)?;
        if segments.contains(&Segment::Whole) {
            let what = "a split library has records of GPU code that is not split".to_owned();
            return Err(Fault::Invalid(what).at(records.start));
        }
    }
    Ok(Some(reference))
}

#[cfg(test)]
mod tests;
