//! Which backend each GPU gets, by the shim's own rules (`rocblas_contract::route`); and rules with which no
//! GPU is lost.

use super::listed::{self, Listed};
use crate::{
    choice,
    inspect::machine,
    output::printable,
    plan::Planner,
    root::Root,
    serves::{Lack, Serves},
    settings::{self, Rule},
};
use anyhow::{Result, bail};
use rocblas_contract::{
    route::{AUTO, Gpu, none_serves, rule_for},
    serves::{self, Known},
    store::{self, SETTINGS},
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What a GPU gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Routed {
    /// HIP's number of it, unless `HIP_VISIBLE_DEVICES` or the like changes the numbers; none for a requested
    /// GPU that is not this machine's.
    pub device: Option<u32>,
    /// Its target (`gfx906`).
    pub target: String,
    /// Its PCI address, if the kernel reports it.
    pub pci: Option<String>,
    /// The backend's name, or the file name of one outside the store.
    pub backend: Option<String>,
    /// What selects it: a rule, or the setting for all programs.
    pub by: String,
    /// Why that does not work.
    pub fault: Option<String>,
    /// The newest backend in the store that fully serves it.
    pub best: Option<String>,
}

/// The GPUs to examine: this machine's, or these targets.
#[must_use]
pub fn gpus(targets: &[String]) -> Vec<machine::Gpu> {
    if targets.is_empty() {
        return machine::this().gpus;
    }
    let asked =
        |target: &String| machine::Gpu { target: target.clone(), ..machine::Gpu::default() };
    targets.iter().map(asked).collect()
}

/// The backend of each of these GPUs in that tree. `of_machine` means that they are this machine's, ordered
/// by number.
///
/// # Errors
/// Settings or a journal that cannot be read.
pub fn routes(
    root: &Root,
    lib: &Path,
    gpus: &[machine::Gpu],
    of_machine: bool,
) -> Result<Vec<Routed>> {
    let rules = settings::route(&settings::text(root, lib)?)?;
    let listed = listed::list(root, lib)?;
    let all = gpus.iter().zip(0..).map(|(gpu, number)| {
        let device = of_machine.then_some(number);
        let asked = Gpu { target: &gpu.target, device, pci: gpu.pci.as_deref() };
        let (by, found) = match rule_for(&rules, |rule| &rule.gpus, &asked) {
            Some(rule) => {
                let word = if rule.backend == AUTO { " = \"auto\"" } else { "" };
                let by = format!("[route] {}{word}", rule.key);
                (by, library_of(root, lib, &rule.backend, &gpu.target))
            }
            None => {
                let chosen = choice::backend(root, &[lib.to_owned()], None, Path::new("/"));
                (SETTINGS.to_owned(), chosen.map(|chosen| (chosen.name, chosen.path)))
            }
        };
        let (backend, fault) = match found {
            Ok((name, path)) => {
                let fault = fault(root, &path, &gpu.target);
                (Some(name), fault)
            }
            Err(why) => (None, Some(why)),
        };
        Routed {
            device,
            target: gpu.target.clone(),
            pci: gpu.pci.clone(),
            backend,
            by,
            fault,
            best: best(&listed, &gpu.target),
        }
    });
    Ok(all.collect())
}

/// Properties of the backends in a tree's store.
pub(crate) fn known(root: &Root, lib: &Path) -> Vec<Known> {
    serves::known(root, &[lib.to_owned()])
}

/// The effect of a tree's rules on the GPUs of a target.
pub(crate) enum Ruled {
    /// No rule is for them.
    Not,
    /// They get a backend that serves them.
    Well,
    /// They get one that does not: the rule, and why.
    Badly(Rule, String),
}

/// By rules for targets, not for single devices.
pub(crate) fn ruled(root: &Root, lib: &Path, rules: &[Rule], target: &str) -> Ruled {
    let gpu = Gpu { target, device: None, pci: None };
    let Some(rule) = rule_for(rules, |rule| &rule.gpus, &gpu) else { return Ruled::Not };
    let fault = match library_of(root, lib, &rule.backend, target) {
        Ok((_, library)) => fault(root, &library, target),
        Err(why) => Some(why),
    };
    fault.map_or(Ruled::Well, |why| Ruled::Badly(rule.clone(), why))
}

/// Name and library of the backend that a rule selects for a GPU.
pub(crate) fn library_of(
    root: &Root,
    lib: &Path,
    value: &str,
    target: &str,
) -> Result<(String, PathBuf), String> {
    let known = if value == AUTO { known(root, lib) } else { Vec::new() };
    let value = match value {
        AUTO => serves::newest(&known, target).map(|newest| newest.name.as_str()),
        name => Some(name),
    };
    let value = value.ok_or_else(|| none_serves(store::backends(lib).display()))?;
    let chosen = choice::of_rule(root, &[lib.to_owned()], value, &settings::path(lib))?;
    Ok((chosen.name, chosen.path))
}

/// Why a library does not serve a GPU.
pub(crate) fn fault(root: &Root, library: &Path, target: &str) -> Option<String> {
    match Serves::of_library(root, library) {
        Err(e) => Some(format!("{e:#}")),
        Ok(serves) => serves.lack(target).map(|lack| match lack {
            Lack::Code => format!("it has no code for {target}, only for {}", serves.code()),
            Lack::Tensile => format!("it has no Tensile files for {target}"),
        }),
    }
}

/// The newest backend that fully serves a GPU.
fn best(listed: &[Listed], target: &str) -> Option<String> {
    let serving = listed.iter().filter(|backend| backend.gpus.iter().any(|gpu| gpu == target));
    let version =
        |backend: &Listed| serves::numbers(backend.release.as_deref().unwrap_or_default());
    serving.max_by_key(|backend| version(backend)).map(|backend| backend.name.clone())
}

/// A plan that writes a rule for each target, to the newest backend that serves it.
///
/// # Errors
/// If there is no GPU to write a rule for, or one that nothing in the store serves.
pub fn plan_write(
    planner: &mut Planner<'_>,
    gpus: &[machine::Gpu],
    of_machine: bool,
) -> Result<()> {
    let (root, lib) = (planner.lib.root(), planner.lib.path());
    if gpus.is_empty() {
        bail!(
            "this machine has no GPU that the kernel's driver lists: name the targets, --gpu gfx906,gfx1100"
        );
    }
    let mut rules: Vec<(String, String)> = Vec::new();
    for routed in routes(root, lib, gpus, of_machine)? {
        let Some(best) = routed.best else {
            bail!(
                "no backend in the store serves {}: `installer backends list` says what each serves, and \
                 `installer backends add PATH` adds one",
                routed.target
            );
        };
        rules.push((routed.target, best));
    }
    let wanted = settings::with_route(&settings::text(root, lib)?, &rules)?;
    let written = settings::route(&wanted)?;
    for ((target, best), (gpu, number)) in rules.iter().zip(gpus.iter().zip(0..)) {
        let device = of_machine.then_some(number);
        let gpu = Gpu { target, device, pci: gpu.pci.as_deref() };
        let rule = rule_for(&written, |rule| &rule.gpus, &gpu);
        if let Some(rule) = rule.filter(|rule| rule.backend != *best) {
            bail!(
                "[route] {} = {:?} in {} takes precedence over a rule for {target}: remove that rule first",
                rule.key,
                rule.backend,
                settings::path(lib).display()
            );
        }
    }
    planner.settings(&wanted, "a backend for each GPU")
}

/// The same, as text.
#[must_use]
pub fn text(all: &[Routed]) -> String {
    if all.is_empty() {
        return "this machine has no GPU that the kernel's driver lists; use --gpu gfx906,gfx1100 for others"
            .to_owned();
    }
    let line = |routed: &Routed| {
        let Routed { device, target, pci, backend, by, fault, best } = routed;
        let number = device.map(|device| format!("{device}: ")).unwrap_or_default();
        let address = pci.as_deref().map(|pci| format!(" at {pci}")).unwrap_or_default();
        let backend = backend.as_deref().map_or("no backend".into(), printable);
        let fault = fault.as_deref().map(|fault| format!("\n   but {}", printable(fault)));
        let better = best.as_deref().filter(|_| fault.is_some()).map(|best| {
            format!("; {} serves it (installer backends routes --write)", printable(best))
        });
        let rest = fault.unwrap_or_default() + &better.unwrap_or_default();
        format!("{number}{target}{address}: {backend}, by {by}{rest}")
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}
