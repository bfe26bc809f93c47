//! The stock library, kept or deleted, and the shim in its place.

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

/// The directory in the store to which dpkg diverts files that have no other place in the store.
pub(crate) const DIVERTED: &str = "diverted";

/// The rocBLAS of a tree before the plan.
pub(super) struct Present {
    libraries: Vec<Library>,
    /// The name that programs of this tree load: `librocblas.so.5` except in PyTorch's wheels.
    front: String,
    /// The ROCm release, if known.
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
                "{} has {soname}, of another ROCm release: the shim replaces {SONAME} of ROCm 7. \
                 Name the ROCm 7 tree with --rocm DIR",
                lib.path().display()
            );
        }
        Ok(Self { front: front.to_owned(), libraries, release: tree.release.clone() })
    }

    /// The files that are the stock library, and not the shim, 6.3 or somebody's backup.
    pub(super) fn stock(&self) -> impl Iterator<Item = &str> {
        self.libraries.iter().filter_map(|library| {
            let named = present::is_versioned_name(&library.name) || library.name == self.front;
            // A file under the shim's own name was written through a symlink to it.
            let is_stray = library.name == SHIM_NAME;
            match &library.what {
                What::Rocblas(soname) if named && !is_stray && !is_older(soname) => {
                    Some(library.name.as_str())
                }
                _ => None,
            }
        })
    }

    /// Whether programs find neither a rocBLAS nor the shim here.
    pub(super) fn is_bare(&self, lib: &LibDir) -> bool {
        let is_none = |library: &Library| !matches!(library.what, What::Rocblas(_) | What::Shim(_));
        let front = lib.path().join(&self.front);
        self.libraries.iter().all(is_none) && lib.root().metadata(&front).is_err()
    }

    /// The stock library's files, inside the root: in their place, or in the store if an earlier apply moved
    /// them there.
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

    /// The file name of the shim.
    fn shim_name(&self) -> &str {
        let front = self.libraries.iter().find(|library| library.name == self.front);
        // A tree whose only library is a regular file under the loaded name has no other names; everywhere
        // else that name is a symlink to a versioned one.
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

    /// An upgrade to another version removes the old library, from its diverted place too: a revert then
    /// restores the new one.
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

    /// A backend must not have the name under which the stock library will be kept.
    pub(super) fn check_name(&self, backend: &str) -> Result<()> {
        for name in self.stock() {
            let release = release::of_library(name).or_else(|| self.release.clone());
            if release.as_deref().unwrap_or("stock") == backend {
                bail!(
                    "{backend} is the name under which the stock library ({name}) is kept: give \
                     this backend another with --name"
                );
            }
        }
        Ok(())
    }

    /// The symlinks, other than the loaded name, by which the linker or a person would find the stock library
    /// or an older one and bypass the shim.
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

    /// Reports how the tree was patched by hand before.
    pub(super) fn remark_on_patches(&self, planner: &mut Planner<'_>) {
        for library in &self.libraries {
            match &library.what {
                What::Link(target) if library.name == SONAME && leads_to_older(target) => {
                    planner.remark(format!(
                        "{SONAME} was symlinked to {} by hand; the shim takes its place, and revert \
                         restores that symlink",
                        target.display()
                    ));
                }
                What::Rocblas(soname) if library.name == SONAME && is_older(soname) => {
                    planner.remark(format!(
                        "{SONAME} was overwritten by hand with a library of SONAME {soname}; it is \
                         kept in the store, and revert restores it"
                    ));
                }
                What::Rocblas(soname)
                    if soname == SONAME
                        && !present::is_versioned_name(&library.name)
                        && library.name != self.front =>
                {
                    planner.remark(format!(
                        "{} is a copy of the stock library under another name; it is left in place, \
                         and ldconfig prefers the shim's name",
                        library.name
                    ));
                }
                _ => {}
            }
        }
    }
}

/// The name that programs load, if it is a symlink to a stock library in another directory, as some
/// installers for Python environments create it.
pub(super) fn behind_a_link(root: &Root, lib: &Path) -> Vec<PathBuf> {
    let front = present::front(root, lib).filter(|front| {
        let what = root.resolve(front).map_err(anyhow::Error::from);
        let what = what.and_then(|path| present::what(root, &path));
        matches!(what, Ok(What::Rocblas(soname)) if is_newer_than_backends(&soname))
    });
    front.into_iter().collect()
}

/// Whether a SONAME or file name is of a rocBLAS older than the one that the shim replaces.
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

/// Whether a SONAME is of the release that the shim replaces, or of a later one.
pub(super) fn is_newer_than_backends(soname: &str) -> bool {
    let major = version_of(soname, ROCBLAS).and_then(|rest| rest.split('.').next());
    let major = major.and_then(|major| major.parse::<u32>().ok());
    major.is_some() && major >= major_of_shim()
}

/// What happens to each name of the stock library that is in the way, and to anything else in the way: where
/// it is kept.
struct Fates {
    deleting: bool,
    /// The stock library's files, and the package of each.
    stock: BTreeSet<String>,
    release: Option<String>,
    /// The name that each backend's directory reserves.
    taken: BTreeSet<Place>,
}

impl Fates {
    /// Only a library that exists when deletion is requested is deleted; a later one belongs to somebody.
    fn of(now: &Present, original: Option<Original>) -> Self {
        Self {
            deleting: original == Some(Original::Delete),
            stock: now.stock().map(str::to_owned).collect(),
            release: now.release.clone(),
            taken: BTreeSet::new(),
        }
    }

    /// The stock library stays available as a backend; anything else that is in the way is only kept.
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
        // In a backend, the SONAME's name is a symlink, unless the file has no other name.
        let is_plain = name == SONAME && self.stock.len() > 1;
        let is_taken = planner.holds_another_original(&prefix, name);
        if is_plain || is_taken || !self.taken.insert(prefix.clone()) {
            return Ok(Fate::Kept(None));
        }
        Ok(Fate::Kept(Some(prefix.join(name)?)))
    }
}

/// The package to which a file in the library directory belongs, which would have to be reinstalled.
fn owner_of(lib: &LibDir, name: &str) -> Option<String> {
    let path = lib.path().join(name);
    let owners = owner::owners(lib.root(), &BTreeSet::from([path.clone()]), Path::new("rpm"));
    owners.get(&path).map(|owner| owner.package.clone())
}

/// Makes the kept stock libraries complete backends: adds the symlink of the SONAME, and one to their Tensile
/// files in the tree.
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

/// An earlier apply kept what this one deletes.
fn delete_kept(planner: &mut Planner<'_>, in_use: &str) -> Result<()> {
    let backends = Place::backends();
    let mut kept = Vec::new();
    for (place, entry) in &mut planner.plan.journal.entries {
        let Before::Kept { at, state } = &entry.before else { continue };
        if at.starts_with(&backends) {
            if at.path().iter().nth(2).is_some_and(|name| name == in_use) {
                bail!(
                    "the stock library is the backend in use ({in_use}): select another with \
                     `installer backends use NAME` before deleting it"
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

/// Places the shim's file, if its name is not the loaded one.
pub(super) fn plan_shim(planner: &mut Planner<'_>, now: &Present, shim: &Shim) -> Result<()> {
    if now.shim_name() == now.front {
        return Ok(());
    }
    let place = Place::new(now.shim_name().as_ref())?;
    let reason = "the shim, under a name that ldconfig prefers to the stock library's";
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

/// Makes every name of rocBLAS point to the shim. The name that programs load comes first, and its old target
/// stays in place until that is on disk.
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
    // Decides where each stock file goes before planning any of it, so that the backend is complete.
    let mut planned = Vec::new();
    for name in names {
        let fate = fates.for_name(planner, &name)?;
        planned.push((name, fate));
    }
    let front_fate = fates.for_name(planner, &now.front)?;
    let added = added_since(planner, now, &front);
    if fates.deleting {
        delete_kept(planner, backend)?;
    } else {
        let fates = planned.iter().map(|(_, fate)| fate).chain([&front_fate]);
        let mut kept: Vec<Place> = fates
            .filter_map(
                |fate| if let Fate::Kept(Some(at)) = fate { Some(at.clone()) } else { None },
            )
            .collect();
        // Includes those that were kept before: an interrupted revert has begun to take them apart.
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
            "it pointed to another rocBLAS",
        )?;
    }
    planner.barrier("the switch is on disk before the stock library moves");
    for (name, fate) in planned {
        let place = Place::new(name.as_ref())?;
        let lib = planner.lib;
        let needed = planner.plan.journal.options.build_link
            && cmake_refers_to(lib.root(), lib.path(), &name);
        if needed {
            let reason = "rocBLAS's CMake package names this file, so builds need it";
            planner.want_with(&place, Wanted::Link(own.clone().into()), &fate, reason)?;
        } else {
            planner.want_with(&place, Wanted::Nothing, &fate, "ldconfig would restore it")?;
        }
    }
    if let Some(added) = added {
        restore_newer(planner, &front, &added);
    }
    Ok(())
}

/// The newest stock library that was added since the first apply, by a package upgrade.
fn added_since(planner: &Planner<'_>, now: &Present, front: &Place) -> Option<String> {
    let entries = &planner.plan.journal.entries;
    entries.get(front)?;
    let is_known = |name: &str| Place::new(name.as_ref()).is_ok_and(|p| entries.contains_key(&p));
    let versioned = now.stock().filter(|name| present::is_versioned_name(name));
    let added = versioned.filter(|name| !is_known(name));
    added.max_by_key(|name| numbers(name)).map(str::to_owned)
}

/// Makes `revert` restore the symlink to a stock library that is newer than the one that it pointed to. Usually the
/// package's own symlink has replaced the shim's, but pacman runs ldconfig, which turns it back to the shim at once.
fn restore_newer(planner: &mut Planner<'_>, front: &Place, added: &str) {
    let Some(entry) = planner.plan.journal.entries.get_mut(front) else { return };
    let Before::Kept { at, state: State::Link { target } } = &mut entry.before else { return };
    let is_older = target.to_str().is_some_and(|target| {
        present::is_versioned_name(target) && numbers(target) < numbers(added)
    });
    if is_older {
        *target = added.into();
        let at = at.clone();
        // Without the kept symlink, revert makes one from the journal.
        if matches!(planner.lib.state(&at), Ok(State::Link { .. })) {
            let action = Action::Link { path: at, target: added.into(), keep: None };
            planner.step(action, "revert restores the newer stock library");
        }
    }
}

/// The numbers of a library's version: `librocblas.so.5.0.70002` is 5, 0, 70002.
fn numbers(name: &str) -> Vec<u64> {
    name.split('.').filter_map(|part| part.parse().ok()).collect()
}

/// The names that must not be a stock library's: those that are, those that were at an earlier apply, and
/// those that the CMake package refers to, since somebody may have removed the file by hand.
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

/// The text of rocBLAS's CMake package.
fn cmake_texts(root: &Root, lib: &Path) -> Vec<String> {
    let package = lib.join("cmake/rocblas");
    let files = root.names(&package).unwrap_or_default();
    let files = files.iter().filter(|file| file.to_string_lossy().ends_with(".cmake"));
    files.filter_map(|file| root.read_to_string(&package.join(file)).ok()).collect()
}

/// Whether rocBLAS's CMake package names a file, without which `find_package(rocblas)` fails.
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

/// Makes dpkg put these files where the stock library is kept when their package is upgraded or reinstalled.
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
            // An interrupted revert may have removed it.
            planner.directory(&place, "for files that dpkg installs")?;
        }
        if is_lost {
            planner.step(Action::Divert(diversion), "the diversion was removed since");
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
            planner.directory(&place, "for files that dpkg installs")?;
        }
        dpkg::check(lib.root())?;
        let diversion = Diversion { path, to };
        planner.plan.journal.diversions.push(diversion.clone());
        planner.step(Action::Divert(diversion), "an upgrade must not put stock over the shim");
    }
    Ok(())
}
