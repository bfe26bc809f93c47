//! `compare`: one program on several backends, run by run, and what differs: how it ends, which calls it
//! makes, how they end, and how long they take on the host.
//!
//! | file | what it does |
//! |---|---|
//! | `command.rs` | carries the command out, and prints |
//! | `runs.rs` | starts the program, with the backends in turn |
//! | `interrupt.rs` | stops the program and removes files when a signal ends the command |
//! | `place.rs` | the directories of the traces |
//! | `figures.rs` | a backend's runs in figures |
//! | `times.rs` | times by function and shape, with their spread over the runs |
//! | `first.rs` | the first call that ends otherwise |
//! | `text.rs` | the comparison in words and tables |
//! | `report.rs`, `page.html` | the same as a page for a browser |
//!
//! Which calls are new or gone, and which end otherwise, is `trace/diff.rs`'s business.

mod command;
mod figures;
mod first;
mod interrupt;
mod place;
mod report;
mod runs;
mod text;
mod times;

pub use command::run;

use crate::{
    launch::{Backend, Failure, Program},
    output::{Code, Coded},
    root::Root,
    trace::{
        diff::{self, Outcomes},
        summary::Summary,
    },
};
use anyhow::{Context, Result, anyhow};
use figures::Side;
use first::First;
use interrupt::Watch;
use place::Place;
use rocblas_contract::secrets;
use runs::{Plan, Ran};
use serde::Serialize;
use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};
use times::Timed;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// Names in the store, or paths if there is a slash in them; the others are compared with the first.
    pub backends: Vec<OsString>,
    /// How often the program is run with each.
    pub runs: u32,
    /// Where the traces are kept, if they are.
    pub keep: Option<PathBuf>,
    /// The program and what it is given.
    pub command: Vec<OsString>,
    /// Whether standard output is for the result alone: the program's goes to standard error.
    pub own_stdout: bool,
}

/// What came of it. Times are in nanoseconds, on the host.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// The program's file.
    #[serde(serialize_with = "crate::output::json::path")]
    pub program: PathBuf,
    /// Its command line, without secrets.
    pub command: String,
    /// How often it ran with each backend.
    pub runs: u32,
    /// Whether everything but times is the same.
    pub same: bool,
    /// Where the traces are, if they are kept.
    #[serde(serialize_with = "crate::output::json::optional_path")]
    pub traces: Option<PathBuf>,
    /// Each backend, in the order in which they were named.
    pub backends: Vec<Side>,
    /// The others against the first.
    pub differences: Vec<Difference>,
    /// What the traces lack.
    pub problems: Vec<String>,
    /// The page that was written, if one was asked for.
    #[serde(serialize_with = "crate::output::json::optional_path")]
    pub report: Option<PathBuf>,
}

impl Comparison {
    /// The two backends of a difference.
    fn sides<'a>(&'a self, difference: &'a Difference) -> impl Iterator<Item = &'a Side> {
        self.backends.iter().filter(|side| difference.names.contains(&side.name))
    }
}

/// A backend against the first one.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// The first one's name, and this one's.
    pub names: [String; 2],
    /// Whether the program ends otherwise.
    pub ends_differ: bool,
    /// Calls that are new or gone, or that end otherwise, in all runs together.
    #[serde(flatten)]
    pub outcomes: Outcomes,
    /// Calls of both, by what the difference costs in a run, the most first.
    pub times: Vec<Timed>,
    /// The first call of both that ends otherwise.
    pub first: Option<First>,
}

impl Difference {
    /// Whether nothing but times is different.
    fn is_same(&self) -> bool {
        !self.ends_differ && self.outcomes.is_empty() && self.first.is_none()
    }
}

/// Runs the program and compares.
///
/// # Errors
/// What is refused before the program starts, a program that cannot be started, a signal that ended the
/// command, and traces that cannot be read.
pub fn compare(root: &Root, rocm: Option<&Path>, request: Request) -> Result<Comparison, Failure> {
    let program = Program::find(root, request.command)?;
    let backends = backends(root, rocm, &program, &request.backends)?;
    let names: Vec<String> =
        request.backends.iter().map(|name| name.display().to_string()).collect();
    let place = Place::new(request.keep.as_deref())?;
    let watch = Watch::start(place.temporary()).context("cannot wait for signals")?;
    let plan = Plan {
        program: &program,
        backends: &backends,
        names: &names,
        runs: request.runs,
        own_stdout: request.own_stdout,
    };
    let ran = runs::all(&plan, &place, &watch)?;
    Ok(compared(&program, names, &ran, &place)?)
}

/// The backends, which have to be different ones.
fn backends(
    root: &Root,
    rocm: Option<&Path>,
    program: &Program,
    names: &[OsString],
) -> Result<Vec<Backend>, Failure> {
    let mut backends: Vec<Backend> = Vec::new();
    for name in names {
        let backend = program.backend(root, rocm, name)?;
        if let Some(at) = backends.iter().position(|other| other.library == backend.library) {
            return Err(same_twice([&names[at], name], &backend.library));
        }
        backends.push(backend);
    }
    Ok(backends)
}

fn same_twice(names: [&OsStr; 2], library: &Path) -> Failure {
    let [first, second] = names.map(OsStr::display);
    let error = anyhow!(
        "--backend {first} and --backend {second} are the same library, {}: name two different \
         backends; `installer backends list` lists them",
        library.display()
    );
    Failure { error: Coded { code: Code::Usage, error }.into(), code: 2 }
}

/// Compares the traces of all runs, those of each backend in a list.
fn compared(
    program: &Program,
    names: Vec<String>,
    ran: &[Vec<Ran>],
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
