//! `compare`: runs one program on several backends and reports what differs: how it ends, which calls it
//! makes, how they end, and how long they take on the host.
//!
//! | file | concern |
//! |---|---|
//! | `command.rs` | runs the command, and prints |
//! | `runs.rs` | starts the program, with the backends in turn |
//! | `interrupt.rs` | stops the program and removes files when a signal ends the command |
//! | `place.rs` | the directories of the traces |
//! | `figures.rs` | statistics of a backend's runs |
//! | `times.rs` | times by function and shape, with their spread over the runs |
//! | `align/` | which threads of two runs correspond to each other, and their calls side by side |
//! | `choice.rs` | the backends that are compared |
//! | `first.rs` | the first call that ends differently |
//! | `results/` | the calls whose results differ by more than rounding |
//! | `text.rs` | the comparison as text and tables |
//! | `report.rs`, `page.html` | the same as a page for a browser |
//!
//! `trace/diff.rs` determines which calls are new or missing, and which end differently.

mod align;
mod choice;
mod command;
mod figures;
mod first;
pub(crate) mod interrupt;
mod place;
mod report;
mod results;
mod runs;
mod text;
mod times;

pub use command::run;

use crate::{
    launch::{Failure, Program},
    root::Root,
    trace::{
        diff::{self, Outcomes},
        summary::Summary,
    },
};
use anyhow::{Context, Result};
use choice::Chosen;
use figures::Side;
use first::First;
use interrupt::Watch;
use place::Place;
use results::{Results, alone};
use rocblas_contract::secrets;
use runs::{Plan, Ran};
use serde::Serialize;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};
use times::Timed;

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Names in the store, or paths, which contain a slash. The others are compared with the first. With none
    /// or one, the first is the backend that the program uses by default.
    pub backends: Vec<OsString>,
    /// How often the program is run with each.
    pub runs: u32,
    /// Whether the results of calls are compared.
    pub results: bool,
    /// How many differing calls are described, captured and replayed.
    pub differences: usize,
    /// The directory in which traces are kept, if they are.
    pub keep: Option<PathBuf>,
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// Whether standard output is reserved for the result. The program's is then redirected to standard
    /// error.
    pub own_stdout: bool,
}

/// The result. Times are in nanoseconds, on the host.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// The program's file.
    #[serde(serialize_with = "crate::output::json::path")]
    pub program: PathBuf,
    /// Its command line, without secrets.
    pub command: String,
    /// The number of runs with each backend.
    pub runs: u32,
    /// Whether everything except times is equal.
    pub same: bool,
    /// The directory of the traces, if they are kept.
    #[serde(serialize_with = "crate::output::json::optional_path")]
    pub traces: Option<PathBuf>,
    /// Each backend, in the order in which they were given.
    pub backends: Vec<Side>,
    /// The other backends, compared with the first.
    pub differences: Vec<Difference>,
    /// What is missing from the traces.
    pub problems: Vec<String>,
    /// The page that was written, if requested.
    #[serde(serialize_with = "crate::output::json::optional_path")]
    pub report: Option<PathBuf>,
}

impl Comparison {
    /// The two backends of a difference.
    fn sides<'a>(&'a self, difference: &'a Difference) -> impl Iterator<Item = &'a Side> {
        self.backends.iter().filter(|side| difference.names.contains(&side.name))
    }
}

/// A backend, compared with the first one.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// The first one's name, and this one's.
    pub names: [String; 2],
    /// Whether the program ends differently.
    pub ends_differ: bool,
    /// Calls that are new or missing, or that end differently, in all runs together.
    #[serde(flatten)]
    pub outcomes: Outcomes,
    /// Calls that both make, ordered by the cost of the difference in a run.
    pub times: Vec<Timed>,
    /// The first call of both that ends differently.
    pub first: Option<First>,
    /// The comparison of calls' results, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<Results>,
}

impl Difference {
    /// Whether only times differ.
    fn is_same(&self) -> bool {
        let results_differ = self.results.as_ref().is_some_and(Results::differ);
        !self.ends_differ && self.outcomes.is_empty() && self.first.is_none() && !results_differ
    }
}

/// Runs the program and compares.
///
/// # Errors
/// If a check before the first run fails, the program cannot be started, a signal ended the command, or
/// traces cannot be read.
pub fn compare(root: &Root, rocm: Option<&Path>, request: Request) -> Result<Comparison, Failure> {
    let program = Program::find(root, request.command)?;
    let Chosen { names, backends } = choice::chosen(root, rocm, &program, &request.backends)?;
    let place = Place::new(request.keep.as_deref())?;
    let watch = Watch::start(place.temporary()).context("cannot wait for signals")?;
    let plan = Plan {
        program: &program,
        backends: &backends,
        names: &names,
        runs: request.runs,
        results: request.results,
        own_stdout: request.own_stdout,
    };
    let described = request.results.then_some(request.differences);
    let ran = runs::all(&plan, &place, &watch)?;
    let mut comparison = compared(&program, &names, &ran, described, &place)?;
    for (i, difference) in comparison.differences.iter_mut().enumerate() {
        if let Some(results) = &mut difference.results {
            let sides = [0, i + 1];
            let replayed = |file: &Path| alone::replayed(root, rocm, &plan, sides, file);
            alone::examine(results, sides, &plan, &place, &watch, &replayed)?;
        }
    }
    Ok(comparison)
}

/// Compares the traces of all runs, listed by backend.
fn compared(
    program: &Program,
    names: &[String],
    ran: &[Vec<Ran>],
    described: Option<usize>,
    place: &Place,
) -> Result<Comparison> {
    let mut problems = Vec::new();
    let mut summaries: Vec<Vec<Summary>> = Vec::new();
    let mut backends = Vec::new();
    for (name, ran) in names.iter().zip(ran) {
        let of_runs = figures::summaries(ran)?;
        problems.extend(figures::problems(name, ran, &of_runs));
        backends.push(figures::side(name, ran, &of_runs, place.kept().is_some()));
        summaries.push(of_runs);
    }
    let mut differences = Vec::new();
    for other in 1..names.len() {
        differences.push(Difference {
            names: [0, other].map(|side: usize| names[side].clone()),
            ends_differ: backends[0].ends() != backends[other].ends(),
            outcomes: diff::outcomes(&summaries[0], &summaries[other]),
            times: times::times(&summaries[0], &summaries[other]),
            first: first::first(&ran[0], &ran[other])?,
            results: match described {
                Some(count) => Some(results::results(&ran[0], &ran[other], count)?),
                None => None,
            },
        });
    }
    let words = program.words().iter().map(|word| word.to_string_lossy());
    Ok(Comparison {
        program: program.path().to_owned(),
        command: secrets::arguments(words).join(" "),
        runs: u32::try_from(ran.first().map_or(0, Vec::len)).unwrap_or(u32::MAX),
        same: backends.iter().all(Side::has_calls)
            && differences.iter().all(Difference::is_same)
            && problems.is_empty(),
        traces: place.kept().map(Path::to_owned),
        backends,
        differences,
        problems,
        report: None,
    })
}
