//! Summarises a trace: calls by function and by shape, errors, and calls in flight at the end.
//!
//! Memory is bounded by the number of distinct calls, not by their total: times are added to sketches, whose
//! quantiles are accurate to one percent.

mod callers;
mod collect;
mod gpu;
mod handles;
mod notes;
mod text;

pub use callers::{Callers, Calls};
pub use collect::{Collector, MOST_SHAPES, Owned};
pub use gpu::{Figures, Gpu};
pub(super) use text::scaled;
pub use text::text;
pub(crate) use text::{by, missing};

use super::{
    checks::{self, Checks},
    opened::Opened,
    work::Work,
};
use crate::progress::Bar;
use anyhow::Result;
use rocblas_trace::{
    capture::Reader,
    options::Options,
    process,
    read::{CallId, Device, Life, ThreadReader, Timeline, Trace},
};
use rustc_hash::FxHashSet;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

/// Figures for one trace, or for several processes together. Times are in nanoseconds and measured on the
/// host: a kernel may still run after its call has returned.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// The number of recorded calls.
    pub calls: u64,
    /// How many of them have a status that means failure.
    pub errors: u64,
    /// How many of them were captured into a graph, if HIP was asked.
    pub captured: u64,
    /// Calls for which HIP was asked but could not tell.
    pub capture_untold: u64,
    /// From the first call's entry to the last one's exit.
    pub span: f64,
    /// Time in rocBLAS, summed over all threads.
    pub time: f64,
    /// The processes.
    pub processes: Vec<ProcessRow>,
    /// The GPUs that handles were on, by HIP's number.
    pub devices: BTreeMap<u64, DeviceRow>,
    /// Failed calls by function and status, the most frequent first.
    pub failures: Vec<Failure>,
    /// Calls that returned success although HIP's last error changed, by function and error.
    pub silent: Vec<Failure>,
    /// Calls made while a HIP error was already pending.
    pub pending_errors: u64,
    /// Handles that were created and never destroyed; `None` if a trace is not complete.
    pub kept_handles: Option<u64>,
    /// How GPU times were measured.
    pub gpu: Gpu,
    /// Callers, if call stacks are recorded.
    pub callers: Callers,
    /// The number of calls that were checked, and of their outputs.
    pub checked: [u64; 2],
    /// The number of calls with outputs that were not checked for no recorded reason, as in a process that
    /// was killed, and the number of all calls with outputs. Zero unless every call was to be checked.
    #[serde(skip)]
    pub unchecked: (u64, u64),
    /// The number of checked outputs with NaN or infinite elements.
    pub bad_outputs: u64,
    /// Some of these, by time.
    pub findings: Vec<Found>,
    /// Calls that should have been checked, saved or timed but were not, by what was skipped and why.
    pub skipped: BTreeMap<String, u64>,
    /// The number of calls that had not returned when the trace ended.
    pub unfinished: u64,
    /// Some of these, by time.
    pub in_flight: Vec<Instance>,
    /// Calls by function, the one with the most time first, not counting that of first calls.
    pub functions: Vec<Row>,
    /// Calls by function and shape, in the same order.
    pub shapes: Vec<Row>,
    /// The first call of each function and shape.
    #[serde(skip)]
    pub firsts: FxHashSet<First>,
    /// Calls by status.
    pub statuses: BTreeMap<String, u64>,
    /// Calls that are not in the trace, by reason.
    pub missing: BTreeMap<String, u64>,
    /// Messages about unreadable parts.
    pub problems: Vec<String>,
}

impl Summary {
    /// Rows by function and shape, and a row by function alone for functions without a shape.
    pub fn shaped(&self) -> impl Iterator<Item = &Row> + Clone {
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
    /// The backend: its name and reported version.
    pub backend: String,
    /// The backend's file.
    pub backend_path: String,
    /// Further backends that were opened: name, version and file of each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub further_backends: Vec<process::Backend>,
    /// The start of the trace, in nanoseconds since 1970.
    pub started: u64,
    /// Whether it is currently traced, was stopped, or has ended.
    pub life: String,
    /// The number of threads that made calls.
    pub threads: usize,
    /// Whether each call asked HIP if its stream is being captured.
    pub asks_capture: bool,
    /// Relevant environment variables.
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
    /// The backend, if there are several; also empty for functions without a handle.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub backend: String,
    /// The status by its name.
    pub status: String,
    /// The number of calls.
    pub calls: u64,
    /// The first of them.
    pub first: Instance,
}

/// NaN or infinite elements in an output.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// The call.
    pub call: Instance,
    /// The output.
    pub parameter: &'static str,
    /// How many elements are NaN.
    pub nan: u64,
    /// How many are infinite.
    pub inf: u64,
    /// The index of the first such element, in the order of batch, column and row.
    pub first: u64,
    /// The file in the trace's directory with the call's operands, if they were saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved: Option<String>,
    /// Whether the trace has no record of the call, or no longer has it. Its time is then that of the check.
    #[serde(rename = "overwritten", skip_serializing_if = "std::ops::Not::not")]
    pub has_no_record: bool,
}

impl Found {
    /// `C has 1 NaN and 0 infinite elements, the first is element 33`
    pub(in crate::trace) fn sentence(&self) -> String {
        let Self { parameter, nan, inf, first, .. } = self;
        format!(
            "{parameter} has {nan} NaN and {inf} infinite elements, the first is element {first}"
        )
    }
}

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Instance {
    /// The function with its arguments.
    pub call: String,
    /// Nanoseconds from the start of the trace to its entry.
    pub at: f64,
    /// The PID of its process; 0 if it is unknown.
    pub process: u32,
    /// The number of its thread in the trace.
    pub thread: u32,
    /// Its number in the thread.
    pub sequence: u64,
}

impl Instance {
    /// `at 3.200000 s, call 2:7041:`
    pub(crate) fn place(&self) -> String {
        let Self { at, thread, sequence, .. } = *self;
        format!("at {:.6} s, call {}:", at / 1e9, CallId { thread, sequence })
    }
}

/// Identifies a call that was the first of its function and shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct First {
    /// The PID of its process; 0 if it is unknown.
    pub process: u32,
    /// Index of the function in this program's table.
    pub function: u16,
    /// The clock at entry, in ticks.
    pub begin: u64,
}

/// Alike calls.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The function.
    pub function: String,
    /// The shape; empty if all shapes are combined.
    pub shape: String,
    /// The backend, if there are several; also empty for functions without a handle.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub backend: String,
    /// The number of calls.
    pub calls: u64,
    /// How many of them failed.
    pub errors: u64,
    /// Total time.
    pub total: f64,
    /// Time of the first call, which may have loaded kernels; 0 if it has not ended.
    pub first: f64,
    /// Time of the others, by which rows are ordered. The following figures describe these calls, or the
    /// first one if it is the only one.
    pub others: f64,
    /// The mean time of a call.
    pub mean: f64,
    /// Half of the calls took no longer.
    pub p50: f64,
    /// 99 of 100 calls took no longer.
    pub p99: f64,
    /// The longest time.
    pub max: f64,
    /// Operations and bytes of all calls, for products and triangular solvers.
    pub work: Option<Work>,
    /// GPU time, if it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<Figures>,
    /// Calls by status.
    pub statuses: BTreeMap<String, u64>,
}

/// Which time a figure is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The call's time on the host.
    Host,
    /// The time of its work on the GPU.
    Gpu,
}

impl By {
    /// GPU time if it is known for any of the rows, since rates of both kinds are not comparable.
    #[must_use]
    pub fn of<'a>(mut rows: impl Iterator<Item = &'a Row>) -> Self {
        if rows.any(|row| row.gpu.is_some()) { Self::Gpu } else { Self::Host }
    }
}

impl Row {
    /// Mean operations and bytes of a successful call; for calls of one shape, those of each call.
    #[must_use]
    pub fn work_of_a_call(&self) -> Option<Work> {
        let ended: u64 = self.statuses.values().sum();
        let done = ended.saturating_sub(self.errors);
        self.work.filter(|_| done > 0).map(|all| Work {
            operations: all.operations / done as f64,
            bytes: all.bytes / done as f64,
        })
    }

    /// Operations and bytes per second of calls of one shape, by their mean time on the GPU, or by the mean
    /// time on the host of all calls after the first. A call may return before its kernel has run, so a rate
    /// by host time may be higher than the GPU achieved.
    #[must_use]
    pub fn rate(&self, by: By) -> Option<Work> {
        let mean = match by {
            By::Gpu => self.gpu?.mean,
            By::Host if self.others > 0.0 => self.mean,
            By::Host => return None,
        };
        let seconds = mean / 1e9;
        self.work_of_a_call()
            .filter(|_| seconds > 0.0)
            .map(|of| Work { operations: of.operations / seconds, bytes: of.bytes / seconds })
    }
}

/// Reads the traces at a path to their ends. Calls are distinguished by backend if a process had several.
///
/// # Errors
/// Fails for a path without traces. Damage in a trace is reported in the summary.
pub fn summary(path: &Path) -> Result<Summary> {
    let traces = Opened::all(path)?;
    let are_several = have_several(&traces);
    of_traces(traces, are_several)
}

/// The same for two paths to be compared: calls are distinguished by backend if either has several.
///
/// # Errors
/// As for [`summary`].
pub fn pair(first: &Path, second: &Path) -> Result<[Summary; 2]> {
    let (first, second) = (Opened::all(first)?, Opened::all(second)?);
    let are_several = have_several(&first) || have_several(&second);
    Ok([of_traces(first, are_several)?, of_traces(second, are_several)?])
}

/// Whether a trace contains all calls of a program from its first to its last, judging by its settings.
fn is_complete(opened: &Opened) -> bool {
    let keeps_all = |options: Options| {
        options.functions.is_empty() && options.first.is_none() && options.ring.is_none()
    };
    opened.trace.life() == Life::Over && opened.options().is_some_and(keeps_all)
}

/// Whether each call with outputs is to be checked and recorded.
fn checks_all(options: Options) -> bool {
    let keeps_all = options.first.is_none() && options.ring.is_none() && options.min == 0;
    keeps_all && options.check.is_on() && options.every == 1 && options.window.is_none()
}

/// Findings in calls without a record among those that were read. Their function is known only if a file with
/// the call's operands exists.
fn without_records(
    trace: &Trace,
    checks: &Checks,
    read: &FxHashSet<CallId>,
    timeline: &Timeline,
) -> Vec<Found> {
    let process = trace.process().map_or(0, |process| process.pid);
    let mut all = Vec::new();
    for finding in checks.all_findings().filter(|finding| !read.contains(&finding.call)) {
        let CallId { thread, sequence } = finding.call;
        let saved = checks.saved(finding.call);
        let capture = saved.as_ref().and_then(|file| {
            let reader = Reader::open(&trace.directory().join(file)).ok()?;
            rocblas_abi::by_name(&reader.meta().function)
        });
        let (parameter, name) = match capture {
            Some(function) => {
                let index = usize::from(function.index);
                let name = rocblas_abi::name(index).to_string_lossy();
                (checks::parameter(index, finding.parameter), name.into_owned())
            }
            None => ("an output", "a call".to_owned()),
        };
        let call = format!("{name}: its record was overwritten");
        let at = timeline.since_start(finding.begin);
        all.push(Found {
            call: Instance { call, at, process, thread, sequence },
            parameter,
            nan: finding.nan,
            inf: finding.inf,
            first: finding.first,
            saved,
            has_no_record: true,
        });
    }
    all
}

/// The value that all items have, if they are equal.
fn common<T: PartialEq>(mut values: impl Iterator<Item = Option<T>>) -> Option<T> {
    let first = values.next()??;
    values.all(|value| value.as_ref() == Some(&first)).then_some(first)
}

fn have_several(traces: &[Opened]) -> bool {
    traces.iter().any(|opened| opened.trace.backends().are_several())
}

fn of_traces(traces: Vec<Opened>, by_backend: bool) -> Result<Summary> {
    let bar = Opened::bar(&traces);
    let mut collector = Collector::default();
    let mut processes = Vec::new();
    let is_complete = traces.iter().all(is_complete);
    let are_over = traces.iter().all(|opened| opened.trace.life() == Life::Over);
    let gpu_time = common(traces.iter().map(|opened| opened.options()?.gpu_time));
    let stacks = common(traces.iter().map(|opened| opened.options()?.stacks));
    let mut callers = callers::Collected::default();
    for opened in traces {
        processes.push(process_row(&opened));
        callers.read(&opened)?;
        let names = &mut collector.names;
        let mut owned =
            if by_backend { Owned::of(&opened.trace, names)? } else { Owned::default() };
        owned.checks = Checks::of(&opened.trace);
        owned.checks_all = opened.options().is_some_and(checks_all);
        collect(opened, &Arc::new(owned), &bar, &mut collector);
    }
    let mut summary = collector.finish();
    summary.processes = processes;
    summary.gpu.every = gpu_time.map(|sampling| sampling.every);
    summary.gpu.pause = gpu_time.map(|sampling| sampling.pause).filter(|pause| *pause > 0);
    summary.callers = callers.finish(stacks);
    if !are_over {
        summary.unchecked = (0, 0);
    }
    if !is_complete || !summary.missing.is_empty() || !summary.problems.is_empty() {
        summary.kept_handles = None;
    }
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
    let mut read = FxHashSet::default();
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
                Ok(mut own) => {
                    read.extend(own.bad_calls.drain());
                    collector.merge(own);
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    collector.without_records(without_records(&trace, &owned.checks, &read, &timeline));
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
        // The shim's own thread makes no calls.
        threads: opened.threads.iter().filter(|thread| thread.written().ordinal > 0).count(),
        asks_capture: process.is_some_and(|process| process.settings.capture),
        environment: process.map(|process| process.environment.clone()).unwrap_or_default(),
    }
}

/// `6.3.0 (4.3.0.3216-cbcdc2d)`: a backend's name and reported version.
pub(crate) fn named(backend: &process::Backend) -> String {
    format!("{} ({})", backend.name, backend.version.trim_end_matches('.'))
}

impl From<&Device> for DeviceRow {
    fn from(device: &Device) -> Self {
        Self { name: device.name.clone(), target: device.target.clone() }
    }
}
