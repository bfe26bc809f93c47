//! The backend: which one is asked for, its files in the store, and which one the shim is to use.

use super::{Request, Staging, checks};
use crate::{
    elf,
    inspect::layout::Tree,
    journal::{Journal, Options, Package},
    plan::Planner,
    present::{self, What},
    root::{Root, open_regular},
    settings,
    source::{self, Content, Kept, Source},
    state::State,
};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// A source and the name that it gets in the store.
pub(super) struct Placed {
    name: String,
    source: Source,
    package: Option<Package>,
    remarks: Vec<String>,
}

/// The backend that the shim will use: its library on the machine.
pub(super) struct Chosen {
    pub(super) name: String,
    pub(super) summary: elf::Summary,
}

/// What is asked for, read and checked; `None` where the store has it already.
pub(super) fn source(
    root: &Root,
    tree: &Tree,
    request: &Request,
    before: Option<&Journal>,
    options: &Options,
    staging: &mut Staging<'_>,
) -> Result<Option<Placed>> {
    let path = match (&request.backend, before) {
        (Some(path), _) => path.clone(),
        (None, Some(journal)) if has_backend(root, &tree.lib, journal)? => return Ok(None),
        (None, _) => root.on_machine(&found(root, tree)?),
    };
    let state = State::on_machine(&path.canonicalize().unwrap_or_else(|_| path.clone()))
        .with_context(|| format!("cannot look at {}", path.display()))?;
    let is_package = source::is_package(&path)
        .with_context(|| format!("cannot read the backend {}", path.display()))?;
    if let Some(known) = before.and_then(|journal| {
        journal.packages.iter().find(|package| {
            package.state.same(&state) && package.gpus == options.gpus && package.file == path
        })
    }) && is_intact(root, &tree.lib, before, &known.backend)
        && request.name.as_ref().is_none_or(|name| *name == known.backend)
    {
        return Ok(None);
    }
    let gpus = (!options.gpus.is_empty()).then_some(options.gpus.as_slice());
    let empty = tempfile::tempdir().context("cannot make a temporary directory")?;
    let place = if is_package { staging.directory()? } else { empty.path().to_owned() };
    let source = source::open(&path, &place, gpus)?;
    let name = match &request.name {
        Some(name) => name.clone(),
        None => source.version.clone().unwrap_or_else(|| source.soname.clone()),
    };
    check_name(&name)?;
    let remarks = checks::backend(root, &source, options)?;
    let package = is_package.then(|| Package {
        backend: name.clone(),
        file: path,
        state,
        gpus: options.gpus.clone(),
    });
    Ok(Some(Placed { name, source, package, remarks }))
}

/// A backend's name is a directory's.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\0']) {
        bail!("{name:?} is no name for a backend: take letters, digits, dots and hyphens");
    }
    Ok(())
}

/// Whether the store has a backend to go on with.
fn has_backend(root: &Root, lib: &Path, journal: &Journal) -> Result<bool> {
    let named = settings::backend(&settings::text(root, lib)?)?;
    Ok(named.is_some_and(|name| is_intact(root, lib, Some(journal), &name)))
}

/// Whether all files of a backend are as they were placed.
fn is_intact(root: &Root, lib: &Path, journal: Option<&Journal>, name: &str) -> bool {
    let prefix = lib.join(crate::journal::STORE).join("backends").join(name);
    let mut entries = journal
        .iter()
        .flat_map(|journal| &journal.entries)
        .filter(|entry| entry.path.starts_with(&prefix))
        .peekable();
    entries.peek().is_some()
        && entries.all(|e| State::of(root, &e.path).is_ok_and(|now| now.same(&e.after)))
}

/// A rocBLAS of ROCm 6 in the root: beside the stock library, where people put it by hand, or in a
/// tree of its own.
fn found(root: &Root, tree: &Tree) -> Result<PathBuf> {
    let mut places = vec![tree.lib.clone()];
    if let Ok(names) = root.names(Path::new("/opt")) {
        let older = names.iter().filter(|name| name.to_string_lossy().starts_with("rocm-6"));
        places.extend(older.map(|name| Path::new("/opt").join(name).join("lib")));
    }
    let mut libraries = Vec::new();
    for place in &places {
        for library in present::libraries(root, place).unwrap_or_default() {
            if matches!(&library.what, What::Rocblas(soname) if soname == "librocblas.so.4") {
                libraries.push(place.join(&library.name));
            }
        }
    }
    // librocblas.so.5 overwritten with 6.3 is one too, but a name that is 6.3's own is preferred.
    libraries.sort_by_key(|path| !path.to_string_lossy().contains("librocblas.so.4"));
    libraries.into_iter().next().with_context(|| {
        let places: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
        format!(
            "no backend: there is no rocBLAS of ROCm 6 (librocblas.so.4) in {}. Give one with \
             --backend: the library, a directory, or ROCm 6.3's package \
             (rocblas_4.3.0.60300-*_amd64.deb, which need not be installed)",
            places.join(", ")
        )
    })
}

/// Its files in a prefix of their own, and no others of an earlier apply.
pub(super) fn plan(planner: &mut Planner<'_>, placed: &Placed) -> Result<()> {
    let Placed { name, source, package, remarks } = placed;
    planner.plan.remarks.extend(remarks.iter().cloned());
    let lib = planner.in_store("backends").join(name).join("lib");
    let reason = format!("backend {name}, from {}", source.origin);
    let mut wanted = Vec::new();
    for file in &source.files {
        let path = lib.join(&file.to);
        planner.directory(path.parent().unwrap_or(&lib), &reason)?;
        match &file.content {
            Content::File { from, .. } => {
                planner.file(&path, from, source.kept == Kept::Staged, &reason)?;
            }
            Content::Link { target } => planner.link(&path, target, &reason)?,
        }
        wanted.push(path);
    }
    let prefix = lib.parent().unwrap_or(&lib);
    let obsolete: Vec<PathBuf> = (planner.plan.journal.entries.iter())
        .filter(|entry| entry.path.starts_with(prefix))
        .filter(|entry| !matches!(entry.after, State::Directory | State::Absent))
        .map(|entry| entry.path.clone())
        .filter(|path| !wanted.contains(path))
        .collect();
    for path in obsolete {
        planner.absent(&path, "not part of this backend any more")?;
    }
    let packages = &mut planner.plan.journal.packages;
    packages.retain(|package| package.backend != *name);
    packages.extend(package.clone());
    Ok(())
}

/// Writes the shim's settings and answers which backend they name.
pub(super) fn choose(planner: &mut Planner<'_>, placed: Option<&Placed>) -> Result<Chosen> {
    let text = settings::text(planner.root, planner.lib)?;
    let (name, library) = match placed {
        Some(Placed { name, source, .. }) => {
            let file = source.files.iter().find(|file| file.to == source.library);
            match file.map(|file| &file.content) {
                Some(Content::File { from, .. }) => (name.clone(), from.clone()),
                _ => bail!("{} lists no library of its own", source.origin),
            }
        }
        None => {
            let name = settings::backend(&text)?.context("shim.toml names no backend")?;
            let library = library_of(planner.root, planner.lib, &name)?;
            (name.clone(), planner.root.on_machine(&library))
        }
    };
    let wanted = settings::with_backend(&text, &name)?;
    planner.settings(wanted.into_bytes(), "the backend to use")?;
    let file = open_regular(&library)
        .with_context(|| format!("cannot read the backend {}", library.display()))?;
    let summary = elf::summary(&file).with_context(|| library.display().to_string())?;
    Ok(Chosen { name: name.clone(), summary })
}

/// The library of a backend in the store, inside the root.
pub(crate) fn library_of(root: &Root, lib: &Path, name: &str) -> Result<PathBuf> {
    let prefix = lib.join(crate::journal::STORE).join("backends").join(name).join("lib");
    let libraries = present::libraries(root, &prefix)?;
    let library = libraries.iter().find(|library| matches!(library.what, What::Rocblas(_)));
    let library = library
        .with_context(|| format!("backend {name} has no librocblas in {}", prefix.display()))?;
    Ok(prefix.join(&library.name))
}
