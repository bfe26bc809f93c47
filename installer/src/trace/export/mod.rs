//! Converts a trace to the formats of other programs.
//!
//! | file | for |
//! |---|---|
//! | `chrome.rs` | Perfetto and `chrome://tracing` |
//! | `csv.rs` | spreadsheets |
//! | `folded.rs` | flame graphs |
//! | `bench.rs` | rocblas-bench, which reproduces a call |
//!
//! This file writes JSON lines.

pub mod bench;
mod chrome;
mod csv;
mod folded;

use super::{
    opened::Opened,
    select::Select,
    stacks::{Frame, Reading},
};
use crate::output::shown;
use anyhow::{Context, Result};
use clap::ValueEnum;
use folded::{Folded, Weight};
use rocblas_abi::{EnumId, Returns, enumeration};
use rocblas_contract::hip_errors::error_name;
use rocblas_trace::{
    call::{Answer, Call, Value},
    layout::Capture,
    read::{
        Backends, GpuTimes, HandleState, Merged, NO_CALLS, Next, Record, ThreadReader, Timeline,
        Tracked,
    },
};
use rustc_hash::FxHashSet;
use serde_json::{Map, Value as Json, json};
use std::{
    io::{self, Write},
    path::Path,
    sync::Arc,
};

/// The output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For Perfetto (ui.perfetto.dev) and chrome://tracing
    Chrome,
    /// A JSON document for each call, one per line
    Jsonl,
    /// One row per call, with all arguments in one column
    Csv,
    /// rocblas-bench commands, one for each distinct call
    Bench,
    /// Call stacks for flamegraph.pl, inferno or speedscope, with the number of calls
    Folded,
    /// Call stacks with the nanoseconds of their calls on the host
    FoldedTime,
}

/// Writes the calls of all traces at a path. Returns the problems with unreadable parts.
///
/// # Errors
/// Fails for a path without traces and on write errors; a closed pipe is not an error.
pub fn export(
    path: &Path,
    format: Format,
    select: &Select,
    out: &mut dyn Write,
) -> Result<Vec<String>> {
    match write(path, format, select, out) {
        Err(e) if is_gone(&e) => Ok(Vec::new()),
        answer => answer,
    }
}

/// Whether the reader has closed the pipe (`| head`).
fn is_gone(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        // The csv crate's error does not have the I/O error as its source.
        let failed = match cause.downcast_ref().map(::csv::Error::kind) {
            Some(::csv::ErrorKind::Io(failed)) => Some(failed),
            _ => cause.downcast_ref::<io::Error>(),
        };
        failed.is_some_and(|failed| failed.kind() == io::ErrorKind::BrokenPipe)
    })
}

fn write(path: &Path, format: Format, select: &Select, out: &mut dyn Write) -> Result<Vec<String>> {
    let traces = Opened::all(path)?;
    let bar = Opened::bar(&traces);
    let mut sink: Box<dyn Sink + '_> = match format {
        Format::Chrome => Box::new(chrome::Chrome::new(out)?),
        Format::Jsonl => Box::new(Lines(out)),
        Format::Csv => Box::new(csv::Rows::new(out)?),
        Format::Folded => Box::new(Folded::new(out, Weight::Calls)),
        Format::FoldedTime => Box::new(Folded::new(out, Weight::Time)),
        Format::Bench => Box::new(Commands { out, known: FxHashSet::default() }),
    };
    let mut complaints = Vec::new();
    if traces.is_empty() {
        complaints.push(format!("{} has no calls: {NO_CALLS}", shown(path)));
    }
    for opened in traces {
        complaints.extend(opened.complaints.iter().cloned());
        sink.process(&opened)?;
        let gpu_times = opened.gpu_times()?;
        let mut stacks = Reading::of(&opened.trace);
        let numbers: Vec<u32> = opened.threads.iter().map(|t| t.written().ordinal).collect();
        let Opened { threads, timeline, trace, .. } = opened;
        let process = trace.process().map_or(0, |process| process.pid);
        let mut left: u64 = threads.iter().map(ThreadReader::bytes_left).sum();
        let mut merged = Merged::new(threads);
        let mut tracked = Tracked::default();
        let backends = trace.backends();
        let mut count = 0_u32;
        while let Next::Record(thread, record) = merged.next() {
            stacks.take(numbers[thread], &record);
            if let Record::Call(call) = &record
                && select.wants(call, numbers[thread], &timeline)
            {
                let context = Around {
                    process,
                    thread: numbers[thread],
                    timeline: &timeline,
                    tracked: &tracked,
                    gpu_times: &gpu_times,
                    backends: &backends,
                    callers: &stacks.callers(numbers[thread], call),
                };
                sink.call(call, &context)?;
            }
            tracked.take(&record);
            count = count.wrapping_add(1);
            if count.is_multiple_of(4096) {
                let now = merged.threads().iter().map(ThreadReader::bytes_left).sum();
                bar.advance(left - now);
                left = now;
            }
        }
        let problems = merged.threads().iter().flat_map(ThreadReader::problems);
        complaints.extend(problems.map(ToString::to_string));
        complaints.extend(merged.failures().iter().map(ToString::to_string));
    }
    sink.finish()?;
    Ok(complaints)
}

/// The context of a call.
pub(crate) struct Around<'a> {
    process: u32,
    thread: u32,
    timeline: &'a Timeline,
    tracked: &'a Tracked,
    gpu_times: &'a GpuTimes,
    backends: &'a Backends,
    /// Its callers, the innermost first, if they were recorded.
    callers: &'a [Arc<Frame>],
}

impl Around<'_> {
    /// The GPU time of a call in nanoseconds, if it was measured.
    fn gpu_time(&self, call: &Call<'_>) -> Option<u64> {
        self.gpu_times.of(self.thread, call.sequence())
    }
}

/// Adds the properties of a call's handle to its document.
pub(super) fn add_state(
    document: &mut Json,
    call: &Call<'_>,
    state: &HandleState,
    backends: &Backends,
) {
    add_handle(document, state, backends);
    if backends.by_shim(call, state.backend) {
        document["by"] = json!("shim");
    } else if let Some(document) = document.as_object_mut() {
        document.remove("by");
    }
}

/// Adds the properties of a handle.
pub(super) fn add_handle(document: &mut Json, state: &HandleState, backends: &Backends) {
    document["handle"] = json!(state.number);
    document["device"] = json!(state.device);
    document["stream"] = json!(state.stream);
    if state.backend != 0 {
        document["backend"] = json!(backends.name(state.backend));
    }
}

/// Adds the callers, if they are recorded.
pub(super) fn add_callers(document: &mut Json, callers: &[Arc<Frame>]) {
    if !callers.is_empty() {
        document["callers"] = callers.iter().map(ToString::to_string).collect();
    }
}

/// Writes one format.
trait Sink {
    /// Begins a trace.
    fn process(&mut self, _opened: &Opened) -> Result<()> {
        Ok(())
    }
    fn call(&mut self, call: &Call<'_>, context: &Around<'_>) -> Result<()>;
    fn finish(&mut self) -> Result<()>;
}

/// JSON lines.
struct Lines<'o>(&'o mut dyn Write);

impl Sink for Lines<'_> {
    fn call(&mut self, call: &Call<'_>, context: &Around<'_>) -> Result<()> {
        let mut document = document(call, context.timeline);
        document["process"] = json!(context.process);
        document["thread"] = json!(context.thread);
        if let Some(state) = context.tracked.state(call) {
            add_state(&mut document, call, state, context.backends);
        }
        if let Some(time) = context.gpu_time(call) {
            document["gpu_time"] = json!(time);
        }
        add_callers(&mut document, context.callers);
        writeln!(self.0, "{document}").context("cannot write")
    }

    fn finish(&mut self) -> Result<()> {
        self.0.flush().context("cannot write")
    }
}

/// rocblas-bench commands.
struct Commands<'o> {
    out: &'o mut dyn Write,
    known: FxHashSet<String>,
}

impl Sink for Commands<'_> {
    fn call(&mut self, call: &Call<'_>, _context: &Around<'_>) -> Result<()> {
        if let Some(line) = bench::line(call)
            && !self.known.contains(&line)
        {
            writeln!(self.out, "{line}").context("cannot write")?;
            self.known.insert(line);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.out.flush().context("cannot write")
    }
}

/// A call as a document: times in nanoseconds, arguments by their names.
#[must_use]
pub fn document(call: &Call<'_>, timeline: &Timeline) -> Json {
    let arguments: Map<String, Json> =
        call.values().map(|(param, value)| (param.name.to_owned(), argument(&value))).collect();
    let duration = call.ticks().map(|ticks| rounded(timeline.nanoseconds(ticks)));
    let mut document = json!({
        "function": call.name(),
        "start": rounded(timeline.since_start(call.begin())),
        "duration": duration,
        "depth": call.depth(),
        "sequence": call.sequence(),
        "arguments": arguments,
    });
    if let Some((name, value)) = answer(call) {
        document[name] = value;
    }
    if call.was_left() {
        document["left"] = json!(true);
    }
    if call.by_shim() {
        document["by"] = json!("shim");
    }
    if let Some(captured) = captured(call) {
        document["captured"] = json!(captured);
    }
    if let Some(error) = call.raised_hip_error() {
        document["hip_error"] = json!(error_name(error));
    }
    if let Some(error) = call.pending_hip_error() {
        document["pending_hip_error"] = json!(error_name(error));
    }
    document
}

/// Whether the call was captured into a graph, if HIP reported it.
fn captured(call: &Call<'_>) -> Option<bool> {
    match call.capture() {
        Capture::Yes => Some(true),
        Capture::No => Some(false),
        Capture::Unasked | Capture::Untold => None,
    }
}

/// Tenths of nanoseconds are below the clock's resolution.
fn rounded(nanoseconds: f64) -> f64 {
    (nanoseconds * 10.0).round() / 10.0
}

/// The kind and value of a call's result.
fn answer(call: &Call<'_>) -> Option<(&'static str, Json)> {
    if rocblas_abi::RETURNS[call.function()] == Returns::Void {
        return None;
    }
    Some(match call.result()? {
        Answer::Status(status) => ("status", name_or_number(EnumId::Status, status)),
        Answer::PointerMode(mode) => ("result", name_or_number(EnumId::PointerMode, mode)),
        Answer::Bool(value) => ("result", json!(value)),
        Answer::Size(value) => ("result", json!(value)),
        Answer::Pointer(address) => ("result", json!(format!("{address:#x}"))),
    })
}

fn argument(value: &Value) -> Json {
    match value {
        Value::Integer(value) => json!(value),
        Value::Size(value) => json!(value),
        Value::Enum(id, value) => name_or_number(*id, *value),
        Value::Handle(address) | Value::Pointer(address) => json!(format!("{address:#x}")),
        Value::Device(address) => json!({"device": format!("{address:#x}")}),
        // JSON has no infinities and no NaN.
        Value::Number(numbers) => {
            let parts = numbers.parts();
            if parts.iter().all(|part| part.is_finite()) && parts.len() == 1 {
                json!(parts[0])
            } else {
                json!(numbers.to_string())
            }
        }
    }
}

fn name_or_number(id: EnumId, value: i32) -> Json {
    enumeration(id).short_name_of(value).map_or_else(|| json!(value), |name| json!(name))
}
