//! What it costs to list the GPU targets of a library of a gigabyte. Reading all of it would take a
//! second or more; the figures printed first tell how much is read instead.

use offload::ReadAt;
use std::{cell::Cell, fs::File, io, ops::Range, os::unix::fs::FileExt, sync::LazyLock};

/// As many translation units, and about as many bytes, as rocBLAS 6.4.4 has.
const BUNDLES: u64 = 66;
const CODE: u64 = (1 << 30) / BUNDLES / TARGETS.len() as u64 / PAGE * PAGE;
const PAGE: u64 = 4096;

const TARGETS: [&str; 14] = [
    "gfx900", "gfx906", "gfx908", "gfx90a", "gfx940", "gfx941", "gfx942", "gfx1010", "gfx1012",
    "gfx1030", "gfx1100", "gfx1101", "gfx1102", "gfx1151",
];

/// The table of a bundle, as clang writes it.
fn table() -> Vec<u8> {
    let identifiers = TARGETS.iter().map(|target| format!("hipv4-amdgcn-amd-amdhsa--{target}"));
    let host = "host-x86_64-unknown-linux-gnu-".to_owned();
    let mut bytes = b"__CLANG_OFFLOAD_BUNDLE__".to_vec();
    bytes.extend((1 + TARGETS.len() as u64).to_le_bytes());
    for (index, identifier) in [host].into_iter().chain(identifiers).enumerate() {
        let (offset, size) = match index as u64 {
            0 => (PAGE, 0),
            index => (PAGE + (index - 1) * CODE, CODE),
        };
        for number in [offset, size, identifier.len() as u64] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(identifier.as_bytes());
    }
    bytes
}

/// A file of a gigabyte of bundles, with holes for code.
static FILE: LazyLock<File> = LazyLock::new(|| {
    let file = tempfile::tempfile().expect("make a file");
    let table = table();
    file.set_len(section().end).expect("make it a gigabyte");
    for index in 0..BUNDLES {
        file.write_all_at(&table, index * stride()).expect("write a table");
    }
    file
});

/// From one bundle to the next.
fn stride() -> u64 {
    PAGE + TARGETS.len() as u64 * CODE
}

fn section() -> Range<u64> {
    0..BUNDLES * stride()
}

struct Counted<'a> {
    file: &'a File,
    bytes: Cell<u64>,
    calls: Cell<u64>,
}

impl ReadAt for Counted<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = ReadAt::read_at(self.file, buffer, offset)?;
        self.bytes.set(self.bytes.get() + read as u64);
        self.calls.set(self.calls.get() + 1);
        Ok(read)
    }
}

#[divan::bench]
fn list_targets_of_a_gigabyte() -> usize {
    offload::targets(&*FILE, section()).counts.len()
}

#[expect(clippy::disallowed_macros, reason = "benchmarks print their results")]
fn main() {
    let counted = Counted { file: &FILE, bytes: Cell::new(0), calls: Cell::new(0) };
    let targets = offload::targets(&counted, section()).counts;
    let (bytes, calls) = (counted.bytes.get(), counted.calls.get());
    println!(
        "{} targets in {BUNDLES} bundles of {} bytes: {bytes} bytes read in {calls} calls",
        targets.len(),
        section().end,
    );
    divan::main();
}
