//! Rebuilds a journal from the store and the files next to it, for a tree whose journal and copy are missing.
//! Kept files have their own names, the shim is known by its note, and backends are in directories of their
//! own; only compatibility symlinks cannot be told from a user's, so they are left in place and reported.

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

/// The directory in the store for originals that are not backends.
pub const KEPT: &str = "kept";

/// The rebuilt journal; `None` if there are no remains of an apply.
pub(super) fn rebuild(lib: &LibDir, why: &str) -> Result<Option<Loaded>> {
    let (shims, originals) = (shims(lib)?, originals(lib)?);
    let is_shim = |(place, _): &&(Place, State)| {
        let what = present::what(lib.root(), &lib.inside(place));
        matches!(what, Ok(What::Shim(_)))
    };
    // A store with neither was created by hand, or left by an apply that was killed before it wrote its
    // journal.
    if originals.is_empty() && !shims.iter().any(|shim| is_shim(&shim)) {
        return Ok(None);
    }
    let mut journal = Journal::new(Options::default());
    // Nothing shows an interrupted run, and no better state is known.
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
    // Without an original, the shim and the backends may have been placed by hand.
    for place in own.into_iter().filter(|place| is_of_an_apply && !kept.contains(place)) {
        let after = look(lib, &place)?;
        if after != State::Absent {
            journal.entries.insert(place, Entry { before: Before::Nothing, after });
        }
    }
    journal.diversions = diversions(lib)?;
    let remark = format!(
        "{} {why}: it was rebuilt from the store as far as possible. Symlinks such as \
         libamdhip64.so.6 that apply may have created are left in place",
        lib.show(&places()[0])
    );
    Ok(Some(Loaded { journal, remarks: vec![remark], rebuilt: true, complete: false }))
}

fn look(lib: &LibDir, place: &Place) -> Result<State> {
    lib.state(place).with_context(|| format!("cannot stat {}", lib.show(place)))
}

/// The shim's files in the library directory, and the symlinks to its own name, even if that file is missing.
/// Other symlinks point to it through these, and belong to the tree.
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

/// The originals in the store: their original places, and where they are now.
fn originals(lib: &LibDir) -> Result<Vec<(Place, Place)>> {
    let mut found = Vec::new();
    let kept = Place::in_store(KEPT)?;
    // `NAME~2` is one that a newer file has replaced: it stays in the store.
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
