//! The libraries that a backend of ROCm 6 needs by names that ROCm 7 does not have:
//! `libamdhip64.so.6` and `libhipblaslt.so.0`.
//!
//! They are provided in the library directory, as symlinks or as libraries without code. Either is found with
//! an empty LD_LIBRARY_PATH, whatever RUNPATH the backend has: the shim, whose own RUNPATH is its directory,
//! loads them by name before it opens the backend, and the loader then knows them by that name. Other
//! libraries that a backend needs get a symlink too if the shim would not find them: in PyTorch's wheels they
//! have names without versions, in AMD's they are in another directory ([`crate::peers`]).

use super::backend::Chosen;
use crate::{
    elf::{self, Stub},
    journal::Compat,
    peers::{Peer, Peers},
    place::Place,
    plan::{Planner, Wanted, relative_target},
    root::Root,
    state::State,
};
use anyhow::{Context, Result, bail};
use rocblas_contract::{
    libraries::{HIP, RENAMED, Renamed, version_of},
    store::COMPAT,
};
use std::path::{Path, PathBuf};

/// Plans them.
pub(super) fn plan(planner: &mut Planner<'_>, backend: &Chosen) -> Result<()> {
    let peers = Peers::of(planner.lib.root(), planner.lib.path());
    for name in &backend.summary.needed {
        match versioned(name) {
            Some((library, _)) => provide(planner, &peers, backend, name, library)?,
            None if provide_plain(planner, name)? => {}
            None => provide_other(planner, &peers, name)?,
        }
    }
    // In the store, the stock library is a backend too, and its search path starts from there.
    for name in peers.needed() {
        provide_other(planner, &peers, name)?;
    }
    Ok(())
}

/// `libamdhip64.so.6` -> (the HIP runtime, 6), of the libraries that ROCm 7 renamed.
fn versioned(name: &str) -> Option<(Renamed, u32)> {
    RENAMED
        .into_iter()
        .find_map(|library| Some((library, version_of(name, library.name)?.parse().ok()?)))
}

/// In PyTorch's wheel, libraries have names without versions, and other libraries need them by these names;
/// the backend needs the SONAME. Returns whether that is the case.
fn provide_plain(planner: &mut Planner<'_>, name: &str) -> Result<bool> {
    let Some((stem, _)) = name.split_once(".so.") else { return Ok(false) };
    let plain = PathBuf::from(format!("{stem}.so"));
    let (Ok(place), Ok(file)) = (Place::new(name.as_ref()), Place::new(&plain)) else {
        return Ok(false);
    };
    let is_free = match planner.now(&place)? {
        State::Absent => true,
        State::Link { target } => target == plain,
        _ => false,
    };
    let is_it = planner.lib.open_file(&file).is_ok_and(|file| {
        elf::summary(&file).is_ok_and(|summary| summary.soname.as_deref() == Some(name))
    });
    if is_free && is_it {
        planner.want(&place, Wanted::Link(plain), "the backend needs it by its SONAME")?;
    }
    Ok(is_free && is_it)
}

/// A library that the stock rocBLAS finds by its own search path and the shim does not.
fn provide_other(planner: &mut Planner<'_>, peers: &Peers<'_>, name: &str) -> Result<()> {
    let Ok(place) = Place::new(name.as_ref()) else { return Ok(()) };
    let is_ours = planner.plan.journal.entry(&place).is_some();
    if !is_ours && (planner.now(&place)? != State::Absent || peers.shim_finds(name)) {
        return Ok(());
    }
    match peers.find(name).filter(|peer| peer.target != place.path()) {
        Some(Peer { target, .. }) => {
            let reason = "the stock rocBLAS finds it there, and a backend in the store does not";
            planner.want(&place, Wanted::Link(target), reason)
        }
        None => Ok(()),
    }
}

fn provide(
    planner: &mut Planner<'_>,
    peers: &Peers<'_>,
    backend: &Chosen,
    name: &str,
    library: Renamed,
) -> Result<()> {
    let stem = library.name.trim_end_matches(".so");
    let (root, lib) = (planner.lib.root().clone(), planner.lib.path().to_owned());
    let present = present_library(&root, &lib, peers, library, name)?;
    if present.as_ref().is_some_and(|present| present.soname == name) {
        // This ROCm has it under the needed name.
        return provide_other(planner, peers, name);
    }
    let mut place = Place::new(name.as_ref())?;
    match elsewhere(planner, &place, present.as_ref())? {
        Occupied::No => {}
        Occupied::ByTheSame => return Ok(()),
        Occupied::ByAnother => {
            let aside = Place::in_store(COMPAT)?;
            planner.remark(format!(
                "{} is a real library of another version and is left in place; backend {} gets this \
                 ROCm's {stem} under the name {name} from {}",
                planner.lib.show(&place),
                backend.name,
                planner.lib.show(&aside)
            ));
            place = aside.join(name)?;
        }
    }
    let Some(present) = present else {
        if library.name == HIP {
            bail!(
                "no HIP runtime: {} contains no {stem}.so.N, and the loader finds none, neither by the search \
                 path of rocBLAS nor elsewhere. Install ROCm 7's hip-runtime-amd, or name the right tree \
                 with --rocm DIR",
                lib.display()
            );
        }
        let reason = "no loadable hipBLASLt was found; the backend needs the name but does not call the library";
        return planner.want(&place, Wanted::bytes(stub(backend, name, Vec::new(), None)?), reason);
    };
    let missing = missing_versions(backend, name, &present);
    if !missing.is_empty() {
        bail!(
            "backend {} needs the version nodes {} of {name}, but {} does not define them: this \
             backend is for another HIP runtime. ROCm 6.3's works with ROCm 7's",
            backend.name,
            missing.join(", "),
            present.path.display()
        );
    }
    let reason = format!("backend {} needs {stem} by this name", backend.name);
    match planner.plan.journal.options.compat {
        Compat::Links => {
            let target = if place.is_in_store() && present.target.is_relative() {
                relative_target(&place, &present.target)
            } else {
                present.target
            };
            planner.want(&place, Wanted::Link(target), &reason)
        }
        Compat::Stubs => {
            let directory = present.target.parent().filter(|parent| !parent.as_os_str().is_empty());
            let stub = stub(backend, name, vec![present.soname], directory)?;
            planner.want(&place, Wanted::bytes(stub), &reason)
        }
    }
}

/// A stub that needs these libraries, which are in a directory as seen from the library directory, or in the
/// same one.
fn stub(
    backend: &Chosen,
    name: &str,
    needed: Vec<String>,
    directory: Option<&Path>,
) -> Result<Vec<u8>> {
    let versions = backend.summary.versions_needed.get(name).cloned().unwrap_or_default();
    // The same stub works in the store's `compat/` and in the library directory.
    let origins = ["$ORIGIN", "$ORIGIN/../.."];
    let places = origins.iter().map(|origin| match directory {
        None => (*origin).to_owned(),
        // An absolute path needs nothing else.
        Some(directory) => Path::new(origin).join(directory).display().to_string(),
    });
    let mut places: Vec<String> = places.collect();
    places.dedup();
    let runpath = Some(places.join(":"));
    elf::stub(&Stub { soname: name.to_owned(), needed, runpath, versions })
        .with_context(|| format!("cannot write a stub library {name}"))
}

/// A library that this ROCm has.
struct PresentLibrary {
    /// The file, inside.
    path: PathBuf,
    /// The target of a symlink to it from the library directory.
    target: PathBuf,
    soname: String,
    versions: Vec<String>,
}

/// This ROCm's own library of a stem: the one that the stock rocBLAS loads, or else the newest next to it,
/// since a tree may lack its stock library.
fn present_library(
    root: &Root,
    lib: &Path,
    peers: &Peers<'_>,
    library: Renamed,
    but: &str,
) -> Result<Option<PresentLibrary>> {
    let judge = |peer: Peer| {
        // Skip broken symlinks and files that are not libraries.
        let summary = elf::summary(&root.open(&peer.path).ok()?).ok()?;
        let soname = summary.soname.filter(|soname| soname.starts_with(library.name))?;
        // A real runtime of the old name belongs to another ROCm, unless it is the only one.
        let is_old = soname == but && library.name == HIP && soname != library.new;
        if !summary.has_code || is_old {
            return None;
        }
        let Peer { path, mut target } = peer;
        let by_soname = PathBuf::from(&soname);
        if path.parent() == Some(lib) && root.metadata(&lib.join(&by_soname)).is_ok() {
            // Through the SONAME's symlink, which an upgrade updates.
            target = by_soname;
        }
        Some(PresentLibrary { path, target, soname, versions: summary.versions_defined })
    };
    if let Some(found) = peers.of_renamed(library).find_map(judge) {
        return Ok(Some(found));
    }
    let names = root.names(lib).with_context(|| format!("cannot read {}", lib.display()))?;
    let beside = names.into_iter().filter_map(|name| {
        let version = version_of(name.to_str()?, library.name)?;
        if !version.bytes().all(|b| b == b'.' || b.is_ascii_digit()) {
            return None;
        }
        let path = root.resolve(&lib.join(&name)).ok()?;
        judge(Peer { path, target: name.into() })
    });
    let version =
        |found: &PresentLibrary| versioned(&found.soname).map_or(0, |(_, version)| version);
    Ok(beside.max_by_key(version))
}

fn missing_versions<'a>(backend: &'a Chosen, name: &str, present: &PresentLibrary) -> Vec<&'a str> {
    let needed = backend.summary.versions_needed.get(name).into_iter().flatten();
    needed.map(String::as_str).filter(|v| !present.versions.iter().any(|has| has == v)).collect()
}

/// Whether a name is taken by something that is not the installer's.
enum Occupied {
    No,
    ByTheSame,
    ByAnother,
}

fn elsewhere(
    planner: &Planner<'_>,
    place: &Place,
    present: Option<&PresentLibrary>,
) -> Result<Occupied> {
    let now = planner.now(place)?;
    // Changes to the installer's own files are for the planner to judge.
    if now == State::Absent || planner.plan.journal.entry(place).is_some() {
        return Ok(Occupied::No);
    }
    let root = planner.lib.root();
    let leads_to = root.resolve(&planner.lib.inside(place)).ok();
    if leads_to.is_some() && leads_to.as_ref() == present.map(|present| &present.path) {
        return Ok(Occupied::ByTheSame);
    }
    let code = leads_to
        .and_then(|path| root.open(&path).ok())
        .and_then(|file| elf::summary(&file).ok())
        .map(|summary| summary.has_code);
    Ok(match code {
        Some(true) => Occupied::ByAnother,
        // Somebody's own stub, which serves the same purpose.
        Some(false) => Occupied::ByTheSame,
        // A broken symlink.
        None => Occupied::No,
    })
}
