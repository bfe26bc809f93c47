//! Archives of GPU code that stay in the tree: symlinks to them for a split stock library in the store.

use crate::{
    place::Place,
    plan::{Planner, Wanted, relative_target},
};
use anyhow::Result;
use rocblas_contract::kpack;

/// Links the archives of a stock library, which stay in the tree, from where the library is kept.
pub(super) fn plan_beside(planner: &mut Planner<'_>, kept: &Place) -> Result<()> {
    let (root, lib) = (planner.lib.root(), planner.lib.path());
    let Some(tree) = lib.parent().map(|prefix| prefix.join(kpack::DIRECTORY)) else {
        return Ok(());
    };
    let Some(link) = link(kept)? else { return Ok(()) };
    if !root.metadata(&tree).is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(());
    }
    let target = relative_target(&link, format!("../{}", kpack::DIRECTORY));
    planner.want(&link, Wanted::Link(target), "its GPU code stays in the tree")
}

/// Removes that symlink.
pub(super) fn plan_removal(planner: &mut Planner<'_>, kept: &Place) -> Result<()> {
    match link(kept)?.filter(|link| planner.plan.journal.entry(link).is_some()) {
        Some(link) => planner.want(&link, Wanted::Nothing, "--original delete"),
        None => Ok(()),
    }
}

/// The place of the archives of a library that is kept in a backend's `lib/`.
fn link(kept: &Place) -> Result<Option<Place>> {
    let prefix = kept.parent().and_then(|lib| lib.parent());
    prefix.map(|prefix| Ok(prefix.join(kpack::DIRECTORY)?)).transpose()
}
