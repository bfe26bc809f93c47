//! Checks before anything is changed, and after.

use super::{
    Shim,
    built::{self, Built},
};
use crate::{
    elf, exports, hip_archives,
    immutable::Immutable,
    lib_dir::LibDir,
    loader::{self, Closure, How, Problem, Start},
    output::{self, Code, WithCode},
    plan::{Action, Contents, Planner, Step},
    present::{self, SONAME, What},
    root::Root,
    settings,
    source::Source,
};
use anyhow::{Context, Result, anyhow, bail};
use offload::kpack::Reference;
use rocblas_contract::libraries::{HIPBLAS, ROCSOLVER, version_of};
use rustix::{
    fs::{Access, AtFlags, accessat, fstatvfs},
    io::Errno,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Whether this process may change a directory.
pub fn writable(root: &Root, lib: &Path) -> Result<()> {
    let directory = root.open_directory(lib);
    let directory = directory.with_context(|| format!("cannot open {}", lib.display()))?;
    match accessat(&directory, c".", Access::WRITE_OK, AtFlags::empty()) {
        Ok(()) => Ok(()),
        Err(Errno::ROFS) => bail!(
            "{} is on a read-only file system. Remount it, or run this command while the image is built",
            lib.display()
        ),
        Err(Errno::ACCESS | Errno::PERM) => {
            let why = match Immutable::of(&directory, lib.display()) {
                Some(immutable) => anyhow!("{immutable}"),
                None => anyhow!(
                    "no permission to change {}. Run this as root (sudo), or as the owner of the tree",
                    lib.display()
                ),
            };
            Err(why).code(Code::NoPermission)
        }
        Err(e) => Err(e).with_context(|| format!("cannot change {}", lib.display())),
    }
}

/// Warns about functions that the tree's own rocBLAS has and the shim lacks, and refuses the shim if a
/// library of the tree imports one of them.
pub(super) fn exports(planner: &mut Planner<'_>, stock: &[PathBuf], shim: &Shim) -> Result<()> {
    for path in stock {
        let (root, lib) = (planner.lib.root(), planner.lib.path());
        let file = shim.source.open().context("cannot read the shim")?;
        let Some(lacking) = exports::lacking(root, lib, path, &file)? else { continue };
        if !lacking.importers.is_empty() {
            let what = format!(
                "{lacking}. Libraries of this tree import these functions and would not load with the \
                 shim: use a newer release of the shim"
            );
            return Err(output::Listed::new(what, lacking.broken()).into());
        }
        planner.remark(format!(
            "{lacking}; a program that imports one of them does not load with the shim"
        ));
    }
    Ok(())
}

/// Whether the files of a plan fit. Unpacked files are on the disk already; kept files are renamed and take
/// no space.
pub(super) fn space(lib: &LibDir, steps: &[Step]) -> Result<()> {
    let sizes = steps.iter().map(|step| match &step.action {
        Action::Copy { size, source: Contents::In(..), .. } => *size,
        Action::Write { bytes, .. } => bytes.len() as u64,
        _ => 0,
    });
    // A journal entry and the remainder of a block for each.
    let needed: u64 = sizes.sum::<u64>() + 8192 * steps.len() as u64;
    let shown = lib.path().display();
    let free = fstatvfs(lib.directory());
    let free = free.with_context(|| format!("cannot determine the free space of {shown}"))?;
    let free = free.f_bavail.saturating_mul(free.f_frsize);
    if needed > free {
        let refusal = anyhow!(
            "not enough space: the backend needs {}, and {shown} has {}. Free some space, or place fewer \
             Tensile files with --gpu",
            indicatif::HumanBytes(needed),
            indicatif::HumanBytes(free)
        );
        return Err(refusal).code(Code::NoSpace);
    }
    Ok(())
}

/// Whether a backend can be placed at all: it finds the system's libraries, and its GPU code is present and
/// can be read by the HIP runtime.
pub(super) fn backend(root: &Root, lib: &Path, source: &Source) -> Result<()> {
    let shown = || format!("the library of {}", source.origin);
    let file = source.open_library().with_context(shown)?;
    let summary = elf::summary(&file).with_context(shown)?;
    system_libraries(root, source, &summary)?;
    if let Some(split) = &summary.split {
        split_library(root, lib, source, split)?;
    }
    Ok(())
}

fn split_library(root: &Root, lib: &Path, source: &Source, split: &Reference) -> Result<()> {
    let Source { origin, archives, .. } = source;
    let places = split.search_paths.join(", ");
    if archives.is_empty() {
        bail!(
            "{origin} is a split library: its GPU code is in archives ({places}), and none for the requested \
             GPUs is present. Pass a directory in which \
             the packages of the library and of the GPUs were unpacked side by side"
        );
    }
    if let Some(runtime) = hip_archives::unread_by(root, lib) {
        bail!(
            "{origin} is a split library, and {} does not read archives of GPU code: only ROCm 7.13 and \
             later do. Every kernel would be missing. Pass a rocBLAS with its GPU code in the library, such as \
             ROCm 6.3's",
            runtime.display()
        );
    }
    Ok(())
}

/// glibc and the compiler's libraries must be at least as new as those that the backend was built with.
fn system_libraries(root: &Root, source: &Source, summary: &elf::Summary) -> Result<()> {
    const SYSTEM: &[&str] = &["libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1"];
    for name in SYSTEM {
        let Some(needed) = summary.versions_needed.get(*name) else { continue };
        let Some(path) = loader::find(root, name) else {
            // The closure check reports this with more detail.
            continue;
        };
        let file = root.open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let has = elf::summary(&file).with_context(|| path.display().to_string())?.versions_defined;
        let missing: Vec<&str> =
            needed.iter().map(String::as_str).filter(|v| !has.iter().any(|h| h == v)).collect();
        if !missing.is_empty() {
            bail!(
                "{} was built for a newer system: it needs {} of {name}, which {} lacks. \
                 Use the package for this distribution (AMD's file names contain it: ~22.04, ~24.04), \
                 or a newer base image",
                source.origin,
                missing.join(", "),
                path.display()
            );
        }
    }
    Ok(())
}

/// Everything that must load: hipBLAS and rocSOLVER, the programs, and with a backend the shim and that
/// backend.
pub(super) struct Checked {
    closures: Vec<Closure>,
    programs: Vec<Vec<PathBuf>>,
}

impl Checked {
    fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.closures.iter().flat_map(|closure| &closure.problems)
    }

    fn objects(&self) -> usize {
        let objects = self.closures.iter().flat_map(|closure| &closure.objects);
        objects.map(|object| &object.path).collect::<BTreeSet<_>>().len()
    }
}

/// Resolves it all as the loader would, with an empty LD_LIBRARY_PATH.
pub(super) fn closure(lib: &LibDir, backend: Option<&Path>, built: &Built) -> Checked {
    let (root, lib) = (lib.root(), lib.path());
    let mut starts = Vec::new();
    for name in root.names(lib).unwrap_or_default() {
        let text = name.to_string_lossy();
        let is_peer = [HIPBLAS, ROCSOLVER].iter().any(|stem| {
            // The symlink of the SONAME, `libhipblas.so.3`.
            version_of(&text, stem)
                .is_some_and(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit()))
        });
        if is_peer {
            starts.push(Start { path: lib.join(&name), how: How::Program });
        }
    }
    if let (Some(backend), Some(shim)) = (backend, present::front(root, lib)) {
        let how = How::Backend { shim: shim.clone() };
        starts.push(Start { path: backend.to_owned(), how });
        starts.push(Start { path: shim, how: How::Program });
    }
    let others = starts.iter().map(|start| loader::check(root, start, &[]));
    let mut closures: Vec<Closure> = others.collect();
    let mut programs = Vec::new();
    for path in &built.files {
        let closure = loader::check(root, &Start { path: path.clone(), how: How::Program }, &[]);
        programs.push(closure.objects.iter().map(|object| object.path.clone()).collect());
        closures.push(closure);
    }
    Checked { closures, programs }
}

/// Checks the tree after the change, and returns how many files were examined. Faults that existed before and
/// are not ours do not fail this.
pub(super) fn after(lib: &LibDir, built: &Built, before: &Checked) -> Result<usize> {
    let root = lib.root();
    let shown = lib.path().display();
    let front =
        present::front(root, lib.path()).with_context(|| format!("{shown} has no {SONAME}"))?;
    let name = settings::backend(&settings::text(root, lib.path())?)?;
    let name = name.context("no backend is chosen")?;
    let backend = super::backend::library_of(root, lib.path(), &name)?;
    let front_is =
        root.resolve(&front).with_context(|| format!("{} is a broken symlink", front.display()))?;
    match present::what(root, &front_is)? {
        What::Shim(_) => {}
        other => bail!("{} points to {other:?} and not to the shim", front.display()),
    }
    let after = closure(lib, Some(&backend), built);
    let mut new: Vec<String> = (after.problems())
        .filter(|problem| !before.problems().any(|known| known == *problem))
        .map(ToString::to_string)
        .collect();
    new.dedup();
    if !new.is_empty() {
        return Err(output::Listed::new("what was placed would not load", new).into());
    }
    built::uses_rocblas(&after.programs, built)?;
    Ok(after.objects())
}
