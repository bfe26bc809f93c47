//! The way back: the plan that undoes a journal.

use crate::{
    files::{self, Incoming},
    journal::{self, Entry, Journal, Phase, STORE},
    ldconfig,
    plan::{Action, Plan, Step},
    present::{self, Library, What},
    root::Root,
    settings,
    state::State,
};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// The steps that lead back. An original that was deleted at the user's word and has not come back
/// is an error: without it the tree would have no rocBLAS at all.
pub fn plan(root: &Root, lib: &Path, journal: Journal) -> Result<Plan> {
    let mut steps = Vec::new();
    let mut remarks = Vec::new();
    let mut step = |action, reason: &str| steps.push(Step { action, reason: reason.to_owned() });
    for diversion in &journal.diversions {
        step(Action::EndDiversion(diversion.clone()), "the stock library gets its own name back");
    }
    let others = rocblas_remains(root, lib, &journal)?;
    // Originals come back first, so that no link is put back before what it leads to.
    let (originals, rest): (Vec<&Entry>, Vec<&Entry>) =
        journal.entries.iter().rev().partition(|entry| matches!(entry.before, State::File(_)));
    for entry in originals.into_iter().chain(rest) {
        // What dpkg was told to put elsewhere is newer than what was there at first.
        let diversion = journal.diversions.iter().find(|d| d.path == entry.path);
        let places = [diversion.map(|d| &d.to), entry.kept.as_ref()];
        let mut kept = None;
        for place in places.into_iter().flatten() {
            if kept.is_none() && state(root, place)? != State::Absent {
                kept = Some(place.clone());
            }
        }
        if entry.path == settings::path(lib) {
            show_settings(root, lib, &mut remarks)?;
        }
        undo(root, lib, entry, kept, others, &mut step, &mut remarks)?;
    }
    if ldconfig::concerns(root, lib) {
        step(Action::Ldconfig, "the loader's cache is to name the stock library");
    }
    Ok(Plan { steps, journal, remarks })
}

fn state(root: &Root, path: &Path) -> Result<State> {
    State::of(root, path).with_context(|| format!("cannot look at {}", path.display()))
}

/// Whether a stock library is there, or comes back, besides one that is gone for good.
fn rocblas_remains(root: &Root, lib: &Path, journal: &Journal) -> Result<bool> {
    let libraries = present::libraries(root, lib)?;
    let is_stock = |library: &Library| matches!(&library.what, What::Rocblas(soname) if soname == present::SONAME);
    let kept = journal.entries.iter().filter_map(|entry| entry.kept.as_ref());
    let diverted = journal.diversions.iter().map(|diversion| &diversion.to);
    let comes_back =
        kept.chain(diverted).any(|path| matches!(State::of(root, path), Ok(State::File(_))));
    Ok(comes_back || libraries.iter().any(is_stock))
}

/// Settings that a person edited go with the store, so they are shown once more.
fn show_settings(root: &Root, lib: &Path, remarks: &mut Vec<String>) -> Result<()> {
    let text = settings::text(root, lib)?;
    let plain = settings::backend(&text).ok().flatten();
    let plain = plain.and_then(|backend| settings::with_backend("", &backend).ok());
    if !text.is_empty() && plain.as_ref() != Some(&text) {
        let path = settings::path(lib);
        remarks.push(format!("{} was edited; this was in it:\n{text}", path.display()));
    }
    Ok(())
}

fn undo(
    root: &Root,
    lib: &Path,
    entry: &Entry,
    kept: Option<PathBuf>,
    others: bool,
    step: &mut impl FnMut(Action, &str),
    remarks: &mut Vec<String>,
) -> Result<()> {
    let Entry { path, before, after, .. } = entry;
    let path = path.clone();
    let now = state(root, &path)?;
    let edited = path == settings::path(lib) && matches!(now, State::File(_));
    if now.same(before) {
        // As it was; a second name for it, made before a crash, is not needed.
        if let Some(path) = kept {
            step(Action::Remove { path }, "the file is in its own place");
        }
        return Ok(());
    }
    if !now.same(after) && now != State::Absent && !edited {
        remarks.push(format!(
            "{} is left alone: it is {now}, which somebody put there since",
            path.display()
        ));
        return Ok(());
    }
    match (before, kept) {
        (_, Some(from)) => step(Action::PutBack { from, path }, "as it was"),
        (State::File(_), None) if others => {
            remarks.push(format!(
                "{} does not come back: an upgrade has replaced it by another version",
                path.display()
            ));
            if now != State::Absent {
                step(Action::Remove { path }, "placed by apply");
            }
        }
        (State::File(_), None) => bail!(
            "{} was deleted (--original delete), so it cannot be put back. Install its package \
             again (apt-get install --reinstall rocblas, or dnf reinstall rocblas), then revert",
            path.display()
        ),
        (State::Link { target }, _) => {
            step(Action::Link { path, target: target.clone() }, "as it was");
        }
        (State::Absent, _) if now == State::Directory => {
            step(Action::RemoveDirectory { path }, "made by apply");
        }
        (State::Absent, _) => step(Action::Remove { path }, "placed by apply"),
        (State::Directory | State::Other, _) => {}
    }
    Ok(())
}

/// Carries the plan out and removes the journal and the store. Answers what had to stay.
pub fn execute(root: &Root, lib: &Path, plan: Plan) -> Result<Vec<String>> {
    let Plan { steps, mut journal, mut remarks } = plan;
    let mut incoming = Incoming::open(root, lib)?;
    journal.phase = Phase::Changing;
    // On a full disk this may fail, and then the phase is not the truth; the entries are, and going
    // back is what frees space.
    let _ = journal.store(root, lib, incoming.directory());
    for Step { action, .. } in &steps {
        if let Action::RemoveDirectory { path } = action {
            if !files::remove_directory(&root.on_machine(path))? {
                remarks.push(format!("{} stays: there are files of others in it", path.display()));
            }
            continue;
        }
        crate::execute::run(root, lib, action, &mut incoming)
            .with_context(|| format!("cannot do this: {action}"))?;
    }
    files::sync(&root.on_machine(lib))?;
    incoming.close()?;
    remove_store(root, lib, &mut remarks)?;
    Ok(remarks)
}

/// Removes the journal and what is left of the store: last of all, since without the journal there
/// is no way back.
pub fn remove_store(root: &Root, lib: &Path, remarks: &mut Vec<String>) -> Result<()> {
    let store = lib.join(STORE);
    files::remove(&root.on_machine(&journal::path(lib)))?;
    files::remove_tree(&root.on_machine(&store.join("incoming")))?;
    if !files::remove_directory(&root.on_machine(&store))? {
        remarks.push(format!("{} stays: there are files of others in it", store.display()));
    }
    Ok(())
}
