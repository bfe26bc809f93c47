//! The address ranges of the shim's assembly in the built library.

use crate::artefacts;
use goblin::elf::Elf;
use std::{fmt::Write, fs, ops::Range};

/// The address ranges of the shim's assembly in the file, in ascending order: the stubs, the cold entries and
/// their common code, the thunks, and the code that disables cancellation.
///
/// # Panics
/// When the library has no table of symbols, or lacks one of the kinds.
#[must_use]
pub fn ranges() -> Vec<Range<u64>> {
    // Parts of mangled names of modules and functions in `shim/src/arch`.
    const FUNCTIONS: [&str; 6] =
        ["12cancellation", "5entry5enter", "5thunk5heads", "5thunk6traced", "4cold", "5route"];
    let exports: std::collections::BTreeSet<&str> =
        rocblas_abi::exports().iter().map(|export| export.name).collect();
    let mut found = [0; FUNCTIONS.len() + 1];
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let bytes = fs::read(artefacts::shim()).expect("read the shim");
    let elf = Elf::parse(&bytes).expect("parse the shim");
    for symbol in elf.syms.iter().filter(|symbol| symbol.is_function() && symbol.st_size > 0) {
        let name = elf.strtab.get_at(symbol.st_name).unwrap_or_default();
        let kind = if exports.contains(name) {
            0
        } else if let Some((_, function)) = name.split_once("4arch6x86_64")
            && let Some(kind) = FUNCTIONS.iter().position(|start| function.starts_with(start))
        {
            kind + 1
        } else {
            continue;
        };
        found[kind] += 1;
        ranges.push(symbol.st_value..symbol.st_value + symbol.st_size);
    }
    assert!(found.iter().all(|count| *count > 0), "{found:?}");
    ranges.sort_by_key(|range| range.start);
    // Merges ranges that are adjacent except for padding.
    ranges.dedup_by(|next, range| {
        let adjoins = next.start.saturating_sub(range.end) < 16;
        if adjoins {
            range.end = next.end;
        }
        adjoins
    });
    ranges
}

/// The same for a client that steps through it (`tests/clients/stepping.h`).
#[must_use]
pub fn variable() -> (&'static str, String) {
    let mut text = String::new();
    for range in ranges() {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{:x}-{:x}", range.start, range.end);
    }
    ("ASSEMBLY", text)
}
