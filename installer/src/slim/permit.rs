//! Which existing files may be replaced.
//!
//! `slim` keeps no journal. It therefore does not touch files that another program restores or verifies:
//! those of a package manager, and those of a library directory with the shim.

use crate::{
    inspect::owner::{self, Manager},
    journal::Journal,
    lib_dir::LibDir,
    output::shown,
    place::{Place, STORE},
    root::Root,
    state::State,
};
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// The end of each refusal.
const ADVICE: &str = "write the reduced file elsewhere with --output";

/// Refuses a path, given without symlinks, whose file must not change. A path without a file is accepted
/// unless it is in a store.
pub(super) fn check(root: &Root, path: &Path) -> Result<()> {
    let name = shown(path);
    if path.components().any(|component| component.as_os_str() == STORE) {
        bail!(
            "{name} is in the shim's store, whose files `installer verify` compares with the placed \
             ones; {ADVICE}, and add it with `installer backends add`"
        );
    }
    let state = root.state(path).with_context(|| format!("cannot stat {name}"))?;
    if state == State::Absent {
        return Ok(());
    }
    let owners = owner::owners(root, &BTreeSet::from([path.to_owned()]), Path::new("rpm"));
    if let Some(owner) = owners.get(path) {
        let manager = match owner.manager {
            Manager::Dpkg => "dpkg",
            Manager::Pacman => "pacman",
            Manager::Rpm => "rpm",
        };
        bail!("{name} belongs to the package {owner} of {manager}; {ADVICE}");
    }
    check_trees(root, path)
}

/// Refuses files that `apply` placed or kept, and files in a library directory with the shim: `revert`
/// promises to restore that directory.
fn check_trees(root: &Root, path: &Path) -> Result<()> {
    let name = shown(path);
    let parents = path.ancestors().skip(1).map(Path::to_owned);
    let has_store = |lib: &PathBuf| root.metadata(&lib.join(STORE)).is_ok();
    for lib in parents.filter(has_store) {
        let in_lib = path.parent() == Some(&lib);
        let place = path.strip_prefix(&lib).ok().and_then(|place| Place::new(place).ok());
        let journal = LibDir::open(root, &lib).and_then(|lib| Journal::load_or_rebuild(&lib));
        let journal = journal.with_context(|| format!("cannot determine the owner of {name}"))?;
        let is_known = (journal.iter().zip(&place))
            .any(|(loaded, place)| loaded.journal.entry(place).is_some());
        if in_lib || is_known {
            bail!(
                "{name} is in {}, where the shim is applied; `installer revert` restores that \
                 directory but keeps no copy of other changes; {ADVICE}",
                shown(&lib)
            );
        }
    }
    Ok(())
}
