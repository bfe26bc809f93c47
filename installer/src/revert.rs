//! Reverting: the plan that undoes a journal, and the check that it did.

use crate::{
    apply::stock::DIVERTED,
    dpkg, execute,
    files::Incoming,
    journal::{Before, Entry, Journal, Loaded, Phase, rebuild::KEPT},
    ldconfig,
    lib_dir::LibDir,
    place::Place,
    plan::{self, Action, Plan, Step},
    present::{self, SHIM_NAME, SONAME, What},
    settings,
    state::State,
};
use anyhow::{Context, Result, bail};
use rocblas_contract::{
    libraries::{RENAMED, ROCBLAS},
    store::{BACKENDS, COMPAT},
};
use std::path::{Path, PathBuf};

/// The result of a revert.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Remarks for the user.
    pub remarks: Vec<String>,
    /// What is not as it was before the installer changed it, one sentence each.
    pub left: Vec<String>,
}

/// A group of entries that are undone together, and the reason to sync before the next group.
type Group = (fn(&Place, &Entry) -> bool, &'static str);

/// A plan and what it will leave.
#[derive(Debug)]
pub struct Reverting {
    /// The steps.
    pub plan: Plan,
    /// What will not be as it was before the installer changed it, one sentence each.
    pub left: Vec<String>,
    /// Text that a person wrote and that will be removed, line by line.
    pub gone: Vec<String>,
}

/// Undoes a journal as far as possible, for an apply that failed.
pub fn now(lib: &LibDir) -> Result<Outcome> {
    match Journal::load(lib)? {
        None => {
            let mut outcome = Outcome::default();
            remove_store(lib, &mut outcome.left)?;
            Ok(outcome)
        }
        Some(loaded) => execute(lib, plan(lib, loaded)?),
    }
}

/// The steps of a revert. An original that is missing and that nothing replaces is an error: without it the
/// tree would have no rocBLAS at all.
pub fn plan(lib: &LibDir, loaded: Loaded) -> Result<Reverting> {
    let others = rocblas_remains(lib, &loaded.journal)?;
    if loaded.rebuilt && !loaded.has_originals() && !others {
        return Err(nothing_to_go_back_to(lib, &loaded.journal));
    }
    let loaded_rebuilt = loaded.rebuilt;
    let Loaded { journal, remarks, .. } = loaded;
    if !journal.diversions.is_empty() {
        dpkg::check(lib.root())?;
    }
    let mut back = Back {
        lib,
        others,
        steps: Vec::new(),
        remarks,
        left: Vec::new(),
        gone: Vec::new(),
        journal: &journal,
    };
    back.other_backend()?;
    for diversion in &journal.diversions {
        let action = Action::EndDiversion(diversion.clone());
        back.step(action, "the stock library returns to its own name");
    }
    // Originals return first, then the names that point to them; what the installer placed is removed last.
    // At each moment the files that programs load are complete, and each group is on disk before the next.
    let groups: [Group; 3] = [
        (|place, entry| is_file(entry) && !is_front(place), "the originals are on disk"),
        (
            |_, entry| entry.before.state() != &State::Absent,
            "the names that point to them are on disk",
        ),
        (|_, _| true, "the removal of placed files is on disk"),
    ];
    let mut done = std::collections::BTreeSet::new();
    for (belongs, reason) in groups {
        // A journal lists directories before the files in them.
        for (place, entry) in journal.entries.iter().rev() {
            if belongs(place, entry) && done.insert(place) {
                back.undo(place, entry)?;
            }
        }
        back.barrier(reason);
    }
    back.look_ahead(loaded_rebuilt)?;
    back.strays(loaded_rebuilt)?;
    back.superseded()?;
    if ldconfig::concerns(lib) {
        ldconfig::check(lib)?;
        back.step(Action::Ldconfig, "the loader's cache is to name the stock library");
    }
    let Back { steps, remarks, left, gone, .. } = back;
    Ok(Reverting { plan: Plan { steps, journal, remarks }, left, gone })
}

/// The store was deleted by hand, with the stock library in it; or the shim was placed by hand.
fn nothing_to_go_back_to(lib: &LibDir, journal: &Journal) -> anyhow::Error {
    let ends = journal.diversions.iter().map(|diversion| {
        let path = lib.show(&diversion.path);
        format!("dpkg-divert --local --no-rename --remove {path}; ")
    });
    let ends: String = ends.collect();
    anyhow::anyhow!(
        "{} has the shim, but neither a journal nor a stock library: the store was deleted, or the \
         shim was placed by hand. Without the shim the tree would have no rocBLAS. Either reinstall the \
         package that contains {SONAME} ({ends}then apt-get install --reinstall rocblas, Debian: \
         librocblas5; or dnf reinstall rocblas), and revert; or keep the shim with `installer apply \
         --backend PATH`",
        lib.path().display()
    )
}

/// Whether it is a symlink to a versioned stock library, as packages have it and ldconfig creates it.
fn is_link_to_stock(state: &State) -> bool {
    matches!(state, State::Link { target } if target.to_str().is_some_and(present::is_versioned_name))
}

fn is_file(entry: &Entry) -> bool {
    matches!(entry.before.state(), State::File(_))
}

fn is_front(place: &Place) -> bool {
    [SONAME, ROCBLAS].contains(&place.as_str())
}

/// Whether a stock library exists or will return, besides one that was deleted.
fn rocblas_remains(lib: &LibDir, journal: &Journal) -> Result<bool> {
    let libraries = present::libraries(lib.root(), lib.path())?;
    let is_stock = |what: &What| matches!(what, What::Rocblas(soname) if soname == SONAME);
    if libraries.iter().any(|library| is_stock(&library.what)) {
        return Ok(true);
    }
    let kept = journal.entries.values().filter_map(|entry| entry.before.kept());
    let diverted = journal.diversions.iter().map(|diversion| &diversion.to);
    for place in kept.chain(diverted) {
        if matches!(lib.state(place)?, State::File(_)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A plan under construction.
struct Back<'a> {
    lib: &'a LibDir,
    journal: &'a Journal,
    others: bool,
    steps: Vec<Step>,
    remarks: Vec<String>,
    left: Vec<String>,
    gone: Vec<String>,
}

impl Back<'_> {
    fn step(&mut self, action: Action, reason: &str) {
        self.steps.push(Step { action, reason: reason.to_owned() });
    }

    fn barrier(&mut self, reason: &str) {
        let last = self.steps.last().map(|step| &step.action);
        if last.is_some_and(|action| !matches!(action, Action::Sync)) {
            self.step(Action::Sync, reason);
        }
    }

    fn state(&self, place: &Place) -> Result<State> {
        self.lib.state(place).with_context(|| format!("cannot stat {}", self.lib.show(place)))
    }

    /// The stock library may be the backend in use. It is about to leave the store, so the shim uses another
    /// backend until programs no longer load the shim.
    fn other_backend(&mut self) -> Result<()> {
        let (root, lib) = (self.lib.root(), self.lib.path());
        // Unreadable settings name no backend; the file is listed if it is in the way.
        let text = settings::text(root, lib).unwrap_or_default();
        self.show_settings(&text);
        let Some(name) = settings::backend(&text).ok().flatten() else { return Ok(()) };
        let in_use =
            |place: &Place| place.path().iter().nth(2).is_some_and(|part| part == name.as_str());
        if !self.journal.kept().iter().any(in_use) {
            return Ok(());
        }
        let others = self.journal.origins.keys().filter(|other| **other != name);
        let usable =
            others.filter(|other| crate::apply::backend::library_of(root, lib, other).is_ok());
        if let Some(other) = usable.min() {
            let bytes = settings::with_backend(&text, other)?.into_bytes();
            let plan::Wanted::Bytes(bytes, state) = plan::Wanted::bytes(bytes) else {
                return Ok(());
            };
            let action = Action::Write { path: settings::place(), keep: None, bytes, state };
            self.step(action, "the backend in use is the stock library, which is about to move");
            self.barrier("the other backend is on disk");
        }
        Ok(())
    }

    /// Settings that a person edited are removed with the store, so they are printed once more.
    fn show_settings(&mut self, text: &str) {
        if !text.is_empty() && !settings::is_unedited(text) {
            let path = self.lib.show(&settings::place());
            self.gone.push(format!("{path} was edited; it contained:"));
            self.gone.extend(text.lines().map(|line| format!("  {line}")));
        }
    }

    /// Refuses steps after which programs would find no rocBLAS because an original is missing or damaged or
    /// has no copy: as long as nothing is changed, the shim still serves them.
    fn look_ahead(&self, rebuilt: bool) -> Result<()> {
        let mut damaged = Vec::new();
        for (place, entry) in &self.journal.entries {
            let Before::Kept { at, state } = &entry.before else { continue };
            let (held, now) = (self.state(at)?, self.state(place)?);
            let is_link = matches!(state, State::Link { .. });
            if !held.same(state) && !now.same(state) && !is_link {
                damaged.push(format!("{}: {}", self.lib.show(at), state.difference(&held)));
            }
        }
        let Some(fault) = self.ahead(self.front())? else { return Ok(()) };
        // A name that was not a rocBLAS before is restored as it was: a file under the name itself, or a
        // symlink without a library to point to.
        let front = self.journal.entry(&Place::new(self.front().as_ref())?);
        let beside = self.journal.entries.iter().filter(|(place, _)| !place.is_in_store());
        let had_library = beside.into_iter().any(|(_, entry)| is_file(entry));
        let was_so = front
            .is_some_and(|front| front.before.kept().is_some() && (is_file(front) || !had_library));
        let was_so = was_so || self.journal.bare;
        if was_so && damaged.is_empty() && self.left.is_empty() && !rebuilt {
            return Ok(());
        }
        let mut why = damaged;
        why.extend(self.left.iter().cloned());
        if why.is_empty() {
            why.push("the stock library is missing".to_owned());
        }
        bail!(
            "{} would point to {fault} afterwards, so nothing was changed: {}. Reinstall the \
             package that contains {SONAME} (apt-get install --reinstall rocblas, Debian: \
             librocblas5; or dnf reinstall rocblas) or move the file that is in the way, then revert",
            self.lib.path().join(SONAME).display(),
            why.join("; ")
        )
    }

    /// The name that programs load.
    fn front(&self) -> &'static str {
        let plain = Place::new(ROCBLAS.as_ref()).ok();
        let entry = plain.and_then(|place| self.journal.entry(&place));
        let is_plain = entry.is_some_and(is_file);
        if is_plain { ROCBLAS } else { SONAME }
    }

    /// What would be wrong with a name in the library directory after the steps.
    fn ahead(&self, name: &str) -> Result<Option<String>> {
        let mut place = Place::new(name.as_ref())?;
        for _ in 0..40 {
            // The last step that puts something there decides; without one, what is there now.
            let last = self.steps.iter().rev().find(|step| step.action.path() == Some(&place));
            let from = match last.map(|step| &step.action) {
                Some(Action::PutBack { from, .. }) => from.clone(),
                Some(Action::Link { target, .. }) => match next(&place, target) {
                    Some(next) => {
                        place = next;
                        continue;
                    }
                    None => return Ok(None),
                },
                Some(Action::Remove { .. }) => return Ok(Some("nothing".to_owned())),
                _ => place.clone(),
            };
            return Ok(match self.state(&from)? {
                State::Link { target } => match next(&place, &target) {
                    Some(next) => {
                        place = next;
                        continue;
                    }
                    // Outside the directory, where no step changes anything.
                    None => None,
                },
                State::File(_) => match present::what(self.lib.root(), &self.lib.inside(&from))? {
                    What::Rocblas(_) | What::Link(_) => None,
                    What::Shim(_) => Some("the shim without its store".to_owned()),
                    What::Other(why) => Some(format!("a file that is not a rocBLAS ({why})")),
                },
                State::Absent => Some("nothing".to_owned()),
                other => Some(other.to_string()),
            });
        }
        Ok(Some("a symlink loop".to_owned()))
    }

    /// Files of the user's that a newer one has replaced. Symlinks that a package upgrade has replaced are removed: they
    /// only name an earlier stock library, and packages and ldconfig create such symlinks themselves.
    fn superseded(&mut self) -> Result<()> {
        let front = self.journal.entry(&Place::new(self.front().as_ref())?);
        let is_upgrade = front.is_some_and(|front| is_link_to_stock(front.before.state()));
        for at in &self.journal.superseded {
            let state = self.state(at)?;
            if is_upgrade && is_link_to_stock(&state) {
                let reason = "a symlink to an earlier stock library, replaced by a package";
                self.step(Action::Remove { path: at.clone() }, reason);
            } else if state != State::Absent {
                let path = self.lib.show(at);
                self.left.push(format!("{path} is a file of yours that has been replaced since"));
            }
        }
        self.barrier("the removal of earlier symlinks is on disk");
        Ok(())
    }

    /// Remains of the shim that no journal records: copies, and symlinks to it.
    fn strays(&mut self, rebuilt: bool) -> Result<()> {
        let shim = self.journal.entry(&Place::new(SHIM_NAME.as_ref())?);
        let goes = shim.is_some_and(|entry| entry.before == Before::Nothing);
        for library in present::libraries(self.lib.root(), self.lib.path())? {
            let place = Place::new(library.name.as_ref())?;
            if self.journal.entry(&place).is_some() {
                continue;
            }
            let path = self.lib.show(&place);
            match &library.what {
                What::Shim(_) => self.left.push(format!(
                    "{path} is a copy of the shim that somebody made; ldconfig may prefer it"
                )),
                What::Link(target) if target.as_os_str() == SHIM_NAME && goes => {
                    self.left.push(format!(
                        "{path} is a symlink to the shim that somebody made, and is broken now"
                    ));
                }
                _ => {}
            }
        }
        for name in RENAMED.iter().map(|renamed| renamed.old).filter(|_| rebuilt) {
            let place = Place::new(name.as_ref())?;
            if self.journal.entry(&place).is_none() && self.state(&place)? != State::Absent {
                let path = self.lib.show(&place);
                self.left.push(format!("{path} may have been created by apply for the backend"));
            }
        }
        for diversion in &self.journal.diversions {
            if dpkg::is_diverted(self.lib, diversion).context("cannot read dpkg's diversions")? {
                continue;
            }
            // A tree that was moved: dpkg knows the old path.
            let all = dpkg::diversions(self.lib.root()).context("cannot read dpkg's diversions")?;
            let is_it = |(path, to): &&(PathBuf, PathBuf)| {
                path.ends_with(diversion.path.path()) && to.ends_with(diversion.to.path())
            };
            self.left.extend(all.iter().find(is_it).map(|(path, _)| {
                let path = path.display();
                format!(
                    "dpkg still diverts {path}, the tree's earlier path: run dpkg-divert --local --no-rename \
                     --remove {path}"
                )
            }));
        }
        Ok(())
    }

    fn undo(&mut self, place: &Place, entry: &Entry) -> Result<()> {
        let now = self.state(place)?;
        if matches!(now, State::Directory | State::Other) {
            self.left_alone(place, &now);
            if let Before::Kept { at, .. } = &entry.before {
                let (at, place) = (self.lib.show(at), self.lib.show(place));
                self.left.push(format!("{at} is what was at {place} before the first apply"));
            }
            return Ok(());
        }
        let is_ours = now == State::Absent || plan::is_ours(self.lib, place, &now, entry)?;
        // A file that dpkg diverted is newer than the original.
        let diversion = self.journal.diversions.iter().find(|diversion| diversion.path == *place);
        if let Some(diversion) = diversion
            && Some(&diversion.to) != entry.before.kept()
            && self.state(&diversion.to)? != State::Absent
        {
            let from = diversion.to.clone();
            if is_ours {
                self.step(Action::PutBack { from, path: place.clone() }, "as dpkg installed it");
                return self.drop_kept(entry);
            }
            self.left.push(format!("{} is what dpkg installed for {place}", self.lib.show(&from)));
        }
        match &entry.before {
            Before::Nothing => self.remove(place, &now, is_ours),
            Before::Kept { at, state } => self.put_back(place, &now, is_ours, entry, at, state),
            Before::Deleted { package, .. } => {
                if !is_ours {
                    // The original is back: its package was reinstalled.
                    return Ok(());
                }
                let why = "was deleted, as requested by --original delete";
                self.without_original(place, &now, package.as_deref(), why)
            }
        }
    }

    fn remove(&mut self, place: &Place, now: &State, is_ours: bool) -> Result<()> {
        let is_copy = || plan::is_kept_already(self.lib, self.journal, place, now);
        if *now == State::Absent {
            return Ok(());
        }
        let stock = if place.as_str() == SONAME { self.stock()? } else { None };
        if let (true, Some(stock)) = (is_ours, stock) {
            // The store was deleted by hand, and the package was reinstalled.
            let action = Action::Link { path: place.clone(), target: stock.into(), keep: None };
            self.step(action, "the stock library returns to its own name");
        } else if is_ours {
            self.step(Action::Remove { path: place.clone() }, "placed by apply");
        } else if place.as_str() == SHIM_NAME && is_copy()? {
            let reason = "written over the shim through a symlink; a copy of the stock library";
            self.step(Action::Remove { path: place.clone() }, reason);
        } else {
            self.left_alone(place, now);
        }
        Ok(())
    }

    /// A stock library that exists now, not one that will return.
    fn stock(&self) -> Result<Option<String>> {
        let libraries = present::libraries(self.lib.root(), self.lib.path())?;
        let stock = libraries.into_iter().rev().find(|library| {
            present::is_versioned_name(&library.name)
                && library.name != SHIM_NAME
                && matches!(&library.what, What::Rocblas(soname) if soname == SONAME)
        });
        Ok(stock.map(|library| library.name))
    }

    fn left_alone(&mut self, place: &Place, now: &State) {
        let path = self.lib.show(place);
        self.left
            .push(format!("{path} is left in place: it is {now}, which somebody put there since"));
    }

    fn put_back(
        &mut self,
        place: &Place,
        now: &State,
        is_ours: bool,
        entry: &Entry,
        at: &Place,
        before: &State,
    ) -> Result<()> {
        let held = self.state(at)?;
        let is_original = now.same(before);
        if is_ours && !(is_original && held == State::Absent) {
            return match (&held, before) {
                (State::Absent, State::Link { target }) => {
                    let (path, target) = (place.clone(), target.clone());
                    self.step(Action::Link { path, target, keep: None }, "as it was");
                    Ok(())
                }
                (State::Absent, _) => {
                    let why = format!("was kept as {}, which is missing", self.lib.show(at));
                    self.without_original(place, now, None, &why)
                }
                _ => {
                    let (from, path) = (at.clone(), place.clone());
                    self.step(Action::PutBack { from, path }, "as it was");
                    Ok(())
                }
            };
        }
        if held == State::Absent {
            if !is_original {
                self.left_alone(place, now);
            }
            return Ok(());
        }
        // The original is in its place; the file where it was to be kept was about to be exchanged for it.
        if is_original
            && (held.same(&entry.after) || self.is_shim(at)? || same_link(&held, &entry.after))
        {
            self.step(Action::Remove { path: at.clone() }, "the file is in its own place");
            return Ok(());
        }
        if self.is_same(place, now, at, &held)? {
            self.step(Action::Remove { path: at.clone() }, "the same file is in its own place");
            return Ok(());
        }
        self.left_alone(place, now);
        let (at, place) = (self.lib.show(at), self.lib.show(place));
        self.left.push(format!("{at} is what was at {place} before the first apply"));
        Ok(())
    }

    fn is_shim(&self, place: &Place) -> Result<bool> {
        Ok(matches!(present::what(self.lib.root(), &self.lib.inside(place))?, What::Shim(_)))
    }

    /// Whether two files have the same contents, or two symlinks the same target.
    fn is_same(&self, place: &Place, now: &State, at: &Place, held: &State) -> Result<bool> {
        let (State::File(a), State::File(b)) = (now, held) else { return Ok(now == held) };
        if a.size != b.size {
            return Ok(false);
        }
        let digest = |place: &Place| {
            let digest = crate::files::digest_at(self.lib, place);
            digest.with_context(|| format!("cannot read {}", self.lib.show(place)))
        };
        Ok(digest(place)? == digest(at)?)
    }

    /// An original that cannot be restored.
    fn without_original(
        &mut self,
        place: &Place,
        now: &State,
        package: Option<&str>,
        why: &str,
    ) -> Result<()> {
        let path = self.lib.show(place);
        if !self.others {
            let package = package.map_or_else(
                || {
                    "its package (AMD's and Fedora's is called rocblas, Debian's librocblas5)"
                        .into()
                },
                |package| format!("the package {package}"),
            );
            bail!(
                "{path} {why}, so it cannot be restored. Reinstall {package} (apt-get install \
                 --reinstall, or dnf reinstall), then revert"
            );
        }
        self.remarks.push(format!(
            "{path} {why}; another version, installed by a package since, takes its place"
        ));
        if *now != State::Absent {
            self.step(Action::Remove { path: place.clone() }, "placed by apply");
        }
        Ok(())
    }

    /// An original that a newer file replaces.
    fn drop_kept(&mut self, entry: &Entry) -> Result<()> {
        if let Before::Kept { at, .. } = &entry.before
            && self.state(at)? != State::Absent
        {
            self.step(Action::Remove { path: at.clone() }, "its package has installed a newer one");
        }
        Ok(())
    }
}

/// The target of a symlink in the library directory, if it is in that directory too.
fn next(place: &Place, target: &Path) -> Option<Place> {
    let is_beside = place.parent().is_none() && target.components().count() == 1;
    is_beside.then(|| Place::new(target).ok()).flatten()
}

fn same_link(a: &State, b: &State) -> bool {
    matches!((a, b), (State::Link { .. }, State::Link { .. })) && a == b
}

/// Carries the plan out, checks the result, and removes the journal and the store.
pub fn execute(lib: &LibDir, reverting: Reverting) -> Result<Outcome> {
    let Reverting { plan: Plan { steps, mut journal, remarks }, mut left, .. } = reverting;
    let had_something =
        journal.entries.values().any(|entry| entry.before.state() != &State::Absent);
    let had_rocblas = had_something && !journal.bare;
    let mut incoming = Incoming::open(lib)?;
    journal.phase = Phase::Changing;
    // On a full disk this may fail, and the recorded phase is then wrong; the entries are right, and
    // reverting frees space.
    let _ = journal.store(lib, &mut incoming);
    for Step { action, .. } in &steps {
        execute::run(lib, action, &mut incoming)
            .with_context(|| format!("cannot do this: {action}"))?;
    }
    incoming.close()?;
    if let Some(fault) = fault(lib, had_rocblas)? {
        left.push(fault);
    }
    // The journal is removed last, since without it a revert is not reliable.
    lib.directory().sync_file_system()?;
    remove_store(lib, &mut left)?;
    lib.directory().sync()?;
    Ok(Outcome { remarks, left })
}

/// What is wrong with the name that programs load, although everything is reported to be as before.
fn fault(lib: &LibDir, had_rocblas: bool) -> Result<Option<String>> {
    let (root, path) = (lib.root(), lib.path());
    let Some(front) = present::front(root, path) else {
        let fault = format!("{} has no {SONAME} now", path.display());
        return Ok(had_rocblas.then_some(fault));
    };
    let shown = front.display();
    let resolved: PathBuf =
        match root.resolve(&front).and_then(|path| root.metadata(&path).map(|_| path)) {
            Ok(resolved) => resolved,
            // As it was before, where there was no rocBLAS.
            Err(e) => {
                return Ok(had_rocblas.then(|| format!("{shown} does not resolve to a file ({e})")));
            }
        };
    Ok(match present::what(root, &resolved)? {
        What::Shim(_) => Some(format!("{shown} still points to the shim")),
        What::Rocblas(_) | What::Link(_) => None,
        What::Other(why) => Some(format!("{shown} points to {}: {why}", resolved.display())),
    })
}

/// Removes the journal, and the directories that the installer created in the store if they are empty by now.
/// Anything else there belongs to somebody and is reported.
pub fn remove_store(lib: &LibDir, left: &mut Vec<String>) -> Result<()> {
    let store = lib.show(&Place::store());
    let remove = || -> std::io::Result<bool> {
        Incoming::discard(lib)?;
        Journal::remove(lib)?;
        if lib.state(&Place::store())? == State::Directory {
            for own in [BACKENDS, COMPAT, KEPT, DIVERTED] {
                let own = Place::in_store(own).expect("a name of the installer's own");
                if lib.state(&own)? == State::Directory {
                    execute::remove_empty(lib, &own)?;
                }
            }
        }
        lib.parent(&Place::store())?.remove_directory(Place::store().name())
    };
    if !remove().with_context(|| format!("cannot remove {store}"))? && left.is_empty() {
        let names = lib.names(&Place::store()).unwrap_or_default().join(", ");
        left.push(format!("{store} stays, since it contains files of others: {names}"));
    }
    Ok(())
}
