//! The relevant libraries of a ROCm tree: their files, the names that point to them, and their contents. A
//! name only locates a library; its ELF headers identify it.

use super::{owner::Owner, split::Split};
use crate::{elf, root::Root};
use anyhow::{Context, Result};
use offload::{Malformed, Target, Targets};
use rocblas_contract::libraries;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs::File,
    io,
    ops::Range,
    path::{Path, PathBuf},
};

/// The target of code that the runtime compiles for the actual device: SPIR-V.
pub const PORTABLE: &str = "amdgcnspirv";

/// Which of ROCm's libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `librocblas`.
    Rocblas,
    /// `libhipblas`.
    Hipblas,
    /// `libhipblaslt`.
    Hipblaslt,
    /// `librocsolver`.
    Rocsolver,
    /// `libamdhip64`, the HIP runtime.
    Hip,
    /// A program or other library, which may have GPU code.
    Other,
}

/// A library file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Library {
    /// The kind according to its name.
    pub kind: Kind,
    /// Where the file is, resolved, inside the root.
    #[serde(serialize_with = "crate::output::json::path")]
    pub path: PathBuf,
    /// The symlinks in the library directory that point to it.
    pub links: Vec<Link>,
    /// In bytes.
    pub size: u64,
    /// Its SONAME.
    pub soname: Option<String>,
    /// The version in its file name ("5.0.70002"), or else in its SONAME.
    pub version: Option<String>,
    /// The shim's version, if it is one.
    pub shim: Option<String>,
    /// The GPUs to whose kernels `slim` reduced it; empty if it is whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slim: Vec<String>,
    /// The libraries that it needs, in order.
    pub needed: Vec<String>,
    /// How many of its bundles, one per translation unit, have code for each GPU target.
    pub targets: BTreeMap<String, usize>,
    /// Its archives, if its code was split from it.
    pub split: Option<Split>,
    /// The package that installed it.
    pub owner: Option<Owner>,
    /// Why the file, or a part of it, could not be read.
    pub problem: Option<String>,
    /// Where the GPU code is in the file.
    #[serde(skip)]
    pub fatbin: Vec<Range<u64>>,
}

/// A symlink to a library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Where it is, inside the root.
    #[serde(serialize_with = "crate::output::json::path")]
    pub path: PathBuf,
    /// Its target as written.
    #[serde(serialize_with = "crate::output::json::path")]
    pub target: PathBuf,
    /// The package that installed it.
    pub owner: Option<Owner>,
}

/// A library's name that does not resolve to a library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Where it is, inside the root.
    #[serde(serialize_with = "crate::output::json::path")]
    pub path: PathBuf,
    /// Its target, if it is a symlink.
    #[serde(serialize_with = "crate::output::json::optional_path")]
    pub target: Option<PathBuf>,
    /// Why there is no library.
    pub problem: String,
}

/// The contents of a library directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Libraries {
    /// By kind and path.
    pub files: Vec<Library>,
    /// By path.
    pub broken: Vec<Broken>,
}

impl Kind {
    /// The library to which a file name belongs, in any version.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let kinds = [
            (libraries::ROCBLAS, Self::Rocblas),
            (libraries::HIPBLAS, Self::Hipblas),
            (libraries::HIPBLASLT, Self::Hipblaslt),
            (libraries::ROCSOLVER, Self::Rocsolver),
            (libraries::HIP, Self::Hip),
        ];
        let of = |(library, _): &(&str, Self)| libraries::version_of(name, library).is_some();
        kinds.into_iter().find(of).map(|(_, kind)| kind)
    }
}

impl Libraries {
    /// The file that a name in the library directory points to.
    #[must_use]
    pub fn behind(&self, path: &Path) -> Option<&Library> {
        let is = |file: &&Library| file.path == path || file.links.iter().any(|l| l.path == path);
        self.files.iter().find(is)
    }
}

/// The libraries of a directory. An unreadable file is part of the result, with the reason.
pub fn of(root: &Root, lib: &Path) -> Result<Libraries> {
    let names = root.names(lib).with_context(|| format!("cannot read {}", lib.display()))?;
    let mut files: BTreeMap<(Kind, PathBuf), Library> = BTreeMap::new();
    let mut broken = Vec::new();
    for (name, kind) in names.iter().filter_map(|name| Some((name, Kind::of(name.to_str()?)?))) {
        let path = lib.join(name);
        // An unreadable entry is not a symlink.
        let target = root.read_link(&path).ok();
        let place = root.resolve(&path).and_then(|place| Ok((root.open(&place)?, place)));
        match place {
            Err(e) => broken.push(Broken { path, target, problem: e.to_string() }),
            Ok((file, place)) => {
                let library = files
                    .entry((kind, place))
                    .or_insert_with_key(|(kind, place)| library(root, *kind, place, &file));
                library.links.extend(target.map(|target| Link { path, target, owner: None }));
            }
        }
    }
    Ok(Libraries { files: files.into_values().collect(), broken })
}

/// A library at a path, of the kind that its name denotes; with another name it is taken for a rocBLAS.
/// Symlinks to it are not collected.
pub fn read(root: &Root, path: &Path) -> io::Result<Library> {
    let name = path.file_name().and_then(|name| name.to_str());
    read_as(root, name.and_then(Kind::of).unwrap_or(Kind::Rocblas), path)
}

/// Like [`read`], with a known kind.
pub(super) fn read_as(root: &Root, kind: Kind, path: &Path) -> io::Result<Library> {
    let place = root.resolve(path)?;
    Ok(library(root, kind, &place, &root.open(&place)?))
}

/// Whether a device runs code with this label in a library.
#[must_use]
pub fn runs(device: &Target, label: &str) -> bool {
    match Target::parse(label) {
        Some(code) => device.runs(&code),
        None => label == PORTABLE,
    }
}

/// How many bundles of a library have code for each GPU target. The error is the first problem, with its
/// offset.
pub fn targets_of(file: &File) -> Result<BTreeMap<String, usize>> {
    let Targets { counts, problems } = targets_in(file, &distinct(elf::summary(file)?.fatbin));
    match problems.into_iter().next() {
        None => Ok(counts),
        Some(malformed) => Err(malformed.into()),
    }
}

/// The GPUs to whose kernels `slim` reduced a file; none if it is whole or cannot be read.
#[must_use]
pub fn slim_gpus(file: &File) -> Vec<String> {
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    offload::slim::note(file, size).ok().flatten().map(|note| note.gpus).unwrap_or_default()
}

/// Ranges without overlaps: sections may all claim the same bytes.
fn distinct(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut end = 0;
    ranges.retain(|range| {
        let is_beyond = range.start >= end;
        end = end.max(range.end);
        is_beyond
    });
    ranges
}

/// The targets in all of a library's sections of GPU code.
fn targets_in(file: &File, fatbin: &[Range<u64>]) -> Targets {
    let mut all = Targets::default();
    for Targets { counts, problems } in fatbin.iter().map(|r| offload::targets(file, r.clone())) {
        for (target, count) in counts {
            *all.counts.entry(target).or_default() += count;
        }
        all.problems.extend(problems);
    }
    all
}

/// Problems as a clause: the first, and the number of others.
pub(super) fn in_short(problems: &[Malformed]) -> Option<String> {
    let (first, others) = problems.split_first()?;
    Some(match others.len() {
        0 => first.to_string(),
        more => format!("{first}, and {more} more such place{}", if more == 1 { "" } else { "s" }),
    })
}

fn library(root: &Root, kind: Kind, path: &Path, file: &File) -> Library {
    let mut library = Library {
        kind,
        path: path.to_owned(),
        links: Vec::new(),
        size: file.metadata().map_or(0, |metadata| metadata.len()),
        soname: None,
        version: None,
        shim: None,
        slim: slim_gpus(file),
        needed: Vec::new(),
        targets: BTreeMap::new(),
        split: None,
        owner: None,
        problem: None,
        fatbin: Vec::new(),
    };
    match elf::summary(file) {
        Err(e) => library.problem = Some(e.to_string()),
        Ok(summary) => {
            let name = path.file_name().and_then(|name| name.to_str());
            // The shim's file name only has to sort last for ldconfig.
            library.version = summary
                .shim
                .is_none()
                .then(|| name.and_then(version).or_else(|| version(summary.soname.as_deref()?)))
                .flatten();
            library.soname = summary.soname;
            library.shim = summary.shim;
            library.needed = summary.needed;
            library.fatbin = distinct(summary.fatbin);
            if let Some(reference) = summary.split {
                let lib = path.parent().unwrap_or(Path::new("/"));
                let split = Split::of(root, lib, reference);
                library.targets = split.counts();
                library.problem = split.problems().into_iter().next();
                library.split = Some(split);
            } else if summary.machine_is_x86_64 {
                let Targets { counts, problems } = targets_in(file, &library.fatbin);
                library.targets = counts;
                library.problem = in_short(&problems);
            } else {
                library.problem = Some(format!("it is for another machine: {}", summary.machine));
            }
        }
    }
    library
}

/// The numbers after `.so.`; `None` where there is anything else.
fn version(name: &str) -> Option<String> {
    let (_, version) = name.split_once(".so.")?;
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    version.split('.').all(is_number).then(|| version.to_owned())
}

#[cfg(test)]
mod tests;
