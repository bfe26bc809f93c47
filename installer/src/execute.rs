//! Carries out the steps of a plan, with the journal on disk before the first of them.

use crate::{
    dpkg,
    files::{self, Incoming},
    journal::{Journal, Phase},
    ldconfig,
    plan::{Action, Plan, Step},
    root::Root,
    state::State,
};
use anyhow::{Context, Result};
use std::{
    fs::{self, File, FileTimes, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, SystemTime},
};

/// Carries out a plan and answers the journal as it is on disk afterwards.
///
/// An error leaves the journal in [`Phase::Changing`]: the same plan can be made and carried out
/// again, or be undone.
pub fn execute(root: &Root, lib: &Path, plan: Plan, incoming: &mut Incoming) -> Result<Journal> {
    let Plan { steps, mut journal, .. } = plan;
    journal.phase = Phase::Changing;
    journal.store(root, lib, incoming.directory())?;
    for Step { action, .. } in &steps {
        run(root, lib, action, incoming).with_context(|| format!("cannot do this: {action}"))?;
    }
    for entry in &mut journal.entries {
        if let State::File(file) = &mut entry.after
            && file.digest.is_none()
        {
            let path = root.on_machine(&entry.path);
            let digest = files::digest(&path);
            let digest = digest.with_context(|| format!("cannot read {}", path.display()))?;
            file.digest = Some(digest);
        }
    }
    Ok(journal)
}

/// Says on disk that the tree is as the journal says.
pub fn settle(root: &Root, lib: &Path, journal: &mut Journal, incoming: Incoming) -> Result<()> {
    journal.phase = Phase::Applied;
    // What came and went again has nothing to be undone.
    journal
        .entries
        .retain(|entry| (&entry.before, &entry.after) != (&State::Absent, &State::Absent));
    journal.store(root, lib, incoming.directory())?;
    incoming.close().context("cannot tidy up the store")
}

pub(crate) fn run(root: &Root, lib: &Path, action: &Action, incoming: &mut Incoming) -> Result<()> {
    let at = |path: &Path| root.on_machine(path);
    match action {
        Action::MakeDirectory { path } => files::make_directory(&at(path))?,
        Action::Copy { from, path, .. } => {
            incoming.place_copy(from, &at(path))?;
        }
        Action::Unpacked { from, path, state, .. } => {
            fs::set_permissions(from, Permissions::from_mode(state.mode))?;
            let seconds = u64::try_from(state.modified).unwrap_or(0);
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            File::open(from)?.set_times(FileTimes::new().set_modified(time))?;
            fs::rename(from, at(path))?;
        }
        Action::Write { path, bytes, state } => {
            incoming.place_bytes(bytes, state.modified, state.mode, &at(path))?;
        }
        Action::Link { path, target } => incoming.place_link(target, &at(path))?,
        Action::Keep { path, at: kept } => incoming.keep(&at(path), &at(kept))?,
        Action::PutBack { from, path } => fs::rename(at(from), at(path))?,
        Action::Remove { path } => files::remove(&at(path))?,
        Action::RemoveDirectory { path } => {
            files::remove_directory(&at(path))?;
        }
        Action::Divert(diversion) => dpkg::divert(root, diversion)?,
        Action::EndDiversion(diversion) => dpkg::end_diversion(root, diversion)?,
        Action::Sync => files::sync(&at(lib))?,
        Action::Ldconfig => ldconfig::run(root)?,
    }
    Ok(())
}
