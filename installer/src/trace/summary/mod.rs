//! A trace in figures: calls by function and by shape, errors, what was in flight at the end.
//!
//! Memory is bounded by the number of different calls and not by how many there are: times go into
//! sketches, whose quantiles are right to a hundredth.

mod collect;
mod notes;
mod text;

pub use collect::{Collector, MOST_SHAPES, Owned};
pub(super) use text::scaled;
pub use text::text;
pub(crate) use text::{by, missing};

use super::{opened::Opened, work::Work};
use crate::progress::Bar;
use anyhow::Result;
use rocblas_trace::{
    process,
    read::{Device, Life, ThreadReader},
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

/// Figures of one trace, or of several processes' together. Times are in nanoseconds, those of the calls
/// on the host: a kernel may still run when its call has returned.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Calls that were recorded.
    pub calls: u64,
    /// Of these, calls whose status says that they failed.
    pub errors: u64,
    /// Of these, calls that a graph captured, where HIP was asked.
    pub captured: u64,
    /// Calls of which HIP was asked in vain.
    pub capture_untold: u64,
    /// From the first call's entry to the last one's exit.
    pub span: f64,
    /// In rocBLAS, all threads together.
    pub time: f64,
    /// What ran.
    pub processes: Vec<ProcessRow>,
    /// The GPUs that handles were on, by HIP's number.
    pub devices: BTreeMap<u64, DeviceRow>,
    /// Failed calls by function and status, the most frequent first.
    pub failures: Vec<Failure>,
    /// How many calls had not returned when the trace ended.
    pub unfinished: u64,
    /// Some of these, by time.
    pub in_flight: Vec<Instance>,
    /// By function, the one with most time first, without that of first calls.
    pub functions: Vec<Row>,
    /// By function and shape, in the same order.
    pub shapes: Vec<Row>,
    /// Calls by status.
    pub statuses: BTreeMap<String, u64>,
    /// Calls that are not in the trace, by the reason.
    pub missing: BTreeMap<String, u64>,
    /// What could not be read.
    pub problems: Vec<String>,
}

impl Summary {
    /// Rows by function and shape. Functions without a shape have their row by function alone.
    pub fn shaped(&self) -> impl Iterator<Item = &Row> {
        self.shapes.iter().filter(|row| !row.shape.is_empty())
    }
}

/// A process.
#[derive(Clone, Debug, Serialize)]
pub struct ProcessRow {
    /// `llama-server (process 4711)`
    pub name: String,
    /// The trace's directory.
    #[serde(serialize_with = "crate::output::json::path")]
    pub directory: PathBuf,
    /// The command line.
    pub command: String,
    /// The machine's name.
    pub host: String,
    /// The shim's version.
    pub shim: String,
    /// The backend: its name and what it says of itself.
    pub backend: String,
    /// The backend's file.
    pub backend_path: String,
    /// Those that were opened besides: name, version and file of each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub further_backends: Vec<process::Backend>,
    /// Nanoseconds since 1970 of the start of the trace.
    pub started: u64,
    /// Whether it is being traced now, was stopped, or is gone.
    pub life: String,
    /// Threads that called.
    pub threads: usize,
    /// Whether HIP was asked at each call if its stream captures.
    pub asks_capture: bool,
    /// Variables of the environment that matter.
    pub environment: BTreeMap<String, String>,
}

/// A GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceRow {
    /// `AMD Instinct MI50`
    pub name: String,
    /// `gfx906:sramecc+:xnack-`
    pub target: String,
}

/// Failed calls of a function with a status.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failure {
    /// The function.
    pub function: String,
    /// The backend, where there are several; empty for functions without a handle too.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub backend: String,
    /// The status by its name.
    pub status: String,
    /// How many.
    pub calls: u64,
    /// The first.
    pub first: Instance,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Instance {
    /// The function with its arguments.
    pub call: String,
    /// Nanoseconds from the start of the trace to its entry.
    pub at: f64,
    /// The kernel's number of its process; 0 where that is not known.
    pub process: u32,
    /// The number of its thread in the trace.
    pub thread: u32,
}

/// Calls that are alike.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The function.
    pub function: String,
    /// The shape; empty where all shapes are together.
    pub shape: String,
    /// The backend, where there are several; empty for functions without a handle too.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub backend: String,
    /// How many.
    pub calls: u64,
    /// How many of them failed.
    pub errors: u64,
    /// Time of all.
    pub total: f64,
    /// Time of the first one, which may have loaded kernels; 0 where it has not ended.
    pub first: f64,
    /// Time of the others, by which rows are in order. What follows is of these; of a single call, its own.
    pub others: f64,
    /// The mean time of a call.
    pub mean: f64,
    /// Half of the calls took no longer.
    pub p50: f64,
    /// 99 of 100 calls took no longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
    /// Operations and bytes of all, for products and triangular solvers.
    pub work: Option<Work>,
    /// Calls by status.
    pub statuses: BTreeMap<String, u64>,
}

/// Reads the traces at a path to their ends. Calls are told apart by backend where a process had several.
///
/// # Errors
/// A path without traces. What is damaged in one is part of the summary.
pub fn summary(path: &Path) -> Result<Summary> {
    let traces = Opened::all(path)?;
    let are_several = have_several(&traces);
    of_traces(traces, are_several)
}

/// The same of two paths, which are to be compared: calls are told apart by backend if they are in either.
///
/// # Errors
/// As [`summary`].
pub fn pair(first: &Path, second: &Path) -> Result<[Summary; 2]> {
    let (first, second) = (Opened::all(first)?, Opened::all(second)?);
    let are_several = have_several(&first) || have_several(&second);
    Ok([of_traces(first, are_several)?, of_traces(second, are_several)?])
}

fn have_several(traces: &[Opened]) -> bool {
    traces.iter().any(|opened| opened.trace.backends().are_several())
}

fn of_traces(traces: Vec<Opened>, by_backend: bool) -> Result<Summary> {
    let bar = Opened::bar(&traces);
    let mut collector = Collector::default();
    let mut processes = Vec::new();
    for opened in traces {
        processes.push(process_row(&opened));
        let names = &mut collector.names;
        let owned = if by_backend { Owned::of(&opened.trace, names)? } else { Owned::default() };
        collect(opened, &Arc::new(owned), &bar, &mut collector);
    }
    let mut summary = collector.finish();
    summary.processes = processes;
    Ok(summary)
}

/// Reads the threads of a trace, several at a time.
fn collect(opened: Opened, owned: &Arc<Owned>, bar: &Bar, collector: &mut Collector) {
    let Opened { trace, threads, timeline, complaints } = opened;
    collector.complain(complaints);
    let process = trace.process().map_or(0, |process| process.pid);
    let workers = thread::available_parallelism().map_or(1, usize::from).min(threads.len());
    let mut shares: Vec<Vec<ThreadReader>> = Vec::new();
    shares.resize_with(workers, Vec::new);
    for (n, reader) in threads.into_iter().enumerate() {
        shares[n % workers].push(reader);
    }
    thread::scope(|scope| {
        let workers: Vec<_> = shares
            .into_iter()
            .map(|share| {
                scope.spawn(|| {
                    let mut own = Collector::of_process(process, Arc::clone(owned));
                    for reader in share {
                        own.read(reader, &timeline, bar);
                    }
                    own
                })
            })
            .collect();
        for worker in workers {
            match worker.join() {
                Ok(own) => collector.merge(own),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
}

fn process_row(opened: &Opened) -> ProcessRow {
    let process = opened.trace.process();
    let life = match opened.trace.life() {
        Life::Running => "is being traced".to_owned(),
        Life::Stopped => {
            let why = opened.trace.ended().map_or("stopped", |ended| ended.why.as_str());
            format!("tracing ended: {why}")
        }
        Life::Over => "the process is over".to_owned(),
        Life::Unknown => "whether it still runs is not to be seen from here".to_owned(),
    };
    let text = |of: fn(&process::Process) -> String| process.map(of).unwrap_or_default();
    ProcessRow {
        name: opened.name(),
        directory: opened.trace.directory().to_owned(),
        command: text(|process| process.arguments.join(" ")),
        host: text(|process| process.host.clone()),
        shim: text(|process| process.shim.clone()),
        backend: text(|process| named(&process.backend)),
        further_backends: (opened.trace.backends().read().map(|(_, further)| further.backend))
            .collect(),
        backend_path: text(|process| process.backend.path.clone()),
        started: opened.timeline.start(),
        life,
        threads: opened.threads.len(),
        asks_capture: process.is_some_and(|process| process.settings.capture),
        environment: process.map(|process| process.environment.clone()).unwrap_or_default(),
    }
}

/// `6.3.0 (4.3.0.3216-cbcdc2d)`: a backend and what it says of itself.
pub(crate) fn named(backend: &process::Backend) -> String {
    format!("{} ({})", backend.name, backend.version.trim_end_matches('.'))
}

impl From<&Device> for DeviceRow {
    fn from(device: &Device) -> Self {
        Self { name: device.name.clone(), target: device.target.clone() }
    }
}
