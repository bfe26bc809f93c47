//! The backends in the store: `backends list|add|use|remove`.

use crate::{
    apply::backend,
    inspect::layout::Tree,
    journal::{Journal, STORE},
    plan::Planner,
    present::{self, What},
    root::Root,
    settings,
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
    backend::library_of(planner.root, planner.lib, name).with_context(|| {
        format!("there is no backend {name}; `installer backends list` says which there are")
    })?;
    let text = settings::text(planner.root, planner.lib)?;
    let wanted = settings::with_backend(&text, name)?;
    planner.settings(wanted.into_bytes(), "the backend to use")
}

/// A plan that removes a backend which is not in use.
pub fn plan_remove(planner: &mut Planner<'_>, name: &str) -> Result<()> {
    backend::check_name(name)?;
    let in_use = settings::backend(&settings::text(planner.root, planner.lib)?)?;
    if in_use.as_deref() == Some(name) {
        bail!("{name} is in use; choose another one first: installer backends use NAME");
    }
    let prefix = planner.in_store("backends").join(name);
    let journal = &planner.plan.journal;
    if journal.entries.iter().any(|e| e.kept.as_ref().is_some_and(|k| k.starts_with(&prefix))) {
        bail!(
            "{name} is the stock library, which revert puts back; `installer apply --original \
             delete` removes it for good"
        );
    }
    let paths: Vec<_> = (journal.entries.iter().rev())
        .map(|entry| entry.path.clone())
        .filter(|path| path.starts_with(&prefix))
        .collect();
    if paths.is_empty() {
        bail!(
            "{} was not placed by the installer; remove it by hand",
            planner.lib.join(STORE).join("backends").join(name).display()
        );
    }
    for path in paths {
        planner.gone(&path, "the backend is to go")?;
    }
    planner.plan.journal.packages.retain(|package| package.backend != name);
    Ok(())
}

/// Says whether a tree has the shim, which all of these need.
pub fn journal_of(root: &Root, tree: &Tree) -> Result<Journal> {
    Journal::load(root, &tree.lib)?.with_context(|| {
        format!("{} has no shim yet; start with `installer apply`", tree.lib.display())
    })
}
