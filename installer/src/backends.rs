//! The backends in the store: `backends list|add|use|remove|prune|routes`.

mod listed;
pub mod prune;
pub mod routes;
mod size;

pub use listed::{Listed, list, text};

use crate::{
    apply::{backend, gpus},
    choice,
    journal::{Journal, Loaded, STORE},
    lib_dir::LibDir,
    place::Place,
    plan::{Action, Planner, Wanted},
    root::Root,
    serves::Serves,
    settings,
    state::State,
};
use anyhow::{Context, Result, bail};
use rocblas_contract::{
    route::AUTO,
    serves,
    store::{BACKENDS, ROUTE_SETTING},
};
use std::{ffi::OsStr, path::Path};
use toml_edit::{Item, Value};

/// A plan that selects another backend of the store.
pub fn plan_use(planner: &mut Planner<'_>, name: &str) -> Result<()> {
    backend::check_name(name)?;
    let (root, lib) = (planner.lib.root(), planner.lib.path());
    let library = backend::library_of(root, lib, name).with_context(|| there_is_none(name))?;
    let serves = Serves::of_library(root, &library)?;
    if let Ok(Some(current)) = settings::text(root, lib).and_then(|text| settings::backend(&text)) {
        let lost = gpus::lost(&gpus::served_now(root, lib, &current), &serves);
        if !lost.is_empty() {
            let lost = lost.into_iter().collect::<Vec<_>>().join(", ");
            planner.remark(format!("backend {current} served {lost}, but {name} does not"));
        }
    }
    let wanted = settings::with_backend(&settings::text(root, lib)?, name)?;
    planner.settings(&wanted, "the backend to use")
}

/// A plan that removes a backend that is not in use.
pub fn plan_remove(planner: &mut Planner<'_>, name: &str) -> Result<()> {
    backend::check_name(name)?;
    let (root, lib) = (planner.lib.root().clone(), planner.lib.path().to_owned());
    let prefix = Place::backends().join(name)?;
    if planner.holds_originals(&prefix) {
        bail!(
            "{name} is the stock library: `installer revert` needs it to restore the tree. \
             `installer apply --original delete` deletes it"
        );
    }
    let chosen = choice::backend(&root, std::slice::from_ref(&lib), None, Path::new("/"));
    let directory = planner.lib.inside(&prefix);
    if chosen.is_ok_and(|chosen| is_in(&root, &chosen.path, &directory)) {
        bail!("{name} is in use; select another one first: installer backends use NAME");
    }
    if let Some(how) = used_by_route(&root, &lib, name)? {
        bail!("{name} is in use: [route] in {} {how}", settings::path(&lib).display());
    }
    // Includes those that an interrupted removal has already removed from the journal.
    let places: Vec<Place> = (planner.plan.journal.entries.keys().rev())
        .filter(|place| place.starts_with(&prefix))
        .cloned()
        .collect();
    if places.is_empty() {
        let shown = planner.lib.show(&prefix);
        match planner.lib.state(&prefix).with_context(|| format!("cannot stat {shown}"))? {
            State::Absent => bail!(there_is_none(name)),
            _ => bail!("{shown} was not placed by the installer; remove it by hand"),
        }
    }
    let reason = "the backend is removed";
    let mut directories = std::collections::BTreeSet::from([prefix.clone()]);
    for place in &places {
        planner.want(place, Wanted::Nothing, reason)?;
        let above = std::iter::successors(place.parent(), Place::parent);
        directories.extend(above.take_while(|place| place.starts_with(&prefix)));
    }
    // In this order, nested ones come after the ones that contain them.
    for path in directories.into_iter().rev() {
        planner.step(Action::RemoveDirectory { path }, reason);
    }
    planner.plan.journal.origins.remove(name);
    Ok(())
}

fn there_is_none(name: &str) -> String {
    format!("there is no backend {name}; `installer backends list` prints the names")
}

/// Whether a file is below a directory after resolving symlinks.
fn is_in(root: &Root, path: &Path, directory: &Path) -> bool {
    let resolved = root.resolve(path).ok().zip(root.resolve(directory).ok());
    resolved.is_some_and(|(path, directory)| path.starts_with(directory))
}

/// Whether a setting, which is a name or a path, denotes the backend of that name.
fn stands_for(root: &Root, lib: &Path, value: &OsStr, name: &str) -> bool {
    let store = lib.join(STORE);
    value == name || is_in(root, &store.join(value), &store.join(BACKENDS).join(name))
}

/// How `[route]` in `shim.toml` uses a backend: a verb with its object. `None` if it does not.
fn used_by_route(root: &Root, lib: &Path, name: &str) -> Result<Option<String>> {
    let document = settings::parse(&settings::text(root, lib)?)?;
    let route = document.get(ROUTE_SETTING).and_then(Item::as_table_like);
    let values = || route.into_iter().flat_map(|table| table.iter().map(|(_, item)| item));
    if values().any(|item| item.as_value().is_some_and(|value| names(root, lib, value, name))) {
        return Ok(Some("names it".to_owned()));
    }
    if !values().any(|item| item.as_str() == Some(AUTO)) {
        return Ok(None);
    }
    let known = routes::known(root, lib);
    let own = known.iter().find(|backend| backend.name == name);
    let mut gpus = own.into_iter().flat_map(|own| &own.serves.gpus);
    let is_newest =
        |gpu: &&String| serves::newest(&known, gpu).is_some_and(|newest| newest.name == name);
    let gpu = gpus.find(is_newest);
    Ok(gpu.map(|gpu| format!("says {AUTO:?}, and this is the newest backend that serves {gpu}")))
}

/// Whether a value or a part of it denotes a backend.
fn names(root: &Root, lib: &Path, value: &Value, name: &str) -> bool {
    match value {
        Value::String(text) => stands_for(root, lib, OsStr::new(text.value()), name),
        Value::Array(all) => all.iter().any(|value| names(root, lib, value, name)),
        Value::InlineTable(table) => table.iter().any(|(_, value)| names(root, lib, value, name)),
        _ => false,
    }
}

/// The journal of a tree with the shim, which all of these commands need.
pub fn journal_of(lib: &LibDir) -> Result<Loaded> {
    Journal::load_or_rebuild(lib)?.with_context(|| {
        format!("{} has no shim yet; run `installer apply` first", lib.path().display())
    })
}
