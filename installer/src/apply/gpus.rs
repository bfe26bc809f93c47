//! The GPUs of a change: the backend must serve the requested ones, and a GPU of this machine must not lose
//! its rocBLAS unnoticed.

use super::{Request, backend::Offer, stock};
use crate::{
    backends::routes::{self, Ruled},
    inspect::machine,
    journal::Journal,
    plan::{Planner, Reach},
    root::Root,
    serves::{Lack, Serves},
    settings::{self, Rule},
};
use anyhow::{Context, Result, bail};
use rocblas_contract::{route::AUTO, store::LIB, tensile};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// The GPUs of a request.
pub(super) struct Asked {
    /// Those whose Tensile files are placed; empty means all.
    pub(super) placed: Vec<String>,
    /// Those that the backend must serve.
    pub(super) required: Vec<String>,
    /// Whether this request named GPUs.
    pub(super) is_new: bool,
}

impl Asked {
    /// Adds the requested GPUs to those of earlier applies of the tree. A backend that is only put into the
    /// store has its own list.
    pub(super) fn of(request: &Request, before: Option<&Journal>) -> Self {
        let earlier = before.map(|journal| journal.options.gpus.as_slice());
        let now = request.gpus.as_deref();
        let union = |earlier: &[String], now: &[String]| {
            let mut all = earlier.to_vec();
            all.extend(now.iter().filter(|gpu| !earlier.contains(gpu)).cloned());
            all
        };
        let placed = match (earlier, now) {
            (Some(earlier), None) => earlier.to_vec(),
            // All are placed.
            (Some([]), Some(_)) if !request.only_add => Vec::new(),
            (Some(earlier), Some(now)) if !request.only_add => union(earlier, now),
            (_, Some(now)) => now.to_vec(),
            (None, None) => Vec::new(),
        };
        let required = union(&placed, now.unwrap_or_default());
        Self { placed, required, is_new: now.is_some() }
    }

    /// Whether the Tensile files of a backend that was placed for these GPUs (all if empty) are enough. If
    /// none is requested, the backend in the store is used as it is.
    pub(super) fn are_placed_by(&self, placed: &[String]) -> bool {
        placed.is_empty() || self.lacking(placed).is_empty()
    }

    /// The requested GPUs that are not among these.
    pub(super) fn lacking(&self, placed: &[String]) -> Vec<String> {
        let lacks = |gpu: &&String| self.is_new && !placed.contains(gpu);
        self.required.iter().filter(lacks).cloned().collect()
    }
}

/// The GPUs of the running system; none for another root.
pub(super) fn of_machine(root: &Root) -> BTreeSet<String> {
    if root.is_system() { machine::targets() } else { BTreeSet::new() }
}

/// Remarks on a backend; on a GPU of this machine that it lacks, only if no other backend serves that GPU.
pub(super) struct Remark {
    pub(super) gpu: Option<String>,
    pub(super) text: String,
}

/// Checks that a backend serves the requested GPUs; if none is requested, at least one of the machine's.
/// Returns remarks on the others.
pub(super) fn check(
    offer: &Offer,
    required: &[String],
    machine: &BTreeSet<String>,
) -> Result<Vec<Remark>> {
    let Offer { shown, soname, serves, is_slim } = offer;
    if !required.is_empty() || !machine.is_empty() {
        serves.whole().with_context(|| format!("the library of {shown}"))?;
    }
    for gpu in required {
        match serves.lack(gpu) {
            None => {}
            Some(Lack::Code) if stock::is_newer_than_backends(soname) => bail!(
                "{shown} is ROCm 7's rocBLAS ({soname}) and has no code for {gpu} in its library, \
                 only for {}. 6.3's is needed: rocblas_4.3.0.60300-*_amd64.deb, which `installer fetch \
                 6.3` downloads; or leave {gpu} out of --gpu",
                serves.code()
            ),
            Some(Lack::Code) if *is_slim => bail!(
                "{shown} is slim and has no code for {gpu}, only for {}. Give its whole source with \
                 --backend, or leave {gpu} out of --gpu (to forget that of an earlier apply, run `installer \
                 revert`)",
                serves.code()
            ),
            Some(Lack::Code) => bail!(
                "{shown} has no code for {gpu} in its library, only for {}. Pass another backend, or \
                 leave {gpu} out of --gpu (to forget that of an earlier apply, run `installer revert`)",
                serves.code()
            ),
            Some(Lack::Tensile) => bail!(
                "{shown} has no Tensile files for {gpu} (such as {}): its matrix products would abort \
                 the program. Pass the whole package, or its `{LIB}` directory with {} in it",
                tensile::lazy_entry(gpu),
                tensile::PLACES[0]
            ),
        }
    }
    if !required.is_empty() {
        return Ok(Vec::new());
    }
    if !machine.is_empty() && serves.is_for_none() {
        // Like the demonstration's backend, which must work on a machine with any GPU.
        let text = format!("{shown} has no GPU code: it computes on the CPU, if at all");
        return Ok(vec![Remark { gpu: None, text }]);
    }
    let lacking: Vec<&String> = machine.iter().filter(|gpu| serves.lack(gpu).is_some()).collect();
    if !lacking.is_empty() && lacking.len() == machine.len() {
        bail!(
            "{shown} serves none of this machine's GPUs ({}): it has code for {}, and Tensile files that \
             may be for fewer. Pass another backend; to continue anyway, name the GPUs that this tree is for \
             with --gpu",
            list(machine),
            serves.code()
        );
    }
    let text = |gpu: &String| match is_slim {
        true => format!(
            "{shown} is slim and does not serve this machine's {gpu}: `installer apply --gpu {gpu}` adds its \
             kernels if the whole library has some; or hide that GPU from programs with HIP_VISIBLE_DEVICES"
        ),
        false => format!(
            "{shown} does not serve this machine's {gpu}: hide that GPU from programs with \
             HIP_VISIBLE_DEVICES"
        ),
    };
    let remark = |gpu: &String| Remark { gpu: Some(gpu.clone()), text: text(gpu) };
    Ok(lacking.into_iter().map(remark).collect())
}

/// Stops if the tree's own library serves every wanted GPU, unless the user overrides it.
pub(super) fn needed(stock: &Stock, wanted: &BTreeSet<String>, request: &Request) -> Result<()> {
    let is_served = |gpu: &String| stock.gpus.contains(gpu);
    if wanted.is_empty() || request.not_needed_ok || !wanted.iter().all(is_served) {
        return Ok(());
    }
    bail!(
        "this tree's own rocBLAS ({}) already serves {}, with code and Tensile files: the shim is not \
         needed. Nothing was changed; to install it anyway, pass --not-needed-ok",
        stock.path.display(),
        list(wanted)
    )
}

/// The stock library of a tree, in its place or in the store.
pub(super) struct Stock {
    path: PathBuf,
    /// The GPUs that it serves.
    pub(super) gpus: BTreeSet<String>,
}

impl Stock {
    /// The files that are it: several, combined, if a tree has the names of two releases.
    pub(super) fn of(root: &Root, files: &[PathBuf]) -> Result<Option<Self>> {
        let Some(first) = files.first() else { return Ok(None) };
        let mut stock = Self { path: first.clone(), gpus: BTreeSet::new() };
        for file in files {
            stock.gpus.extend(Serves::of_library(root, file)?.gpus());
        }
        Ok(Some(stock))
    }
}

/// The GPUs that a tree serves before a change.
pub(super) struct Before {
    /// By the backend in use.
    pub(super) served: BTreeSet<String>,
    /// By its own library, if that stays in the store as a backend.
    pub(super) kept: BTreeSet<String>,
}

/// The GPUs of this machine that keep their present rocBLAS by a route.
#[derive(Default)]
pub(super) struct Routed {
    pub(super) gpus: BTreeSet<String>,
    /// Whether that route must be written: one of them has no rule.
    pub(super) is_new: bool,
}

/// Compares which GPUs the tree serves with a backend and without it. A GPU of this machine that the tree's
/// own library serves keeps it, by a route: these GPUs are returned. A GPU that nothing would serve any more
/// is lost only if the user accepts that, which the journal records; losses of other GPUs are remarks.
pub(super) fn weigh(
    planner: &mut Planner<'_>,
    offer: &Offer,
    before: &Before,
    machine: &BTreeSet<String>,
    request: &Request,
) -> Result<Routed> {
    let (root, lib) = (planner.lib.root(), planner.lib.path());
    // Errors in the settings are reported where they are written, and by `status`.
    let rules = settings::text(root, lib).and_then(|text| settings::route(&text));
    let rules = rules.unwrap_or_default();
    let mut lost = lost(planner.plan.journal.served.union(&before.served), &offer.serves);
    let mut routed = Routed::default();
    // A GPU with a rule to a backend that serves it is not lost.
    let mut failing: Vec<(String, Rule, String)> = Vec::new();
    lost.retain(|gpu| match routes::ruled(root, lib, &rules, gpu) {
        Ruled::Not => true,
        // The tree's own library will be one of the backends.
        Ruled::Badly(rule, _) if rule.backend == AUTO && before.kept.contains(gpu) => {
            !routed.gpus.insert(gpu.clone())
        }
        Ruled::Well => !routed.gpus.insert(gpu.clone()),
        Ruled::Badly(rule, why) => {
            failing.push((gpu.clone(), rule, why));
            true
        }
    });
    let mut here: BTreeSet<String> = lost.intersection(machine).cloned().collect();
    let known = planner.plan.journal.options.given_up.clone();
    let mut new: BTreeSet<String> = here.difference(&known).cloned().collect();
    if !request.gpu_loss_ok {
        if let Some((gpu, rule, why)) = failing.iter().find(|(gpu, ..)| new.contains(gpu)) {
            bail!(
                "{gpu}, which this machine has and this tree serves now, would no longer be served: [route] {} = {:?} \
                 in {}: {why}. Remove that rule, or add one for {gpu}; to give the GPU up, pass --gpu-loss-ok",
                rule.key,
                rule.backend,
                settings::path(lib).display()
            );
        }
        if !new.is_empty() && new.iter().all(|gpu| before.kept.contains(gpu)) {
            routed.is_new = true;
        }
    }
    let kept = if routed.is_new { std::mem::take(&mut new) } else { BTreeSet::new() };
    if !new.is_empty() && !request.gpu_loss_ok && request.reach != Reach::Repair {
        bail!(
            "{}, which this machine has and this tree serves now, would no longer be served: {}. Pass a \
             backend for all of this machine's GPUs; to give up {}, pass --gpu-loss-ok",
            list(&new),
            why(offer, &new),
            list(&new)
        );
    }
    if routed.is_new {
        planner.remark(format!(
            "{} of this machine {} the tree's own rocBLAS, which stays in the store: {}. [route] in shim.toml \
             gives each GPU the newest backend in the store that serves it; `installer backends routes` \
             shows which",
            list(&kept),
            if kept.len() == 1 { "keeps" } else { "keep" },
            why(offer, &kept),
        ));
        // The route is for all GPUs without a rule, not only for those of this machine.
        lost.retain(|gpu| !before.kept.contains(gpu));
        here.retain(|gpu| !kept.contains(gpu));
        routed.gpus.extend(kept);
    }
    planner.plan.journal.options.given_up = here;
    if !lost.is_empty() {
        planner.remark(format!(
            "{} {} no longer served: {}",
            list(&lost),
            if lost.len() == 1 { "is" } else { "are" },
            why(offer, &lost)
        ));
    }
    Ok(routed)
}

/// The GPUs that are not served.
pub(crate) fn lost<'a>(
    before: impl IntoIterator<Item = &'a String>,
    serves: &Serves,
) -> BTreeSet<String> {
    before.into_iter().filter(|gpu| serves.lack(gpu).is_some()).cloned().collect()
}

/// What is missing for GPUs, one clause for each reason.
fn why(Offer { shown, serves, is_slim, .. }: &Offer, gpus: &BTreeSet<String>) -> String {
    let lacking = |lack| {
        let names: BTreeSet<String> =
            gpus.iter().filter(|gpu| serves.lack(gpu) == Some(lack)).cloned().collect();
        (!names.is_empty()).then(|| list(&names))
    };
    let how = if *is_slim { " is slim and" } else { "" };
    let code = lacking(Lack::Code).map(|gpus| format!("{shown}{how} has no code for {gpus}"));
    let tensile = lacking(Lack::Tensile).map(|gpus| {
        format!("Tensile files of {gpus} are not placed (--gpu adds them, if it has any)")
    });
    code.into_iter().chain(tensile).collect::<Vec<_>>().join("; ")
}

fn list(gpus: &BTreeSet<String>) -> String {
    gpus.iter().cloned().collect::<Vec<_>>().join(", ")
}

/// The GPUs that the backend in use serves; none if there is no backend or none that can be read.
pub(crate) fn served_now(root: &Root, lib: &Path, name: &str) -> BTreeSet<String> {
    let library = super::backend::library_of(root, lib, name);
    let serves = library.and_then(|library| Serves::of_library(root, &library));
    serves.map(|serves| serves.gpus()).unwrap_or_default()
}
