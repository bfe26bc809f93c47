//! The stock library: kept or deleted, and the shim in its place.

use crate::{
    dpkg,
    inspect::layout::Tree,
    journal::{Diversion, Original},
    plan::{Action, Planner},
    present::{self, Library, SHIM_NAME, SONAME, What},
    root::Root,
    source::release,
    state::State,
};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// The rocBLAS of a tree before the plan.
pub(super) struct Present {
    libraries: Vec<Library>,
    /// The name that programs of this tree load, `librocblas.so.5` but for PyTorch's wheels.
    front: String,
    /// The ROCm release, as far as known.
    release: Option<String>,
}

impl Present {
    pub(super) fn of(root: &Root, tree: &Tree) -> Result<Self> {
        let lib = tree.lib.as_path();
        let libraries = present::libraries(root, lib)?;
        let is_file = |library: &&Library| !matches!(library.what, What::Link(_));
        let versioned = libraries.iter().any(|l| l.name.starts_with(SONAME));
        let unversioned = libraries.iter().filter(is_file).any(|l| l.name == "librocblas.so");
        let front = if versioned || !unversioned { SONAME } else { "librocblas.so" };
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
                lib.display()
            );
        }
        Ok(Self { front: front.to_owned(), libraries, release: tree.release.clone() })
    }

    /// Files that are the stock library, and not the shim, 6.3 or somebody's backup.
    fn stock(&self) -> impl Iterator<Item = &str> {
        self.libraries.iter().filter_map(|library| {
            let named = present::is_versioned_name(&library.name) || library.name == self.front;
            match &library.what {
                What::Rocblas(soname) if named && !is_older(soname) => Some(library.name.as_str()),
                _ => None,
            }
        })
    }

    /// The name that the shim's file gets.
    fn shim_name(&self) -> &str {
        let front = self.libraries.iter().find(|library| library.name == self.front);
        // A tree whose stock library is a file under the very name that is loaded knows no other
        // names; the link to a versioned one is usual everywhere else.
        let plain_file = front.is_some_and(|library| {
            matches!(&library.what, What::Rocblas(soname) if !is_older(soname))
                || matches!(library.what, What::Shim(_))
        });
        if plain_file || self.front != SONAME { &self.front } else { SHIM_NAME }
    }

    /// An upgrade to another version takes the old one away, from where dpkg was told to put it too:
    /// what is to come back at a revert is the new one then.
    pub(super) fn forget_removed(&self, planner: &mut Planner<'_>) -> Result<()> {
        if self.stock().next().is_none() {
            return Ok(());
        }
        let root = planner.root;
        for entry in &mut planner.plan.journal.entries {
            if let Some(kept) = &entry.kept
                && State::of(root, kept)? == State::Absent
                && State::of(root, &entry.path)?.same(&entry.after)
            {
                entry.before = State::Absent;
                entry.kept = None;
            }
        }
        Ok(())
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

fn is_older(soname: &str) -> bool {
    let major =
        |name: &str| name.strip_prefix("librocblas.so.")?.split('.').next()?.parse::<u32>().ok();
    major(soname).is_some_and(|major| Some(major) < major_of_shim())
}

fn major_of_shim() -> Option<u32> {
    SONAME.rsplit('.').next()?.parse().ok()
}

fn leads_to_older(target: &Path) -> bool {
    target.file_name().is_some_and(|name| is_older(&name.to_string_lossy()))
}

/// Gives the stock library a second name, in the store; it stays complete as a backend there, with
/// a link to the Tensile files that it has in the tree.
pub(super) fn plan_keeping(planner: &mut Planner<'_>, now: &Present) -> Result<()> {
    let deleting = planner.plan.journal.options.original == Original::Delete;
    let backends = planner.in_store("backends");
    if !deleting {
        for name in now.stock() {
            let release = release::of_library(name).or_else(|| now.release.clone());
            let prefix = backends.join(release.as_deref().unwrap_or("stock"));
            let at = prefix.join("lib").join(name);
            planner.keep(
                &planner.lib.join(name),
                &at,
                "the stock library stays at hand as a backend",
            )?;
        }
        // Those that were kept before too: a revert that was interrupted has begun to take them apart.
        let entries = planner.plan.journal.entries.iter();
        let kept: Vec<PathBuf> = entries.filter_map(|entry| entry.kept.clone()).collect();
        for at in kept.iter().filter(|at| at.starts_with(&backends)) {
            plan_beside(planner, at)?;
        }
    }
    // What is in the way under the name that the shim takes and is neither: 6.3 by hand.
    let front = now.libraries.iter().find(|library| library.name == now.front);
    if let Some(Library { name, what: What::Rocblas(soname) }) = front
        && is_older(soname)
    {
        let at = planner.in_store("kept").join(name);
        planner.keep(&planner.lib.join(name), &at, "revert brings it back")?;
    }
    if deleting {
        delete_kept(planner)?;
    }
    Ok(())
}

/// What makes a kept stock library a complete backend.
fn plan_beside(planner: &mut Planner<'_>, library: &Path) -> Result<()> {
    let name = library.file_name().unwrap_or_default();
    planner.directory(library.parent().unwrap_or(planner.lib), "for the stock library")?;
    if name != SONAME {
        planner.link(&library.with_file_name(SONAME), Path::new(name), "its SONAME")?;
    }
    if planner.root.metadata(&planner.lib.join("rocblas")).is_ok_and(|m| m.is_dir()) {
        // From lib/rocblas-shim/backends/NAME/lib up to lib.
        let target = Path::new("../../../../rocblas");
        let reason = "its Tensile files stay in the tree";
        planner.link(&library.with_file_name("rocblas"), target, reason)?;
    }
    Ok(())
}

/// An earlier apply kept what this one is to delete.
fn delete_kept(planner: &mut Planner<'_>) -> Result<()> {
    let backends = planner.in_store("backends");
    let kept: Vec<PathBuf> = (planner.plan.journal.entries.iter_mut())
        .filter(|entry| entry.kept.as_ref().is_some_and(|kept| kept.starts_with(&backends)))
        .filter_map(|entry| entry.kept.take())
        .collect();
    for path in kept {
        planner.step(Action::Remove { path: path.clone() }, "--original delete");
        for name in [SONAME, "rocblas"] {
            planner.absent(&path.with_file_name(name), "--original delete")?;
        }
    }
    Ok(())
}

/// Places the shim's file.
pub(super) fn plan_shim(planner: &mut Planner<'_>, now: &Present, shim: &Path) -> Result<()> {
    let path = planner.lib.join(now.shim_name());
    planner.file(&path, shim, false, "the shim, under a name that wins over stock for ldconfig")
}

/// Leads every name of rocBLAS to the shim.
pub(super) fn plan_switch(planner: &mut Planner<'_>, now: &Present) -> Result<()> {
    let shim = now.shim_name().to_owned();
    let lib = planner.lib.to_owned();
    let stock: Vec<String> = now.stock().map(str::to_owned).collect();
    if dpkg::is_present(planner.root) {
        plan_diversions(planner, &stock, now)?;
    }
    if shim != now.front {
        let path = lib.join(&now.front);
        planner.link(&path, Path::new(&shim), "programs for ROCm 7 load this name")?;
    }
    // Links by which the linker or a person finds the stock library itself.
    for library in &now.libraries {
        if let What::Link(target) = &library.what
            && library.name != now.front
            && target.to_str().is_some_and(|target| stock.iter().any(|name| name == target))
        {
            planner.link(&lib.join(&library.name), Path::new(&now.front), "it named stock")?;
        }
    }
    // A name whose file went at an earlier apply is still a name that CMake may refer to.
    let gone = planner.plan.journal.entries.iter().filter_map(|entry| {
        let name = entry.path.strip_prefix(&lib).ok()?.to_str()?;
        let was_stock = matches!(entry.before, State::File(_));
        (was_stock && present::is_versioned_name(name) && name != shim).then(|| name.to_owned())
    });
    let mut names: Vec<String> = gone.chain(stock).filter(|name| *name != shim).collect();
    names.sort();
    names.dedup();
    for name in names {
        let path = lib.join(&name);
        if planner.plan.journal.options.build_link && cmake_refers_to(planner.root, &lib, &name) {
            let reason = "rocBLAS's CMake package names this file; programs are still built";
            planner.link(&path, Path::new(&shim), reason)?;
        } else {
            planner.absent(&path, "ldconfig would bring it back")?;
        }
    }
    Ok(())
}

/// Whether rocBLAS's CMake package names a file: then `find_package(rocblas)` fails without it.
fn cmake_refers_to(root: &Root, lib: &Path, name: &str) -> bool {
    let package = lib.join("cmake/rocblas");
    let Ok(files) = root.names(&package) else { return false };
    files
        .iter()
        .filter(|file| file.to_string_lossy().ends_with(".cmake"))
        .any(|file| root.read_to_string(&package.join(file)).is_ok_and(|text| text.contains(name)))
}

/// dpkg puts these files where the stock library is kept when their package is upgraded or installed
/// again.
fn plan_diversions(planner: &mut Planner<'_>, stock: &[String], now: &Present) -> Result<()> {
    for diversion in planner.plan.journal.diversions.clone() {
        // A revert that was interrupted may have removed it.
        let place = diversion.to.parent().unwrap_or(planner.lib).to_owned();
        planner.directory(&place, "for what dpkg brings")?;
        if dpkg::is_lost(planner.root, &diversion)? {
            planner.step(Action::Divert(diversion), "it was ended since");
        }
    }
    for name in stock.iter().map(String::as_str).chain([now.front.as_str()]) {
        let path = planner.lib.join(name);
        let known = planner.plan.journal.diversions.iter().any(|d| d.path == path);
        if known || !dpkg::owns(planner.root, &path) {
            continue;
        }
        let kept = planner.plan.journal.entry(&path).and_then(|entry| entry.kept.clone());
        let to = kept.unwrap_or_else(|| planner.in_store("diverted").join(name));
        planner.directory(to.parent().unwrap_or(planner.lib), "for what dpkg brings")?;
        let diversion = Diversion { path, to };
        planner.plan.journal.diversions.push(diversion.clone());
        planner.step(Action::Divert(diversion), "an upgrade must not put stock over the shim");
    }
    Ok(())
}
