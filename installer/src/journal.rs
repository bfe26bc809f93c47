//! The journal: for every path that the installer changed, what was there before and what it put
//! there. It is written before the first change, so that after a crash at any point the tree and
//! the journal together tell what is done and what is not; no record per step is needed.

use crate::{root::Root, state::State};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::{
    fs, io, iter,
    path::{Component, Path, PathBuf},
};

/// The directory beside the libraries that holds all that is the installer's.
pub const STORE: &str = "rocblas-shim";

/// Raised when an older installer could not read what a newer one writes.
const FORMAT: u32 = 1;

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
    /// In the order of changing.
    pub entries: Vec<Entry>,
    /// Files that dpkg puts elsewhere.
    #[serde(default)]
    pub diversions: Vec<Diversion>,
    /// The packages that backends were unpacked from, so that the same one is not unpacked again.
    #[serde(default)]
    pub packages: Vec<Package>,
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

/// A path and its two states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Inside the root.
    pub path: PathBuf,
    /// Before the first apply.
    pub before: State,
    /// After the last one.
    pub after: State,
    /// Where the file that was there before is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<PathBuf>,
}

/// A local diversion of dpkg's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diversion {
    /// The name in the package.
    pub path: PathBuf,
    /// Where dpkg puts it.
    pub to: PathBuf,
}

/// A package that a backend came out of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// The backend in the store.
    pub backend: String,
    /// The file, as given.
    pub file: PathBuf,
    /// The file, as it was.
    pub state: State,
    /// The targets that were asked for.
    pub gpus: Vec<String>,
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
            entries: Vec::new(),
            diversions: Vec::new(),
            packages: Vec::new(),
        }
    }

    /// The journal of a tree, if it has one.
    pub fn load(root: &Root, lib: &Path) -> Result<Option<Self>> {
        let path = path(lib);
        let text = match root.read_to_string(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let journal: Self = serde_json::from_str(&text).with_context(|| {
            format!(
                "{} is damaged; it is the only record of how the tree was before. Restore it from \
                 a backup, or reinstall the rocblas package and remove {}",
                path.display(),
                lib.join(STORE).display()
            )
        })?;
        if journal.format != FORMAT {
            bail!(
                "{} was written by installer {}, in a format that this one does not know; use that \
                 version",
                path.display(),
                journal.installer
            );
        }
        journal.check_paths(lib)?;
        Ok(Some(journal))
    }

    /// A journal says which files are to be removed, so it must not lead elsewhere: it came with the
    /// tree, which may have come from anywhere.
    fn check_paths(&self, lib: &Path) -> Result<()> {
        let entries = self.entries.iter().flat_map(|e| iter::once(&e.path).chain(&e.kept));
        let diversions = self.diversions.iter().flat_map(|d| [&d.path, &d.to]);
        let is_plain = |path: &Path| path.components().all(|c| c != Component::ParentDir);
        match entries.chain(diversions).find(|path| !path.starts_with(lib) || !is_plain(path)) {
            None => Ok(()),
            Some(stray) => bail!(
                "{} names {}, which is not in {}: it is not followed. Was the tree moved? Move it \
                 back, or reinstall the rocblas package and remove {}",
                path(lib).display(),
                stray.display(),
                lib.display(),
                lib.join(STORE).display()
            ),
        }
    }

    /// What is known of a path.
    #[must_use]
    pub fn entry(&self, path: &Path) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.path == path)
    }

    /// Replaces the journal on disk, in one atomic step. `incoming` is a directory of the machine
    /// on the same file system.
    pub fn store(&self, root: &Root, lib: &Path, incoming: &Path) -> Result<()> {
        let path = path(lib);
        let on_machine = root.on_machine(&path);
        let write = || -> io::Result<()> {
            let text = serde_json::to_string_pretty(self)? + "\n";
            let new = incoming.join("journal");
            fs::write(&new, text)?;
            fs::File::open(&new)?.sync_all()?;
            fs::rename(&new, &on_machine)?;
            // The name must be on disk before the first change that it is to undo.
            fs::File::open(on_machine.parent().expect("in the store"))?.sync_all()
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Where the journal of a tree is.
#[must_use]
pub fn path(lib: &Path) -> PathBuf {
    lib.join(STORE).join("journal.json")
}
