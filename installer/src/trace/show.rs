//! Calls in lines: of a trace that is there, and of one that grows.

use super::{
    export,
    opened::{Opened, only_directory},
    select::Select,
};
use crate::output::{json, printable, shown};
use anyhow::{Context, Result};
use rocblas_trace::{
    call::Call,
    layout::Mode,
    read::{
        Backends, HandleState, Life, Merged, NO_CALLS, Next, Record, ThreadReader, Timeline, Trace,
        Tracked,
    },
    text::{Detail, Line},
};
use serde_json::Value;
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// How often a trace that grows is looked at.
const INTERVAL: Duration = Duration::from_millis(100);

/// The function that makes handles.
const CREATE: &str = "rocblas_create_handle";

/// How to show.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which calls.
    pub select: Select,
    /// Every argument, and the handle's device, stream and mode.
    pub long: bool,
    /// JSON, a document a line.
    pub json: bool,
    /// No more than these.
    pub first: Option<u64>,
}

/// Writes the calls of all traces at a path, in the order of time. Answers what could not be read.
///
/// # Errors
/// A path without traces, and what writing fails with; a reader that has gone is none.
pub fn show(path: &Path, options: &Options, out: &mut dyn Write) -> Result<Vec<String>> {
    let traces = Opened::all(path)?;
    let several = traces.len() > 1;
    let mut complaints = Vec::new();
    if traces.is_empty() {
        complaints.push(format!("{} has no calls: {NO_CALLS}", shown(path)));
    }
    for opened in traces {
        complaints.extend(opened.complaints.iter().cloned());
        if several && !options.json {
            gone_is_fine(writeln!(out, "# {}", printable(&opened.name())))?;
        }
        let mut lines = Lines::new(opened.timeline, opened.trace.backends(), options);
        let mut merged = Merged::new(opened.threads);
        if lines.drain(&mut merged, out)? == Drained::Enough {
            return Ok(complaints);
        }
        complaints.extend(problems(&merged));
    }
    gone_is_fine(out.flush())?;
    Ok(complaints)
}

/// Writes the calls of a trace as they come, until its program ends or is no longer traced.
///
/// # Errors
/// As [`show`].
pub fn follow(path: &Path, options: &Options, out: &mut dyn Write) -> Result<Vec<String>> {
    let directory = only_directory(path)?;
    let trace = Trace::open(&directory)?;
    let (threads, _) = trace.threads()?;
    let mut known: Vec<PathBuf> = threads.iter().map(|thread| thread.path().to_owned()).collect();
    let mut lines = Lines::new(trace.timeline(&threads), trace.backends(), options);
    let mut merged = Merged::new(threads);
    let unreadable = loop {
        // Looked at before the files are: what is written until then is read below.
        let is_live = trace.life() == Life::Running;
        if !is_live {
            merged.close();
        }
        let (new, unreadable) = trace.threads_but(&known)?;
        for mut thread in new {
            known.push(thread.path().to_owned());
            if !is_live {
                thread.close();
            }
            merged.add(thread);
        }
        merged.refresh().context("cannot read on")?;
        let drained = lines.drain(&mut merged, out)?;
        if !gone_is_fine(out.flush())? || drained == Drained::Enough || !is_live {
            break unreadable;
        }
        thread::sleep(INTERVAL);
    };
    let mut complaints = problems(&merged);
    complaints.extend(unreadable.iter().map(ToString::to_string));
    Ok(complaints)
}

fn problems(merged: &Merged) -> Vec<String> {
    let of_threads = merged.threads().iter().flat_map(ThreadReader::problems);
    let failures = merged.failures().iter().map(ToString::to_string);
    of_threads.map(ToString::to_string).chain(failures).collect()
}

/// Whether more is wanted.
#[derive(PartialEq, Eq)]
enum Drained {
    All,
    Enough,
}

struct Lines<'o> {
    timeline: Timeline,
    options: &'o Options,
    tracked: Tracked,
    backends: Backends,
    count: u64,
    made: Option<Made>,
}

/// A call that has made a handle. Its argument is where the caller keeps it; the handle itself is told by the
/// next record of its thread.
struct Made {
    thread: usize,
    said: Said,
}

/// A call as it is written.
enum Said {
    Line(String),
    Document(Value),
}

impl Said {
    fn bytes(&self) -> Result<Vec<u8>> {
        match self {
            Self::Line(line) => Ok(format!("{}\n", printable(line)).into_bytes()),
            Self::Document(document) => Ok(json::line(document)?),
        }
    }

    /// With the handle that the call has made.
    fn with(self, address: u64, state: &HandleState, backends: &Backends) -> Self {
        match self {
            Self::Line(line) => {
                let state = shown_state(state) + &shown_backend(state, backends);
                Self::Line(format!("{line}  -> {address:#x}{state}"))
            }
            Self::Document(mut document) => {
                document["made"] = format!("{address:#x}").into();
                export::add_handle(&mut document, state, backends);
                Self::Document(document)
            }
        }
    }
}

impl<'o> Lines<'o> {
    fn new(timeline: Timeline, backends: Backends, options: &'o Options) -> Self {
        Self { timeline, options, tracked: Tracked::default(), backends, count: 0, made: None }
    }

    fn drain(&mut self, merged: &mut Merged, out: &mut dyn Write) -> Result<Drained> {
        let numbers: Vec<u32> =
            merged.threads().iter().map(|thread| thread.written().ordinal).collect();
        while let Next::Record(thread, record) = merged.next() {
            if !self.complete(Some((thread, &record)), out)? {
                return Ok(Drained::Enough);
            }
            let number = numbers.get(thread).copied().unwrap_or(0);
            if let Record::Call(call) = &record
                && self.options.select.wants(call, number, &self.timeline)
            {
                if self.options.first.is_some_and(|first| self.count >= first) {
                    return Ok(Drained::Enough);
                }
                self.count += 1;
                let said = if self.options.json {
                    Said::Document(self.document(call, number))
                } else {
                    Said::Line(self.line(call, number))
                };
                if self.tells_handles() && call.name() == CREATE && call.status() == Some(0) {
                    self.made = Some(Made { thread, said });
                } else if !gone_is_fine(out.write_all(&said.bytes()?))? {
                    return Ok(Drained::Enough);
                }
            }
            self.tracked.take(&record);
        }
        // A program that runs may have written no more yet.
        Ok(if self.complete(None, out)? { Drained::All } else { Drained::Enough })
    }

    /// Whether calls are written with their handles.
    fn tells_handles(&self) -> bool {
        self.options.long || self.options.json
    }

    /// Writes the call that has made a handle, if one is held back, with what the next record tells of it.
    /// Returns whether somebody still reads.
    fn complete(
        &mut self,
        next: Option<(usize, &Record<'_>)>,
        out: &mut dyn Write,
    ) -> Result<bool> {
        let Some(Made { thread, said }) = self.made.take() else { return Ok(true) };
        let said = match next {
            Some((next, record @ Record::Handle(seen))) if next == thread => {
                self.tracked.take(record);
                match self.tracked.handle(seen.handle) {
                    Some(state) => said.with(seen.handle, state, &self.backends),
                    None => said,
                }
            }
            _ => said,
        };
        gone_is_fine(out.write_all(&said.bytes()?))
    }

    /// `  12.345678 1 rocblas_sgemm(...) = success  12.3 us`: seconds since the start, thread, call.
    fn line(&self, call: &Call<'_>, thread: u32) -> String {
        let seconds = self.timeline.since_start(call.begin()) / 1e9;
        let indent = "  ".repeat(usize::from(call.depth()));
        let detail = if self.options.long { Detail::Full } else { Detail::Short };
        let ticks_per_nanosecond = self.timeline.ticks_per_nanosecond();
        let state = self.tracked.state(call);
        let number = state.map_or(0, |state| state.backend);
        let by_shim = self.backends.by_shim(call, number);
        let line = Line { call: *call, detail, by_shim, ticks_per_nanosecond };
        let long = state.filter(|_| self.options.long).map(shown_state).unwrap_or_default();
        let backend = state.map(|state| shown_backend(state, &self.backends)).unwrap_or_default();
        format!("{seconds:12.6} {thread:>2} {indent}{line}{long}{backend}")
    }

    fn document(&self, call: &Call<'_>, thread: u32) -> Value {
        let mut document = export::document(call, &self.timeline);
        document["thread"] = thread.into();
        if let Some(state) = self.tracked.state(call) {
            export::add_state(&mut document, call, state, &self.backends);
        }
        document
    }
}

/// `  [7.0.2]`: the backend of a handle that is not of the first one.
fn shown_backend(state: &HandleState, backends: &Backends) -> String {
    match state.backend {
        0 => String::new(),
        number => format!("  [{}]", backends.name(number)),
    }
}

/// `  [handle 1, device 0, stream 2, device pointer mode]`
fn shown_state(state: &HandleState) -> String {
    let device = state.device.map_or(String::new(), |device| format!(", device {device}"));
    let mode = match state.mode {
        Some(Mode::Device) => ", device pointer mode",
        Some(Mode::Host) => ", host pointer mode",
        _ => "",
    };
    format!("  [handle {}{device}, stream {}{mode}]", state.number, state.stream)
}

/// Whoever reads may have seen enough (`| head`). Answers whether somebody still reads.
fn gone_is_fine(result: io::Result<()>) -> Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(e).context("cannot write"),
    }
}
