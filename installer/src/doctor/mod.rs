//! `doctor` diagnoses problems. It examines everything that the other commands examine, opens the shim in a
//! child process, and reports what is wrong, why, and which command fixes it.
//!
//! | file | concern |
//! |---|---|
//! | `known.rs` | what an error text means |
//! | `dead_ends.rs` | what was tried by hand and cannot work |
//! | `log.rs`, `log/` | a program's log: its lines, and the facts in each |
//! | `named.rs` | facts about the trees that lines name |
//! | `live.rs` | which backend a program gets, or why it gets none |
//! | `devices.rs` | whether this process may access a GPU |
//! | `traced.rs` | problems that a trace shows |
//! | `environment.rs` | environment variables with an effect |
//! | `findings.rs` | turns all of that into sentences |
//! | `text.rs`, `report.rs` | prints the sentences, or writes them into a file with further details |
//!
//! `child.rs` and `shared_object.rs` run code that may crash; `selftest` uses them too.

pub(crate) mod child;
pub mod dead_ends;
pub(crate) mod devices;
mod environment;
mod findings;
pub mod known;
pub mod live;
pub mod log;
mod named;
pub mod report;
pub(crate) mod shared_object;
mod text;
mod traced;

pub use child::End;
pub use text::text;

use crate::{
    exports::{self, Lacking},
    gpu::Gpu,
    inspect::{self, Found, Inspection, library::Libraries, store},
    present,
    root::Root,
    status::{self, Status},
    trace::summary::Summary,
    tree,
};
use known::reading::Reading;
use live::Live;
use serde::Serialize;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// How important a finding is, the most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something does not work.
    Error,
    /// It may work, but should be checked.
    Warning,
    /// As it should be.
    Fine,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How important it is.
    pub severity: Severity,
    /// What it is, in a few words.
    pub title: String,
    /// The evidence: lines and paths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<String>,
    /// Why that is so.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// What to do, a command if there is one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cure: String,
    /// The facts in the line of a log that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<Said>,
}

/// The facts in a line of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Said {
    /// The GPU, without features.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<String>,
    /// The library directory of the tree that a path in it is of.
    #[serde(serialize_with = "crate::output::json::optional_path")]
    pub tree: Option<PathBuf>,
    /// The library's file name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library: Option<String>,
    /// The release of ROCm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The name of an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its error number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
}

/// All findings.
#[derive(Debug, Serialize)]
pub struct Diagnosis {
    /// The tree's library directory, if it is clear which tree is meant.
    #[serde(serialize_with = "crate::output::json::optional_path")]
    pub lib: Option<PathBuf>,
    /// The most important first.
    pub findings: Vec<Finding>,
    /// The state of the tree.
    pub status: Option<Status>,
    /// The result of opening the shim.
    pub live: Live,
    /// What was found on this machine.
    pub inspection: Inspection,
}

impl Diagnosis {
    /// 0 if nothing is wrong, 1 if something is. A warning is not wrong.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        u8::from(self.findings.iter().any(|finding| finding.severity == Severity::Error))
    }
}

/// Examines a root: the named tree, or the only one there is. `log` is a program's output, `gpus` replace the
/// machine's, and `trace` is the summary of a program's calls. A failure on the way is a finding too.
#[must_use]
pub fn doctor(
    root: &Root,
    named: Option<&Path>,
    gpus: &[Gpu],
    log: Option<&Reading>,
    trace: Option<&Summary>,
) -> Diagnosis {
    let mut findings = Vec::new();
    let lib = match tree::choose(root, named) {
        Ok(tree) => Some(tree.lib),
        Err(e) => {
            // A log or a trace is explained regardless of what is on this machine.
            let is_elsewhere = (log.is_some() || trace.is_some()) && named.is_none();
            let matters = if is_elsewhere { Severity::Warning } else { Severity::Error };
            findings.push(findings::no_tree(&e, matters));
            None
        }
    };
    let given: Vec<PathBuf> = lib.iter().cloned().collect();
    let inspection = inspect::inspect(root, &given, &[], gpus).unwrap_or_else(|e| {
        findings.push(findings::no_inspection(&e));
        Inspection { machine: devices::machine(), trees: Vec::new(), objects: Vec::new() }
    });
    findings.push(devices::finding(&inspection.machine));
    if root.is_system() {
        findings.extend(environment::findings());
    }
    let (mut status, mut live) = (None, Live::NotDone { why: "there is no tree".to_owned() });
    if let Some(lib) = &lib
        && let Some(found) = inspection.trees.iter().find(|found| found.tree.lib == *lib)
    {
        live = live_of(root, lib, &mut findings);
        let read = status::status(root, lib);
        let package = named::package(root);
        findings.extend(findings::of_tree(found, &inspection.machine, &read, &live, &package));
        findings.extend(findings::of_live(&live, &package));
        findings.extend(lacking(root, lib, found).map(|lacking| findings::of_lacking(&lacking)));
        status = read.ok();
        let targets = stock_targets(found);
        let dead_ends = dead_ends::dead_ends(root, lib, &targets);
        findings.extend(dead_ends.into_iter().map(findings::of_dead_end));
    }
    if let Some(reading) = log {
        let advice = named::advice(root, lib.as_deref(), gpus, &inspection.machine, reading);
        findings.extend(findings::of_log(reading, &advice));
    }
    findings.extend(trace.map(traced::findings).into_iter().flatten());
    findings.sort_by_key(|finding| finding.severity);
    Diagnosis { lib, findings, status, live, inspection }
}

fn live_of(root: &Root, lib: &Path, findings: &mut Vec<Finding>) -> Live {
    let Some(shim) = present::front(root, lib) else {
        return Live::NotDone { why: "there is no rocBLAS to open".to_owned() };
    };
    live::check(root, &shim).unwrap_or_else(|e| {
        findings.push(findings::no_child(&e));
        Live::NotDone { why: format!("the child process cannot be started: {e}") }
    })
}

/// What the stock library exports and the shim lacks: the installed shim, or the one next to this program.
/// Unreadable files are findings of the inspection.
fn lacking(root: &Root, lib: &Path, found: &Found) -> Option<Lacking> {
    let backends = found.backends.iter().map(|backend| &backend.libraries);
    let mut libraries = std::iter::once(&found.libraries).chain(backends);
    let stock = libraries.find_map(|of| of.files.iter().find(|file| dead_ends::is_stock(file)))?;
    let front = store::rocblas(lib, &found.libraries).filter(|library| library.shim.is_some());
    let shim = match front {
        Some(library) => root.open(&library.path).ok()?,
        None => {
            let places = crate::apply::beside_this_program().ok()?;
            places.iter().find_map(|place| std::fs::File::open(place).ok())?
        }
    };
    exports::lacking(root, lib, &stock.path, &shim).ok()?
}

/// The targets that the stock library has code for, whether in its place or kept as a backend.
fn stock_targets(found: &Found) -> BTreeSet<String> {
    let own = stock_of(&found.libraries);
    let kept = || found.backends.iter().find_map(|backend| stock_of(&backend.libraries));
    own.or_else(kept).unwrap_or_default()
}

fn stock_of(libraries: &Libraries) -> Option<BTreeSet<String>> {
    let stock = libraries.files.iter().find(|library| dead_ends::is_stock(library))?;
    Some(stock.targets.keys().cloned().collect())
}
