//! A plan: what to change in a tree, in which order, and why. It is a value; making one reads the
//! tree and changes nothing. [`crate::execute`] carries it out.
//!
//! A plan is made by saying what is wanted at each path ([`Planner`]); a step comes of it only where
//! the tree is not so already. The same sayings after a crash, an upgrade or a complete apply make
//! the steps that are left to do.

use crate::{
    journal::{Diversion, Entry, Journal, STORE},
    root::Root,
    state::{FileState, State},
};
use anyhow::{Context, Result};
use serde::Serialize;
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// What to do, and the journal that has to be on disk before it.
#[derive(Debug)]
pub struct Plan {
    /// In order.
    pub steps: Vec<Step>,
    /// The journal that describes the tree once all steps are done.
    pub journal: Journal,
    /// What a person should know, beyond the steps.
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

/// A change of one path, one atomic operation on the file system.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// A directory that may be there already.
    MakeDirectory {
        /// Inside the root.
        path: PathBuf,
    },
    /// A copy of a file of the machine.
    Copy {
        /// On the machine.
        from: PathBuf,
        /// Inside the root.
        path: PathBuf,
        /// In bytes.
        size: u64,
    },
    /// A file that was unpacked into the store.
    Unpacked {
        /// On the machine, in the store.
        from: PathBuf,
        /// Inside the root.
        path: PathBuf,
        /// In bytes.
        size: u64,
        /// Its time and permissions as they are to be.
        #[serde(skip)]
        state: FileState,
    },
    /// A file with these bytes.
    Write {
        /// Inside the root.
        path: PathBuf,
        /// What is in it.
        #[serde(skip)]
        bytes: Vec<u8>,
        /// Its time and permissions as they are to be.
        #[serde(skip)]
        state: FileState,
    },
    /// A symbolic link.
    Link {
        /// Inside the root.
        path: PathBuf,
        /// As written in it.
        target: PathBuf,
    },
    /// A second name for a file whose first is about to go.
    Keep {
        /// Inside the root.
        path: PathBuf,
        /// Inside the root.
        at: PathBuf,
    },
    /// The file that was kept goes back to where it was.
    PutBack {
        /// Where it is kept.
        from: PathBuf,
        /// Where it was.
        path: PathBuf,
    },
    /// A file or link goes.
    Remove {
        /// Inside the root.
        path: PathBuf,
    },
    /// A directory goes if it is empty.
    RemoveDirectory {
        /// Inside the root.
        path: PathBuf,
    },
    /// dpkg is told to put a file of its packages elsewhere.
    Divert(Diversion),
    /// dpkg is told to put it in its own place again.
    EndDiversion(Diversion),
    /// All that was written so far reaches the disk.
    Sync,
    /// The loader's cache is made anew.
    Ldconfig,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeDirectory { path } => write!(f, "make    {}/", path.display()),
            Self::Copy { path, size, .. } | Self::Unpacked { path, size, .. } => {
                write!(f, "place   {} ({})", path.display(), indicatif::HumanBytes(*size))
            }
            Self::Write { path, .. } => write!(f, "write   {}", path.display()),
            Self::Link { path, target } => {
                write!(f, "link    {} -> {}", path.display(), target.display())
            }
            Self::Keep { path, at } => {
                write!(f, "keep    {} in {}/", path.display(), directory(at))
            }
            Self::PutBack { from, path } => {
                write!(f, "restore {} from {}/", path.display(), directory(from))
            }
            Self::Remove { path } => write!(f, "remove  {}", path.display()),
            Self::RemoveDirectory { path } => write!(f, "remove  {}/", path.display()),
            Self::Divert(Diversion { path, to }) => {
                write!(f, "divert  {} to {} (dpkg)", path.display(), to.display())
            }
            Self::EndDiversion(Diversion { path, .. }) => {
                write!(f, "undivert {} (dpkg)", path.display())
            }
            Self::Sync => f.write_str("sync    the file system"),
            Self::Ldconfig => f.write_str("run     ldconfig"),
        }
    }
}

fn directory(path: &Path) -> std::path::Display<'_> {
    path.parent().unwrap_or(path).display()
}

/// Something at a path that the installer neither put there nor knows how to take over.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} was changed by someone else: it is now {now}, and should be {after} (or, before the \
     installer came, {before}). It is not the installer's to overwrite: move it out of the way, then \
     run this again",
    path.display()
)]
pub struct Disturbed {
    /// Inside the root.
    pub path: PathBuf,
    /// What is there.
    pub now: State,
    /// What the installer put there.
    pub after: State,
    /// What was there first.
    pub before: State,
}

/// Collects what is wanted.
#[derive(Debug)]
pub struct Planner<'a> {
    /// The file system.
    pub root: &'a Root,
    /// The directory of the libraries, inside.
    pub lib: &'a Path,
    /// Whether a present state that is in no journal may be taken as the one before.
    pub may_adopt: fn(&Root, &Path, &State) -> bool,
    /// What comes of it.
    pub plan: Plan,
}

impl Planner<'_> {
    /// A remark for people.
    pub fn remark(&mut self, text: String) {
        self.plan.remarks.push(text);
    }

    /// A step that has no path of its own.
    pub fn step(&mut self, action: Action, reason: &str) {
        self.plan.steps.push(Step { action, reason: reason.to_owned() });
    }

    /// A path in the store.
    #[must_use]
    pub fn in_store(&self, name: impl AsRef<Path>) -> PathBuf {
        self.lib.join(STORE).join(name)
    }

    /// A directory, and those that it is in as far as they are in the store.
    pub fn directory(&mut self, path: &Path, reason: &str) -> Result<()> {
        if path == self.lib {
            return Ok(());
        }
        let recorded = self.plan.journal.entry(path).is_some();
        let state = self.now(path)?;
        if recorded && state == State::Directory {
            return Ok(());
        }
        let is_planned = |step: &Step| matches!(&step.action, Action::MakeDirectory { path: planned } if planned == path);
        if self.plan.steps.iter().any(is_planned) {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.directory(parent, reason)?;
        }
        // The store itself goes last, with the journal in it, and is in no entry.
        if path != self.lib.join(STORE) && state != State::Directory {
            let path = path.to_owned();
            self.change(&path, State::Directory, None)?;
            self.step(Action::MakeDirectory { path }, reason);
        }
        Ok(())
    }

    /// A copy of a file of the machine; one that was unpacked into the store may be moved.
    pub fn file(&mut self, path: &Path, from: &Path, unpacked: bool, reason: &str) -> Result<()> {
        let metadata = from
            .metadata()
            .with_context(|| format!("cannot read {}, which is to be placed", from.display()))?;
        let mut state = FileState::of(&metadata);
        state.mode = crate::files::plain_mode(state.mode);
        if !self.wanted(path, State::File(state.clone()))? {
            return Ok(());
        }
        let (from, path, size) = (from.to_owned(), path.to_owned(), state.size);
        let action = if unpacked {
            Action::Unpacked { from, path, size, state }
        } else {
            Action::Copy { from, path, size }
        };
        self.step(action, reason);
        Ok(())
    }

    /// A file with these bytes.
    pub fn bytes(&mut self, path: &Path, bytes: Vec<u8>, reason: &str) -> Result<()> {
        // The time is a constant, so that an image built twice is the same twice.
        let digest = Some(blake3::hash(&bytes).to_hex().to_string());
        let state = FileState { size: bytes.len() as u64, mode: 0o644, modified: 0, digest };
        if self.wanted(path, State::File(state.clone()))? {
            self.step(Action::Write { path: path.to_owned(), bytes, state }, reason);
        }
        Ok(())
    }

    /// The shim's settings, which people edit: an edit is nobody's disturbance, and stays.
    pub fn settings(&mut self, bytes: Vec<u8>, reason: &str) -> Result<()> {
        let path = crate::settings::path(self.lib);
        let now = self.now(&path)?;
        if matches!(now, State::File(_)) {
            if self.root.read_to_string(&path)?.as_bytes() == bytes {
                return Ok(());
            }
            if self.plan.journal.entry(&path).is_none() {
                let at = self.in_store("kept/shim.toml");
                self.keep(&path, &at, "revert brings it back")?;
            }
        }
        let after = FileState { size: bytes.len() as u64, mode: 0o644, modified: 0, digest: None };
        if let Some(entry) = self.entry(&path) {
            entry.after = State::File(after.clone());
        } else {
            self.change(&path, State::File(after.clone()), None)?;
        }
        self.step(Action::Write { path, bytes, state: after }, reason);
        Ok(())
    }

    /// A link.
    pub fn link(&mut self, path: &Path, target: &Path, reason: &str) -> Result<()> {
        if self.wanted(path, State::Link { target: target.to_owned() })? {
            let (path, target) = (path.to_owned(), target.to_owned());
            self.step(Action::Link { path, target }, reason);
        }
        Ok(())
    }

    /// Nothing.
    pub fn absent(&mut self, path: &Path, reason: &str) -> Result<()> {
        if self.wanted(path, State::Absent)? {
            self.step(Action::Remove { path: path.to_owned() }, reason);
        }
        Ok(())
    }

    /// Nothing, where the installer put something; a directory goes if it is empty by then.
    pub fn gone(&mut self, path: &Path, reason: &str) -> Result<()> {
        if self.now(path)? != State::Directory {
            return self.absent(path, reason);
        }
        if let Some(entry) = self.entry(path) {
            entry.after = State::Absent;
        }
        self.step(Action::RemoveDirectory { path: path.to_owned() }, reason);
        Ok(())
    }

    /// The regular file at a path is about to be replaced: keeps it. Does nothing where the path
    /// holds what the installer put there.
    pub fn keep(&mut self, path: &Path, at: &Path, reason: &str) -> Result<()> {
        let now = self.now(path)?;
        if self.is_ours(path, &now) || !matches!(now, State::File(_)) {
            return Ok(());
        }
        self.directory(at.parent().unwrap_or(self.lib), reason)?;
        // From before an upgrade, or from a run that was interrupted: then it is the same file.
        if self.now(at)? != State::Absent {
            self.step(Action::Remove { path: at.to_owned() }, "an earlier one is kept there");
        }
        self.step(Action::Keep { path: path.to_owned(), at: at.to_owned() }, reason);
        self.change(path, now, Some(at.to_owned()))
    }

    /// What is at a path now.
    pub fn now(&self, path: &Path) -> Result<State> {
        State::of(self.root, path).with_context(|| format!("cannot look at {}", path.display()))
    }

    /// Whether what is at a path is what the journal says that the installer put there.
    fn is_ours(&self, path: &Path, now: &State) -> bool {
        self.plan.journal.entry(path).is_some_and(|entry| entry.after.same(now))
    }

    /// Whether a step is needed for a state at a path; the journal knows of the state afterwards.
    fn wanted(&mut self, path: &Path, state: State) -> Result<bool> {
        let now = self.now(path)?;
        if now.same(&state) {
            // What was there before the installer came is not the installer's to remove.
            if let Some(entry) = self.entry(path)
                && !entry.after.same(&state)
            {
                entry.after = state;
            }
            return Ok(false);
        }
        self.change(path, state, None)?;
        Ok(true)
    }

    fn entry(&mut self, path: &Path) -> Option<&mut Entry> {
        self.plan.journal.entries.iter_mut().find(|entry| entry.path == path)
    }

    /// Writes a change into the journal. The first state stays the one to go back to, except where
    /// somebody who may has put something else there since.
    fn change(&mut self, path: &Path, after: State, kept: Option<PathBuf>) -> Result<()> {
        let now = self.now(path)?;
        let (root, may_adopt) = (self.root, self.may_adopt);
        let Some(entry) = self.entry(path) else {
            let entry = Entry { path: path.to_owned(), before: now, after, kept };
            self.plan.journal.entries.push(entry);
            return Ok(());
        };
        // Something gone is put there again: nobody's work is lost by that.
        let known = now.same(&entry.after) || now.same(&entry.before) || now == State::Absent;
        if !known {
            if !may_adopt(root, path, &now) {
                let Entry { path, before, after, .. } = entry.clone();
                return Err(Disturbed { path, now, after, before }.into());
            }
            entry.before = now;
            entry.kept = None;
        }
        entry.after = after;
        entry.kept = kept.or(entry.kept.take());
        Ok(())
    }
}
