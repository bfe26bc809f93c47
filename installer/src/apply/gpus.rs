//! The GPUs of a change: the backend has to serve those that are asked for, and what the tree served
//! before is not taken from a GPU of this machine unnoticed.

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

/// The GPUs that a request is about.
pub(super) struct Asked {
    /// Those whose Tensile files are placed; of all if empty.
    pub(super) placed: Vec<String>,
    /// Those that the backend has to serve.
    pub(super) required: Vec<String>,
    /// Whether GPUs were named now.
    pub(super) is_new: bool,
}

impl Asked {
    /// What is asked for now is added to what earlier applies of the tree asked for. A backend that is
    /// only put into the store is for itself.
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

    /// Whether the Tensile files of a backend that was placed for these GPUs (all if empty) are enough.
    /// Where none is asked for now, what is in the store is taken as it is.
    pub(super) fn are_placed_by(&self, placed: &[String]) -> bool {
        placed.is_empty() || self.lacking(placed).is_empty()
    }

    /// Those that are asked for now and not among these.
    pub(super) fn lacking(&self, placed: &[String]) -> Vec<String> {
        let lacks = |gpu: &&String| self.is_new && !placed.contains(gpu);
        self.required.iter().filter(lacks).cloned().collect()
    }
}

/// The GPUs of the running system; none for another root.
pub(super) fn of_machine(root: &Root) -> BTreeSet<String> {
    if root.is_system() { machine::targets() } else { BTreeSet::new() }
}

/// What a person should know of a backend; about a GPU of this machine that it lacks, only if that has no
/// other.
pub(super) struct Remark {
    pub(super) gpu: Option<String>,
    pub(super) text: String,
}

/// Whether a backend serves the GPUs that are asked for; where none is, at least one of the machine's.
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
                 --backend, or leave {gpu} out of --gpu (an earlier apply's is forgotten by `installer \
                 revert`)",
                serves.code()
            ),
            Some(Lack::Code) => bail!(
                "{shown} has no code for {gpu} in its library, only for {}. Give another backend, or \
                 leave {gpu} out of --gpu (an earlier apply's is forgotten by `installer revert`)",
                serves.code()
            ),
            Some(Lack::Tensile) => bail!(
                "{shown} has no Tensile files for {gpu} (such as {}): its matrix products would abort \
                 the program. Give the whole package, or its `{LIB}` directory with {} in it",
                tensile::lazy_entry(gpu),
                tensile::PLACES[0]
            ),
        }
    }
    if !required.is_empty() {
        return Ok(Vec::new());
    }
    if !machine.is_empty() && serves.is_for_none() {
        // As the demonstration's, which has to work on a machine with any GPU.
        let text = format!("{shown} has no code for any GPU: it computes on the CPU, if at all");
        return Ok(vec![Remark { gpu: None, text }]);
    }
    let lacking: Vec<&String> = machine.iter().filter(|gpu| serves.lack(gpu).is_some()).collect();
    if !lacking.is_empty() && lacking.len() == machine.len() {
        bail!(
            "{shown} serves none of this machine's GPUs ({}): it has code for {}, and Tensile files that \
             may be for fewer. Give another backend; to go on all the same, name with --gpu the GPUs \
             that this tree is for",
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

/// Stops where the tree's own library serves every GPU that is wanted, unless the person knows.
pub(super) fn needed(stock: &Stock, wanted: &BTreeSet<String>, request: &Request) -> Result<()> {
    let is_served = |gpu: &String| stock.gpus.contains(gpu);
    if wanted.is_empty() || request.not_needed_ok || !wanted.iter().all(is_served) {
        return Ok(());
    }
    bail!(
        "this tree's own rocBLAS ({}) serves {} already, with code and Tensile files: the shim is not \
         needed. Nothing was changed; --not-needed-ok places it all the same",
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
    /// Of the files that are it: several where a tree has two releases' names, together then.
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
    /// By the backend that is in use.
    pub(super) served: BTreeSet<String>,
    /// By its own library, if that stays in the store as a backend.
    pub(super) kept: BTreeSet<String>,
}

/// The GPUs of this machine that keep what they have by a route.
#[derive(Default)]
pub(super) struct Routed {
    pub(super) gpus: BTreeSet<String>,
    /// Whether that route is to be written: there is no rule for one of them.
    pub(super) is_new: bool,
}

/// Compares which GPUs the tree serves with a backend and without it. A GPU of this machine that the tree's
/// own library serves keeps that, by a route: these are answered. One that nothing serves any more is given up
/// only where the person says so, which the journal records; losses of other GPUs are remarks.
pub(super) fn weigh(
    planner: &mut Planner<'_>,
    offer: &Offer,
    before: &Before,
    machine: &BTreeSet<String>,
    request: &Request,
) -> Result<Routed> {
    let (root, lib) = (planner.lib.root(), planner.lib.path());
    // What is wrong with settings is said where they are written, and by `status`.
    let rules = settings::text(root, lib).and_then(|text| settings::route(&text));
    let rules = rules.unwrap_or_default();
    let mut lost = lost(planner.plan.journal.served.union(&before.served), &offer.serves);
    let mut routed = Routed::default();
    // What a rule gives a backend that serves it is not lost.
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
                "{gpu} would be served no more, which this machine has and this tree serves now: [route] {} = {:?} \
                 in {}: {why}. Take that rule out, or give {gpu} one of its own; to give it up, say --gpu-loss-ok",
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
            "{} would be served no more, which this machine has and this tree serves now: {}. Give a \
             backend for all of this machine's GPUs; to give up {}, say --gpu-loss-ok",
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
        // It is for all GPUs that have no rule, not only for those of this machine.
        lost.retain(|gpu| !before.kept.contains(gpu));
        here.retain(|gpu| !kept.contains(gpu));
        routed.gpus.extend(kept);
    }
    planner.plan.journal.options.given_up = here;
    if !lost.is_empty() {
        planner.remark(format!(
            "{} {} served no more: {}",
            list(&lost),
            if lost.len() == 1 { "is" } else { "are" },
            why(offer, &lost)
        ));
    }
    Ok(routed)
}

/// GPUs without those that are served.
pub(crate) fn lost<'a>(
    before: impl IntoIterator<Item = &'a String>,
    serves: &Serves,
) -> BTreeSet<String> {
    before.into_iter().filter(|gpu| serves.lack(gpu).is_some()).cloned().collect()
}

/// What is missing for GPUs, a clause for each of the reasons.
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

/// The GPUs that the backend serves which is in use now; none where there is none, or none that can be
/// read.
pub(crate) fn served_now(root: &Root, lib: &Path, name: &str) -> BTreeSet<String> {
    let library = super::backend::library_of(root, lib, name);
    let serves = library.and_then(|library| Serves::of_library(root, &library));
    serves.map(|serves| serves.gpus()).unwrap_or_default()
}
