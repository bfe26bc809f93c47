//! Carries out the steps of a plan, with the journal on disk before the first of them.

use crate::{
    directory::{Directory, Name, Target},
    dpkg,
    files::{self, Incoming, New},
    immutable::Immutable,
    journal::{Journal, Phase},
    ldconfig,
    lib_dir::LibDir,
    place::Place,
    plan::{Action, Contents, Plan, Step},
    state::State,
};
use anyhow::{Context, Result};
use rustix::fs::{Mode, fchmod};
use std::io;

/// Carries out a plan and returns the journal as it is on disk afterwards.
/// On an error the journal stays in [`Phase::Changing`]: the same plan can be made and carried out again, or
/// be undone.
/// again, or be undone.
pub fn execute(lib: &LibDir, plan: Plan, incoming: &mut Incoming) -> Result<Journal> {
    let Plan { steps, mut journal, .. } = plan;
    journal.phase = Phase::Changing;
    journal.store(lib, incoming)?;
    for Step { action, .. } in &steps {
        let digest =
            run(lib, action, incoming).with_context(|| format!("step failed: {action}"))?;
        // It was read while it was written, so nothing has to be read again.
        if let Some(State::File(file)) = action
            .path()
            .and_then(|path| journal.entries.get_mut(path))
            .map(|entry| &mut entry.after)
            && digest.is_some()
        {
            file.digest = digest;
        }
    }
    Ok(journal)
}

/// Records on disk that the tree is as the journal says.
pub fn settle(lib: &LibDir, journal: &mut Journal, mut incoming: Incoming) -> Result<()> {
    // The digest of a file that an interrupted run placed but did not record.
    for (place, entry) in &mut journal.entries {
        if let State::File(file) = &mut entry.after
            && file.digest.is_none()
            && *place != crate::settings::place()
        {
            let digest = files::digest_at(lib, place);
            let digest = digest.with_context(|| format!("cannot read {}", lib.show(place)))?;
            file.digest = Some(digest);
        }
    }
    journal.phase = Phase::Applied;
    // Something that came and went again need not be undone.
    journal
        .entries
        .retain(|_, entry| entry.before.state() != &State::Absent || entry.after != State::Absent);
    journal.store(lib, &mut incoming)?;
    // An interrupted removal of a backend may leave empty directories.
    let backends = Place::backends();
    for name in lib.names(&backends).context("cannot read the store")? {
        let Ok(backend) = backends.join(&name) else { continue };
        // dpkg needs the directories that it diverts to.
        let diverts = journal.diversions.iter().any(|d| d.to.starts_with(&backend));
        if !diverts && lib.state(&backend)? == State::Directory {
            remove_empty(lib, &backend).context("cannot clean up the store")?;
        }
    }
    incoming.close().context("cannot clean up the store")
}

/// Removes a directory of the store and its subdirectories if they are empty. Returns whether it was removed.
pub(crate) fn remove_empty(lib: &LibDir, place: &Place) -> io::Result<bool> {
    debug_assert!(place.is_in_store(), "only the store is the installer's");
    for name in lib.names(place)? {
        if let Ok(inner) = place.join(&name)
            && lib.state(&inner)? == State::Directory
        {
            remove_empty(lib, &inner)?;
        }
    }
    lib.parent(place)?.remove_directory(place.name())
}

/// Carries out one step. Returns the digest of a file that was copied.
pub(crate) fn run(
    lib: &LibDir,
    action: &Action,
    incoming: &mut Incoming,
) -> Result<Option<String>> {
    carry_out(lib, action, incoming).map_err(|error| {
        let is_denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        let why = error.root_cause().downcast_ref().is_some_and(is_denied);
        let places: Vec<&Place> = action.path().into_iter().chain(action.other_path()).collect();
        match Immutable::among(lib, &places).filter(|_| why) {
            Some(immutable) => error.context(immutable.to_string()),
            None => error,
        }
    })
}

fn carry_out(lib: &LibDir, action: &Action, incoming: &mut Incoming) -> Result<Option<String>> {
    match action {
        Action::MakeDirectory { path } => {
            lib.parent(path)?.make(path.name(), files::DIRECTORY_MODE)?;
        }
        Action::Copy { path, keep, source, state, .. } => {
            let label = path.file_name();
            let (new, digest) = match source {
                Contents::Staged(directory, name) => {
                    let name = Name::new(name).context("a staged file has no name")?;
                    let digest = files::digest(directory.open(name)?, label)?;
                    (New::staged(directory, &name.to_string()), digest)
                }
                source => incoming.copy(source.open()?, state, label)?,
            };
            put(lib, new, path, keep.as_ref())?;
            return Ok(Some(digest));
        }
        Action::Write { path, keep, bytes, state } => {
            let new = incoming.bytes(bytes, state)?;
            put(lib, new, path, keep.as_ref())?;
        }
        Action::Link { path, target, keep } => {
            let new = incoming.link(target)?;
            put(lib, new, path, keep.as_ref())?;
        }
        Action::Keep { path: from, at: to } => {
            let (source, target) = (lib.parent(from)?, lib.parent(to)?);
            source.rename(from.name(), &target, to.name(), Target::Free)?;
        }
        Action::PutBack { from, path } => {
            let (source, target) = (lib.parent(from)?, lib.parent(path)?);
            source.rename(from.name(), &target, path.name(), Target::Replaced)?;
        }
        Action::Permit { path, mode } => permit(lib, path, *mode)?,
        Action::Remove { path } => remove(lib, path, |parent, name| parent.remove(name))?,
        Action::RemoveDirectory { path } => {
            remove(lib, path, |parent, name| parent.remove_directory(name).map(drop))?;
        }
        Action::Divert(diversion) => dpkg::divert(lib, diversion)?,
        Action::EndDiversion(diversion) => dpkg::end_diversion(lib, diversion)?,
        Action::Sync => lib.directory().sync_file_system()?,
        Action::Ldconfig => {
            // A restored file may be one that a sync would wait for.
            ldconfig::check(lib)?;
            ldconfig::run(lib.root())?;
        }
    }
    Ok(None)
}

/// Removes a file, which may not exist, with the directory that contained it.
fn remove(
    lib: &LibDir,
    path: &Place,
    how: impl FnOnce(Directory, Name<'_>) -> io::Result<()>,
) -> io::Result<()> {
    match lib.parent(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        parent => how(parent?, path.name()),
    }
}

fn put(lib: &LibDir, new: New, path: &Place, keep: Option<&Place>) -> io::Result<()> {
    let to = lib.parent(path)?;
    // What programs load or read is complete on disk before it gets its name. The hundreds of files of a
    // backend are not read before the barrier that follows them.
    if !path.is_in_store() || *path == crate::settings::place() {
        new.sync()?;
    }
    let Some(keep) = keep else { return new.replace(&to, path.name()) };
    new.exchange(&to, path.name(), &lib.parent(keep)?, keep.name())
}

fn permit(lib: &LibDir, place: &Place, mode: u32) -> io::Result<()> {
    let mode = Mode::from_raw_mode(mode);
    if lib.state(place)? == State::Directory {
        return Ok(fchmod(lib.directory().below(place.path())?, mode)?);
    }
    Ok(fchmod(lib.open_file(place)?, mode)?)
}
