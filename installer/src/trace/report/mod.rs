//! A trace as a page for a browser: one file that needs no network, to look at and to attach to a bug
//! report. Its size does not depend on the trace's.
//!
//! | file | what it does |
//! |---|---|
//! | `environment.rs` | what ran where, and how it was recorded |
//! | `tables.rs` | rows of functions and shapes |
//! | `lanes.rs` | the time line's data: a pass over all records |
//! | `lane.rs` | a thread's calls, in bounded memory |
//! | `picture.rs` | the time line as it is drawn |
//! | `colours.rs` | which function has which colour |
//! | `text.rs` | numbers and texts as they are shown |
//! | `page.html` | the page, its style and its script |
//! | `template.rs` | makes a page of a template, with what pages share |
//! | `file.rs` | puts the page where it is wanted |
//!
//! What a trace says (names, command lines, paths) may be anybody's: the template escapes every value,
//! and the page's own policy lets nothing run or load that is not the page's.

mod colours;
mod environment;
mod file;
mod lane;
mod lanes;
mod picture;
mod tables;
mod template;
mod text;

pub(crate) use colours::short;
pub(crate) use environment::shown;
pub use file::replace;
pub(crate) use tables::Cell;
pub(crate) use template::render;
pub(crate) use text::coordinate;

use super::{
    opened::Opened,
    summary::{self, Instance, Summary, missing},
};
use anyhow::Result;
use colours::{Colours, OWN};
use environment::{Facts, Gpu, Threads};
use picture::Picture;
use serde::Serialize;
use std::path::Path;
use tables::Table;
use text::{count, grouped, place, time};

/// Rows of the table of functions, and of that of shapes.
const MOST_FUNCTIONS: usize = 60;
const MOST_SHAPES: usize = 500;

/// Of other lists: a page is no place to read thousands of sentences.
const MOST_LISTED: usize = 50;

/// What is in the page.
#[derive(Debug, Serialize)]
struct Page {
    /// `llama-server (process 4711)`, or how many processes.
    title: String,
    /// What to know at first sight: host, backend, GPUs.
    facts: Vec<String>,
    figures: Vec<Figure>,
    /// What figures do not show.
    notes: Vec<String>,
    /// Whether there are several traces, and so several starts.
    has_several: bool,
    /// Whether a program called on while its trace was read.
    is_live: bool,
    failures: List<Failed>,
    in_flight: List<UnderWay>,
    missing: List<String>,
    legend: Vec<Entry>,
    picture: Picture,
    functions: Table,
    shapes: Table,
    gpus: Vec<Gpu>,
    processes: List<Facts>,
    /// This program's.
    version: &'static str,
}

/// A number with its name.
#[derive(Debug, Serialize)]
struct Figure {
    name: &'static str,
    value: String,
    is_bad: bool,
}

/// The first of many.
#[derive(Debug, Serialize)]
struct List<T> {
    items: Vec<T>,
    /// How many there are beside these.
    more: Option<String>,
}

impl<T> List<T> {
    fn of(items: impl IntoIterator<Item = T>) -> Self {
        let items: Vec<T> = items.into_iter().collect();
        let count = items.len() as u64;
        Self::first(items, count)
    }

    /// Of so many, the items at hand.
    fn first(items: impl IntoIterator<Item = T>, count: u64) -> Self {
        let items: Vec<T> = items.into_iter().take(MOST_LISTED).collect();
        let more = count.saturating_sub(items.len() as u64);
        Self { items, more: (more > 0).then(|| grouped(more)) }
    }
}

/// Failed calls of a function with a status.
#[derive(Debug, Serialize)]
struct Failed {
    status: String,
    calls: String,
    first: UnderWay,
}

/// A call with its time and thread.
#[derive(Debug, Serialize)]
struct UnderWay {
    call: String,
    at: String,
    thread: String,
}

/// A colour of the legend.
#[derive(Debug, Serialize)]
struct Entry {
    colour: usize,
    name: String,
}

/// The page of the traces at a path, and a sentence where they have no call.
///
/// # Errors
/// A path that is not for traces. What is damaged in one is part of the page.
pub fn report(path: &Path) -> Result<(String, Option<String>)> {
    let summary = summary::summary(path)?;
    let traces = Opened::all(path)?;
    let page = render(include_str!("page.html"), &page(&summary, traces))?;
    Ok((page, summary.nothing()))
}

fn page(summary: &Summary, traces: Vec<Opened>) -> Page {
    let threads = Threads::of(&traces);
    let instance = |instance: &Instance| UnderWay {
        call: shown(&instance.call),
        at: place(threads.at(instance.process, instance.at)),
        thread: threads.name(instance.process, instance.thread),
    };
    let failures = summary.failures.iter().map(|failure| Failed {
        status: failure.status.clone(),
        calls: grouped(failure.calls),
        first: instance(&failure.first),
    });
    let colours = Colours::of(&summary.functions);
    let all = summary.functions.iter().map(|row| row.others).sum();
    let processes = environment::processes(&traces, &summary.processes);
    let names: Vec<String> = traces.iter().map(|opened| shown(&opened.name())).collect();
    let missing = summary.missing.iter();
    let missing = missing
        .map(|(why, calls)| format!("Calls that {} ({})", self::missing(why), grouped(*calls)));
    let missing = missing.chain(environment::stopped(&traces));
    let missing = missing.chain(summary.problems.iter().map(|problem| shown(problem)));
    let missing = List::of(missing);
    // The time line is read after the figures, since its colours go by them.
    let is_live = traces.iter().any(Opened::is_live);
    let lanes = lanes::lanes(traces, &colours);
    Page {
        title: match names.as_slice() {
            [] => "No calls".to_owned(),
            [name] => name.clone(),
            several => format!("{} processes", grouped(several.len() as u64)),
        },
        facts: facts(summary),
        figures: figures(summary),
        notes: summary.nothing().into_iter().chain(summary.on_graphs()).collect(),
        has_several: names.len() > 1,
        is_live,
        failures: List::of(failures),
        in_flight: List::first(summary.in_flight.iter().map(instance), summary.unfinished),
        missing,
        legend: legend(summary, &colours),
        picture: picture::picture(&lanes, &names, &colours),
        functions: tables::table(&summary.functions, MOST_FUNCTIONS, all, &colours),
        shapes: tables::table(summary.shaped(), MOST_SHAPES, all, &colours),
        gpus: environment::gpus(summary),
        processes: List::of(processes),
        version: env!("CARGO_PKG_VERSION"),
    }
}

/// Hosts, shims, backends and GPUs, each once.
fn facts(summary: &Summary) -> Vec<String> {
    let mut facts: Vec<String> = Vec::new();
    let mut add = |fact: String| {
        if !fact.is_empty() && !facts.contains(&fact) && facts.len() < MOST_LISTED {
            facts.push(shown(&fact));
        }
    };
    for process in &summary.processes {
        add(process.host.clone());
        if !process.shim.is_empty() {
            add(format!("shim {}", process.shim));
        }
        if !process.backend.is_empty() {
            add(format!("backend {}", process.backend));
        }
    }
    for device in summary.devices.values() {
        add(format!("{} ({})", device.name, device.target));
    }
    facts
}

fn figures(summary: &Summary) -> Vec<Figure> {
    let threads: usize = summary.processes.iter().map(|process| process.threads).sum();
    // The times of threads that called at once are added: the sum may be longer than the trace.
    let inside = if threads > 1 { "Time in rocBLAS, sum of threads" } else { "Time in rocBLAS" };
    let figure = |name, value| Figure { name, value, is_bad: false };
    vec![
        figure("Calls", grouped(summary.calls)),
        Figure { name: "Failed", value: grouped(summary.errors), is_bad: summary.errors > 0 },
        Figure {
            name: "In flight",
            value: grouped(summary.unfinished),
            is_bad: summary.unfinished > 0,
        },
        figure(inside, time(summary.time)),
        figure("From first to last", time(summary.span)),
        figure("Functions", grouped(summary.functions.len() as u64)),
        figure("Threads", grouped(threads as u64)),
    ]
}

fn legend(summary: &Summary, colours: &Colours) -> Vec<Entry> {
    let own = colours.names().iter().enumerate();
    let own = own.map(|(colour, name)| Entry { colour, name: short(name) });
    let others = summary.functions.len().saturating_sub(OWN);
    let others = (others > 0).then(|| Entry { colour: OWN, name: count(others as u64, "other") });
    own.chain(others).collect()
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
