//! The backends in the store: `backends list|add|use|remove`.

use crate::{
    apply::backend,
    journal::{Journal, Loaded, STORE},
    lib_dir::LibDir,
    place::Place,
    plan::{Action, Planner, Wanted},
    present::{self, What},
    root::Root,
    settings,
    state::State,
};
use anyhow::{Context, Result, bail};
use serde::Serialize;
use std::path::Path;

/// A backend in the store.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// Its directory's name.
    pub name: String,
    /// The file name of its library.
    pub library: Option<String>,
    /// Its SONAME.
    pub soname: Option<String>,
    /// Whether the shim uses it.
    pub in_use: bool,
}

/// All of them, by name.
pub fn list(root: &Root, lib: &Path) -> Result<Vec<Listed>> {
    let directory = lib.join(STORE).join("backends");
    let in_use = settings::backend(&settings::text(root, lib)?)?;
    let names = root.names(&directory).unwrap_or_default();
    names
        .into_iter()
        .filter_map(|name| name.into_string().ok())
        .map(|name| {
            let prefix = directory.join(&name).join("lib");
            let libraries = present::libraries(root, &prefix).unwrap_or_default();
            let found = libraries.into_iter().find_map(|library| match library.what {
                What::Rocblas(soname) => Some((library.name, soname)),
                _ => None,
            });
            let (library, soname) = found.unzip();
            let in_use = in_use.as_ref() == Some(&name);
            Ok(Listed { name, library, soname, in_use })
        })
        .collect()
}

/// A plan that makes another backend of the store the one in use.
pub fn plan_use(planner: &mut Planner<'_>, name: &str) -> Result<()> {
    backend::check_name(name)?;
    let (root, lib) = (planner.lib.root(), planner.lib.path());
    backend::library_of(root, lib, name).with_context(|| {
        format!("there is no backend {name}; `installer backends list` says which there are")
    })?;
    let wanted = settings::with_backend(&settings::text(root, lib)?, name)?;
    planner.settings(&wanted, "the backend to use")
}

/// A plan that removes a backend which is not in use.
pub fn plan_remove(planner: &mut Planner<'_>, name: &str) -> Result<()> {
    backend::check_name(name)?;
    let (root, lib) = (planner.lib.root(), planner.lib.path());
    let in_use = settings::backend(&settings::text(root, lib)?)?;
    if in_use.as_deref() == Some(name) {
        bail!("{name} is in use; choose another one first: installer backends use NAME");
    }
    let prefix = Place::in_store("backends")?.join(name)?;
    if planner.holds_originals(&prefix) {
        bail!(
            "{name} is the stock library, which revert puts back; `installer apply --original \
             delete` removes it for good"
        );
    }
    let entries = planner.plan.journal.entries.iter().rev();
    let places: Vec<Place> = entries
        .filter(|(place, entry)| place.starts_with(&prefix) && entry.after != State::Absent)
        .map(|(place, _)| place.clone())
        .collect();
    if places.is_empty() {
        bail!("{} was not placed by the installer; remove it by hand", planner.lib.show(&prefix));
    }
    let reason = "the backend is to go";
    let mut directories = std::collections::BTreeSet::from([prefix.clone()]);
    for place in &places {
        planner.want(place, Wanted::Nothing, reason)?;
        let above = std::iter::successors(place.parent(), Place::parent);
        directories.extend(above.take_while(|place| place.starts_with(&prefix)));
    }
    // Those that are in others come after them in this order.
    for path in directories.into_iter().rev() {
        planner.step(Action::RemoveDirectory { path }, reason);
    }
    planner.plan.journal.origins.remove(name);
    Ok(())
}

/// The journal of a tree that has the shim, which all of these need.
pub fn journal_of(lib: &LibDir) -> Result<Loaded> {
    Journal::load_or_rebuild(lib)?.with_context(|| {
        format!("{} has no shim yet; start with `installer apply`", lib.path().display())
    })
}
