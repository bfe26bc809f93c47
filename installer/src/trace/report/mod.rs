//! Renders a trace as a page for a browser: one file that needs no network, to view or attach to a bug
//! report. Its size does not depend on the trace's.
//!
//! | file | what it does |
//! |---|---|
//! | `environment.rs` | what ran where, and how it was recorded |
//! | `tables.rs` | rows of functions and shapes |
//! | `lanes.rs` | the time line's data, from one pass over all records |
//! | `lane.rs` | a thread's calls, in bounded memory |
//! | `singles.rs` | a thread's single calls, as many as fit in a page |
//! | `durations.rs` | histograms of how long calls of a function took |
//! | `flames.rs` | flame graphs and a table of callers |
//! | `rates.rs` | operations and bytes per second achieved by shapes |
//! | `picture.rs` | the drawing of the time line |
//! | `colours.rs` | which function has which colour |
//! | `text.rs` | numbers and texts as they are shown |
//! | `page.html` | the page, its style and its script |
//! | `time_line.js` | zooms the time line, down to single calls |
//! | `time_line_input.js` | pointer and keyboard input of the time line |
//! | `template.rs` | renders a template with the parts that pages share |
//! | `file.rs` | writes the page atomically |
//!
//! The contents of a trace (names, command lines, paths) are untrusted: the template escapes every value, and
//! the page's own policy lets it neither run nor load anything that is not part of the page.

mod colours;
mod durations;
mod environment;
mod file;
mod flames;
mod lane;
mod lanes;
mod picture;
mod rates;
mod singles;
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
use durations::Histograms;
use environment::{Facts, Gpu, Threads};
use flames::Flames;
use picture::Picture;
use rates::Rates;
use serde::Serialize;
use singles::Embedded;
use std::path::Path;
use tables::Table;
use text::{count, grouped, place, time};

/// The most rows of the table of functions, and of the table of shapes.
const MOST_FUNCTIONS: usize = 60;
const MOST_SHAPES: usize = 500;

/// The most entries of other lists: nobody reads thousands of sentences in a page.
const MOST_LISTED: usize = 50;

/// The contents of the page.
#[derive(Debug, Serialize)]
struct Page {
    /// `llama-server (process 4711)`, or the number of processes.
    title: String,
    /// The most important facts: host, backend, GPUs.
    facts: Vec<String>,
    figures: Vec<Figure>,
    /// Notes on what the figures do not show.
    notes: Vec<String>,
    /// Whether there are several traces, and thus several starts.
    has_several: bool,
    /// Whether a program kept making calls while its trace was read.
    is_live: bool,
    failures: List<Failed>,
    in_flight: List<UnderWay>,
    missing: List<String>,
    legend: Vec<Entry>,
    picture: Picture,
    /// The single calls of the lanes.
    calls: Embedded,
    durations: Histograms,
    rates: Rates,
    functions: Table,
    shapes: Table,
    callers: Flames,
    gpus: Vec<Gpu>,
    processes: List<Facts>,
    /// This program's version.
    version: &'static str,
}

/// A labelled number.
#[derive(Debug, Serialize)]
struct Figure {
    name: &'static str,
    value: String,
    is_bad: bool,
}

/// The first items of a list.
#[derive(Debug, Serialize)]
struct List<T> {
    items: Vec<T>,
    /// How many further items there are.
    more: Option<String>,
}

impl<T> List<T> {
    fn of(items: impl IntoIterator<Item = T>) -> Self {
        let items: Vec<T> = items.into_iter().collect();
        let count = items.len() as u64;
        Self::first(items, count)
    }

    /// The first of `count` items.
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

/// The page for the traces at a path, and a sentence if they have no calls.
///
/// # Errors
/// Fails if the path is not a trace directory. Damage in a trace is reported in the page.
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
    let failures = summary.failures.iter().chain(&summary.silent).map(|failure| Failed {
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
    // The time line is read after the figures, which determine its colours.
    let is_live = traces.iter().any(Opened::is_live);
    let mut lanes = lanes::lanes(traces, &colours, &summary.firsts);
    let singles = lanes.threads.iter_mut().map(|thread| std::mem::take(&mut thread.singles));
    let calls = Embedded::of(singles.collect());
    Page {
        title: match names.as_slice() {
            [] => "No calls".to_owned(),
            [name] => name.clone(),
            several => format!("{} processes", grouped(several.len() as u64)),
        },
        facts: facts(summary),
        figures: figures(summary),
        notes: (summary.nothing().into_iter())
            .chain(summary.on_findings())
            .chain(summary.on_checks())
            .chain(summary.on_gpu_times())
            .chain(summary.on_handles())
            .chain(summary.on_graphs())
            .collect(),
        has_several: names.len() > 1,
        is_live,
        failures: List::of(failures),
        in_flight: List::first(summary.in_flight.iter().map(instance), summary.unfinished),
        missing,
        legend: legend(summary, &colours),
        picture: picture::picture(&lanes, &names, &colours),
        calls,
        durations: durations::histograms(&lanes.durations, &summary.functions, &colours),
        rates: rates::rates(summary.shaped(), &colours),
        functions: tables::table(&summary.functions, MOST_FUNCTIONS, all, &colours),
        shapes: tables::table(summary.shaped(), MOST_SHAPES, all, &colours),
        callers: flames::flames(&summary.callers, &colours),
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
    // The times of concurrent threads are added up, so the sum may exceed the length of the trace.
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
