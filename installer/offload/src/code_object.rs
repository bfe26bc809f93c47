//! A code object: an ELF file whose header names its processor, and whose dynamic symbols name its kernels.
//!
//! The numbers are from LLVM's user guide for AMDGPU: machine 224; in the flags, the processor (bits 0-7),
//! XNACK (bits 8-9) and SRAMECC (bits 10-11). For the two features, 2 is off, 3 is on, and lower values mean
//! that the code works with either. A kernel `name` has a descriptor, the object `name.kd`.

use crate::{
    Malformed, ReadAt, Target, number,
    read_at::{Window, fill},
};
use std::{io::Read, ops::Range};

/// The magic number of ELF files.
pub(crate) const MAGIC: &[u8; 4] = b"\x7fELF";

const AMDGPU: u64 = 224;
const HEADER: usize = 64;
const SECTION: usize = 64;
const SYMBOL: usize = 24;
const SHT_STRTAB: u64 = 3;
const SHT_DYNSYM: u64 = 11;

/// The limit, in bytes, for each table read (symbols and their names) and for the total length of the names.
/// Real code objects use at most a hundredth of that.
const LONGEST_SECTION: u64 = 64 << 20;

/// Processors by their number in the flags.
const PROCESSORS: &[(u64, &str)] = &[
    (0x2a, "gfx803"),
    (0x2c, "gfx900"),
    (0x2d, "gfx902"),
    (0x2e, "gfx904"),
    (0x2f, "gfx906"),
    (0x30, "gfx908"),
    (0x31, "gfx909"),
    (0x32, "gfx90c"),
    (0x33, "gfx1010"),
    (0x34, "gfx1011"),
    (0x35, "gfx1012"),
    (0x36, "gfx1030"),
    (0x37, "gfx1031"),
    (0x38, "gfx1032"),
    (0x39, "gfx1033"),
    (0x3d, "gfx1035"),
    (0x3e, "gfx1034"),
    (0x3f, "gfx90a"),
    (0x40, "gfx940"),
    (0x41, "gfx1100"),
    (0x42, "gfx1013"),
    (0x43, "gfx1150"),
    (0x44, "gfx1103"),
    (0x45, "gfx1036"),
    (0x46, "gfx1101"),
    (0x47, "gfx1102"),
    (0x48, "gfx1200"),
    (0x49, "gfx1250"),
    (0x4a, "gfx1151"),
    (0x4b, "gfx941"),
    (0x4c, "gfx942"),
    (0x4e, "gfx1201"),
    (0x4f, "gfx950"),
    (0x50, "gfx1310"),
    (0x51, "gfx9-generic"),
    (0x52, "gfx10-1-generic"),
    (0x53, "gfx10-3-generic"),
    (0x54, "gfx11-generic"),
    (0x55, "gfx1152"),
    (0x58, "gfx1153"),
    (0x59, "gfx12-generic"),
    (0x5a, "gfx1251"),
    (0x5b, "gfx12-5-generic"),
    (0x5c, "gfx1172"),
    (0x5d, "gfx1170"),
    (0x5e, "gfx1171"),
    (0x5f, "gfx9-4-generic"),
];

/// The header of a 64-bit little-endian ELF file for AMD's processors.
fn header<R: ReadAt + ?Sized>(reader: &R, range: Range<u64>) -> Result<[u8; HEADER], Malformed> {
    let start = range.start;
    let mut header = [0; HEADER];
    let read = fill(&mut Window::new(reader, range), &mut header)
        .map_err(|e| Malformed::reading(start, "the header of a code object", &e))?;
    if read < HEADER {
        return Err(Malformed::new(start, "the header of a code object is cut off"));
    }
    let ident = [b'\x7f', b'E', b'L', b'F', 2, 1];
    if !header.starts_with(&ident) || number::<2>(&header, 18) != Some(AMDGPU) {
        return Err(Malformed::new(start, "no ELF file for AMD's processors"));
    }
    Ok(header)
}

/// The target of a code object in memory; `None` if its processor is unknown.
pub(crate) fn target(image: &[u8]) -> Result<Option<Target>, Malformed> {
    let header = header(image, 0..image.len() as u64)?;
    let flags = number::<4>(&header, 48).unwrap_or_default();
    let Some((_, processor)) = PROCESSORS.iter().find(|&&(number, _)| number == flags & 0xff)
    else {
        return Ok(None);
    };
    let feature = |name: &str, bits: u64| match bits & 3 {
        2 => format!(":{name}-"),
        3 => format!(":{name}+"),
        _ => String::new(),
    };
    let (sramecc, xnack) = (feature("sramecc", flags >> 10), feature("xnack", flags >> 8));
    Ok(Target::parse(&format!("{processor}{sramecc}{xnack}")))
}

/// The names of the kernels of the code object in a range of a reader.
pub(crate) fn kernels<R: ReadAt + ?Sized>(
    reader: &R,
    range: Range<u64>,
) -> Result<Vec<String>, Malformed> {
    let image = Image { reader, range };
    let sections = image.sections()?;
    let malformed = |what: &'static str| Malformed::new(image.range.start, what);
    let symbols = sections.iter().find(|section| section.kind == SHT_DYNSYM);
    let symbols = symbols.ok_or_else(|| malformed("a code object has no dynamic symbols"))?;
    let names = usize::try_from(symbols.link).ok().and_then(|link| sections.get(link));
    let names = names.filter(|section| section.kind == SHT_STRTAB);
    let names = names.ok_or_else(|| malformed("a code object's symbols have no names"))?;
    let symbols = image.content(symbols)?;
    let names = image.content(names)?;
    let mut kernels = Vec::new();
    let mut left = LONGEST_SECTION as usize;
    for symbol in symbols.chunks_exact(SYMBOL) {
        let field = |at| number::<4>(symbol, at).unwrap_or_default() as usize;
        let name = names.get(field(0)..).unwrap_or_default();
        let name = &name[..name.len().min(left)];
        let Some(length) = name.iter().position(|&byte| byte == 0) else {
            return Err(malformed("the names of a code object's symbols go beyond their section"));
        };
        left -= length;
        let defined = number::<2>(symbol, 6) != Some(0);
        if let Some(kernel) = name[..length].strip_suffix(b".kd").filter(|_| defined) {
            let text = str::from_utf8(kernel).ok().filter(|text| !text.contains(char::is_control));
            let text = text.ok_or_else(|| malformed("the name of a kernel is no text"))?;
            kernels.push(text.to_owned());
        }
    }
    Ok(kernels)
}

struct Image<'a, R: ?Sized> {
    reader: &'a R,
    range: Range<u64>,
}

/// The relevant fields of a section header. Offsets count from the start of the image.
struct Section {
    kind: u64,
    offset: u64,
    size: u64,
    link: u64,
}

impl<R: ReadAt + ?Sized> Image<'_, R> {
    fn sections(&self) -> Result<Vec<Section>, Malformed> {
        let header = header(self.reader, self.range.clone())?;
        let offset = number::<8>(&header, 40).unwrap_or_default();
        let entry = number::<2>(&header, 58).unwrap_or_default();
        let count = number::<2>(&header, 60).unwrap_or_default();
        if entry != SECTION as u64 {
            return Err(Malformed::new(self.range.start, "a code object has no section headers"));
        }
        let table = Section { kind: 0, offset, size: count * SECTION as u64, link: 0 };
        let table = self.content(&table)?;
        let sections = table.chunks_exact(SECTION).map(|section| {
            let long = |at| number::<8>(section, at).unwrap_or_default();
            let word = |at| number::<4>(section, at).unwrap_or_default();
            Section { kind: word(4), offset: long(24), size: long(32), link: word(40) }
        });
        Ok(sections.collect())
    }

    /// The bytes of a section.
    fn content(&self, section: &Section) -> Result<Vec<u8>, Malformed> {
        let Range { start, end } = self.range;
        let malformed = |what: &'static str| Malformed::new(start, what);
        if section.size > LONGEST_SECTION {
            return Err(malformed("a section of a code object is longer than 64 MiB"));
        }
        let from = start.checked_add(section.offset);
        let range = from.and_then(|from| Some(from..from.checked_add(section.size)?));
        let range = range.filter(|range| range.end <= end);
        let range =
            range.ok_or_else(|| malformed("a section of a code object lies outside of it"))?;
        let from = range.start;
        let mut bytes = Vec::new();
        Window::new(self.reader, range)
            .read_to_end(&mut bytes)
            .map_err(|e| Malformed::reading(from, "a section of a code object", &e))?;
        if (bytes.len() as u64) < section.size {
            return Err(Malformed::new(from, "a section of a code object is cut off"));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Counted, code_object};

    fn read(image: &[u8]) -> Result<Vec<String>, Malformed> {
        kernels(image, 0..image.len() as u64)
    }

    #[test]
    fn kernels_are_the_descriptors_that_are_defined() {
        let symbols = ["trsm_kernel.kd", "trsm_kernel", "_Z4gemmv.kd", "table.kdx", ".kd"];
        let mut image = code_object(0x2f, &symbols);
        let expected = ["trsm_kernel", "_Z4gemmv", ""];
        assert_eq!(read(&image).expect("well-formed"), expected);
        image[64 + 24 + 6] = 0; // The first symbol's section.
        assert_eq!(read(&image).expect("well-formed"), expected[1..]);
    }

    #[test]
    fn an_image_may_be_anywhere_in_a_reader() {
        let image = code_object(0x2f, &["solve.kd"]);
        let mut bytes = vec![0xee; 1000];
        bytes.extend(&image);
        bytes.extend([0xee; 1000]);
        let range = 1000..1000 + image.len() as u64;
        assert_eq!(kernels(&bytes[..], range.clone()).expect("well-formed"), ["solve"]);
        assert!(kernels(&bytes[..], range.start..range.end - 1).is_err());
        let error = kernels(&bytes[..], 999..2000).expect_err("no ELF file");
        assert_eq!(error.offset, 999);
    }

    #[test]
    fn a_cut_code_object_is_malformed_wherever_it_is_cut() {
        let image = code_object(0x2f, &["solve.kd"]);
        for length in 0..image.len() {
            assert!(read(&image[..length]).is_err(), "{length} bytes");
            // Likewise if the file ends before the bundle's recorded end.
            assert!(kernels(&image[..length], 0..image.len() as u64).is_err(), "{length} bytes");
        }
        for length in 0..HEADER {
            assert!(target(&image[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn half_of_the_symbols_are_not_taken_for_all() {
        let mut image = code_object(0x2f, &["solve.kd"]);
        let (symbols, offset) = (image[64..64 + 2 * SYMBOL].to_vec(), image.len() as u64);
        let header = image.len() - 2 * SECTION;
        image[header + 24..header + 32].copy_from_slice(&offset.to_le_bytes());
        image.extend(symbols);
        assert_eq!(read(&image).expect("well-formed"), ["solve"]);
        let range = 0..image.len() as u64;
        assert!(kernels(&image[..image.len() - SYMBOL], range).is_err());
    }

    #[test]
    fn a_gigabyte_of_symbols_is_not_read() {
        let mut image = code_object(0x2f, &["solve.kd"]);
        let header = image.len() - 2 * SECTION;
        image[header + 32..header + 40].copy_from_slice(&(1_u64 << 30).to_le_bytes());
        let reader = Counted::new(&image, 2 << 30);
        assert!(kernels(&reader, 0..2 << 30).is_err());
        assert!(reader.read.get() < 10_000, "{} bytes", reader.read.get());
    }

    #[test]
    fn hostile_numbers_are_malformed() {
        let good = code_object(0x2f, &["solve.kd"]);
        let sections = good.len() - 3 * SECTION;
        let (symbols, names) = (sections + SECTION, sections + 2 * SECTION);
        for (what, at, bytes) in [
            ("headers beyond the end", 40, &u64::MAX.to_le_bytes()[..]),
            ("no headers", 58, &[0, 0]),
            ("too many headers", 60, &[0xff, 0xff]),
            ("no symbols", symbols + 4, &[0]),
            ("symbols beyond the end", symbols + 24, &u64::MAX.to_le_bytes()),
            ("more symbols than bytes", symbols + 32, &u64::MAX.to_le_bytes()),
            ("names in no section", symbols + 40, &[9]),
            ("names that are none", names + 4, &[1]),
            ("more names than bytes", names + 32, &u64::MAX.to_le_bytes()),
            ("a name without end", sections - 1, b"d"),
            ("a name beyond the end", 64 + 24, &[0xff; 4]),
            ("a name that is no text", sections - 9, &[0xff]),
            ("a name that commands a terminal", sections - 9, b"\x1b"),
        ] {
            let mut image = good.clone();
            image[at..at + bytes.len()].copy_from_slice(bytes);
            assert!(read(&image).is_err(), "{what}");
        }
        assert!(read(&good).is_ok());
    }

    #[test]
    fn names_used_again_and_again_have_a_limit() {
        // 100 symbols with one name of a megabyte.
        let long = "a".repeat(1 << 20);
        let mut image = code_object(0x2f, &[&[long.as_str()][..], &[""; 99]].concat());
        for symbol in 1..=100 {
            image[64 + symbol * SYMBOL..][..4].copy_from_slice(&1_u32.to_le_bytes());
        }
        assert!(read(&image).is_err());
    }
}
