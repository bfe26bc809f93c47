//! The stock library: kept or deleted, and the shim in its place.

use super::{Shim, archives, facts};
use crate::{
    dpkg, elf,
    inspect::{layout::Tree, owner},
    journal::{Before, Diversion, Journal, Original},
    lib_dir::LibDir,
    place::Place,
    plan::{Action, Fate, Planner, Wanted},
    present::{self, Library, SHIM_NAME, SONAME, What},
    root::Root,
    source::release,
    state::{FileState, State},
};
use anyhow::{Context, Result, bail};
use rocblas_contract::{
    libraries::{ROCBLAS, version_of},
    store::LIB,
};
use std::{
    collections::BTreeSet,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The directory in the store that dpkg diverts to where the store has no other place for a file.
pub(crate) const DIVERTED: &str = "diverted";

/// The rocBLAS of a tree before the plan.
pub(super) struct Present {
    libraries: Vec<Library>,
    /// The name that programs of this tree load, `librocblas.so.5` but for PyTorch's wheels.
    front: String,
    /// The ROCm release, as far as known.
    release: Option<String>,
}

impl Present {
    pub(super) fn of(lib: &LibDir, tree: &Tree) -> Result<Self> {
        let libraries = present::libraries(lib.root(), lib.path())?;
        let is_file = |library: &&Library| !matches!(library.what, What::Link(_));
        let versioned = libraries.iter().any(|l| l.name.starts_with(SONAME));
        let unversioned = libraries.iter().filter(is_file).any(|l| l.name == ROCBLAS);
        let front = if versioned || !unversioned { SONAME } else { ROCBLAS };
        let other = libraries.iter().filter(is_file).find_map(|library| match &library.what {
            What::Rocblas(soname) if library.name.starts_with(soname.as_str()) => Some(soname),
            _ => None,
        });
        if !versioned
            && !unversioned
            && let Some(soname) = other
        {
            bail!(
                "{} has {soname}, which is another ROCm's: the shim stands for {SONAME} of ROCm 7. \
                 Name the ROCm 7 tree with --rocm DIR",
                lib.path().display()
            );
        }
        Ok(Self { front: front.to_owned(), libraries, release: tree.release.clone() })
    }

    /// Files that are the stock library, and not the shim, 6.3 or somebody's backup.
    pub(super) fn stock(&self) -> impl Iterator<Item = &str> {
        self.libraries.iter().filter_map(|library| {
            let named = present::is_versioned_name(&library.name) || library.name == self.front;
            // What is under the shim's own name came there through a link to it.
            let is_stray = library.name == SHIM_NAME;
            match &library.what {
                What::Rocblas(soname) if named && !is_stray && !is_older(soname) => {
                    Some(library.name.as_str())
                }
                _ => None,
            }
        })
    }

    /// Whether programs find no rocBLAS at all here, and no shim.
    pub(super) fn is_bare(&self, lib: &LibDir) -> bool {
        let is_none = |library: &Library| !matches!(library.what, What::Rocblas(_) | What::Shim(_));
        let front = lib.path().join(&self.front);
        self.libraries.iter().all(is_none) && lib.root().metadata(&front).is_err()
    }

    /// The stock library's files, inside the root: in their place, or in the store if an earlier apply
    /// moved them there.
    pub(super) fn stock_files(&self, lib: &LibDir, journal: &Journal) -> Vec<PathBuf> {
        let in_place: Vec<PathBuf> = self.stock().map(|name| lib.path().join(name)).collect();
        if !in_place.is_empty() {
            return in_place;
        }
        let kept = journal.entries.values().filter_map(|entry| entry.before.kept());
        let kept = kept.map(|at| lib.path().join(at.path()));
        kept.filter(|path| {
            let summary = lib.root().open(path).ok().and_then(|file| elf::summary(&file).ok());
            summary.is_some_and(|s| s.shim.is_none() && s.soname.as_deref() == Some(SONAME))
        })
        .collect()
    }

    /// The name that the shim's file gets.
    fn shim_name(&self) -> &str {
        let front = self.libraries.iter().find(|library| library.name == self.front);
        // A tree whose only library is a file under the very name that is loaded knows no other
        // names; the link to a versioned one is usual everywhere else.
        let has_versioned = self.libraries.iter().any(|library| {
            present::is_versioned_name(&library.name) && !matches!(library.what, What::Link(_))
        });
        let plain_file = front.is_some_and(|library| {
            matches!(&library.what, What::Rocblas(soname) if !is_older(soname))
                || matches!(library.what, What::Shim(_))
        });
        let is_plain = plain_file && !has_versioned;
        if is_plain || self.front != SONAME { &self.front } else { SHIM_NAME }
    }

    /// An upgrade to another version takes the old one away, from where dpkg was told to put it too:
    /// what is to come back at a revert is the new one then.
    pub(super) fn forget_removed(&self, planner: &mut Planner<'_>) -> Result<()> {
        let lib = planner.lib;
        if self.stock().next().is_none() {
            return Ok(());
        }
        let mut gone = Vec::new();
        for (place, entry) in &mut planner.plan.journal.entries {
            if let Before::Kept { at, state: State::File(_) } = &entry.before
                && lib.state(at)? == State::Absent
                && lib.state(place)?.same(&entry.after)
            {
                gone.push(at.clone());
                entry.before = Before::Nothing;
            }
        }
        gone.iter().for_each(|at| planner.forget(at));
        Ok(())
    }

    /// A backend must not have the name under which the stock library is going to be kept.
    pub(super) fn check_name(&self, backend: &str) -> Result<()> {
        for name in self.stock() {
            let release = release::of_library(name).or_else(|| self.release.clone());
            if release.as_deref().unwrap_or("stock") == backend {
                bail!(
                    "{backend} is the name of the stock library ({name}), which is kept under it: give \
                     this backend another with --name"
                );
            }
        }
        Ok(())
    }

    /// The links, other than the name that is loaded, by which the linker or a person finds the stock
    /// library itself or an older one, and would pass the shim by.
    fn links_to_lead(&self) -> impl Iterator<Item = &str> {
        let stock: BTreeSet<&str> = self.stock().collect();
        self.libraries.iter().filter_map(move |library| match &library.what {
            What::Link(target) if library.name != self.front && library.name != SHIM_NAME => {
                let target = target.to_str()?;
                let is_plain = library.name == ROCBLAS;
                let leads = stock.contains(target)
                    || is_plain && target.starts_with(ROCBLAS) && is_older(target);
                leads.then_some(library.name.as_str())
            }
            _ => None,
        })
    }

    /// Says what was done to the tree by hand before.
    pub(super) fn remark_on_patches(&self, planner: &mut Planner<'_>) {
        for library in &self.libraries {
            match &library.what {
                What::Link(target) if library.name == SONAME && leads_to_older(target) => {
                    planner.remark(format!(
                        "{SONAME} was linked to {} by hand; the shim takes its place, and revert \
                         brings that link back",
                        target.display()
                    ));
                }
                What::Rocblas(soname) if library.name == SONAME && is_older(soname) => {
                    planner.remark(format!(
                        "{SONAME} was overwritten by hand with a library of SONAME {soname}; it is \
                         kept in the store, and revert brings it back"
                    ));
                }
                What::Rocblas(soname)
                    if soname == SONAME
                        && !present::is_versioned_name(&library.name)
                        && library.name != self.front =>
                {
                    planner.remark(format!(
                        "{} is a copy of the stock library under another name; it is left alone, \
                         and the shim's name wins over it for ldconfig",
                        library.name
                    ));
                }
                _ => {}
            }
        }
    }
}

/// The name that programs load, if it is a symlink to a stock library in another directory, as some tools
/// for Python environments install it.
pub(super) fn behind_a_link(root: &Root, lib: &Path) -> Vec<PathBuf> {
    let front = present::front(root, lib).filter(|front| {
        let what = root.resolve(front).map_err(anyhow::Error::from);
        let what = what.and_then(|path| present::what(root, &path));
        matches!(what, Ok(What::Rocblas(soname)) if is_newer_than_backends(&soname))
    });
    front.into_iter().collect()
}

/// Whether a SONAME or file name is of a rocBLAS before the one that the shim stands for.
pub(crate) fn is_older(soname: &str) -> bool {
    let major = |name: &str| version_of(name, ROCBLAS)?.split('.').next()?.parse::<u32>().ok();
    major(soname).is_some_and(|major| Some(major) < major_of_shim())
}

fn major_of_shim() -> Option<u32> {
    SONAME.rsplit('.').next()?.parse().ok()
}

fn leads_to_older(target: &Path) -> bool {
    target.file_name().is_some_and(|name| is_older(&name.to_string_lossy()))
}

/// Whether a SONAME is of the release that the shim stands in for, or of a later one.
pub(super) fn is_newer_than_backends(soname: &str) -> bool {
    let major = version_of(soname, ROCBLAS).and_then(|rest| rest.split('.').next());
    let major = major.and_then(|major| major.parse::<u32>().ok());
    major.is_some() && major >= major_of_shim()
}

/// What becomes of each name of the stock library that is in the way, and of what else is: where it
/// is kept.
struct Fates {
    deleting: bool,
    /// The stock library's files, and the package of each.
    stock: BTreeSet<String>,
    release: Option<String>,
    /// The name that is kept in each backend's directory.
    taken: BTreeSet<Place>,
}

impl Fates {
    /// Only what is there when deleting is asked for is deleted: what comes later is somebody's.
    fn of(now: &Present, original: Option<Original>) -> Self {
        Self {
            deleting: original == Some(Original::Delete),
            stock: now.stock().map(str::to_owned).collect(),
            release: now.release.clone(),
            taken: BTreeSet::new(),
        }
    }

    /// The stock library stays at hand as a backend; anything else that is in the way is only kept.
    fn for_name(&mut self, planner: &mut Planner<'_>, name: &str) -> Result<Fate> {
        if !self.stock.contains(name) {
            return Ok(Fate::Kept(None));
        }
        if self.deleting {
            return Ok(Fate::Deleted(owner_of(planner.lib, name)));
        }
        let release = release::of_library(name).or_else(|| self.release.clone());
        let release = release.unwrap_or_else(|| "stock".to_owned());
        let prefix = Place::backends().join(release)?.join(LIB)?;
        // Its SONAME's name is a link's in a backend, unless the file has no other.
        let is_plain = name == SONAME && self.stock.len() > 1;
        let is_taken = planner.holds_another_original(&prefix, name);
        if is_plain || is_taken || !self.taken.insert(prefix.clone()) {
            return Ok(Fate::Kept(None));
        }
        Ok(Fate::Kept(Some(prefix.join(name)?)))
    }
}

/// The package that a file beside the libraries belongs to, to be installed again.
fn owner_of(lib: &LibDir, name: &str) -> Option<String> {
    let path = lib.path().join(name);
    let owners = owner::owners(lib.root(), &BTreeSet::from([path.clone()]), Path::new("rpm"));
    owners.get(&path).map(|owner| owner.package.clone())
}

/// What makes the kept stock libraries complete backends: the link of the SONAME, and one to the
/// Tensile files that they have in the tree.
fn plan_beside(planner: &mut Planner<'_>, kept: &[Place]) -> Result<()> {
    for at in kept {
        let name = at.file_name().to_owned();
        if name != SONAME {
            let reason = "its SONAME";
            planner.want(&at.beside(SONAME)?, Wanted::Link(PathBuf::from(&name)), reason)?;
        }
        if planner
            .lib
            .root()
            .metadata(&planner.lib.path().join("rocblas"))
            .is_ok_and(|m| m.is_dir())
        {
            // From rocblas-shim/backends/NAME/lib up to the libraries.
            let target = crate::plan::relative_target(at, "rocblas");
            let reason = "its Tensile files stay in the tree";
            planner.want(&at.beside("rocblas")?, Wanted::Link(target), reason)?;
        }
        archives::plan_beside(planner, at)?;
        facts::plan_kept(planner, at)?;
    }
    Ok(())
}

/// An earlier apply kept what this one is to delete.
fn delete_kept(planner: &mut Planner<'_>, in_use: &str) -> Result<()> {
    let backends = Place::backends();
    let mut kept = Vec::new();
    for (place, entry) in &mut planner.plan.journal.entries {
        let Before::Kept { at, state } = &entry.before else { continue };
        if at.starts_with(&backends) {
            if at.path().iter().nth(2).is_some_and(|name| name == in_use) {
                bail!(
                    "the stock library is the backend in use ({in_use}): choose another with \
                     `installer backends use NAME` before it is deleted"
                );
            }
            kept.push(at.clone());
            let package = owner_of(planner.lib, place.file_name());
            entry.before = Before::Deleted { state: state.clone(), package };
        }
    }
    for at in kept {
        planner.step(Action::Remove { path: at.clone() }, "--original delete");
        for name in [SONAME, "rocblas"] {
            planner.want(&at.beside(name)?, Wanted::Nothing, "--original delete")?;
        }
        archives::plan_removal(planner, &at)?;
        facts::plan_removal(planner, &at)?;
    }
    Ok(())
}

/// Places the shim's file, where its name is not the one that programs load.
pub(super) fn plan_shim(planner: &mut Planner<'_>, now: &Present, shim: &Shim) -> Result<()> {
    if now.shim_name() == now.front {
        return Ok(());
    }
    let place = Place::new(now.shim_name().as_ref())?;
    let reason = "the shim, under a name that wins over stock for ldconfig";
    planner.want_with(&place, copy_of(shim)?, &Fate::Stray, reason)
}

fn copy_of(shim: &Shim) -> Result<Wanted> {
    let shown = || format!("cannot read the shim {}", shim.path.display());
    let metadata = shim.source.open().and_then(|file| file.metadata()).with_context(shown)?;
    let state = FileState {
        size: metadata.len(),
        mode: 0o644 | (metadata.mode() & 0o111),
        modified: metadata.mtime(),
        digest: None,
    };
    Ok(Wanted::Copy { from: shim.path.clone(), source: shim.source.clone(), state })
}

/// Makes every name of rocBLAS lead to the shim. The name that programs load comes first, and what
/// it led to stays where it is until that is on disk.
pub(super) fn plan_switch(
    planner: &mut Planner<'_>,
    now: &Present,
    shim: &Shim,
    backend: &str,
    original: Option<Original>,
) -> Result<()> {
    let mut fates = Fates::of(now, original);
    let own = now.shim_name().to_owned();
    let front = Place::new(now.front.as_ref())?;
    let names = names_to_vacate(planner, now, &own)?;
    // Where each stock file goes, before anything of it is planned, so that the backend is complete.
    let mut planned = Vec::new();
    for name in names {
        let fate = fates.for_name(planner, &name)?;
        planned.push((name, fate));
    }
    let front_fate = fates.for_name(planner, &now.front)?;
    if fates.deleting {
        delete_kept(planner, backend)?;
    } else {
        let fates = planned.iter().map(|(_, fate)| fate).chain([&front_fate]);
        let mut kept: Vec<Place> = fates
            .filter_map(
                |fate| if let Fate::Kept(Some(at)) = fate { Some(at.clone()) } else { None },
            )
            .collect();
        // Those that were kept before too: a revert that was interrupted has begun to take them apart.
        let backends = Place::backends();
        let journal = &planner.plan.journal;
        kept.extend(journal.kept().into_iter().filter(|at| at.starts_with(&backends)));
        plan_beside(planner, &kept)?;
    }
    if dpkg::is_present(planner.lib.root()) {
        plan_diversions(planner, &planned, &front, &front_fate)?;
    }
    planner.barrier("all that programs will need is on disk before the switch");
    let reason = "programs for ROCm 7 load this name";
    if own == now.front {
        planner.want_with(&front, copy_of(shim)?, &front_fate, reason)?;
    } else {
        planner.want_with(&front, Wanted::Link(own.clone().into()), &front_fate, reason)?;
    }
    for name in now.links_to_lead() {
        let place = Place::new(name.as_ref())?;
        planner.want(
            &place,
            Wanted::Link(now.front.clone().into()),
            "it led to another rocBLAS",
        )?;
    }
    planner.barrier("the switch is on disk before the stock library moves");
    for (name, fate) in planned {
        let place = Place::new(name.as_ref())?;
        let lib = planner.lib;
        let needed = planner.plan.journal.options.build_link
            && cmake_refers_to(lib.root(), lib.path(), &name);
        if needed {
            let reason = "rocBLAS's CMake package names this file; programs are still built";
            planner.want_with(&place, Wanted::Link(own.clone().into()), &fate, reason)?;
        } else {
            planner.want_with(&place, Wanted::Nothing, &fate, "ldconfig would bring it back")?;
        }
    }
    Ok(())
}

/// The names that are to be no stock library's: those that are, those that were at an earlier apply,
/// and those that the CMake package refers to, since somebody may have removed the file by hand.
fn names_to_vacate(planner: &Planner<'_>, now: &Present, shim: &str) -> Result<BTreeSet<String>> {
    let entries = planner.plan.journal.entries.iter();
    let was_stock = entries.filter_map(|(place, entry)| {
        let was_file = matches!(entry.before.state(), State::File(_));
        (was_file && place.parent().is_none()).then(|| place.file_name().to_owned())
    });
    let lib = planner.lib;
    let mut names: BTreeSet<String> = now.stock().map(str::to_owned).collect();
    names.extend(was_stock.filter(|name| present::is_versioned_name(name)));
    if planner.plan.journal.options.build_link {
        names.extend(cmake_names(lib.root(), lib.path()));
    }
    names.retain(|name| *name != shim && *name != now.front);
    Ok(names)
}

/// The texts of rocBLAS's CMake package.
fn cmake_texts(root: &Root, lib: &Path) -> Vec<String> {
    let package = lib.join("cmake/rocblas");
    let files = root.names(&package).unwrap_or_default();
    let files = files.iter().filter(|file| file.to_string_lossy().ends_with(".cmake"));
    files.filter_map(|file| root.read_to_string(&package.join(file)).ok()).collect()
}

/// Whether rocBLAS's CMake package names a file: then `find_package(rocblas)` fails without it.
fn cmake_refers_to(root: &Root, lib: &Path, name: &str) -> bool {
    cmake_names(root, lib).contains(name)
}

/// The versions of the stock library's name that rocBLAS's CMake package names.
pub(crate) fn cmake_names(root: &Root, lib: &Path) -> BTreeSet<String> {
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_' || c == '-';
    let texts = cmake_texts(root, lib);
    let words = texts.iter().flat_map(|text| text.split(|c| !is_of_a_name(c)));
    words.filter(|word| present::is_versioned_name(word)).map(str::to_owned).collect()
}

/// dpkg puts these files where the stock library is kept when their package is upgraded or installed
/// again.
fn plan_diversions(
    planner: &mut Planner<'_>,
    planned: &[(String, Fate)],
    front: &Place,
    front_fate: &Fate,
) -> Result<()> {
    let lib = planner.lib;
    for diversion in planner.plan.journal.diversions.clone() {
        let is_lost = dpkg::is_lost(lib, &diversion).context("cannot read dpkg's diversions")?;
        let is_made =
            dpkg::is_diverted(lib, &diversion).context("cannot read dpkg's diversions")?;
        if (is_lost || is_made)
            && let Some(place) = diversion.to.parent()
        {
            // A revert that was interrupted may have removed it.
            planner.directory(&place, "for what dpkg brings")?;
        }
        if is_lost {
            planner.step(Action::Divert(diversion), "it was ended since");
        }
    }
    let mut names = Vec::new();
    for (name, fate) in planned {
        names.push((Place::new(name.as_ref())?, fate));
    }
    names.push((front.clone(), front_fate));
    for (path, fate) in names {
        let known = planner.plan.journal.diversions.iter().any(|d| d.path == path);
        if known || !dpkg::owns(lib.root(), &lib.inside(&path)) {
            continue;
        }
        let before = planner.plan.journal.entry(&path).map(|entry| entry.before.clone());
        let to = match (before, fate) {
            (Some(Before::Kept { at, .. }), _) if at.starts_with(&Place::backends()) => at,
            (None, Fate::Kept(Some(at))) => at.clone(),
            _ => Place::in_store(DIVERTED)?.join(path.file_name())?,
        };
        if let Some(place) = to.parent() {
            planner.directory(&place, "for what dpkg brings")?;
        }
        dpkg::check(lib.root())?;
        let diversion = Diversion { path, to };
        planner.plan.journal.diversions.push(diversion.clone());
        planner.step(Action::Divert(diversion), "an upgrade must not put stock over the shim");
    }
    Ok(())
}
