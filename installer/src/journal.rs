//! The journal: for every place that the installer changed, what was there before, where that is
//! kept, and what it put there. It is written before the first change, so that after a crash at any
//! point the tree and the journal together tell what is done and what is not; no record per step is
//! needed.
//!
//! It is in the store twice: a copy serves where `journal.json` was deleted or damaged.

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

/// Raised when an older installer could not read what a newer one writes.
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
    /// What is going on, or what ended last.
    pub phase: Phase,
    /// What was asked for, so that a repair asks for the same.
    pub options: Options,
    /// Every place that was changed.
    pub entries: BTreeMap<Place, Entry>,
    /// Files that dpkg puts elsewhere.
    #[serde(default)]
    pub diversions: Vec<Diversion>,
    /// Where each backend came from, by its name in the store.
    #[serde(default)]
    pub origins: BTreeMap<String, Origin>,
    /// Files of the user's in the store that something newer has replaced as what is to come back.
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
    /// Somewhere between the old and the new: an apply or a revert is at work or was interrupted,
    /// and either of them completes it.
    Changing,
    /// All entries are as they are to be.
    Applied,
}

/// What `apply` was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// GPU targets, without those of the whole machine or package if empty.
    pub gpus: Vec<String>,
    /// How libraries of old names are provided.
    pub compat: Compat,
    /// What becomes of the stock library.
    pub original: Original,
    /// Whether the stock library's name stays as a link for CMake.
    pub build_link: bool,
    /// GPUs of the machine that the tree served before and does not any more, at the person's word.
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
    /// Links to the libraries of the present names.
    Links,
    /// Libraries without code that need those of the present names; the loader's cache knows them.
    Stubs,
}

/// What becomes of the stock library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Original {
    /// It moves into the store as a backend.
    Keep,
    /// It goes. To revert, its package must be installed again.
    Delete,
}

/// What was done at a place.
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
    /// A file or link of the user's, which was renamed into the store.
    Kept {
        /// Its place there.
        at: Place,
        /// What it was.
        state: State,
    },
    /// A file that was deleted at the user's word.
    Deleted {
        /// What it was.
        state: State,
        /// The package that brings it back, where a package manager's database said so.
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

/// A local diversion of dpkg's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diversion {
    /// The name in the package.
    pub path: Place,
    /// Where dpkg puts it.
    pub to: Place,
}

/// Where a backend came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The file or directory, as given.
    pub path: PathBuf,
    /// Whether that is a path inside the root, where it was found, rather than one of the machine.
    pub in_root: bool,
    /// The file, as it was; of a directory only that it was one.
    pub state: State,
    /// The targets that were asked for.
    pub gpus: Vec<String>,
    /// How its library was reduced before it was placed; `None`: it is as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slim: Option<Slim>,
}

/// How a library was reduced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slim {
    /// The GPUs whose kernels stayed.
    pub gpus: Vec<String>,
    /// GPUs whose kernels would have stayed, and of which it has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// The BLAKE3 digest of the whole library. The journal's entry has that of the placed one.
    pub whole: String,
}

impl Slim {
    /// Those for which reducing it again would keep nothing more.
    #[must_use]
    pub fn settled(&self) -> Vec<String> {
        self.gpus.iter().chain(&self.without).cloned().collect()
    }
}

/// A journal that was read, and how much it is to be believed.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The journal.
    pub journal: Journal,
    /// What a person should know of it: that the copy had to serve, that it was rebuilt.
    pub remarks: Vec<String>,
    /// Whether it was rebuilt from what is in the store, so that it does not know everything.
    pub rebuilt: bool,
    /// Whether the file and its copy are on disk and say the same.
    pub complete: bool,
}

impl Loaded {
    /// Whether it knows of an original that is kept: then it is of an apply, and not of a shim that
    /// somebody placed by hand.
    #[must_use]
    pub fn has_originals(&self) -> bool {
        self.journal.entries.values().any(|entry| entry.before.kept().is_some())
    }
}

impl Journal {
    /// A journal of nothing yet.
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

    /// The journal of a tree, if it has one: the file, or its copy where the file is gone or
    /// damaged. An error is a journal that is there and of which neither can be read.
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
                let remark = format!("{shown} is gone; its copy is used");
                Ok(Some(Loaded { journal, remarks: vec![remark], rebuilt: false, complete: false }))
            }
            (Err(error), _) => Err(error.context(format!("cannot use {shown}"))),
            (_, Err(error)) => Err(error.context(format!("cannot use {}", lib.show(&place(COPY))))),
            (Ok(_), Ok(_)) => Ok(None),
        }
    }

    /// As [`Self::load`], and where neither the file nor its copy can be used, what can be told from
    /// the store itself; `None` where there is no trace of an apply.
    pub fn load_or_rebuild(lib: &LibDir) -> Result<Option<Loaded>> {
        match Self::load(lib) {
            Ok(None) => rebuild::rebuild(lib, "is gone, and so is its copy"),
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

    /// What is known of a place.
    #[must_use]
    pub fn entry(&self, place: &Place) -> Option<&Entry> {
        self.entries.get(place)
    }

    /// The places in the store that hold something of the user's.
    #[must_use]
    pub fn kept(&self) -> BTreeSet<Place> {
        let kept = self.entries.values().filter_map(|entry| entry.before.kept());
        kept.chain(&self.superseded).cloned().collect()
    }

    /// Replaces the journal on disk, first the copy, then the file itself, each in one step and each
    /// on disk before the next thing happens.
    pub fn store(&self, lib: &LibDir, incoming: &mut Incoming) -> Result<()> {
        let mut write = |name: &str| -> io::Result<()> {
            let text = self.text()?;
            // The time is a constant, so that an image built twice is the same twice.
            let state =
                FileState { size: text.len() as u64, mode: 0o644, modified: 0, digest: None };
            let new = incoming.bytes(text.as_bytes(), &state)?;
            new.sync()?;
            let store = lib.directory().sub_directory(Place::store().name())?;
            new.replace(&store, self::name(name))?;
            // The name must be on disk before the first change that it is to undo.
            store.sync()
        };
        for name in [COPY, NAME] {
            write(name).with_context(|| format!("cannot write {}", lib.show(&place(name))))?;
        }
        Ok(())
    }

    /// What each of the two files has.
    pub fn text(&self) -> io::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Removes both files: last of all, since without them there is no sure way back.
    pub fn remove(lib: &LibDir) -> io::Result<()> {
        let store = match lib.directory().sub_directory(Place::store().name()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        [COPY, NAME].into_iter().try_for_each(|file| store.remove(name(file)))
    }
}

/// What every format has.
#[derive(Deserialize)]
struct Head {
    format: u32,
    #[serde(default)]
    installer: String,
}

/// A journal in a format that a newer installer writes: it is neither damaged nor to be guessed at.
#[derive(Debug, thiserror::Error)]
#[error(
    "it was written by installer {installer}, in a format that this one does not know; use that version"
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
