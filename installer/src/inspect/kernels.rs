//! Whether a library has the kernels of a function for a GPU target, according to the kernels' names. A
//! library may have code for a target and still lack what a program needs.
//!
//! Unlike the targets, which are in the bundles' headers, this requires reading the code objects of the
//! requested targets, decompressing them if necessary.

use super::split::Split;
use crate::{progress::Bar, root::Root};
use offload::{Bundle, Entry, Malformed, Target};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    ops::Range,
};

/// The number of kernels, by requested device and function.
pub type Counts = BTreeMap<(Target, String), usize>;

/// Counts the kernels whose names contain one of the functions, ignoring case, among the code that runs on
/// each device. A name counts once in a bundle, which is a translation unit, since a device may run several
/// variants of its code. `what` labels the progress bar. The second result lists parts that could not be
/// read, by offset; the rest is counted anyway.
pub fn count(
    file: &File,
    fatbin: &[Range<u64>],
    devices: &[&Target],
    functions: &[String],
    what: &str,
) -> (Counts, Vec<Malformed>) {
    let length = |range: &Range<u64>| range.end.saturating_sub(range.start);
    let bar = Bar::bytes(what, fatbin.iter().map(length).fold(0, u64::saturating_add));
    let mut counts = Counts::new();
    let mut problems = Vec::new();
    for bundle in fatbin.iter().flat_map(|range| offload::bundles(file, range.clone())) {
        let found = bundle.and_then(|bundle| Ok((bundle.size, names(file, &bundle, devices)?)));
        let (size, names) = match found {
            Ok(found) => found,
            Err(malformed) => {
                problems.push(malformed);
                continue;
            }
        };
        for (names, device) in names.iter().zip(devices) {
            for function in functions {
                let lowercase = function.to_lowercase();
                let having = names.iter().filter(|name| name.contains(&lowercase)).count();
                *counts.entry(((*device).clone(), function.clone())).or_default() += having;
            }
        }
        bar.advance(size);
    }
    (counts, problems)
}

/// Like [`count`], for a split library. A name counts once in an archive's code object. Problems name the
/// archive.
pub(super) fn count_split(
    root: &Root,
    split: &Split,
    devices: &[&Target],
    functions: &[String],
) -> (Counts, Vec<String>) {
    let mut counts = Counts::new();
    let problems = split.kernels(root, devices, |target, kernels| {
        let names: BTreeSet<String> = kernels.iter().map(|name| name.to_lowercase()).collect();
        for device in devices.iter().filter(|device| device.runs(target)) {
            for function in functions {
                let lowercase = function.to_lowercase();
                let having = names.iter().filter(|name| name.contains(&lowercase)).count();
                *counts.entry(((*device).clone(), function.clone())).or_default() += having;
            }
        }
    });
    (counts, problems)
}

/// The kernels in a bundle that run on each device, in lower case, ordered by device.
fn names(
    file: &File,
    bundle: &Bundle,
    devices: &[&Target],
) -> Result<Vec<BTreeSet<String>>, Malformed> {
    let wanted = |entry: &&Entry| devices.iter().any(|device| entry.runs_on(device));
    let mut names = vec![BTreeSet::new(); devices.len()];
    for (entry, kernels) in offload::kernels_of(file, bundle, wanted)? {
        let lowercase: Vec<String> = kernels.iter().map(|name| name.to_lowercase()).collect();
        for (names, device) in names.iter_mut().zip(devices) {
            if entry.runs_on(device) {
                names.extend(lowercase.iter().cloned());
            }
        }
    }
    Ok(names)
}
