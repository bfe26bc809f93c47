//! The journal: for every place that the installer changed, what was there before, where that is kept, and
//! what the installer put there. It is written before the first change, so that after a crash at any point
//! the tree and the journal together determine what is done and what is not; no record per step is needed.
//!
//! The store contains it twice: the copy is used if `journal.json` is missing or damaged.

mod format_1;
pub mod rebuild;

use crate::{
    directory::Name,
    files::Incoming,
    lib_dir::LibDir,
    place::Place,
    state::{FileState, State},
};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
};

pub use crate::place::STORE;

/// Incremented when an older installer could not read what a newer one writes.
const FORMAT: u32 = 2;

/// Its name in the store.
const NAME: &str = "journal.json";

/// The name of its copy in the store.
const COPY: &str = "journal.copy.json";

/// What was done to a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    format: u32,
    /// The version of the installer that wrote this.
    pub installer: String,
    /// The version of the shim that is placed.
    pub shim: String,
    /// The operation in progress, or the last one that completed.
    pub phase: Phase,
    /// The request, so that a repair can repeat it.
    pub options: Options,
    /// Every place that was changed.
    pub entries: BTreeMap<Place, Entry>,
    /// Files that dpkg diverts.
    #[serde(default)]
    pub diversions: Vec<Diversion>,
    /// The source of each backend, by its name in the store.
    #[serde(default)]
    pub origins: BTreeMap<String, Origin>,
    /// Files of the user's in the store that a newer file has replaced as the one to restore.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub superseded: BTreeSet<Place>,
    /// Whether the tree had no rocBLAS of ROCm 7 and no shim at the first apply.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bare: bool,
    /// The GPUs that the stock library served, by processor.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub served: BTreeSet<String>,
}

/// Whether the tree is as the journal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// In between: an apply or a revert is running or was interrupted, and either of them completes it.
    Changing,
    /// All entries are in their final state.
    Applied,
}

/// The options of `apply`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// GPU targets; if empty, those of the whole machine or package.
    pub gpus: Vec<String>,
    /// How libraries of old names are provided.
    pub compat: Compat,
    /// What happens to the stock library.
    pub original: Original,
    /// Whether the stock library's name stays as a symlink for CMake.
    pub build_link: bool,
    /// GPUs of the machine that the tree served before and no longer does, as the user accepted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub given_up: BTreeSet<String>,
    /// Whether a new backend is reduced to the kernels of the GPUs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub slim: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            gpus: Vec::new(),
            compat: Compat::Links,
            original: Original::Keep,
            build_link: true,
            given_up: BTreeSet::new(),
            slim: false,
        }
    }
}

/// How the backend finds `libamdhip64.so.6` and `libhipblaslt.so.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Compat {
    /// Symlinks to the libraries with the current names.
    Links,
    /// Libraries without code that depend on those with the current names; the loader's cache lists them.
    Stubs,
}

/// What happens to the stock library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Original {
    /// It moves into the store as a backend.
    Keep,
    /// It is deleted. To revert, its package must be reinstalled.
    Delete,
}

/// The record of one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Before the first apply.
    pub before: Before,
    /// After the last one.
    pub after: State,
}

/// What was at a place before the first apply, and where it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "was", rename_all = "snake_case")]
pub enum Before {
    /// Nothing.
    Nothing,
    /// A file or symlink of the user's, which was renamed into the store.
    Kept {
        /// Its place there.
        at: Place,
        /// What it was.
        state: State,
    },
    /// A file that was deleted as the user asked.
    Deleted {
        /// What it was.
        state: State,
        /// The package that contains it, according to the package manager's database.
        package: Option<String>,
    },
}

impl Before {
    /// What was there.
    #[must_use]
    pub fn state(&self) -> &State {
        match self {
            Self::Nothing => &State::Absent,
            Self::Kept { state, .. } | Self::Deleted { state, .. } => state,
        }
    }

    /// Where it is kept.
    #[must_use]
    pub fn kept(&self) -> Option<&Place> {
        if let Self::Kept { at, .. } = self { Some(at) } else { None }
    }
}

/// A local dpkg diversion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diversion {
    /// The name in the package.
    pub path: Place,
    /// Where dpkg puts it.
    pub to: Place,
}

/// The source of a backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The file or directory, as given.
    pub path: PathBuf,
    /// Whether that path is inside the root, where it was found, rather than on the machine.
    pub in_root: bool,
    /// The state of the file; of a directory only that it was one.
    pub state: State,
    /// The requested targets.
    pub gpus: Vec<String>,
    /// How its library was reduced before it was placed; `None` if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slim: Option<Slim>,
}

/// How a library was reduced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slim {
    /// The GPUs whose kernels were kept.
    pub gpus: Vec<String>,
    /// GPUs whose kernels would have been kept, but of which it has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// The BLAKE3 digest of the whole library. The journal's entry has the placed library's.
    pub whole: String,
}

impl Slim {
    /// The GPUs for which reducing it again would keep nothing more.
    #[must_use]
    pub fn settled(&self) -> Vec<String> {
        self.gpus.iter().chain(&self.without).cloned().collect()
    }
}

/// A loaded journal, and how reliable it is.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The journal.
    pub journal: Journal,
    /// A remark for the user: that the copy was used, or that it was rebuilt.
    pub remarks: Vec<String>,
    /// Whether it was rebuilt from the store, so that it is incomplete.
    pub rebuilt: bool,
    /// Whether the file and its copy are on disk and equal.
    pub complete: bool,
}

impl Loaded {
    /// Whether it records a kept original: then it is from an apply, and not of a shim that somebody placed
    /// by hand.
    #[must_use]
    pub fn has_originals(&self) -> bool {
        self.journal.entries.values().any(|entry| entry.before.kept().is_some())
    }
}

impl Journal {
    /// An empty journal.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            format: FORMAT,
            installer: env!("CARGO_PKG_VERSION").to_owned(),
            shim: String::new(),
            phase: Phase::Changing,
            options,
            entries: BTreeMap::new(),
            diversions: Vec::new(),
            origins: BTreeMap::new(),
            superseded: BTreeSet::new(),
            bare: false,
            served: BTreeSet::new(),
        }
    }

    /// The journal of a tree, if it has one: the file, or its copy if the file is missing or damaged. A
    /// journal that exists but cannot be read in either form is an error.
    pub fn load(lib: &LibDir) -> Result<Option<Loaded>> {
        let (main, copy) = (Self::read(lib, NAME), Self::read(lib, COPY));
        if let Ok(Some(journal)) = main {
            let complete = matches!(copy, Ok(Some(copy)) if copy == journal);
            return Ok(Some(Loaded { journal, remarks: Vec::new(), rebuilt: false, complete }));
        }
        let shown = lib.show(&place(NAME));
        match (main, copy) {
            (Err(error), Ok(Some(journal))) if !is_newer(&error) => {
                let remark = format!("{shown} is damaged ({error:#}); its copy is used");
                Ok(Some(Loaded { journal, remarks: vec![remark], rebuilt: false, complete: false }))
            }
            (Ok(None), Ok(Some(journal))) => {
                let remark = format!("{shown} is missing; its copy is used");
                Ok(Some(Loaded { journal, remarks: vec![remark], rebuilt: false, complete: false }))
            }
            (Err(error), _) => Err(error.context(format!("cannot use {shown}"))),
            (_, Err(error)) => Err(error.context(format!("cannot use {}", lib.show(&place(COPY))))),
            (Ok(_), Ok(_)) => Ok(None),
        }
    }

    /// Like [`Self::load`], but if neither the file nor its copy is usable, returns what the store itself
    /// shows; `None` if there are no remains of an apply.
    pub fn load_or_rebuild(lib: &LibDir) -> Result<Option<Loaded>> {
        match Self::load(lib) {
            Ok(None) => rebuild::rebuild(lib, "is missing, and so is its copy"),
            Err(error) if !is_newer(&error) => {
                rebuild::rebuild(lib, &format!("cannot be read ({:#})", error.root_cause()))
            }
            other => other,
        }
    }

    fn read(lib: &LibDir, name: &str) -> Result<Option<Self>> {
        let text = match lib.read_text(&place(name)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let Head { format, installer } = serde_json::from_str(&text)?;
        match format {
            FORMAT => Ok(Some(serde_json::from_str(&text)?)),
            1 => Ok(Some(format_1::read(&text)?)),
            _ => bail!(Newer { installer }),
        }
    }

    /// The entry of a place.
    #[must_use]
    pub fn entry(&self, place: &Place) -> Option<&Entry> {
        self.entries.get(place)
    }

    /// The places in the store that hold a file of the user's.
    #[must_use]
    pub fn kept(&self) -> BTreeSet<Place> {
        let kept = self.entries.values().filter_map(|entry| entry.before.kept());
        kept.chain(&self.superseded).cloned().collect()
    }

    /// Replaces the journal on disk, first the copy, then the file itself, each atomically and synced before
    /// continuing.
    pub fn store(&self, lib: &LibDir, incoming: &mut Incoming) -> Result<()> {
        let mut write = |name: &str| -> io::Result<()> {
            let text = self.text()?;
            // The time is a constant, so that image builds are reproducible.
            let state =
                FileState { size: text.len() as u64, mode: 0o644, modified: 0, digest: None };
            let new = incoming.bytes(text.as_bytes(), &state)?;
            new.sync()?;
            let store = lib.directory().sub_directory(Place::store().name())?;
            new.replace(&store, self::name(name))?;
            // The name must be on disk before the first change that it can undo.
            store.sync()
        };
        for name in [COPY, NAME] {
            write(name).with_context(|| format!("cannot write {}", lib.show(&place(name))))?;
        }
        Ok(())
    }

    /// The contents of each of the two files.
    pub fn text(&self) -> io::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Removes both files. This comes last, since without them a revert is not reliable.
    pub fn remove(lib: &LibDir) -> io::Result<()> {
        let store = match lib.directory().sub_directory(Place::store().name()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        [COPY, NAME].into_iter().try_for_each(|file| store.remove(name(file)))
    }
}

/// What every format contains.
#[derive(Deserialize)]
struct Head {
    format: u32,
    #[serde(default)]
    installer: String,
}

/// A journal in the format of a newer installer: it is not damaged, and must not be guessed at.
#[derive(Debug, thiserror::Error)]
#[error(
    "it was written by installer {installer}, in a format unknown to this version; use that version"
)]
struct Newer {
    installer: String,
}

fn is_newer(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Newer>().is_some() || error.root_cause().is::<Newer>()
}

fn name(name: &str) -> Name<'_> {
    Name::new(name).expect("a name of the installer's own")
}

fn place(name: &str) -> Place {
    Place::in_store(name).expect("a name of the installer's own")
}

/// Where the journal and its copy are.
#[must_use]
pub fn places() -> [Place; 2] {
    [NAME, COPY].map(place)
}
