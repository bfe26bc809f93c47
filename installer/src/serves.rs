//! Which GPUs a rocBLAS serves: it contains code for them, and there are Tensile files for them. If either is
//! missing, programs fail, each with its own message.
//!
//! Kernels are not counted here: that reads a library whole, and `inspect` does it.

use crate::{
    inspect::{
        library::{self, Library},
        tensile::{self, Tensile},
    },
    plan::Contents,
    root::Root,
    source::{self, Content, Source},
};
use anyhow::{Context, Result, anyhow};
use offload::{
    Target,
    kpack::{Archive, Reference},
};
use std::{collections::BTreeSet, path::Path};

/// What a rocBLAS has for GPUs.
#[derive(Clone, Debug, Default)]
pub struct Serves {
    /// The targets of its code, without features in messages and with them for matching.
    code: BTreeSet<String>,
    /// The processors that it has Tensile files for.
    tensile: BTreeSet<String>,
    /// Why its code could not be read completely.
    problem: Option<String>,
}

/// What a rocBLAS lacks for a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Code in the library.
    Code,
    /// Tensile's files.
    Tensile,
}

impl Serves {
    /// For a backend that will be placed, with the files that it would have there.
    pub fn of_source(source: &Source) -> Result<Self> {
        let shown = || format!("the library of {}", source.origin);
        let file = source.open_library().with_context(shown)?;
        let targets = match source.split()? {
            Some(split) => in_archives(source, &split),
            None => library::targets_of(&file).map(|targets| targets.into_keys().collect()),
        };
        let (code, problem) = match targets {
            Ok(targets) => (targets, None),
            Err(why) => (BTreeSet::new(), Some(format!("{why:#}"))),
        };
        let names = source.files.iter().filter_map(|file| file.to.file_name()?.to_str());
        let tensile = names.filter_map(source::gpu_of).map(str::to_owned).collect();
        Ok(Self { code, tensile, problem })
    }

    /// For a library in its place, with the Tensile files that it would use.
    pub fn of_library(root: &Root, path: &Path) -> Result<Self> {
        let shown = || format!("cannot read {}", path.display());
        let library = library::read(root, path).with_context(shown)?;
        // By the name by which it is loaded, as rocBLAS finds them; it may be a symlink out of the tree.
        let directories = [path, &library.path].map(|path| path.parent().unwrap_or(Path::new("/")));
        let version = library.version.as_deref();
        let tensile = directories.into_iter().find_map(|lib| tensile::of(root, lib, version));
        Ok(Self::of(&library, tensile.as_ref()))
    }

    /// For a library that has been read, with its Tensile files.
    #[must_use]
    pub fn of(library: &Library, tensile: Option<&Tensile>) -> Self {
        let processors = |tensile: &Tensile| {
            let processors = tensile.targets.keys().filter(|gpu| tensile.entry(gpu).is_some());
            processors.cloned().collect()
        };
        Self {
            code: library.targets.keys().cloned().collect(),
            tensile: tensile.map_or_else(BTreeSet::new, processors),
            problem: library.problem.clone(),
        }
    }

    /// Whether there is neither code nor a Tensile file for any GPU.
    #[must_use]
    pub fn is_for_none(&self) -> bool {
        self.code.is_empty() && self.tensile.is_empty() && self.problem.is_none()
    }

    /// Whether there is code for a GPU, by its processor or target.
    #[must_use]
    pub fn has_code(&self, gpu: &str) -> bool {
        let device = Target::device(gpu);
        device.is_some_and(|device| self.code.iter().any(|code| library::runs(&device, code)))
    }

    /// What is missing for a GPU, by its processor or target.
    #[must_use]
    pub fn lack(&self, gpu: &str) -> Option<Lack> {
        let device = Target::device(gpu).filter(|_| self.has_code(gpu));
        let Some(device) = device else { return Some(Lack::Code) };
        (!self.tensile.contains(device.processor())).then_some(Lack::Tensile)
    }

    /// All processors that it fully serves.
    #[must_use]
    pub fn gpus(&self) -> BTreeSet<String> {
        self.tensile.iter().filter(|gpu| self.lack(gpu).is_none()).cloned().collect()
    }

    /// The processors for which there is code.
    #[must_use]
    pub fn processors(&self) -> Vec<String> {
        let names = self.code.iter().map(|target| target.split(':').next().unwrap_or(target));
        let names: BTreeSet<&str> = names.collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// The same, as text.
    #[must_use]
    pub fn code(&self) -> String {
        match self.processors().as_slice() {
            [] => "no GPU".to_owned(),
            names => names.join(", "),
        }
    }

    /// An error if something could not be read, so that what seems missing may exist.
    pub fn whole(&self) -> Result<()> {
        self.problem.as_ref().map_or(Ok(()), |why| Err(anyhow!("cannot read its GPU code: {why}")))
    }
}

/// The targets for which a split library has code in the archives next to it.
fn in_archives(source: &Source, split: &Reference) -> Result<BTreeSet<String>> {
    let mut targets = BTreeSet::new();
    for file in &source.archives {
        let Content::File { from, size, .. } = &file.content else { continue };
        // A plan that is only shown has not unpacked it.
        if matches!(from, Contents::Listed) {
            let name = file.to.file_name().unwrap_or_default().to_string_lossy();
            targets.extend(source::gpu_of(&name).map(str::to_owned));
            continue;
        }
        let shown = || file.to.display().to_string();
        let archive =
            Archive::read(&from.open().with_context(shown)?, *size).with_context(shown)?;
        targets.extend(archive.objects(&split.kernel_name).map(|(target, _)| target.to_owned()));
    }
    Ok(targets)
}
