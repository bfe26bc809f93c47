//! Version nodes: which ones a library defines, and which ones it needs from which file.
//!
//! The records are chains of relative offsets (`<elf.h>`, `Elf64_Verdef` and so on; "ELF Symbol Versioning"
//! by Ulrich Drepper) without a total size, so they are read one at a time.

use super::{
    dynamic::{Dynamic, Strings},
    image::Image,
    malformed::{Fault, Malformed},
};
use goblin::elf::{
    dynamic::{DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM},
    symver::{VER_FLG_BASE, VER_FLG_WEAK},
};
use serde::Serialize;

/// A symbol identifies its version by 15 bits.
const MOST_VERSIONS: usize = 1 << 15;

/// A version node that a file needs from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NeededVersion {
    /// The file that must define it, by its SONAME.
    pub file: String,
    /// The node.
    pub name: String,
    /// Whether the loader accepts the file without it.
    pub weak: bool,
    /// The index by which symbols name it, without the hidden bit.
    #[serde(skip)]
    pub(super) index: u16,
}

/// A version node that a file defines.
#[derive(Clone, Debug)]
pub(super) struct DefinedVersion {
    pub(super) name: String,
    pub(super) index: u16,
    /// Names the file itself; not a version that a symbol can be requested with.
    pub(super) base: bool,
}

/// Both kinds.
#[derive(Debug, Default)]
pub(super) struct Versions {
    pub(super) defined: Vec<DefinedVersion>,
    pub(super) needed: Vec<NeededVersion>,
}

impl Versions {
    pub(super) fn read(image: &Image<'_>, dynamic: &Dynamic) -> Result<Self, Malformed> {
        Ok(Self { defined: defined(image, dynamic)?, needed: needed(image, dynamic)? })
    }
}

/// `Elf64_Verdef`: version, flags, index, count (16 bits each), hash, first name, next (32 each).
fn defined(image: &Image<'_>, dynamic: &Dynamic) -> Result<Vec<DefinedVersion>, Malformed> {
    let mut all = Vec::new();
    let Some(address) = dynamic.value(DT_VERDEF) else {
        return Ok(all);
    };
    let count = dynamic.value(DT_VERDEFNUM).unwrap_or(0);
    let mut chain = Chain::new(image, address)?;
    for _ in 0..count {
        let record: [u8; 20] = chain.record()?;
        // Further names of a record are those of its predecessors.
        let name: [u8; 8] = chain.branch(long(&record, 12))?.record()?;
        all.push(DefinedVersion {
            name: chain.string(&dynamic.strings, long(&name, 0))?,
            index: short(&record, 4) & INDEX,
            base: short(&record, 2) & VER_FLG_BASE != 0,
        });
        chain.check(all.len())?;
        if !chain.advance(long(&record, 16)) {
            break;
        }
    }
    Ok(all)
}

/// `Elf64_Verneed`: version, count (16 bits each), file, first node, next (32 each), and
/// `Elf64_Vernaux`: hash (32), flags, index (16 each), name, next (32 each).
fn needed(image: &Image<'_>, dynamic: &Dynamic) -> Result<Vec<NeededVersion>, Malformed> {
    let mut all = Vec::new();
    let Some(address) = dynamic.value(DT_VERNEED) else {
        return Ok(all);
    };
    let count = dynamic.value(DT_VERNEEDNUM).unwrap_or(0).min(MOST_VERSIONS as u64);
    let mut chain = Chain::new(image, address)?;
    for _ in 0..count {
        let record: [u8; 16] = chain.record()?;
        let file = chain.string(&dynamic.strings, long(&record, 4))?;
        let mut nodes = chain.branch(long(&record, 8))?;
        for _ in 0..short(&record, 2) {
            let node: [u8; 16] = nodes.record()?;
            all.push(NeededVersion {
                file: file.clone(),
                name: nodes.string(&dynamic.strings, long(&node, 8))?,
                weak: short(&node, 4) & VER_FLG_WEAK != 0,
                index: short(&node, 6) & INDEX,
            });
            nodes.check(all.len())?;
            if !nodes.advance(long(&node, 12)) {
                break;
            }
        }
        if !chain.advance(long(&record, 12)) {
            break;
        }
    }
    Ok(all)
}

/// A symbol's version without the hidden bit.
pub(super) const INDEX: u16 = 0x7fff;

/// Records that each contain the offset of the next.
struct Chain<'a> {
    image: &'a Image<'a>,
    offset: u64,
}

const RECORDS: &str = "the version records";

impl<'a> Chain<'a> {
    fn new(image: &'a Image<'a>, address: u64) -> Result<Self, Malformed> {
        let (offset, _) = image.locate(address, RECORDS)?;
        Ok(Self { image, offset })
    }

    fn record<const N: usize>(&self) -> Result<[u8; N], Malformed> {
        self.image.array(self.offset, RECORDS)
    }

    /// Moves to the next record; zero ends the chain.
    fn advance(&mut self, distance: u32) -> bool {
        self.offset = self.offset.saturating_add(distance.into());
        distance != 0
    }

    /// A chain that starts at that distance from this record.
    fn branch(&self, distance: u32) -> Result<Self, Malformed> {
        let offset = self.offset.saturating_add(distance.into());
        Ok(Self { image: self.image, offset })
    }

    fn string(&self, strings: &Strings, at: u32) -> Result<String, Malformed> {
        strings.get(at.into())
    }

    fn check(&self, count: usize) -> Result<(), Malformed> {
        if count > MOST_VERSIONS {
            return Err(Fault::Excessive { what: "versions", count: count as u64 }.at(self.offset));
        }
        Ok(())
    }
}

fn short<const N: usize>(record: &[u8; N], at: usize) -> u16 {
    u16::from_le_bytes([record[at], record[at + 1]])
}

fn long<const N: usize>(record: &[u8; N], at: usize) -> u32 {
    u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
}
