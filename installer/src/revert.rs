//! The way back: the plan that undoes a journal, and the check that it did.

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

/// What a revert came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What a person should know.
    pub remarks: Vec<String>,
    /// What is not as it was before the installer changed it, a sentence each.
    pub left: Vec<String>,
}

/// Which entries are undone together, and why the next ones wait until they are on disk.
type Group = (fn(&Place, &Entry) -> bool, &'static str);

/// A plan and what it will leave.
#[derive(Debug)]
pub struct Reverting {
    /// The steps.
    pub plan: Plan,
    /// What is not going to be as it was before the installer changed it, a sentence each.
    pub left: Vec<String>,
    /// What a person wrote and is going to be gone, line by line.
    pub gone: Vec<String>,
}

/// Undoes what a journal says, whatever can be had of one: for an apply that failed.
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

/// The steps that lead back. An original that is gone and that nothing replaces is an error: without
/// it the tree would have no rocBLAS at all.
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
        back.step(action, "the stock library gets its own name back");
    }
    // Originals come back first, then the names that lead to them, and what the installer placed goes
    // last: at each moment what programs load is complete, and it is on disk before the next.
    let groups: [Group; 3] = [
        (|place, entry| is_file(entry) && !is_front(place), "the originals are on disk"),
        (
            |_, entry| entry.before.state() != &State::Absent,
            "the names that lead to them are on disk",
        ),
        (|_, _| true, "what was placed is gone on disk"),
    ];
    let mut done = std::collections::BTreeSet::new();
    for (belongs, reason) in groups {
        // Files come after their directories in a journal.
        for (place, entry) in journal.entries.iter().rev() {
            if belongs(place, entry) && done.insert(place) {
                back.undo(place, entry)?;
            }
        }
        back.barrier(reason);
    }
    back.look_ahead(loaded_rebuilt)?;
    back.strays(loaded_rebuilt)?;
    for at in &journal.superseded {
        if lib.state(at)? != State::Absent {
            back.left.push(format!("{} is a file of yours that was replaced since", lib.show(at)));
        }
    }
    if ldconfig::concerns(lib) {
        ldconfig::check(lib)?;
        back.step(Action::Ldconfig, "the loader's cache is to name the stock library");
    }
    let Back { steps, remarks, left, gone, .. } = back;
    Ok(Reverting { plan: Plan { steps, journal, remarks }, left, gone })
}

/// The store was deleted by hand, and the stock library with it; or the shim was placed by hand.
fn nothing_to_go_back_to(lib: &LibDir, journal: &Journal) -> anyhow::Error {
    let ends = journal.diversions.iter().map(|diversion| {
        let path = lib.show(&diversion.path);
        format!("dpkg-divert --local --no-rename --remove {path}; ")
    });
    let ends: String = ends.collect();
    anyhow::anyhow!(
        "{} has the shim, and neither a journal nor a stock library: the store was deleted, or the \
         shim was placed by hand. Without it the tree would have no rocBLAS. Either install the \
         package again that has {SONAME} ({ends}then apt-get install --reinstall rocblas, Debian: \
         librocblas5; or dnf reinstall rocblas), and revert; or keep the shim with `installer apply \
         --backend PATH`",
        lib.path().display()
    )
}

fn is_file(entry: &Entry) -> bool {
    matches!(entry.before.state(), State::File(_))
}

fn is_front(place: &Place) -> bool {
    [SONAME, ROCBLAS].contains(&place.as_str())
}

/// Whether a stock library is there, or comes back, besides one that is gone for good.
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

/// A plan in the making.
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
        self.lib.state(place).with_context(|| format!("cannot look at {}", self.lib.show(place)))
    }

    /// The stock library may be the backend in use. It is about to leave the store, so that the shim
    /// uses another until programs do not load it any more.
    fn other_backend(&mut self) -> Result<()> {
        let (root, lib) = (self.lib.root(), self.lib.path());
        // What cannot be read names no backend; it is listed if it is in the way.
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

    /// Settings that a person edited go with the store, so they are shown once more.
    fn show_settings(&mut self, text: &str) {
        if !text.is_empty() && !settings::is_unedited(text) {
            let path = self.lib.show(&settings::place());
            self.gone.push(format!("{path} was edited; this was in it:"));
            self.gone.extend(text.lines().map(|line| format!("  {line}")));
        }
    }

    /// Refuses steps after which programs would find no rocBLAS, where that is because an original is
    /// gone, damaged or in nobody's hands: as long as nothing was changed, the shim still serves them.
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
        // What was no rocBLAS before comes back as it was: a file in the place of the name itself, or a
        // link where there was no library for it.
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
            why.push("the stock library is not there".to_owned());
        }
        bail!(
            "{} would lead to {fault} afterwards, so nothing was changed. The reason: {}. Install the \
             package again that has {SONAME} (apt-get install --reinstall rocblas, Debian: \
             librocblas5; or dnf reinstall rocblas) or move what is in the way, then revert",
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

    /// What would be wrong with a name beside the libraries after the steps.
    fn ahead(&self, name: &str) -> Result<Option<String>> {
        let mut place = Place::new(name.as_ref())?;
        for _ in 0..40 {
            // The last step that puts something there decides, or what is there now.
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
                    // Elsewhere, where no step changes anything.
                    None => None,
                },
                State::File(_) => match present::what(self.lib.root(), &self.lib.inside(&from))? {
                    What::Rocblas(_) | What::Link(_) => None,
                    What::Shim(_) => Some("the shim without its store".to_owned()),
                    What::Other(why) => Some(format!("a file that is no rocBLAS ({why})")),
                },
                State::Absent => Some("nothing".to_owned()),
                other => Some(other.to_string()),
            });
        }
        Ok(Some("a loop of links".to_owned()))
    }

    /// What would be left of the shim that no journal knows of: copies, and links to it.
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
                        "{path} is a link to the shim that somebody made, and leads nowhere now"
                    ));
                }
                _ => {}
            }
        }
        for name in RENAMED.iter().map(|renamed| renamed.old).filter(|_| rebuilt) {
            let place = Place::new(name.as_ref())?;
            if self.journal.entry(&place).is_none() && self.state(&place)? != State::Absent {
                let path = self.lib.show(&place);
                self.left.push(format!("{path} may be what apply made for the backend"));
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
                    "dpkg still diverts {path}, where the tree was: dpkg-divert --local --no-rename \
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
        // What dpkg was told to put elsewhere is newer than what was there at first.
        let diversion = self.journal.diversions.iter().find(|diversion| diversion.path == *place);
        if let Some(diversion) = diversion
            && Some(&diversion.to) != entry.before.kept()
            && self.state(&diversion.to)? != State::Absent
        {
            let from = diversion.to.clone();
            if is_ours {
                self.step(Action::PutBack { from, path: place.clone() }, "as dpkg brought it");
                return self.drop_kept(entry);
            }
            self.left.push(format!("{} is what dpkg brought for {place}", self.lib.show(&from)));
        }
        match &entry.before {
            Before::Nothing => self.remove(place, &now, is_ours),
            Before::Kept { at, state } => self.put_back(place, &now, is_ours, entry, at, state),
            Before::Deleted { package, .. } => {
                if !is_ours {
                    // It has come back: its package was installed again.
                    return Ok(());
                }
                let why = "was deleted, as --original delete asks for";
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
            // The store was deleted by hand, and the package was installed again.
            let action = Action::Link { path: place.clone(), target: stock.into(), keep: None };
            self.step(action, "the stock library gets its own name back");
        } else if is_ours {
            self.step(Action::Remove { path: place.clone() }, "placed by apply");
        } else if place.as_str() == SHIM_NAME && is_copy()? {
            let reason = "written over the shim through a link; a copy of the stock library";
            self.step(Action::Remove { path: place.clone() }, reason);
        } else {
            self.left_alone(place, now);
        }
        Ok(())
    }

    /// A stock library that is there, not one that is going to come back.
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
            .push(format!("{path} is left alone: it is {now}, which somebody put there since"));
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
                    let why = format!("was kept as {}, which is gone", self.lib.show(at));
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
        // It is in its own place; what lies where it was to be kept was to be exchanged for it.
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

    /// Whether two files have the same contents, or two links the same target.
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

    /// An original that does not come back.
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
                "{path} {why}, so it cannot be put back. Install {package} again (apt-get install \
                 --reinstall, or dnf reinstall), then revert"
            );
        }
        self.remarks.push(format!(
            "{path} {why}; another version, which an upgrade or a package brought, takes its place"
        ));
        if *now != State::Absent {
            self.step(Action::Remove { path: place.clone() }, "placed by apply");
        }
        Ok(())
    }

    /// The original of something newer.
    fn drop_kept(&mut self, entry: &Entry) -> Result<()> {
        if let Before::Kept { at, .. } = &entry.before
            && self.state(at)? != State::Absent
        {
            self.step(Action::Remove { path: at.clone() }, "its package has brought a newer one");
        }
        Ok(())
    }
}

/// Where a link beside the libraries leads, if that is beside them too.
fn next(place: &Place, target: &Path) -> Option<Place> {
    let is_beside = place.parent().is_none() && target.components().count() == 1;
    is_beside.then(|| Place::new(target).ok()).flatten()
}

fn same_link(a: &State, b: &State) -> bool {
    matches!((a, b), (State::Link { .. }, State::Link { .. })) && a == b
}

/// Carries the plan out, looks at what came of it, and removes the journal and the store.
pub fn execute(lib: &LibDir, reverting: Reverting) -> Result<Outcome> {
    let Reverting { plan: Plan { steps, mut journal, remarks }, mut left, .. } = reverting;
    let had_something =
        journal.entries.values().any(|entry| entry.before.state() != &State::Absent);
    let had_rocblas = had_something && !journal.bare;
    let mut incoming = Incoming::open(lib)?;
    journal.phase = Phase::Changing;
    // On a full disk this may fail, and then the phase is not the truth; the entries are, and going
    // back is what frees space.
    let _ = journal.store(lib, &mut incoming);
    for Step { action, .. } in &steps {
        execute::run(lib, action, &mut incoming)
            .with_context(|| format!("cannot do this: {action}"))?;
    }
    incoming.close()?;
    if let Some(fault) = fault(lib, had_rocblas)? {
        left.push(fault);
    }
    // The journal goes last of all, since without it there is no sure way back.
    lib.directory().sync_file_system()?;
    remove_store(lib, &mut left)?;
    lib.directory().sync()?;
    Ok(Outcome { remarks, left })
}

/// What is wrong with the name that programs load, after all is said to be as before.
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
            Err(e) => return Ok(had_rocblas.then(|| format!("{shown} leads to no file ({e})"))),
        };
    Ok(match present::what(root, &resolved)? {
        What::Shim(_) => Some(format!("{shown} still leads to the shim")),
        What::Rocblas(_) | What::Link(_) => None,
        What::Other(why) => Some(format!("{shown} leads to {}: {why}", resolved.display())),
    })
}

/// Removes the journal, and the directories that the installer made in the store where they are empty by
/// now. What else is there is somebody's, and is said.
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
        left.push(format!("{store} stays, with files of others in it: {names}"));
    }
    Ok(())
}
