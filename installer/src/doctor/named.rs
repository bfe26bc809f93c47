//! Facts about the trees that a log names, if they exist here: whether the shim is in place, and which GPUs
//! are covered. Without this, advice assumes a machine like the log's.

use super::known::{
    advice::{Advice, BACKEND, Tree},
    reading::Reading,
    system::System,
};
use crate::{
    fetch,
    gpu::{self, Gpu},
    inspect::{self, machine::Machine},
    root::Root,
    source::gpu_of,
    status::{self, Status},
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Reading a tree takes a second, and no log names more trees that matter.
const MOST: usize = 8;

/// What advice depends on: for `lib`, the tree to assume, and the trees that lines name.
pub(super) fn advice(
    root: &Root,
    lib: Option<&Path>,
    asked: &[Gpu],
    machine: &Machine,
    reading: &Reading,
) -> Advice {
    let asked_for: Vec<String> = asked.iter().map(|gpu| gpu.processor().to_owned()).collect();
    let meant = if !asked_for.is_empty() {
        asked_for
    } else if !reading.gpus.is_empty() {
        reading.gpus.iter().cloned().collect()
    } else {
        let here: BTreeSet<String> = machine.gpus.iter().map(|gpu| gpu.target.clone()).collect();
        here.into_iter().collect()
    };
    let in_lines = reading.found.iter().filter_map(|known| known.line.gpu.clone());
    let gpus: BTreeSet<String> = in_lines.chain(meant.iter().cloned()).collect();
    let gpus: Vec<Gpu> = gpus.iter().filter_map(|gpu| gpu::parse(gpu).ok()).collect();
    let named: BTreeSet<&PathBuf> =
        reading.found.iter().filter_map(|known| known.line.tree.as_ref()).collect();
    let trees = named.into_iter().take(MOST);
    let trees = trees.filter_map(|tree| Some((tree.clone(), look(root, tree, &gpus)?))).collect();
    // Nothing is read for a log without known errors.
    let own = lib.filter(|_| !reading.found.is_empty()).and_then(|lib| look(root, lib, &gpus));
    Advice {
        package: package(root),
        shown: reading.shim.clone(),
        system: reading.system.or_else(|| System::of_families(&fetch::families(root))),
        windows: reading.is_of_windows(),
        gpus: meant,
        own: own.unwrap_or_default(),
        trees,
    }
}

/// AMD's package of the release that the shim forwards to, for the distribution of a root.
pub(super) fn package(root: &Root) -> String {
    fetch::package_name(root, BACKEND).unwrap_or_default()
}

/// A tree that exists here.
fn look(root: &Root, lib: &Path, gpus: &[Gpu]) -> Option<Tree> {
    root.metadata(lib).ok().filter(std::fs::Metadata::is_dir)?;
    let applied =
        status::status(root, lib).is_ok_and(|status| !matches!(status, Status::NotApplied));
    let inspection = inspect::inspect(root, &[lib.to_owned()], &[], gpus).ok()?;
    let found = inspection.trees.into_iter().next()?;
    let covered = found.coverage.iter().filter(|coverage| coverage.covered && !gpus.is_empty());
    let covered =
        covered.filter_map(|coverage| gpu_of(&coverage.target).map(str::to_owned)).collect();
    let backends = found.backends.iter().map(|backend| {
        let files = backend.libraries.files.iter();
        let targets = files.flat_map(|file| file.targets.keys());
        (backend.name.clone(), targets.filter_map(|t| gpu_of(t).map(str::to_owned)).collect())
    });
    Some(Tree { applied, covered, backends: backends.collect() })
}
