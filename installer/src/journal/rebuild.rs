//! A journal made again from what is in the store and beside it, for a tree whose journal and its
//! copy are gone. What is kept carries its own name, the shim is known by its note, and backends are
//! in directories of their own; only links of compatibility cannot be told from a user's, so they
//! are left alone and said.

use super::{Before, Diversion, Entry, Journal, Loaded, Options, Phase, places};
use crate::{
    dpkg,
    lib_dir::LibDir,
    place::{Place, STORE},
    present::{self, SHIM_NAME, SONAME, What},
    state::State,
};
use anyhow::{Context, Result};
use rocblas_contract::store::{COMPAT, LIB, SETTINGS};

/// The directory in the store where originals are that are no backend.
pub const KEPT: &str = "kept";

/// What can be told; `None` where there is no trace of an apply.
pub(super) fn rebuild(lib: &LibDir, why: &str) -> Result<Option<Loaded>> {
    let (shims, originals) = (shims(lib)?, originals(lib)?);
    let is_shim = |(place, _): &&(Place, State)| {
        let what = present::what(lib.root(), &lib.inside(place));
        matches!(what, Ok(What::Shim(_)))
    };
    // A store with neither is what somebody made by hand, or what a killed apply leaves before it has
    // written its journal.
    if originals.is_empty() && !shims.iter().any(|shim| is_shim(&shim)) {
        return Ok(None);
    }
    let mut journal = Journal::new(Options::default());
    // Nothing says that a run was interrupted, and of what is there nothing better is known.
    journal.phase = Phase::Applied;
    for (place, after) in shims {
        journal.entries.insert(place, Entry { before: Before::Nothing, after });
    }
    let is_of_an_apply = !originals.is_empty();
    for (original, at) in originals {
        let state = look(lib, &at)?;
        let now = look(lib, &original)?;
        let entry = journal.entries.entry(original);
        let entry = entry.or_insert(Entry { before: Before::Nothing, after: now });
        entry.before = Before::Kept { at, state };
    }
    let kept = Place::in_store(KEPT)?;
    for name in lib.names(&kept)?.iter().filter(|name| name.contains('~')) {
        journal.superseded.insert(kept.join(name)?);
    }
    let mut own = everything_below(lib, &Place::backends())?;
    own.extend(everything_below(lib, &Place::in_store(COMPAT)?)?);
    own.push(Place::in_store(SETTINGS)?);
    let kept = journal.kept();
    // Without an original the shim may have been placed by hand, and so may the backends.
    for place in own.into_iter().filter(|place| is_of_an_apply && !kept.contains(place)) {
        let after = look(lib, &place)?;
        if after != State::Absent {
            journal.entries.insert(place, Entry { before: Before::Nothing, after });
        }
    }
    journal.diversions = diversions(lib)?;
    let remark = format!(
        "{} {why}: what could be told from the store is used instead. Links such as \
         libamdhip64.so.6 that apply may have made are left as they are",
        lib.show(&places()[0])
    );
    Ok(Some(Loaded { journal, remarks: vec![remark], rebuilt: true, complete: false }))
}

fn look(lib: &LibDir, place: &Place) -> Result<State> {
    lib.state(place).with_context(|| format!("cannot look at {}", lib.show(place)))
}

/// The shim's files beside the libraries, and the links to its own name, also where that is gone. Other
/// links lead to it by way of these, and are the tree's.
fn shims(lib: &LibDir) -> Result<Vec<(Place, State)>> {
    let mut found = Vec::new();
    for library in present::libraries(lib.root(), lib.path())? {
        let ours = match &library.what {
            What::Shim(_) => true,
            What::Link(target) => target.as_os_str() == SHIM_NAME,
            _ => false,
        };
        if ours {
            let place = Place::new(library.name.as_ref())?;
            let state = look(lib, &place)?;
            found.push((place, state));
        }
    }
    Ok(found)
}

/// The originals in the store: where each was, and where it is.
fn originals(lib: &LibDir) -> Result<Vec<(Place, Place)>> {
    let mut found = Vec::new();
    let kept = Place::in_store(KEPT)?;
    // `NAME~2` is one that something newer has replaced: it stays in the store.
    for name in lib.names(&kept)?.iter().filter(|name| !name.contains('~')) {
        let original =
            if name == SETTINGS { Place::in_store(name)? } else { Place::new(name.as_ref())? };
        found.push((original, kept.join(name)?));
    }
    let backends = Place::backends();
    for backend in lib.names(&backends)? {
        let prefix = backends.join(&backend)?.join(LIB)?;
        for name in lib.names(&prefix)? {
            let at = prefix.join(&name)?;
            let is_stock = present::is_versioned_name(&name)
                && matches!(present::what(lib.root(), &lib.inside(&at))?, What::Rocblas(soname) if soname == SONAME);
            let original = Place::new(name.as_ref())?;
            let is_free = match look(lib, &original)? {
                State::Absent => true,
                State::Link { target } => target.to_str() == Some(SHIM_NAME),
                _ => false,
            };
            if is_stock && is_free && matches!(look(lib, &at)?, State::File(_)) {
                found.push((original, at));
            }
        }
    }
    Ok(found)
}

fn everything_below(lib: &LibDir, directory: &Place) -> Result<Vec<Place>> {
    let mut found = Vec::new();
    for name in
        lib.names(directory).with_context(|| format!("cannot read {}", lib.show(directory)))?
    {
        let Ok(place) = directory.join(&name) else { continue };
        if look(lib, &place)? == State::Directory {
            found.extend(everything_below(lib, &place)?);
        } else {
            found.push(place);
        }
    }
    Ok(found)
}

/// dpkg's local diversions into the store.
fn diversions(lib: &LibDir) -> Result<Vec<Diversion>> {
    let all = dpkg::diversions(lib.root()).context("cannot read dpkg's diversions")?;
    let place = |path: &std::path::Path| Place::new(path.strip_prefix(lib.path()).ok()?).ok();
    Ok(all
        .into_iter()
        .filter_map(|(path, to)| Some(Diversion { path: place(&path)?, to: place(&to)? }))
        .filter(|diversion| diversion.to.path().starts_with(STORE))
        .collect())
}
