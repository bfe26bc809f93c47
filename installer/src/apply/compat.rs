//! The libraries that a backend of ROCm 6 asks for by names that ROCm 7 does not have:
//! `libamdhip64.so.6` and `libhipblaslt.so.0`.
//!
//! They are provided beside the libraries, as links or as libraries without code. Either is found
//! with an empty LD_LIBRARY_PATH, whatever RUNPATH the backend has: the shim, whose own RUNPATH is
//! its directory, asks for them by name before it opens the backend, and the loader then knows them
//! by that name. In a wheel whose libraries have names without versions, links by SONAME are made for
//! the others that a backend needs.

use super::backend::Chosen;
use crate::{
    elf::{self, Stub},
    journal::Compat,
    loader,
    place::Place,
    plan::{Planner, Wanted},
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
    for name in &backend.summary.needed {
        match versioned(name) {
            Some((library, _)) => provide(planner, backend, name, library)?,
            None => provide_plain(planner, name)?,
        }
    }
    Ok(())
}

/// `libamdhip64.so.6` -> (the HIP runtime, 6), of the libraries that ROCm 7 renamed.
fn versioned(name: &str) -> Option<(Renamed, u32)> {
    RENAMED
        .into_iter()
        .find_map(|library| Some((library, version_of(name, library.name)?.parse().ok()?)))
}

/// In PyTorch's wheel libraries lie under names without versions, and other libraries ask for them so; the
/// backend asks by SONAME.
fn provide_plain(planner: &mut Planner<'_>, name: &str) -> Result<()> {
    let Some((stem, _)) = name.split_once(".so.") else { return Ok(()) };
    let plain = PathBuf::from(format!("{stem}.so"));
    let (Ok(place), Ok(file)) = (Place::new(name.as_ref()), Place::new(&plain)) else {
        return Ok(());
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
        planner.want(&place, Wanted::Link(plain), "the backend asks for it by its SONAME")?;
    }
    Ok(())
}

fn provide(
    planner: &mut Planner<'_>,
    backend: &Chosen,
    name: &str,
    library: Renamed,
) -> Result<()> {
    let stem = library.name.trim_end_matches(".so");
    let (root, lib) = (planner.lib.root().clone(), planner.lib.path().to_owned());
    let present = present_library(&root, &lib, library, name)?;
    if present.as_ref().is_some_and(|present| present.soname == name) {
        // This ROCm has it under the name that is asked for.
        return Ok(());
    }
    let mut place = Place::new(name.as_ref())?;
    match elsewhere(planner, &place, present.as_ref())? {
        Occupied::No => {}
        Occupied::ByTheSame => return Ok(()),
        Occupied::ByAnother => {
            let aside = Place::in_store(COMPAT)?;
            planner.remark(format!(
                "{} is a real library of another version and is left alone; backend {} gets this \
                 ROCm's {stem} by the name {name} from {}",
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
                "no HIP runtime: {} has no {stem}.so.N, and the loader finds none. Install ROCm 7's \
                 hip-runtime-amd, or name the right tree with --rocm DIR",
                lib.display()
            );
        }
        let reason =
            "no hipBLASLt is found that loads; the backend only asks for it and is not to call it";
        return planner.want(&place, Wanted::bytes(stub(backend, name, Vec::new())?), reason);
    };
    let missing = missing_versions(backend, name, &present);
    if !missing.is_empty() {
        bail!(
            "backend {} needs the version nodes {} of {name}, and {} does not define them: this \
             backend is for another HIP runtime. ROCm 6.3's works with ROCm 7's",
            backend.name,
            missing.join(", "),
            present.path.display()
        );
    }
    let reason = format!("backend {} asks for {stem} by this name", backend.name);
    match planner.plan.journal.options.compat {
        Compat::Links => {
            let beside = present.path.parent() == Some(lib.as_path()) && !place.is_in_store();
            let target = match present.path.file_name().filter(|_| beside) {
                // Through the SONAME's link, which an upgrade re-points.
                Some(name) if root.metadata(&lib.join(&present.soname)).is_err() => {
                    PathBuf::from(name)
                }
                Some(_) => PathBuf::from(&present.soname),
                None => present.path.clone(),
            };
            planner.want(&place, Wanted::Link(target), &reason)
        }
        Compat::Stubs => {
            let stub = stub(backend, name, vec![present.soname])?;
            planner.want(&place, Wanted::bytes(stub), &reason)
        }
    }
}

fn stub(backend: &Chosen, name: &str, needed: Vec<String>) -> Result<Vec<u8>> {
    let versions = backend.summary.versions_needed.get(name).cloned().unwrap_or_default();
    elf::stub(&Stub {
        soname: name.to_owned(),
        needed,
        // In `compat/` of the store as beside the libraries.
        runpath: Some("$ORIGIN:$ORIGIN/../..".to_owned()),
        versions,
    })
    .with_context(|| format!("cannot write a stub library {name}"))
}

/// A library that this ROCm has.
struct PresentLibrary {
    /// The file, inside.
    path: PathBuf,
    soname: String,
    versions: Vec<String>,
}

/// This ROCm's own library of a stem: beside rocBLAS, or where the loader finds it.
fn present_library(
    root: &Root,
    lib: &Path,
    library: Renamed,
    but: &str,
) -> Result<Option<PresentLibrary>> {
    let mut candidates = Vec::new();
    for name in root.names(lib).with_context(|| format!("cannot read {}", lib.display()))? {
        let name = name.to_string_lossy().into_owned();
        let rest = name.strip_prefix(library.name);
        if rest.is_some_and(|rest| rest.bytes().all(|b| b == b'.' || b.is_ascii_digit())) {
            candidates.push(lib.join(name));
        }
    }
    // ROCm 7's names, for trees that have their libraries apart.
    candidates.extend(loader::find(root, library.new));
    let mut best: Option<(u32, PresentLibrary)> = None;
    for path in candidates {
        // A link that leads nowhere, or a file that is no library, is not it.
        let Ok(path) = root.resolve(&path) else { continue };
        let Ok(file) = root.open(&path) else { continue };
        let Ok(summary) = elf::summary(&file) else { continue };
        let Some(soname) = summary.soname else { continue };
        // A real runtime of the old name is another ROCm's, unless there is no other.
        let is_old = soname == but && library.name == HIP && soname != library.new;
        if !summary.has_code || is_old {
            continue;
        }
        let version = versioned(&soname).map_or(0, |(_, version)| version);
        if soname.starts_with(library.name)
            && best.as_ref().is_none_or(|(known, _)| version > *known)
        {
            let versions = summary.versions_defined;
            best = Some((version, PresentLibrary { path, soname, versions }));
        }
    }
    Ok(best.map(|(_, library)| library))
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
    // What was done to the installer's own is for the planner to judge.
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
        // Somebody's stub: it does the same service.
        Some(false) => Occupied::ByTheSame,
        // A link that leads nowhere.
        None => Occupied::No,
    })
}
