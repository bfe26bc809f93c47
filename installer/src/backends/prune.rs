//! `backends prune`: removes the backends that nothing uses.

use super::{listed::Listed, plan_remove, size::Files, used_by_route};
use crate::{
    apply, choice, confirm::confirm, inspect::layout::Tree, lib_dir::LibDir, output::printable,
    root::Root,
};
use anyhow::Result;
use indicatif::HumanBytes;
use rocblas_contract::store::{self, SETTINGS};
use serde::Serialize;
use std::{env, fmt::Write, path::PathBuf, time::Duration};

/// What is removed, or would be.
#[derive(Debug, Serialize)]
pub struct Pruned {
    /// The directory of the libraries.
    pub lib: PathBuf,
    /// The names of the backends.
    pub backends: Vec<String>,
    /// How much space that frees, in bytes.
    pub bytes: u64,
    /// Why others are kept.
    pub kept: Vec<Kept>,
    /// Whether they have been removed.
    pub carried_out: bool,
}

/// A backend that is kept.
#[derive(Debug, Serialize)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// Options.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Report what would be removed and stop.
    pub dry_run: bool,
    /// Do not ask at a terminal.
    pub yes: bool,
    /// How long to wait for another installer.
    pub patience: Duration,
}

/// Removes them, after asking a person at a terminal.
///
/// # Errors
/// Those of [`apply::change`]; a reply that is not yes.
pub fn prune(root: &Root, tree: &Tree, request: Request, say: &dyn Fn(&str)) -> Result<Pruned> {
    let Request { dry_run, yes, patience } = request;
    super::journal_of(&LibDir::open(root, &tree.lib)?)?;
    let lib = tree.lib.as_path();
    let mut pruned = Pruned {
        lib: lib.to_owned(),
        backends: Vec::new(),
        bytes: 0,
        kept: Vec::new(),
        carried_out: false,
    };
    for backend in super::list(root, lib)? {
        match reason_to_keep(root, tree, &backend)? {
            Some(reason) => pruned.kept.push(Kept { name: backend.name, reason }),
            None => pruned.backends.push(backend.name),
        }
    }
    let mut files = Files::default();
    for name in &pruned.backends {
        files.add(root, &store::backends(lib).join(name));
    }
    pruned.bytes = files.bytes_freed();
    if dry_run || pruned.backends.is_empty() {
        return Ok(pruned);
    }
    confirm(&pruned.question(), yes)?;
    // The state is examined again, since it may have changed while the user was asked.
    apply::change(root, tree, patience, say, |planner| {
        pruned.backends.iter().try_for_each(|name| plan_remove(planner, name))
    })?;
    pruned.carried_out = true;
    Ok(pruned)
}

fn reason_to_keep(root: &Root, tree: &Tree, backend: &Listed) -> Result<Option<String>> {
    if backend.in_use {
        return Ok(Some("it is in use".to_owned()));
    }
    if backend.is_stock {
        return Ok(Some("it is the stock library, which revert needs".to_owned()));
    }
    if backend.origin.as_deref() == Some(super::listed::BY_HAND) {
        return Ok(Some("it was not placed by the installer".to_owned()));
    }
    let value = env::var_os(choice::VARIABLE);
    if value.is_some_and(|value| super::stands_for(root, &tree.lib, &value, &backend.name)) {
        return Ok(Some(format!("{} names it", choice::VARIABLE)));
    }
    Ok(used_by_route(root, &tree.lib, &backend.name)?
        .map(|how| format!("[route] in {SETTINGS} {how}")))
}

impl Pruned {
    fn question(&self) -> String {
        format!("Remove {} ({})?", self.backends.join(", "), HumanBytes(self.bytes))
    }

    /// The result, in lines.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Kept { name, reason } in &self.kept {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "kept {}: {reason}", printable(name));
        }
        let names = self.backends.join(", ");
        let (names, bytes) = (printable(&names), HumanBytes(self.bytes));
        text += &match (self.backends.is_empty(), self.carried_out) {
            (true, _) => "Nothing to do: every backend is needed.".to_owned(),
            (false, true) => format!("Removed {names}: {bytes} freed."),
            (false, false) => {
                format!("Would remove {names}: {bytes} to free. Nothing was changed (--dry-run).")
            }
        };
        text
    }
}
