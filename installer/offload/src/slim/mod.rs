//! Rewrites a library or program so that it contains only the kernels that chosen GPUs run. All other
//! contents keep their addresses.
//!
//! | file | what it does |
//! |---|---|
//! | `elf.rs` | reads headers and tables of the whole file |
//! | `records.rs` | finds the pointers to bundles |
//! | `bundle.rs`, `compress.rs` | write a bundle with fewer code objects |
//! | `layout.rs` | plans the headers of the reduced file |
//! | `note.rs` | the note that records the reduction |
//! | `symbols.rs` | symbols that point to bundles |
//!
//! Bundles are found through the records that the HIP runtime uses. A bundle without a record would be lost,
//! and a pointer to a bundle from outside the records would become wrong, so files with either are refused.

mod bundle;
mod compress;
mod copy;
mod elf;
mod error;
mod layout;
mod note;
mod records;
mod symbols;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use note::{Note, note};

use crate::{Bundle, Entry, ReadAt, Target, bundles};
use elf::{Elf, LE};
use error::layout as unsupported;
use layout::Layout;
use object::pod;
use records::{FATBIN_SECTION, Pointer};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Seek, SeekFrom, Write},
};

/// The sizes of something in the whole file and in the reduced one, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Size {
    /// In the whole file.
    pub before: u64,
    /// In the reduced file.
    pub after: u64,
}

/// In which form bundles are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Each in its original form, compressed or not.
    AsBefore,
    /// All compressed. Those that were plain are compressed with zstd and get a version 2 header, which needs
    /// a HIP runtime built with LLVM 19 or later.
    Compressed,
}

/// The result of [`slim`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slimmed {
    /// Whether a reduced file was written. If not, the file contains nothing that could be left out, and the
    /// output is invalid.
    pub changed: bool,
    /// The file's size.
    pub size: Size,
    /// The sizes of all code objects of each target, decompressed.
    pub targets: BTreeMap<String, Size>,
}

/// Writes a copy of a file of `size` bytes without the code objects that none of the GPUs in `note` run. A
/// GPU named without features means all devices with that name. `output` must be empty.
///
/// # Errors
/// If the file has no kernels for one of the GPUs, has already been reduced for others or in another form, or
/// has a layout that no known linker produces, or if reading or writing fails. The output is then invalid.
pub fn slim<R: ReadAt + ?Sized>(
    reader: &R,
    size: u64,
    note: &Note,
    form: Form,
    output: &mut (impl Write + Seek),
) -> Result<Slimmed, Error> {
    let elf = Elf::open(reader, size)?;
    let target = |gpu: &String| {
        let none = || Error::NotServed { gpu: gpu.clone(), available: Vec::new() };
        Target::parse(gpu).ok_or_else(none)
    };
    let wanted: Vec<Target> = note.gpus.iter().map(target).collect::<Result<_, _>>()?;
    let fatbin = Fatbin::read(&elf)?;
    let mut slimmed = Slimmed {
        changed: false,
        size: Size { before: size, after: size },
        targets: sizes(&fatbin.bundles, &wanted),
    };
    let has_new = fatbin.bundles.iter().any(|bundle| bundle::is_new(bundle, form));
    if let Some(earlier) = note::find(&elf)? {
        let is_kept = |gpu| earlier.gpus.contains(gpu);
        let is_same = note.gpus.iter().all(is_kept) && earlier.gpus.len() == note.gpus.len();
        return match is_same {
            false => Err(Error::AlreadySlim { kept: earlier.gpus }),
            true if has_new => Err(Error::NotCompressed),
            true => Ok(slimmed),
        };
    }
    fatbin.check_served(&note.gpus, &wanted)?;
    if !has_new && fatbin.entries().all(|entry| bundle::stays(entry, &wanted)) {
        return Ok(slimmed);
    }
    let start = elf.sections[fatbin.number].sh_offset.get(LE);
    let (moved, packed) = write_bundles(&elf, &fatbin, (&wanted, form), start, output)?;
    let note = note.encode();
    let Some(layout) = Layout::new(&elf, fatbin.number, packed, note.len() as u64)? else {
        slimmed.targets.values_mut().for_each(|size| size.after = size.before);
        return Ok(slimmed);
    };
    write_others(&elf, &layout, start, &note, output)?;
    for pointer in &fatbin.pointers {
        let address = moved[&pointer.bundle];
        for &word in &pointer.words {
            write_at(output, layout.offset(word)?, &address.to_le_bytes())?;
        }
    }
    for (word, address) in symbols::values(&elf, fatbin.number, &moved)? {
        write_at(output, layout.offset(word)?, &address.to_le_bytes())?;
    }
    slimmed.changed = true;
    slimmed.size.after = output.seek(SeekFrom::End(0)).map_err(Error::Write)?;
    Ok(slimmed)
}

/// More code objects than any library has; rocSOLVER has 3,525. Compressed tables take little room in a file
/// but can take much memory once they are read.
const MOST_ENTRIES: usize = 1 << 20;

/// The section of bundles.
struct Fatbin {
    /// The section's number.
    number: usize,
    /// Its address.
    address: u64,
    /// Its offset in the file.
    offset: u64,
    bundles: Vec<Bundle>,
    pointers: Vec<Pointer>,
}

impl Fatbin {
    /// Reads the tables of all bundles and checks that each bundle has a record and each record a bundle.
    fn read<R: ReadAt + ?Sized>(elf: &Elf<'_, R>) -> Result<Self, Error> {
        let found = elf.section(FATBIN_SECTION);
        let (number, section) = match found {
            Some(found) => found,
            // Split libraries have records as well, so the records identify them.
            None => return Err(records::pointers(elf, &(0..0)).err().unwrap_or(Error::NoKernels)),
        };
        if !elf::has_bytes(section) || section.sh_size.get(LE) == 0 {
            return Err(Error::NoKernels);
        }
        let (address, place) = (section.sh_addr.get(LE), elf::range(section));
        let addresses = address..address.saturating_add(place.end - place.start);
        let pointers = records::pointers(elf, &addresses)?;
        let mut found = Vec::new();
        let mut entries = 0;
        for bundle in bundles(elf.reader, place.clone()) {
            let bundle = bundle?;
            entries += bundle.entries.len();
            if found.len() == pointers.len() {
                return Err(unsupported(bundle.offset, "a bundle has no record"));
            }
            if entries > MOST_ENTRIES {
                return Err(unsupported(bundle.offset, "there are too many code objects"));
            }
            found.push(bundle);
        }
        let fatbin = Self { number, address, offset: place.start, bundles: found, pointers };
        let starts: BTreeSet<u64> =
            fatbin.bundles.iter().map(|bundle| fatbin.address_of(bundle)).collect();
        let named: BTreeSet<u64> = fatbin.pointers.iter().map(|pointer| pointer.bundle).collect();
        if let Some(pointer) = fatbin.pointers.iter().find(|p| !starts.contains(&p.bundle)) {
            return Err(unsupported(pointer.words[0], "a pointer points to no bundle's start"));
        }
        let is_named = |bundle: &&Bundle| named.contains(&fatbin.address_of(bundle));
        if let Some(bundle) = fatbin.bundles.iter().find(|bundle| !is_named(bundle)) {
            return Err(unsupported(bundle.offset, "a bundle has no record"));
        }
        records::check_fixed(elf, &starts, &fatbin.pointers)?;
        Ok(fatbin)
    }

    fn address_of(&self, bundle: &Bundle) -> u64 {
        self.address.wrapping_add(bundle.offset - self.offset)
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.bundles.iter().flat_map(|bundle| &bundle.entries)
    }

    /// Checks that there are kernels for each GPU.
    fn check_served(&self, names: &[String], wanted: &[Target]) -> Result<(), Error> {
        for (name, target) in names.iter().zip(wanted) {
            let runs = |entry: &Entry| {
                let code = entry.target.as_ref();
                entry.size > 0 && code.map_or(entry.runs_on(target), |code| target.may_run(code))
            };
            if !self.entries().any(runs) {
                let available = sizes(&self.bundles, wanted).into_keys().collect();
                return Err(Error::NotServed { gpu: name.clone(), available });
            }
        }
        Ok(())
    }
}

fn sizes(bundles: &[Bundle], wanted: &[Target]) -> BTreeMap<String, Size> {
    let mut sizes: BTreeMap<String, Size> = BTreeMap::new();
    for entry in bundles.iter().flat_map(|bundle| &bundle.entries) {
        if let Some(label) = entry.label() {
            let size = sizes.entry(label).or_default();
            size.before += entry.size;
            size.after += if bundle::stays(entry, wanted) { entry.size } else { 0 };
        }
    }
    sizes
}

/// Writes the bundles one after the other. Returns a map from their old addresses to the new ones, and how
/// many bytes they take in all.
fn write_bundles<R: ReadAt + ?Sized>(
    elf: &Elf<'_, R>,
    fatbin: &Fatbin,
    (wanted, form): (&[Target], Form),
    start: u64,
    output: &mut (impl Write + Seek),
) -> Result<(BTreeMap<u64, u64>, u64), Error> {
    let mut moved = BTreeMap::new();
    let mut packed: u64 = 0;
    for bundle in &fatbin.bundles {
        packed = packed.next_multiple_of(bundle::ALIGNMENT);
        moved.insert(fatbin.address_of(bundle), fatbin.address.wrapping_add(packed));
        output.seek(SeekFrom::Start(start + packed)).map_err(Error::Write)?;
        packed += bundle::write(elf, bundle, wanted, form, output)?;
    }
    Ok((moved, packed))
}

/// Writes everything except the bundles, which begin at `start`.
fn write_others<R: ReadAt + ?Sized>(
    elf: &Elf<'_, R>,
    layout: &Layout,
    start: u64,
    note: &[u8],
    output: &mut (impl Write + Seek),
) -> Result<(), Error> {
    output.rewind().map_err(Error::Write)?;
    copy::copy(elf.reader, 0..start, output)?;
    let rest = layout.offset(layout.rest.start)?;
    output.seek(SeekFrom::Start(rest)).map_err(Error::Write)?;
    copy::copy(elf.reader, layout.rest.clone(), output)?;
    write_at(output, layout.header.e_phoff.get(LE), pod::bytes_of_slice(&layout.segments))?;
    write_at(output, layout.note, note)?;
    write_at(output, layout.names_offset, &layout.names)?;
    write_at(output, layout.header.e_shoff.get(LE), pod::bytes_of_slice(&layout.sections))?;
    write_at(output, 0, pod::bytes_of(&layout.header))
}

fn write_at(output: &mut (impl Write + Seek), offset: u64, bytes: &[u8]) -> Result<(), Error> {
    output.seek(SeekFrom::Start(offset)).map_err(Error::Write)?;
    output.write_all(bytes).map_err(Error::Write)
}
