//! A plan: what to change in a tree, in which order, and why. A plan is a value; making one reads the tree
//! and changes nothing. [`crate::execute`] carries it out.
//!
//! A caller declares what is wanted at each place ([`Planner`]); the plan gets a step only if the place is
//! not already in that state. The same declarations after a crash, an upgrade or a complete apply therefore
//! yield exactly the remaining steps.
//!
//! Ownership is decided by content, not by times. A file belongs to the installer if it is in the store,
//! carries the shim's note, or has a digest that the journal records. Files kept in the store for the user,
//! and all other files, belong to the user: they are never overwritten or removed, only renamed into the
//! store.

use crate::{
    directory::Directory,
    files,
    journal::{Before, Diversion, Entry, Journal, Phase, rebuild::KEPT},
    lib_dir::LibDir,
    place::Place,
    present::{self, SHIM_NAME, What},
    root::Root,
    state::{FileState, State},
};
use anyhow::{Context, Result, bail};
use rocblas_contract::libraries::ROCBLAS;
use serde::Serialize;
use std::{
    collections::BTreeSet,
    fmt,
    fs::File,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// What to do, and the journal that must be on disk first.
#[derive(Debug)]
pub struct Plan {
    /// In order.
    pub steps: Vec<Step>,
    /// The journal that describes the tree once all steps are done.
    pub journal: Journal,
    /// Remarks for the user, besides the steps.
    pub remarks: Vec<String>,
}

/// One change.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// The change.
    #[serde(flatten)]
    pub action: Action,
    /// Why.
    pub reason: String,
}

/// A change of one place. Those with a `keep` exchange the user's file for the new one in a single step.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// A directory, which may exist already.
    MakeDirectory {
        /// Relative to the library directory, like all places.
        path: Place,
    },
    /// A copy of a file.
    Copy {
        /// Its origin, for messages.
        #[serde(serialize_with = "crate::output::json::path")]
        from: PathBuf,
        /// Where it goes.
        path: Place,
        /// In bytes.
        size: u64,
        /// Where the file that is there now goes.
        #[serde(skip_serializing_if = "Option::is_none")]
        keep: Option<Place>,
        /// Where the contents are read from.
        #[serde(skip)]
        source: Contents,
        /// Its time and permissions.
        #[serde(skip)]
        state: FileState,
    },
    /// A file with these bytes.
    Write {
        /// Where it goes.
        path: Place,
        /// Where the file that is there now goes.
        #[serde(skip_serializing_if = "Option::is_none")]
        keep: Option<Place>,
        /// Its contents.
        #[serde(skip)]
        bytes: Vec<u8>,
        /// Its time and permissions.
        #[serde(skip)]
        state: FileState,
    },
    /// A symbolic link.
    Link {
        /// Where it goes.
        path: Place,
        /// As written in it.
        #[serde(serialize_with = "crate::output::json::path")]
        target: PathBuf,
        /// Where the file that is there now goes.
        #[serde(skip_serializing_if = "Option::is_none")]
        keep: Option<Place>,
    },
    /// A file or symlink of the user's moves into the store.
    Keep {
        /// Where it is.
        path: Place,
        /// Where it goes.
        at: Place,
    },
    /// A kept file returns to its original place and replaces what the installer put there.
    PutBack {
        /// Where it is kept.
        from: Place,
        /// Its original place.
        path: Place,
    },
    /// Sets permissions.
    Permit {
        /// A file or directory of the installer's.
        path: Place,
        /// The permission bits.
        mode: u32,
    },
    /// Removes a file or symlink.
    Remove {
        /// Where it is.
        path: Place,
    },
    /// Removes a directory if it is empty.
    RemoveDirectory {
        /// Where it is.
        path: Place,
    },
    /// Tells dpkg to put a packaged file elsewhere.
    Divert(Diversion),
    /// Ends a dpkg diversion.
    EndDiversion(Diversion),
    /// Syncs all earlier steps to disk.
    Sync,
    /// Rebuilds the loader's cache.
    Ldconfig,
}

/// Where the contents of a file come from.
#[derive(Clone, Debug)]
pub enum Contents {
    /// A file that stays where it is.
    In(Root, PathBuf),
    /// A file that was unpacked for this plan and is moved.
    Staged(Directory, String),
    /// A member of a package that was only listed, for a plan that is only shown.
    Listed,
}

impl Contents {
    /// Opens it.
    pub fn open(&self) -> io::Result<File> {
        match self {
            Self::In(root, path) => root.open(path),
            Self::Staged(directory, name) => directory
                .open(crate::directory::Name::new(name).ok_or(io::ErrorKind::InvalidInput)?),
            Self::Listed => Err(io::Error::other("it was not unpacked")),
        }
    }
}

impl Action {
    /// The place that is changed.
    #[must_use]
    pub fn path(&self) -> Option<&Place> {
        match self {
            Self::MakeDirectory { path }
            | Self::Copy { path, .. }
            | Self::Write { path, .. }
            | Self::Link { path, .. }
            | Self::Keep { path, .. }
            | Self::PutBack { path, .. }
            | Self::Permit { path, .. }
            | Self::Remove { path }
            | Self::RemoveDirectory { path } => Some(path),
            Self::Divert(diversion) | Self::EndDiversion(diversion) => Some(&diversion.path),
            Self::Sync | Self::Ldconfig => None,
        }
    }
}

impl Action {
    /// The place that a file of the user's moves to or from.
    #[must_use]
    pub fn other_path(&self) -> Option<&Place> {
        match self {
            Self::Copy { keep, .. } | Self::Write { keep, .. } | Self::Link { keep, .. } => {
                keep.as_ref()
            }
            Self::Keep { at, .. } => Some(at),
            Self::PutBack { from, .. } => Some(from),
            _ => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeDirectory { path } => write!(f, "make    {path}/"),
            Self::Copy { path, size, keep, .. } => {
                write!(f, "place   {path} ({})", indicatif::HumanBytes(*size))?;
                kept(f, keep.as_ref())
            }
            Self::Write { path, keep, .. } => {
                write!(f, "write   {path}")?;
                kept(f, keep.as_ref())
            }
            Self::Link { path, target, keep } => {
                write!(f, "link    {path} -> {}", target.display())?;
                kept(f, keep.as_ref())
            }
            Self::Keep { path, at } => write!(f, "keep    {path} as {at}"),
            Self::PutBack { from, path } => write!(f, "restore {path} from {from}"),
            Self::Permit { path, mode } => write!(f, "chmod   {path} to {mode:04o}"),
            Self::Remove { path } => write!(f, "remove  {path}"),
            Self::RemoveDirectory { path } => write!(f, "remove  {path}/"),
            Self::Divert(Diversion { path, to }) => write!(f, "divert  {path} to {to} (dpkg)"),
            Self::EndDiversion(Diversion { path, .. }) => write!(f, "undivert {path} (dpkg)"),
            Self::Sync => f.write_str("sync    the file system"),
            Self::Ldconfig => f.write_str("run     ldconfig"),
        }
    }
}

fn kept(f: &mut fmt::Formatter<'_>, keep: Option<&Place>) -> fmt::Result {
    keep.map_or(Ok(()), |keep| write!(f, " (kept: {keep})"))
}

/// A file that the installer neither put there nor may replace.
#[derive(Debug, thiserror::Error)]
#[error(
    "{path} was changed by someone else: it is now {now}, but should be {after} (or, as before \
     the first apply, {before}). Move it away and run this command again, or run `installer \
     repair`, which moves it into the store as {keep} and continues"
)]
pub struct Disturbed {
    /// Inside the root.
    pub path: String,
    /// What is there.
    pub now: State,
    /// What the installer put there.
    pub after: State,
    /// What was there before the first apply.
    pub before: State,
    /// Where a repair would keep it.
    pub keep: String,
}

/// Which foreign files a plan may replace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Those that upgrades, ldconfig and people usually put next to the libraries.
    #[default]
    Usual,
    /// All of them, by moving them into the store; and placed files are read and compared.
    Repair,
}

/// What is wanted at a place.
#[derive(Debug)]
pub enum Wanted {
    /// Nothing.
    Nothing,
    /// A link with this target.
    Link(PathBuf),
    /// A copy of a file, of this state.
    Copy {
        /// Its origin, for messages.
        from: PathBuf,
        /// Where it is read from.
        source: Contents,
        /// Its size, time and permissions.
        state: FileState,
    },
    /// A file with these bytes, of this state.
    Bytes(Vec<u8>, FileState),
}

impl Wanted {
    /// A file with these bytes. Its time is a constant, so that image builds are reproducible.
    #[must_use]
    pub fn bytes(bytes: Vec<u8>) -> Self {
        let digest = Some(blake3::hash(&bytes).to_hex().to_string());
        let state = FileState { size: bytes.len() as u64, mode: 0o644, modified: 0, digest };
        Self::Bytes(bytes, state)
    }

    fn state(&self) -> State {
        match self {
            Self::Nothing => State::Absent,
            Self::Link(target) => State::Link { target: target.clone() },
            Self::Copy { state, .. } | Self::Bytes(_, state) => State::File(state.clone()),
        }
    }
}

/// What happens to a file of the user's that is in the way.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It is kept there if that place is free, else in `kept/`.
    Kept(Option<Place>),
    /// It is deleted, as the user asked; the package that would restore it.
    Deleted(Option<String>),
    /// It was written through a symlink with one of the installer's names (`cp FILE LIB/` does that). It
    /// stays in the store permanently unless it equals a kept file.
    Stray,
}

/// Collects the wanted state and turns it into steps.
#[derive(Debug)]
pub struct Planner<'a> {
    /// The directory of the libraries.
    pub lib: &'a LibDir,
    /// What may be replaced.
    pub reach: Reach,
    /// Whether the journal is of an interrupted run, perhaps by a power cut: a file may then have the right
    /// size and time but the wrong contents.
    unsure: bool,
    /// The resulting plan.
    pub plan: Plan,
    /// The places that hold a file of the user's, or will.
    kept: BTreeSet<Place>,
    /// Directories that exist or are planned, with the right permissions.
    directories: BTreeSet<Place>,
}

impl<'a> Planner<'a> {
    /// A plan that starts from this journal.
    #[must_use]
    pub fn new(lib: &'a LibDir, reach: Reach, journal: Journal) -> Self {
        let (kept, unsure) = (journal.kept(), journal.phase == Phase::Changing);
        let plan = Plan { steps: Vec::new(), journal, remarks: Vec::new() };
        Self { lib, reach, unsure, plan, kept, directories: BTreeSet::new() }
    }

    /// Adds a remark for the user.
    pub fn remark(&mut self, text: String) {
        self.plan.remarks.push(text);
    }

    /// Adds a step that is not about the wanted state of a place.
    pub fn step(&mut self, action: Action, reason: &str) {
        self.plan.steps.push(Step { action, reason: reason.to_owned() });
    }

    /// Syncs the steps planned so far before any that follow.
    pub fn barrier(&mut self, reason: &str) {
        let last = self.plan.steps.last().map(|step| &step.action);
        if last.is_some_and(|action| !matches!(action, Action::Sync)) {
            self.step(Action::Sync, reason);
        }
    }

    /// What is at a place now.
    pub fn now(&self, place: &Place) -> Result<State> {
        self.lib.state(place).with_context(|| format!("cannot stat {}", self.lib.show(place)))
    }

    /// Whether a place in the store holds a file of the user's.
    #[must_use]
    pub fn is_kept(&self, place: &Place) -> bool {
        self.kept.contains(place)
    }

    /// Whether another name is kept directly in a directory of the store.
    #[must_use]
    pub fn holds_another_original(&self, directory: &Place, name: &str) -> bool {
        let mut inside = self.kept.iter().filter(|kept| kept.parent().as_ref() == Some(directory));
        inside.any(|kept| kept.file_name() != name)
    }

    /// Records that a place in the store no longer holds a file of the user's.
    pub fn forget(&mut self, place: &Place) {
        self.kept.remove(place);
    }

    /// Whether a file of the user's is kept below a place.
    #[must_use]
    pub fn holds_originals(&self, place: &Place) -> bool {
        self.kept.iter().any(|kept| kept.starts_with(place))
    }

    /// A directory in the store, with its parents.
    pub fn directory(&mut self, place: &Place, reason: &str) -> Result<()> {
        if self.directories.contains(place) {
            return Ok(());
        }
        if let Some(parent) = place.parent() {
            self.directory(&parent, reason)?;
        }
        match self.now(place)? {
            State::Directory => self.permit_directory(place)?,
            // The store itself is created with the journal.
            State::Absent if *place == Place::store() => {}
            State::Absent => self.step(Action::MakeDirectory { path: place.clone() }, reason),
            other => bail!(
                "{} is {other}, and the installer needs a directory there: move it away",
                self.lib.show(place)
            ),
        }
        self.directories.insert(place.clone());
        Ok(())
    }

    /// A store that was created under a strict umask is unusable for other users' programs.
    fn permit_directory(&mut self, place: &Place) -> Result<()> {
        let mode = |directory: &Directory| {
            directory.metadata().map(|metadata| metadata.permissions().mode() & 0o7777)
        };
        let directory = self.lib.directory();
        let modes =
            || -> io::Result<_> { Ok((mode(directory)?, mode(&directory.below(place.path())?)?)) };
        let (outer, own) =
            modes().with_context(|| format!("cannot stat {}", self.lib.show(place)))?;
        if outer & 0o055 & !own != 0 {
            let action = Action::Permit { path: place.clone(), mode: files::DIRECTORY_MODE };
            self.step(action, "other users' programs load files from it");
        }
        Ok(())
    }

    /// Restores the permissions of a file in the store if nothing else of it was changed.
    pub fn permit(&mut self, place: &Place) -> Result<()> {
        let now = self.now(place)?;
        let placed = self.plan.journal.entry(place).map(|entry| &entry.after);
        if let Some(mode) = placed.and_then(|placed| only_mode_differs(&now, placed, placed)) {
            let action = Action::Permit { path: place.clone(), mode };
            self.step(action, "its permissions were changed");
        }
        Ok(())
    }

    /// Declares what is wanted at a place. A file of the user's that is there is kept.
    pub fn want(&mut self, place: &Place, wanted: Wanted, reason: &str) -> Result<()> {
        self.want_with(place, wanted, &Fate::Kept(None), reason)
    }

    /// Declares what is wanted at a place, and what happens to a file of the user's that is there.
    pub fn want_with(
        &mut self,
        place: &Place,
        wanted: Wanted,
        fate: &Fate,
        reason: &str,
    ) -> Result<()> {
        if self.kept.contains(place) {
            bail!(
                "{} holds a file of yours that `revert` restores, so nothing else can be placed \
                 there. If a backend's name is taken, choose another with --name",
                self.lib.show(place)
            );
        }
        let now = self.now(place)?;
        let after = wanted.state();
        if matches!(now, State::Directory | State::Other) {
            bail!(
                "{} is {now}, but must become {after}: move it away, then run this command again",
                self.lib.show(place)
            );
        }
        let entry = self.plan.journal.entries.get(place).cloned();
        let Some(mut entry) = entry else {
            // A state that existed before the first apply is not the installer's to remove.
            if now.same(&after) {
                return Ok(());
            }
            let (before, keep) = self.before(place, &now, fate, &after)?;
            self.plan.journal.entries.insert(place.clone(), Entry { before, after });
            return self.carry_out(place, wanted, keep, &now, reason);
        };
        // A file whose contents are known to differ may have the same size and time.
        let is_other = !entry.after.same(&after) && now.same(&entry.after) && now.same(&after);
        if now.same(&after) && !is_other && !self.is_damaged(place, &entry, &after)? {
            // The digest is known from placing it.
            if !entry.after.same(&after) {
                entry.after = after;
            }
            self.plan.journal.entries.insert(place.clone(), entry);
            return Ok(());
        }
        let keep = if now == State::Absent || self.is_ours(place, &now, &entry)? {
            if let Some(mode) = only_mode_differs(&now, &entry.after, &after) {
                let action = Action::Permit { path: place.clone(), mode };
                self.step(action, "its permissions were changed");
                return Ok(());
            }
            None
        } else {
            self.take_over(place, &now, &mut entry, fate, &after)?
        };
        entry.after = after;
        self.plan.journal.entries.insert(place.clone(), entry);
        self.carry_out(place, wanted, keep, &now, reason)
    }

    /// The journal entry for what is at a place that the journal does not know yet.
    fn before(
        &mut self,
        place: &Place,
        now: &State,
        fate: &Fate,
        after: &State,
    ) -> Result<(Before, Option<Place>)> {
        match (now, fate) {
            (State::Absent, _) => Ok((Before::Nothing, None)),
            (State::Directory | State::Other, _) => bail!(
                "{} is {now}, but must become {after}: move it away, then run this command again",
                self.lib.show(place)
            ),
            (State::File(_), Fate::Deleted(package)) => {
                Ok((Before::Deleted { state: now.clone(), package: package.clone() }, None))
            }
            (_, fate) => {
                let at = self.keep_at(place, fate)?;
                Ok((Before::Kept { at: at.clone(), state: now.clone() }, Some(at)))
            }
        }
    }

    /// The entry of a place that holds a file of the user's, and where that file is kept.
    fn take_over(
        &mut self,
        place: &Place,
        now: &State,
        entry: &mut Entry,
        fate: &Fate,
        after: &State,
    ) -> Result<Option<Place>> {
        let is_original = now.same(entry.before.state());
        if matches!(fate, Fate::Stray) && (is_original || self.may_adopt(place, now)) {
            if is_kept_already(self.lib, &self.plan.journal, place, now)? {
                return Ok(None);
            }
            let at = self.keep_at(place, fate)?;
            self.remark(format!(
                "{} was overwritten with a library of yours, which is kept as {}",
                self.lib.show(place),
                self.lib.show(&at)
            ));
            self.plan.journal.superseded.insert(at.clone());
            return Ok(Some(at));
        }
        if let Before::Kept { at, .. } = &entry.before {
            let at = at.clone();
            let held = self.now(&at)?;
            let is_free = held == State::Absent
                || (is_original && self.is_pending(&at, &held, &entry.after)?);
            if is_free && (is_original || self.may_adopt(place, now)) {
                if let Some(parent) = at.parent() {
                    self.directory(&parent, "for files that revert restores")?;
                }
                entry.before = Before::Kept { at: at.clone(), state: now.clone() };
                return Ok(Some(at));
            }
            if !is_free && self.is_identical(place, now, &at, &held)? {
                return Ok(None);
            }
        }
        if !is_original && !self.may_adopt(place, now) {
            return Err(Disturbed {
                path: self.lib.show(place),
                now: now.clone(),
                after: entry.after.clone(),
                before: entry.before.state().clone(),
                keep: self.lib.show(&self.free_place(place)?),
            }
            .into());
        }
        if let Before::Kept { at, .. } = &entry.before
            && self.now(at)? != State::Absent
        {
            // It stays in the store: although something replaced it in the tree, nobody asked to delete it.
            let at = at.clone();
            self.remark(format!(
                "{} was replaced since; the earlier file stays as {}",
                self.lib.show(place),
                self.lib.show(&at)
            ));
            self.plan.journal.superseded.insert(at);
        }
        let (before, keep) = self.before(place, now, fate, after)?;
        entry.before = before;
        Ok(keep)
    }

    /// Where a file of the user's is kept: at the wanted place if that is free.
    fn keep_at(&mut self, place: &Place, fate: &Fate) -> Result<Place> {
        let asked = if let Fate::Kept(Some(asked)) = fate { Some(asked.clone()) } else { None };
        let at = match asked {
            Some(asked) if self.is_free(&asked)? => asked,
            _ => self.free_place(place)?,
        };
        if let Some(parent) = at.parent() {
            self.directory(&parent, "for files that revert restores")?;
        }
        self.kept.insert(at.clone());
        Ok(at)
    }

    fn is_free(&self, place: &Place) -> Result<bool> {
        let known = self.kept.contains(place) || self.plan.journal.entries.contains_key(place);
        Ok(!known && self.now(place)? == State::Absent)
    }

    /// `kept/NAME`, or `kept/NAME~2` and so on.
    fn free_place(&self, place: &Place) -> Result<Place> {
        let kept = Place::in_store(KEPT)?;
        let name = place.file_name();
        let mut at = kept.join(name)?;
        let mut number = 2;
        while !self.is_free(&at)? {
            at = kept.join(format!("{name}~{number}"))?;
            number += 1;
        }
        Ok(at)
    }

    /// Whether the file where an original is to be kept is the installer's own new file, which was about to
    /// be exchanged for the original when an apply was killed.
    fn is_pending(&self, at: &Place, held: &State, after: &State) -> Result<bool> {
        Ok(held.same(after)
            || matches!(held, State::File(_)) && self.is_shim(at)?
            || same_digest(self.lib, at, held, after)?)
    }

    fn is_shim(&self, place: &Place) -> Result<bool> {
        Ok(matches!(present::what(self.lib.root(), &self.lib.inside(place))?, What::Shim(_)))
    }

    /// Whether two files of the user's are equal, so that one of them is enough.
    fn is_identical(&self, place: &Place, now: &State, at: &Place, held: &State) -> Result<bool> {
        Ok(match (now, held) {
            (State::File(a), State::File(b)) => {
                let digest = |place: &Place| {
                    let digest = files::digest_at(self.lib, place);
                    digest.with_context(|| format!("cannot read {}", self.lib.show(place)))
                };
                a.size == b.size && digest(place)? == digest(at)?
            }
            (State::Link { .. }, State::Link { .. }) => now == held,
            _ => false,
        })
    }

    /// Whether what is at a place is the installer's, whatever its time and permissions.
    fn is_ours(&self, place: &Place, now: &State, entry: &Entry) -> Result<bool> {
        is_ours(self.lib, place, now, entry)
    }

    /// Whether a file that looks unchanged may have other contents. A repair reads it, as does any run after
    /// an interruption; a file that the interrupted run did not verify is then placed again.
    fn is_damaged(&self, place: &Place, entry: &Entry, wanted: &State) -> Result<bool> {
        let State::File(wanted) = wanted else { return Ok(false) };
        if !self.unsure && self.reach != Reach::Repair {
            return Ok(false);
        }
        let known =
            if let State::File(placed) = &entry.after { placed.digest.as_ref() } else { None };
        match wanted.digest.as_ref().or(known) {
            Some(digest) => {
                let now = files::digest_at(self.lib, place);
                let now = now.with_context(|| format!("cannot read {}", self.lib.show(place)))?;
                Ok(now != *digest)
            }
            None => Ok(self.unsure && *place != crate::settings::place()),
        }
    }

    /// Whether what somebody put at a place is something that upgrades, ldconfig and people usually put
    /// there: another rocBLAS, a symlink to one, or settings. Only a repair replaces anything else.
    fn may_adopt(&self, place: &Place, now: &State) -> bool {
        if self.reach == Reach::Repair {
            return matches!(now, State::File(_) | State::Link { .. });
        }
        match now {
            State::Absent => true,
            State::Link { target } => {
                target.file_name().is_some_and(|name| name.to_string_lossy().starts_with(ROCBLAS))
            }
            State::File(_) => {
                let path = self.lib.inside(place);
                matches!(
                    present::what(self.lib.root(), &path),
                    Ok(What::Rocblas(_) | What::Shim(_))
                )
            }
            State::Directory | State::Other => false,
        }
    }

    fn carry_out(
        &mut self,
        place: &Place,
        wanted: Wanted,
        keep: Option<Place>,
        now: &State,
        reason: &str,
    ) -> Result<()> {
        if place.is_in_store()
            && let Some(parent) = place.parent()
            && !matches!(wanted, Wanted::Nothing)
        {
            self.directory(&parent, reason)?;
        }
        let path = place.clone();
        let action = match (wanted, keep) {
            (Wanted::Nothing, Some(at)) => Action::Keep { path, at },
            (Wanted::Nothing, None) if *now == State::Absent => return Ok(()),
            (Wanted::Nothing, None) => Action::Remove { path },
            (Wanted::Link(target), keep) => Action::Link { path, target, keep },
            (Wanted::Copy { from, source, state }, keep) => {
                Action::Copy { from, path, size: state.size, keep, source, state }
            }
            (Wanted::Bytes(bytes, state), keep) => Action::Write { path, keep, bytes, state },
        };
        self.step(action, reason);
        Ok(())
    }

    /// The shim's settings. People edit them, so an edit is not a disturbance and stays.
    pub fn settings(&mut self, text: &str, reason: &str) -> Result<()> {
        let place = crate::settings::place();
        // Without a digest, since people edit it.
        let state = FileState { size: text.len() as u64, mode: 0o644, modified: 0, digest: None };
        let now = self.now(&place)?;
        if matches!(now, State::File(_)) {
            let path = self.lib.show(&place);
            let present =
                self.lib.read_text(&place).with_context(|| format!("cannot read {path}"))?;
            if present == text {
                return Ok(());
            }
        }
        let wanted = Wanted::Bytes(text.as_bytes().to_vec(), state.clone());
        if let Some(entry) = self.plan.journal.entries.get_mut(&place) {
            // It is in the store, so it is the installer's, edited or not.
            entry.after = State::File(state);
            return self.carry_out(&place, wanted, None, &now, reason);
        }
        self.want(&place, wanted, reason)
    }
}

/// Whether what is at a place is the installer's, whatever its time and permissions: it is unchanged, or in
/// the store, or the shim by its note, or a symlink to the shim, or has a digest that the journal records.
pub fn is_ours(lib: &LibDir, place: &Place, now: &State, entry: &Entry) -> Result<bool> {
    if now.same(&entry.after) || place.is_in_store() {
        return Ok(true);
    }
    let shown = || format!("cannot read {}", lib.show(place));
    match now {
        State::Link { target } => Ok(target.file_name().is_some_and(|name| name == SHIM_NAME)),
        State::File(_) => {
            let what = present::what(lib.root(), &lib.inside(place)).with_context(shown)?;
            Ok(matches!(what, What::Shim(_)) || same_digest(lib, place, now, &entry.after)?)
        }
        _ => Ok(false),
    }
}

/// Whether a file equals one that is kept in the store, or an original that is back in its place.
pub fn is_kept_already(
    lib: &LibDir,
    journal: &Journal,
    place: &Place,
    now: &State,
) -> Result<bool> {
    let State::File(now) = now else { return Ok(false) };
    let mut digest = None;
    let originals = journal.entries.iter().filter(|(original, _)| *original != place);
    let candidates = originals.flat_map(|(original, entry)| {
        entry
            .before
            .kept()
            .into_iter()
            .chain(matches!(entry.before, Before::Kept { .. }).then_some(original))
    });
    for other in candidates {
        let shown = || format!("cannot read {}", lib.show(other));
        let State::File(held) = lib.state(other).with_context(shown)? else { continue };
        if held.size != now.size {
            continue;
        }
        let own = match &digest {
            Some(own) => own,
            None => digest.insert(
                files::digest_at(lib, place)
                    .with_context(|| format!("cannot read {}", lib.show(place)))?,
            ),
        };
        if files::digest_at(lib, other).with_context(shown)? == *own {
            return Ok(true);
        }
    }
    Ok(false)
}

fn same_digest(lib: &LibDir, place: &Place, now: &State, after: &State) -> Result<bool> {
    let (State::File(now), State::File(FileState { size, digest: Some(digest), .. })) =
        (now, after)
    else {
        return Ok(false);
    };
    if now.size != *size {
        return Ok(false);
    }
    let now = files::digest_at(lib, place);
    Ok(now.with_context(|| format!("cannot read {}", lib.show(place)))? == *digest)
}

/// The permissions to set, if they are the only difference from what was placed.
fn only_mode_differs(now: &State, placed: &State, wanted: &State) -> Option<u32> {
    let (State::File(now), State::File(placed), State::File(wanted)) = (now, placed, wanted) else {
        return None;
    };
    let same = |other: &FileState| (now.size, now.modified) == (other.size, other.modified);
    (same(placed) && same(wanted) && now.mode != wanted.mode).then_some(wanted.mode)
}

/// A relative path as a symlink target, from a place in the store to one in the library directory.
#[must_use]
pub fn relative_target(from: &Place, to: impl AsRef<Path>) -> PathBuf {
    let depth = from.as_str().matches('/').count();
    let mut target = PathBuf::new();
    target.extend(std::iter::repeat_n(Path::new(".."), depth));
    target.join(to)
}
