//! Prints calls, one per line, of a finished trace or a growing one.

use super::{
    checks::{self, Checks},
    export,
    opened::{Opened, only_directory},
    select::Select,
    stacks::{self, Frame, Reading},
};
use crate::output::{json, printable, shown};
use anyhow::{Context, Result};
use rocblas_trace::{
    call::Call,
    layout::Mode,
    read::{
        Backends, CallId, GpuTimes, HandleState, Life, Merged, NO_CALLS, Next, Record,
        ThreadReader, Timeline, Trace, Tracked,
    },
    text::{Detail, Line, Time},
};
use serde_json::Value;
use std::{
    collections::VecDeque,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

/// How often a growing trace is checked for new calls.
const INTERVAL: Duration = Duration::from_millis(100);

/// How many calls' functions are remembered for later check results: far more than a process has in flight.
const MOST_RECENT: usize = 16_384;

/// The function that creates handles.
const CREATE: &str = "rocblas_create_handle";

/// How to print.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which calls to print.
    pub select: Select,
    /// Print every argument, and the handle's device, stream and mode.
    pub long: bool,
    /// Print JSON, one document per line.
    pub json: bool,
    /// Print at most this many calls.
    pub first: Option<u64>,
}

/// Writes the calls of all traces at a path in chronological order. Returns the problems with unreadable
/// parts.
///
/// # Errors
/// Fails for a path without traces and on write errors; a closed pipe is not an error.
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
        lines.gpu_times = opened.gpu_times()?;
        lines.checks = Checks::of(&opened.trace);
        lines.stacks = Reading::of(&opened.trace);
        let mut merged = Merged::new(opened.threads);
        if lines.drain(&mut merged, out)? == Drained::Enough {
            return Ok(complaints);
        }
        complaints.extend(problems(&merged));
    }
    gone_is_fine(out.flush())?;
    Ok(complaints)
}

/// Writes the calls of a trace as they are recorded, until its program ends or is no longer traced.
///
/// # Errors
/// As for [`show`].
pub fn follow(path: &Path, options: &Options, out: &mut dyn Write) -> Result<Vec<String>> {
    let directory = only_directory(path)?;
    let trace = Trace::open(&directory)?;
    let (threads, _) = trace.threads()?;
    let mut known: Vec<PathBuf> = threads.iter().map(|thread| thread.path().to_owned()).collect();
    let mut lines = Lines::new(trace.timeline(&threads), trace.backends(), options);
    lines.recent = Some(VecDeque::new());
    let mut merged = Merged::new(threads);
    let unreadable = loop {
        // Checked before the files are read, so that everything written until then is read below.
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
        lines.stacks.refresh(&trace);
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

/// Whether to continue.
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
    /// Empty for a growing trace, in which a call's GPU time comes later.
    gpu_times: GpuTimes,
    /// The checks of a finished trace.
    checks: Checks,
    /// The call stacks.
    stacks: Reading,
    /// The functions of the latest calls of a growing trace, because check results come a little later.
    recent: Option<VecDeque<(CallId, usize)>>,
    count: u64,
    made: Option<Made>,
}

/// A call that has created a handle. Its argument is only the address at which the caller stores it; the
/// thread's next record names the handle itself.
struct Made {
    thread: usize,
    said: Said,
    callers: Vec<Arc<Frame>>,
}

/// A call in its output format.
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

    /// Adds the handle that the call has created.
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
        Self {
            timeline,
            options,
            tracked: Tracked::default(),
            backends,
            gpu_times: GpuTimes::default(),
            checks: Checks::default(),
            stacks: Reading::default(),
            recent: None,
            count: 0,
            made: None,
        }
    }

    fn drain(&mut self, merged: &mut Merged, out: &mut dyn Write) -> Result<Drained> {
        let numbers: Vec<u32> =
            merged.threads().iter().map(|thread| thread.written().ordinal).collect();
        while let Next::Record(thread, record) = merged.next() {
            if !self.complete(Some((thread, &record)), out)? {
                return Ok(Drained::Enough);
            }
            let number = numbers.get(thread).copied().unwrap_or(0);
            self.stacks.take(number, &record);
            if let Record::Call(call) = &record
                && self.options.select.wants(call, number, &self.timeline)
            {
                if self.options.first.is_some_and(|first| self.count >= first) {
                    return Ok(Drained::Enough);
                }
                self.count += 1;
                let callers = self.stacks.callers(number, call);
                let said = if self.options.json {
                    Said::Document(self.document(call, number, &callers))
                } else {
                    Said::Line(self.line(call, number))
                };
                if self.tells_handles() && call.name() == CREATE && call.status() == Some(0) {
                    self.made = Some(Made { thread, said, callers });
                } else if !gone_is_fine(out.write_all(&said.bytes()?))?
                    || !gone_is_fine(self.write_callers(&callers, out))?
                    || !gone_is_fine(self.write_found(call, number, out))?
                {
                    return Ok(Drained::Enough);
                }
            }
            if !gone_is_fine(self.write_late(&record, number, out))? {
                return Ok(Drained::Enough);
            }
            self.tracked.take(&record);
        }
        // A running program may not have written the next record yet.
        Ok(if self.complete(None, out)? { Drained::All } else { Drained::Enough })
    }

    /// Writes the innermost callers of a call below its line.
    fn write_callers(&self, callers: &[Arc<Frame>], out: &mut dyn Write) -> io::Result<()> {
        const MOST: usize = 5;
        // JSON documents include them already.
        if self.options.json || callers.is_empty() {
            return Ok(());
        }
        let more = if callers.len() > MOST { " < ..." } else { "" };
        let line = format!("called by {}{more}", stacks::line(callers, MOST));
        writeln!(out, "{:17}{}", "", printable(&line))
    }

    /// Writes what checks found in the outputs of a call below its line.
    fn write_found(&self, call: &Call<'_>, thread: u32, out: &mut dyn Write) -> io::Result<()> {
        let id = CallId { thread, sequence: call.sequence() };
        let mut found = self.checks.lines(id, call.function());
        // JSON documents include it already.
        if self.options.json {
            return Ok(());
        }
        found.try_for_each(|line| writeln!(out, "{:23}{}", "", printable(&line)))
    }

    /// Writes what a check found in a call that was printed earlier.
    fn write_late(
        &mut self,
        record: &Record<'_>,
        thread: u32,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let Some(recent) = &mut self.recent else { return Ok(()) };
        match record {
            Record::Call(call) => {
                recent.truncate(MOST_RECENT - 1);
                recent.push_front((CallId { thread, sequence: call.sequence() }, call.function()));
            }
            Record::Finding(finding) => {
                let function = recent.iter().find(|(call, _)| *call == finding.call);
                let Some((_, function)) = function else { return Ok(()) };
                let found = checks::sentence(finding, *function);
                let name = rocblas_abi::name(*function).to_string_lossy();
                if self.options.json {
                    let document = checks::document(finding, *function);
                    let bytes = json::line(&document).map_err(io::Error::other)?;
                    return out.write_all(&bytes);
                }
                let seconds = self.timeline.since_start(finding.begin) / 1e9;
                writeln!(out, "{seconds:12.6} {:>8} {found} ({name})", finding.call)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether calls are printed with their handles.
    fn tells_handles(&self) -> bool {
        self.options.long || self.options.json
    }

    /// Writes the call that has created a handle, if one is held back, completed from the next record.
    /// Returns whether the reader still reads.
    fn complete(
        &mut self,
        next: Option<(usize, &Record<'_>)>,
        out: &mut dyn Write,
    ) -> Result<bool> {
        let Some(Made { thread, said, callers }) = self.made.take() else { return Ok(true) };
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
        Ok(gone_is_fine(out.write_all(&said.bytes()?))?
            && gone_is_fine(self.write_callers(&callers, out))?)
    }

    /// `  12.345678   1:7041 rocblas_sgemm(...) = success  12.3 us`: seconds since the start, number, and
    /// call.
    fn line(&self, call: &Call<'_>, thread: u32) -> String {
        let seconds = self.timeline.since_start(call.begin()) / 1e9;
        let indent = "  ".repeat(usize::from(call.depth()));
        let detail = if self.options.long { Detail::Full } else { Detail::Short };
        let ticks_per_nanosecond = self.timeline.ticks_per_nanosecond();
        let state = self.tracked.state(call);
        let number = state.map_or(0, |state| state.backend);
        let by_shim = self.backends.by_shim(call, number);
        let line = Line { call: *call, detail, by_shim, ticks_per_nanosecond };
        let id = CallId { thread, sequence: call.sequence() };
        let gpu_time = self.gpu_times.of(thread, id.sequence);
        let gpu_time =
            gpu_time.map_or(String::new(), |time| format!(", GPU {}", Time(time as f64)));
        let long = state.filter(|_| self.options.long).map(shown_state).unwrap_or_default();
        let backend = state.map(|state| shown_backend(state, &self.backends)).unwrap_or_default();
        format!("{seconds:12.6} {id:>8} {indent}{line}{gpu_time}{long}{backend}")
    }

    fn document(&self, call: &Call<'_>, thread: u32, callers: &[Arc<Frame>]) -> Value {
        let mut document = export::document(call, &self.timeline);
        document["thread"] = thread.into();
        if let Some(time) = self.gpu_times.of(thread, call.sequence()) {
            document["gpu_time"] = time.into();
        }
        export::add_callers(&mut document, callers);
        let id = CallId { thread, sequence: call.sequence() };
        self.checks.add_to(&mut document, id, call.function());
        if let Some(state) = self.tracked.state(call) {
            export::add_state(&mut document, call, state, &self.backends);
        }
        document
    }
}

/// `  [7.0.2]`: a handle's backend, unless it is the first one.
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

/// Whether the reader still reads, judged by the result of a write: a closed pipe (`| head`) is not an error.
fn gone_is_fine(result: io::Result<()>) -> Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(e).context("cannot write"),
    }
}
