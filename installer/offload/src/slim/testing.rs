//! Small libraries with bundles, laid out as lld does it, and their contents in memory.

use crate::testing::section;
use rocblas_contract::kpack;

/// How pointers are stored whose values depend on where the library is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Linked {
    Rela,
    Relr,
    /// Without relocations: a program at a fixed address.
    Fixed,
}

/// Offsets in the file. Up to the end of the bundles, offsets and addresses are equal.
const TABLE: usize = 0x400;
const RODATA: usize = 0x800;
pub(super) const FATBIN: usize = 0x1000;

/// How much higher the address of the second segment is than its file offset.
const GAP: usize = 0x1000;

/// A section: name, type, flags, address, offset, length, size of an entry.
type Section = (&'static str, u32, u64, usize, usize, usize, usize);

/// A library with one record for each bundle and a second record for the first bundle.
pub(super) fn library(linked: Linked, bundles: &[Vec<u8>]) -> Vec<u8> {
    let fatbin = section(bundles);
    let mut starts = Vec::new();
    let mut next = FATBIN;
    for bundle in bundles {
        next = next.next_multiple_of(4096);
        starts.push(next);
        next += bundle.len();
    }
    let end = FATBIN + fatbin.len();
    let frames = end.next_multiple_of(16);
    let data = (frames + 100).next_multiple_of(4096);
    let (dynamic, records) = (data + 0x20, data + 0x200);
    let pointers: Vec<(usize, usize)> = (starts.iter().chain(&starts[..1]).enumerate())
        .map(|(number, start)| (records + 24 * number + 8, *start))
        .collect();
    let symbols = records + 24 * pointers.len();

    let mut file = vec![0; symbols];
    file[RODATA..FATBIN].fill(0x11);
    file[FATBIN..end].copy_from_slice(&fatbin);
    file[frames..frames + 100].fill(0x22);
    file[data..data + 0x20].fill(0x33);
    let mut table = Vec::new();
    for &(place, start) in &pointers {
        let words = [u64::from(kpack::MAGIC) | 1 << 32, 0, 0];
        put(&mut file, place - 8, &words);
        if linked != Linked::Rela {
            put(&mut file, place, &[start as u64]);
        }
        table.extend(match linked {
            Linked::Rela => vec![(place + GAP) as u64, 8, start as u64],
            Linked::Relr => vec![(place + GAP) as u64],
            Linked::Fixed => vec![],
        });
    }
    put(&mut file, TABLE, &table);
    let (tag, size) = if linked == Linked::Relr { (36, 35) } else { (7, 8) };
    put(&mut file, dynamic, &[tag, TABLE as u64, size, 8 * table.len() as u64, 0, 0]);
    file.extend([0; 24]);
    for start in &starts {
        file.extend([1, 0, 0, 0, 0, 0, FATBIN_NUMBER, 0]);
        file.extend((*start as u64).to_le_bytes());
        file.extend([0; 8]);
    }
    let names = file.len();
    let sections: [Section; 7] = [
        ("", 0, 0, 0, 0, 0, 0),
        (".rodata", 1, 2, RODATA, RODATA, FATBIN - RODATA, 0),
        (".hip_fatbin", 1, 2, FATBIN, FATBIN, end - FATBIN, 0),
        (".eh_frame", 1, 2, frames, frames, 100, 0),
        (kpack::SEGMENT_SECTION, 1, 3, records + GAP, records, symbols - records, 0),
        (".symtab", 2, 0, 0, symbols, names - symbols, 24),
        (".shstrtab", 3, 0, 0, names, 0, 0),
    ];
    let text: String = sections.iter().map(|section| format!("{}\0", section.0)).collect();
    file.extend(text.bytes());
    file.resize(file.len().next_multiple_of(8), 0);
    let headers = file.len();
    let mut name = 0;
    for (title, kind, flags, address, offset, length, entry) in sections {
        let length = if title == ".shstrtab" { text.len() } else { length };
        file.extend(u64::to_le_bytes(name | u64::from(kind) << 32));
        for number in [flags, address as u64, offset as u64, length as u64, 0, 1, entry as u64] {
            file.extend(number.to_le_bytes());
        }
        name += title.len() as u64 + 1;
    }
    let load = 1;
    let segments = [
        (load, 4, 0, 0, frames + 100, frames + 100),
        (load, 6, data, data + GAP, symbols - data, symbols - data + 0x3000),
        (2, 6, dynamic, dynamic + GAP, 48, 48),
    ];
    let kind = if linked == Linked::Fixed { 2 } else { 3 };
    file[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    put(&mut file, 16, &[kind | 62 << 16 | 1 << 32, 0, 64, headers as u64]);
    // The sizes and counts of the headers.
    put(&mut file, 52, &[64 | 56 << 16 | (segments.len() as u64) << 32 | 64 << 48]);
    put(&mut file, 60, &[7 | 6 << 16]);
    for (number, (kind, flags, offset, address, size, memory)) in segments.into_iter().enumerate() {
        let first = kind | flags << 32;
        let [offset, address, size, memory] =
            [offset, address, size, memory].map(|number| number as u64);
        let words = [first, offset, address, address, size, memory, 4096];
        put(&mut file, 64 + 56 * number, &words);
    }
    file
}

/// The section number of `.hip_fatbin`.
const FATBIN_NUMBER: u8 = 2;

fn put(file: &mut [u8], at: usize, words: &[u64]) {
    for (number, word) in words.iter().enumerate() {
        file[at + 8 * number..][..8].copy_from_slice(&word.to_le_bytes());
    }
}

/// The contents of memory, from address 0 on, after the segments of a file have been loaded.
pub(super) fn memory(file: &[u8]) -> Vec<u8> {
    let word = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().expect("8")) as usize;
    let (start, count) = (word(32), usize::from(file[56]));
    let mut memory = Vec::new();
    for header in (0..count).map(|number| start + 56 * number) {
        if file[header] == 1 {
            let (offset, address, size, total) =
                (word(header + 8), word(header + 16), word(header + 32), word(header + 40));
            assert_eq!(offset % 4096, address % 4096, "a segment that cannot be mapped");
            memory.resize(memory.len().max(address + total), 0);
            memory[address..address + size].copy_from_slice(&file[offset..offset + size]);
        }
    }
    memory
}

/// Where each record's pointer is stored in a loaded library, and the address that it points to.
pub(super) fn pointers(file: &[u8], linked: Linked, count: usize) -> Vec<(usize, usize)> {
    let memory = memory(file);
    let word = |at: usize| u64::from_le_bytes(memory[at..at + 8].try_into().expect("8")) as usize;
    if linked == Linked::Rela {
        return (0..count).map(|n| TABLE + 24 * n).map(|at| (at + 16, word(at + 16))).collect();
    }
    let magic = kpack::MAGIC.to_le_bytes();
    let first = memory.windows(4).position(|bytes| bytes == magic).expect("a record");
    (0..count).map(|n| first + 24 * n + 8).map(|at| (at, word(at))).collect()
}
