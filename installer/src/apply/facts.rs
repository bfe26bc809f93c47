//! What each backend in the store serves, recorded next to it for `auto` routes (`rocblas_contract::serves`).

use crate::{
    place::Place,
    plan::{Planner, Wanted},
    serves::Serves,
    source::release,
};
use anyhow::{Context, Result};
use rocblas_contract::serves::{self, Identity, SERVES};
use std::fs::File;

/// The place of this record for the backend with this prefix.
pub(super) fn place(prefix: &Place) -> Result<Place> {
    Ok(prefix.join(SERVES)?)
}

/// Plans the record for a backend with this library.
pub(super) fn plan(
    planner: &mut Planner<'_>,
    prefix: &Place,
    serves: &Serves,
    release: Option<&str>,
    library: &File,
) -> Result<()> {
    let library = Identity::of(library).context("cannot read the backend's library")?;
    let release = release.unwrap_or_default().to_owned();
    let gpus = serves.gpus().into_iter().collect();
    want(planner, prefix, &serves::Serves { release, gpus, library })
}

fn want(planner: &mut Planner<'_>, prefix: &Place, known: &serves::Serves) -> Result<()> {
    let wanted = Wanted::bytes(known.text().into_bytes());
    planner.want(&place(prefix)?, wanted, "what it serves, for [route]")
}

/// Plans the record for a library of the tree that is or will be kept at a place in the store. A library that
/// cannot be read is reported elsewhere.
pub(super) fn plan_kept(planner: &mut Planner<'_>, at: &Place) -> Result<()> {
    let Some(prefix) = prefix_of(at) else { return Ok(()) };
    let lib = planner.lib;
    let before = lib.path().join(at.file_name());
    let path = [lib.inside(at), before].into_iter().find(|path| lib.root().metadata(path).is_ok());
    let Some(path) = path else { return Ok(()) };
    let Ok(file) = lib.root().open(&path) else { return Ok(()) };
    // The library is not read again, but the record's time and permissions must be as written.
    let known = serves::written(lib.root(), &lib.inside(&prefix));
    if let Some(known) =
        known.filter(|known| Identity::of(&file).is_ok_and(|own| own == known.library))
    {
        return want(planner, &prefix, &known);
    }
    let Ok(serves) = Serves::of_library(lib.root(), &path) else { return Ok(()) };
    let release = release::of_library(at.file_name());
    let release = release.as_deref().or(Some(prefix.file_name()));
    plan(planner, &prefix, &serves, release, &file)
}

/// Removes the record.
pub(super) fn plan_removal(planner: &mut Planner<'_>, at: &Place) -> Result<()> {
    let known = prefix_of(at).map(|prefix| place(&prefix)).transpose()?;
    match known.filter(|known| planner.plan.journal.entry(known).is_some()) {
        Some(known) => planner.want(&known, Wanted::Nothing, "--original delete"),
        None => Ok(()),
    }
}

/// The prefix of a library in a backend's `lib/`.
fn prefix_of(at: &Place) -> Option<Place> {
    at.parent().and_then(|lib| lib.parent())
}
