//! Removes the GPU code from a library and keeps its host code unchanged.

use goblin::elf::Elf;
use std::{fs, path::Path};

/// The first bytes of a compressed and of a plain offload bundle.
const MAGICS: [&[u8]; 2] = [b"CCOB", b"__CLANG_OFFLOAD_BUNDLE__"];

/// Each translation unit's bundle begins a page.
const PAGE: usize = 4096;

/// A GPU that no test uses.
const TARGET: &[u8] = b"hipv4-amdgcn-amd-amdhsa--gfx1030";

/// A plain bundle with one empty code object for that GPU: shorter than any real one.
fn empty_bundle() -> Vec<u8> {
    let mut bundle = MAGICS[1].to_vec();
    for number in [1, 128, 8, TARGET.len() as u64] {
        bundle.extend(number.to_le_bytes());
    }
    bundle.extend(TARGET);
    bundle.resize(128 + 8, 0);
    bundle
}

/// Copies a library and replaces each of its bundles by an empty one. Returns their number.
///
/// # Panics
/// When the file is not a library with GPU code.
pub fn without_kernels(library: &Path, output: &Path) -> usize {
    let mut bytes = fs::read(library).unwrap_or_else(|e| panic!("{}: {e}", library.display()));
    let section = {
        let elf = Elf::parse(&bytes).unwrap_or_else(|e| panic!("{}: {e}", library.display()));
        let mut sections = elf.section_headers.iter();
        let header = sections.find(|s| elf.shdr_strtab.get_at(s.sh_name) == Some(".hip_fatbin"));
        header.and_then(goblin::elf::SectionHeader::file_range).expect("a section .hip_fatbin")
    };
    let empty = empty_bundle();
    let mut replaced = 0;
    for page in section.step_by(PAGE) {
        if MAGICS.iter().any(|magic| bytes[page..].starts_with(magic)) {
            bytes[page..page + empty.len()].copy_from_slice(&empty);
            replaced += 1;
        }
    }
    fs::write(output, bytes).unwrap_or_else(|e| panic!("{}: {e}", output.display()));
    replaced
}
