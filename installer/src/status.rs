//! Whether a tree is as `apply` left it, and what is different if not.

use crate::{
    dpkg, files,
    journal::{Entry, Journal, Phase},
    present::{self, SONAME, What},
    root::Root,
    settings,
    state::State,
};
use anyhow::{Context, Result};
use serde::Serialize;
use std::{fmt, path::Path};

/// The state of a tree in one word, and the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// No shim was placed here by this installer.
    NotApplied,
    /// Everything is as it was placed.
    Applied {
        /// The shim's version.
        shim: String,
        /// The backend that it uses.
        backend: String,
    },
    /// Something changed since.
    Disturbed {
        /// What, a sentence each.
        changes: Vec<String>,
    },
}

impl Status {
    /// The exit code of `status`: scripts tell the three apart by it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Applied { .. } => 0,
            Self::NotApplied => 3,
            Self::Disturbed { .. } => 4,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotApplied => f.write_str("not applied"),
            Self::Applied { shim, backend } => {
                write!(f, "applied: shim {shim} with backend {backend}")
            }
            Self::Disturbed { changes } => {
                write!(f, "disturbed: {}", changes.join("; "))?;
                f.write_str(". `installer apply` repairs it")
            }
        }
    }
}

/// Looks at every path of the journal, without reading files.
pub fn status(root: &Root, lib: &Path) -> Result<Status> {
    let Some(journal) = Journal::load(root, lib)? else { return Ok(Status::NotApplied) };
    let mut changes = Vec::new();
    if journal.phase == Phase::Changing {
        changes.push("an apply or revert was interrupted".to_owned());
    }
    let settings_path = settings::path(lib);
    for entry in &journal.entries {
        let now = now(root, &entry.path)?;
        let edited = entry.path == settings_path && matches!(now, State::File(_));
        if !now.same(&entry.after) && !edited {
            changes.push(change(entry, &now));
        }
        if let (State::File(_), Some(kept)) = (&entry.before, &entry.kept)
            && now.same(&entry.after)
            && now_is_absent(root, kept)?
        {
            changes.push(format!("{}, which revert needs, is gone", kept.display()));
        }
    }
    for diversion in &journal.diversions {
        if dpkg::is_lost(root, diversion).context("cannot read dpkg's diversions")? {
            changes.push(format!("dpkg does not divert {} any more", diversion.path.display()));
        }
    }
    changes.extend(arrivals(root, lib, &journal)?);
    if !changes.is_empty() {
        return Ok(Status::Disturbed { changes });
    }
    let backend = settings::backend(&settings::text(root, lib)?)?;
    let backend = backend.unwrap_or_else(|| "the only one in the store".to_owned());
    Ok(Status::Applied { shim: journal.shim, backend })
}

fn now(root: &Root, path: &Path) -> Result<State> {
    State::of(root, path).with_context(|| format!("cannot look at {}", path.display()))
}

fn now_is_absent(root: &Root, path: &Path) -> Result<bool> {
    Ok(now(root, path)? == State::Absent)
}

fn change(entry: &Entry, now: &State) -> String {
    let (path, after) = (entry.path.display(), &entry.after);
    let back = now.same(&entry.before) && *now != State::Absent;
    match now {
        _ if back => format!("{path} is {now} again, as before apply (an upgrade, or ldconfig)"),
        State::Absent => format!("{path} is gone"),
        _ => format!("{path} is {now} and not {after}"),
    }
}

/// Stock libraries that no journal knows: an upgrade to another version brings one. The shim's name
/// wins over it for ldconfig.
fn arrivals(root: &Root, lib: &Path, journal: &Journal) -> Result<Vec<String>> {
    let libraries = present::libraries(root, lib)?;
    let new = libraries.iter().filter(|library| {
        present::is_versioned_name(&library.name)
            && matches!(&library.what, What::Rocblas(soname) if soname == SONAME)
            && journal.entry(&lib.join(&library.name)).is_none()
    });
    Ok(new.map(|library| format!("{} is a stock library that came since", library.name)).collect())
}

/// One file of `verify`.
#[derive(Clone, Debug, Serialize)]
pub struct Verified {
    /// Inside the root.
    pub path: std::path::PathBuf,
    /// What is wrong with it, if anything.
    pub fault: Option<String>,
}

/// Reads every file that was placed and compares its digest with that of placing it.
pub fn verify(root: &Root, lib: &Path) -> Result<Option<Vec<Verified>>> {
    let Some(journal) = Journal::load(root, lib)? else { return Ok(None) };
    let settings_path = settings::path(lib);
    let placed = journal.entries.iter().filter(|entry| !matches!(entry.after, State::Absent));
    placed
        .map(|entry| {
            let edited = entry.path == settings_path;
            let now = match &entry.after {
                State::File(file) if file.digest.is_some() && !edited => {
                    files::state_with_digest(root, &entry.path)
                }
                _ => State::of(root, &entry.path),
            };
            let now = now.with_context(|| format!("cannot read {}", entry.path.display()))?;
            let same_kind = matches!((&now, &entry.after), (State::File(_), State::File(_)));
            let fine = now.same(&entry.after) || (edited && same_kind);
            let other_bytes = matches!(
                (&now, &entry.after),
                (State::File(a), State::File(b)) if a.digest != b.digest
            );
            let fault = (!fine).then(|| {
                if other_bytes {
                    "its contents are not those that were placed".to_owned()
                } else if same_kind {
                    "its time or permissions are not those that were placed".to_owned()
                } else {
                    format!("it is {now} and not {}", entry.after)
                }
            });
            Ok(Verified { path: entry.path.clone(), fault })
        })
        .collect::<Result<Vec<_>>>()
        .map(Some)
}
