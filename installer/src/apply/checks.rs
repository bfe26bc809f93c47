//! What must hold before anything is changed, and what must hold after.

use super::built::{self, Built};
use crate::{
    elf,
    inspect::{self, machine},
    journal::Options,
    loader::{self, Closure, How, Problem, Start},
    plan::{Action, Step},
    present::{self, SONAME, What},
    root::{Root, open_regular},
    settings,
    source::{self, Content, Source},
};
use anyhow::{Context, Result, bail};
use rustix::{
    fs::{Access, access, statvfs},
    io::Errno,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Whether this process may change a directory.
pub fn writable(root: &Root, lib: &Path) -> Result<()> {
    match access(root.on_machine(lib), Access::WRITE_OK) {
        Ok(()) => Ok(()),
        Err(Errno::ROFS) => bail!(
            "{} is on a read-only file system. Remount it, or do this while the image is built",
            lib.display()
        ),
        Err(Errno::ACCESS | Errno::PERM) => bail!(
            "no permission to change {}. Run this as root (sudo), or as the owner of the tree",
            lib.display()
        ),
        Err(e) => Err(e).with_context(|| format!("cannot change {}", lib.display())),
    }
}

/// Whether the files of a plan fit.
pub(super) fn space(root: &Root, lib: &Path, steps: &[Step]) -> Result<()> {
    let needed: u64 = steps
        .iter()
        .map(|step| match &step.action {
            Action::Copy { size, .. } => *size,
            _ => 0,
        })
        .sum();
    let directory = root.on_machine(lib);
    let free = statvfs(&directory)
        .with_context(|| format!("cannot ask {} for its free space", directory.display()))?;
    let free = free.f_bavail.saturating_mul(free.f_frsize);
    if needed > free {
        bail!(
            "not enough space: {} for the backend, and {} has {}. Make room, or place fewer \
             Tensile files with --gpu",
            indicatif::HumanBytes(needed),
            lib.display(),
            indicatif::HumanBytes(free)
        );
    }
    Ok(())
}

/// Whether a backend fits the machine and the GPUs asked for. On the running system, and where none is
/// asked for, the machine's own GPUs count: one of them has to be served. Answers what a person should
/// know of the others.
pub(super) fn backend(root: &Root, source: &Source, options: &Options) -> Result<Vec<String>> {
    let library = source.files.iter().find(|file| file.to == source.library);
    let Some(Content::File { from, .. }) = library.map(|file| &file.content) else {
        bail!("{} has no library", source.origin)
    };
    let file = open_regular(from).with_context(|| format!("cannot read {}", from.display()))?;
    let summary = elf::summary(&file).with_context(|| from.display().to_string())?;
    system_libraries(root, source, &summary)?;
    let machine = match (options.gpus.is_empty(), root.is_system()) {
        (true, true) => machine::targets(),
        _ => BTreeSet::new(),
    };
    if options.gpus.is_empty() && machine.is_empty() {
        return Ok(Vec::new());
    }
    let targets = inspect::library::targets_of(&file)
        .with_context(|| format!("{}, the GPU code in it", from.display()))?;
    for gpu in &options.gpus {
        match lack(source, &targets, gpu) {
            None => {}
            Some(Lack::Code) => bail!(
                "{} has no code for {gpu} in its library, only for {}. Give another backend, or \
                 leave {gpu} out of --gpu",
                source.origin,
                processors(&targets)
            ),
            Some(Lack::Tensile) => bail!(
                "{} has no Tensile files for {gpu} (such as TensileLibrary_lazy_{gpu}.dat): its \
                 matrix products would abort the program. Give the whole package, or its `lib` \
                 directory with rocblas/library in it",
                source.origin
            ),
        }
    }
    let lacking: Vec<&String> =
        machine.iter().filter(|gpu| lack(source, &targets, gpu).is_some()).collect();
    if !lacking.is_empty() && lacking.len() == machine.len() {
        bail!(
            "{} serves none of this machine's GPUs ({}): it has code for {}, and Tensile files that \
             may be for fewer. Give another backend; to go on all the same, name with --gpu the GPUs \
             that this tree is for",
            source.origin,
            machine.into_iter().collect::<Vec<_>>().join(", "),
            processors(&targets)
        );
    }
    let remark = |gpu: &String| {
        format!(
            "{} does not serve this machine's {gpu}: hide that GPU from programs with \
             HIP_VISIBLE_DEVICES",
            source.origin
        )
    };
    Ok(lacking.into_iter().map(remark).collect())
}

/// What a backend has not for a GPU.
enum Lack {
    Code,
    Tensile,
}

fn lack(source: &Source, targets: &BTreeMap<String, usize>, gpu: &str) -> Option<Lack> {
    if !targets.keys().any(|target| processor(target) == gpu) {
        return Some(Lack::Code);
    }
    let has_tensile = source.files.iter().any(|file| {
        let name = file.to.file_name().unwrap_or_default().to_string_lossy();
        source::gpu_of(&name) == Some(gpu)
    });
    (!has_tensile).then_some(Lack::Tensile)
}

/// `gfx90a` of `gfx90a:xnack-`.
fn processor(target: &str) -> &str {
    target.split(':').next().unwrap_or(target)
}

fn processors(targets: &BTreeMap<String, usize>) -> String {
    let names: BTreeSet<&str> = targets.keys().map(|target| processor(target)).collect();
    if names.is_empty() {
        return "no GPU".to_owned();
    }
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// glibc and the compiler's libraries must be at least those that the backend was built with.
fn system_libraries(root: &Root, source: &Source, summary: &elf::Summary) -> Result<()> {
    const SYSTEM: &[&str] = &["libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1"];
    for name in SYSTEM {
        let Some(needed) = summary.versions_needed.get(*name) else { continue };
        let Some(path) = loader::find(root, name) else {
            // The closure says so with more detail.
            continue;
        };
        let file = root.open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let has = elf::summary(&file).with_context(|| path.display().to_string())?.versions_defined;
        let missing: Vec<&str> =
            needed.iter().map(String::as_str).filter(|v| !has.iter().any(|h| h == v)).collect();
        if !missing.is_empty() {
            bail!(
                "{} was built for a newer system: it needs {} of {name}, which {} does not have. \
                 Take the package for this distribution (AMD names it in the file: ~22.04, ~24.04), \
                 or a newer base image",
                source.origin,
                missing.join(", "),
                path.display()
            );
        }
    }
    Ok(())
}

/// Everything that is to load: hipBLAS and rocSOLVER, the programs, and with a backend the shim
/// and it.
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
pub(super) fn closure(root: &Root, lib: &Path, backend: Option<&Path>, built: &Built) -> Checked {
    let mut starts = Vec::new();
    for name in root.names(lib).unwrap_or_default() {
        let text = name.to_string_lossy();
        let is_peer = ["libhipblas.so.", "librocsolver.so."].iter().any(|stem| {
            // The link of the SONAME, `libhipblas.so.3`.
            text.strip_prefix(stem).is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
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

/// Checks the tree after the change, and answers how many files were looked at. What was wrong
/// before and is not ours is no failure of this.
pub(super) fn after(root: &Root, lib: &Path, built: &Built, before: &Checked) -> Result<usize> {
    let front =
        present::front(root, lib).with_context(|| format!("{} has no {SONAME}", lib.display()))?;
    let name = settings::backend(&settings::text(root, lib)?)?.context("no backend is chosen")?;
    let backend = super::backend::library_of(root, lib, &name)?;
    match present::what(root, &root.resolve(&front)?)? {
        What::Shim(_) => {}
        other => bail!("{} leads to {other:?} and not to the shim", front.display()),
    }
    let after = closure(root, lib, Some(&backend), built);
    let mut new: Vec<String> = (after.problems())
        .filter(|problem| !before.problems().any(|known| known == *problem))
        .map(ToString::to_string)
        .collect();
    new.dedup();
    if !new.is_empty() {
        bail!("what was placed would not load:\n  {}", new.join("\n  "));
    }
    built::uses_rocblas(&after.programs, built)?;
    Ok(after.objects())
}
