//! Reads the records of threads and collects figures on them.

use super::{
    Callers, DeviceRow, Failure, First, Found, Instance, Row, Summary,
    gpu::{self, Gpu},
    handles::Handles,
};
use crate::{
    progress::Bar,
    trace::{
        alike::Key,
        checks::{Checks, parameter, skipped},
        select::is_error,
        work::Work,
    },
};
use rocblas_abi::{EnumId, enumeration, operands::operands};
use rocblas_contract::hip_errors::error_name;
use rocblas_trace::{
    call::{Call, Functions},
    layout::{Capture, Due, Skipped},
    read::{Awaited, Backends, CallId, Owners, Record, ThreadReader, Timeline, Trace, Unreadable},
    text::{Detail, Signature},
};
use rustc_hash::{FxHashMap, FxHashSet};
use sketches_ddsketch::{Config, DDSketch};
use std::{
    collections::{BTreeMap, hash_map::Entry},
    sync::Arc,
};

/// The most distinct shapes; calls of further ones are counted by function alone.
pub const MOST_SHAPES: usize = 20_000;

/// The most calls in flight that are listed; usually there is one per thread.
const MOST_IN_FLIGHT: usize = 100;

/// The most findings of checks that are listed.
const MOST_FOUND: usize = 100;

/// A call that has ended. Calls are ordered by their entries; ties are broken independently of the order in
/// which threads are read.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Ended {
    /// When it was entered, in nanoseconds from the start of its trace.
    at: f64,
    /// How long it took, in nanoseconds.
    time: f64,
    /// The PID of its process.
    process: u32,
    /// The clock at entry, in ticks.
    begin: u64,
}

/// Calls that are alike.
#[derive(Clone)]
struct Group {
    calls: u64,
    /// The first call that has ended, which may have loaded kernels.
    first: Option<Ended>,
    /// The number of further calls that have ended, whose times are below.
    timed: u64,
    /// Their total time in nanoseconds.
    total: f64,
    min: f64,
    max: f64,
    times: DDSketch,
    endings: Vec<(Ending, u64)>,
    gpu: gpu::Times,
    /// The words of one such call.
    example: Box<[u64]>,
}

impl Group {
    fn new(example: &[u64]) -> Self {
        Self {
            calls: 0,
            first: None,
            timed: 0,
            total: 0.0,
            min: f64::INFINITY,
            max: 0.0,
            times: DDSketch::new(Config::defaults()),
            endings: Vec::new(),
            gpu: gpu::Times::default(),
            example: example.into(),
        }
    }

    fn add(&mut self, ending: Option<Ending>, ended: Option<Ended>) {
        self.calls += 1;
        if let Some(ended) = ended {
            self.add_time(ended);
        }
        if let Some(ending) = ending {
            self.count(ending, 1);
        }
    }

    /// Adds a call's time. The earliest of all calls is kept separately.
    fn add_time(&mut self, call: Ended) {
        let later = match self.first {
            None => {
                self.first = Some(call);
                return;
            }
            Some(first) if call < first => {
                self.first = Some(call);
                first.time
            }
            Some(_) => call.time,
        };
        self.timed += 1;
        self.total += later;
        self.min = self.min.min(later);
        self.max = self.max.max(later);
        self.times.add(later);
    }

    fn count(&mut self, ending: Ending, calls: u64) {
        match self.endings.iter_mut().find(|(known, _)| *known == ending) {
            Some((_, count)) => *count += calls,
            None => self.endings.push((ending, calls)),
        }
    }

    fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        if let Some(first) = other.first {
            self.add_time(first);
        }
        self.timed += other.timed;
        self.total += other.total;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        // Sketches with the same configuration can always be merged.
        let merged = self.times.merge(&other.times);
        debug_assert!(merged.is_ok());
        for (ending, calls) in &other.endings {
            self.count(*ending, *calls);
        }
        self.gpu.merge(other.gpu);
    }

    fn errors(&self) -> u64 {
        self.endings.iter().filter(|(end, _)| is_error(end.status)).map(|(_, calls)| calls).sum()
    }

    /// The row of calls of one shape.
    fn row(&self, function: &str, shape: String, backend: &str, work: Option<Work>) -> Row {
        self.row_with(function, shape, backend, work, self.gpu.figures(self.calls))
    }

    fn row_with(
        &self,
        function: &str,
        shape: String,
        backend: &str,
        work: Option<Work>,
        gpu: Option<gpu::Figures>,
    ) -> Row {
        let first = self.first.map_or(0.0, |first| first.time);
        // A sketch's quantiles may lie outside the range of actual values.
        let quantile = |q| {
            let time = self.times.quantile(q).ok().flatten().unwrap_or(0.0);
            if self.timed == 0 { first } else { time.clamp(self.min, self.max) }
        };
        let max = if self.timed == 0 { first } else { self.max };
        let statuses = self.endings.iter().map(|(ending, calls)| (ending.name(), *calls));
        Row {
            function: function.to_owned(),
            shape,
            backend: backend.to_owned(),
            calls: self.calls,
            errors: self.errors(),
            total: first + self.total,
            first,
            others: self.total,
            mean: if self.timed == 0 { first } else { self.total / self.timed as f64 },
            p50: quantile(0.5),
            // Too few calls for a 99th percentile.
            p99: if self.timed <= 100 { max } else { quantile(0.99) },
            max,
            work,
            gpu,
            statuses: statuses.collect(),
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ending {
    status: i32,
    /// The HIP error that it raised although its status does not report it, or 0.
    raised: u16,
}

impl Ending {
    fn of(call: &Call<'_>) -> Option<Self> {
        let status = call.status()?;
        let raised = call.raised_hip_error().filter(|_| !is_error(status)).unwrap_or(0);
        Some(Self { status, raised })
    }

    /// `success`, or `success with hipErrorInvalidDeviceFunction (98)`.
    fn name(self) -> String {
        let status = status_name(self.status);
        match self.raised {
            0 => status,
            error => format!("{status} with {} ({error})", error_name(error)),
        }
    }

    /// Whether the call failed, regardless of its status.
    fn is_bad(self) -> bool {
        is_error(self.status) || self.raised != 0
    }
}

/// The short name of a `rocblas_status`.
fn status_name(status: i32) -> String {
    let name = enumeration(EnumId::Status).short_name_of(status);
    name.map_or_else(|| status.to_string(), str::to_owned)
}

/// The backends of a trace, and which one each handle belongs to.
#[derive(Debug, Default)]
pub struct Owned {
    /// What checks found.
    pub(super) checks: Checks,
    /// Whether each call with outputs is to be checked.
    pub(super) checks_all: bool,
    backends: Backends,
    /// Tags by backend number; empty if backends are not distinguished.
    tags: Vec<Tag>,
    owners: Owners,
}

/// The name of a backend, as an index from 1 into the names of all traces read; 0 if it is unknown.
type Tag = u16;

impl Owned {
    /// Determines the owners of a trace's handles by reading its threads. Backend names that are not in the
    /// list yet are added to it.
    ///
    /// # Errors
    /// Fails if the directory cannot be read.
    pub fn of(trace: &Trace, names: &mut Vec<String>) -> Result<Self, Unreadable> {
        let backends = trace.backends();
        let most = backends.read().map(|(number, _)| number).max().unwrap_or(0);
        let mut tag = |number| {
            let name = backends.name(number);
            let known = names.iter().position(|known| known == name).unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            });
            Tag::try_from(known + 1).unwrap_or(0)
        };
        let tags = (0..=most).map(&mut tag).collect();
        Ok(Self {
            checks: Checks::default(),
            checks_all: false,
            backends,
            tags,
            owners: Owners::read(trace.threads()?.0),
        })
    }

    /// Whether the shim handled a call itself instead of passing it to the handle's backend.
    #[must_use]
    pub fn by_shim(&self, call: &Call<'_>) -> bool {
        self.backends.by_shim(call, self.owners.of(call).unwrap_or(0))
    }

    /// The name of the backend that handled a call; empty if it is unknown.
    #[must_use]
    pub fn name(&self, call: &Call<'_>) -> &str {
        let number = if self.tags.is_empty() { None } else { self.owners.of(call) };
        number.map_or("", |number| self.backends.name(number))
    }

    fn tag(&self, call: &Call<'_>) -> Tag {
        if self.tags.is_empty() {
            return 0;
        }
        let number = self.owners.of(call).map(usize::from);
        number.and_then(|number| self.tags.get(number)).copied().unwrap_or(0)
    }
}

/// A function in this program's table, and the backend that handled it.
type Function = (u16, Tag);

/// Collects figures.
#[derive(Default)]
pub struct Collector {
    /// The PID of the process whose threads are read.
    process: u32,
    owned: Arc<Owned>,
    /// The names of backends.
    pub(super) names: Vec<String>,
    groups: FxHashMap<(Key, Tag), Group>,
    /// Calls of shapes beyond [`MOST_SHAPES`], by function.
    others: FxHashMap<Function, Group>,
    /// Calls of functions that this program does not know, by name.
    foreign: BTreeMap<String, Group>,
    failures: BTreeMap<(Function, Ending), (u64, Instance)>,
    /// Calls made while a HIP error was pending.
    pending_errors: u64,
    handles: Handles,
    /// Calls of the current thread whose GPU times have not been read yet.
    awaited: Awaited<(Key, Tag)>,
    /// Calls whose GPU times should have been measured but were not, by reason.
    gpu_skipped: BTreeMap<Skipped, u64>,
    checked: [u64; 2],
    /// Calls that should have been checked, and how many of them were skipped.
    due: [u64; 2],
    bad_outputs: u64,
    findings: Vec<Found>,
    /// The calls of this process to which these and any omitted findings belong.
    pub(super) bad_calls: FxHashSet<CallId>,
    skipped: BTreeMap<String, u64>,
    unfinished: u64,
    in_flight: Vec<Instance>,
    left: u64,
    devices: BTreeMap<u64, DeviceRow>,
    missing: BTreeMap<String, u64>,
    problems: Vec<String>,
    /// The first call's entry, in nanoseconds from the start of the trace.
    first: Option<f64>,
    last: f64,
    /// Time of calls that were not nested in others.
    time: f64,
    /// Calls captured into a graph, and calls for which HIP did not report it.
    captured: u64,
    capture_untold: u64,
}

impl Collector {
    /// For the threads of a process (0 if its PID is unknown) with these backends.
    #[must_use]
    pub fn of_process(process: u32, owned: Arc<Owned>) -> Self {
        Self { process, owned, ..Self::default() }
    }

    /// Adds messages about unreadable parts.
    pub fn complain(&mut self, problems: Vec<String>) {
        self.problems.extend(problems);
    }

    /// Reads a thread to its end.
    pub fn read(&mut self, mut reader: ThreadReader, timeline: &Timeline, bar: &Bar) {
        let thread = reader.written().ordinal;
        self.awaited = Awaited::default();
        let mut left = reader.bytes_left();
        loop {
            match reader.next() {
                Ok(Some(record)) => self.take(&record, thread, timeline),
                Ok(None) => break,
                Err(e) => {
                    self.problems.push(format!("{}: {e}", reader.path().display()));
                    break;
                }
            }
            let now = reader.bytes_left();
            if now != left {
                bar.advance(left - now);
                left = now;
            }
        }
        let written = reader.written();
        for (why, count) in [
            ("shorter than the filter's minimum", written.filtered),
            (
                "without a place: the trace had ended, or they were nested too deep",
                written.untraced,
            ),
            (
                "overwritten by later ones, in a ring (with the events between them)",
                reader.overwritten(),
            ),
        ] {
            if count > 0 {
                *self.missing.entry(why.to_owned()).or_default() += count;
            }
        }
        self.problems.extend(reader.problems().iter().map(ToString::to_string));
    }

    /// Processes a record.
    pub fn take(&mut self, record: &Record<'_>, thread: u32, timeline: &Timeline) {
        self.handles.take(record);
        match record {
            Record::Call(call) => self.call(call, thread, timeline),
            Record::Foreign { name, sequence, begin, end } => {
                let sequence = *sequence;
                let time = end.map(|end| timeline.nanoseconds(end.saturating_sub(*begin)));
                let at = timeline.since_start(*begin);
                let process = self.process;
                let ended = time.map(|time| Ended { at, time, process, begin: *begin });
                let group = self.foreign.entry((*name).to_owned());
                group.or_insert_with(|| Group::new(&[])).add(None, ended);
                self.extend(at, time, 0);
                if end.is_none() {
                    let (call, process) = (format!("{name}()"), self.process);
                    self.is_in_flight(|| Instance { call, at, process, thread, sequence });
                }
            }
            Record::Device(seen) => {
                let row = DeviceRow { name: seen.name(), target: seen.target() };
                self.devices.insert(seen.number, row);
            }
            Record::GpuTime(time) => {
                if let Some(call) = self.awaited.take(time)
                    && let Some(group) = self.groups.get_mut(&call)
                {
                    group.gpu.add(time.nanoseconds as f64);
                }
            }
            Record::Skipped(skipped) if skipped.due == Due::GpuTime => {
                *self.gpu_skipped.entry(skipped.reason).or_default() += skipped.count;
            }
            Record::Checked(checked) => {
                self.checked[0] += checked.calls;
                self.checked[1] += checked.outputs;
            }
            Record::Skipped(calls) => {
                self.due[1] += if calls.due == Due::Check { calls.count } else { 0 };
                *self.skipped.entry(skipped(calls.due, calls.reason)).or_default() += calls.count;
            }
            _ => {}
        }
    }

    fn call(&mut self, call: &Call<'_>, thread: u32, timeline: &Timeline) {
        let (key, backend) = (Key::of(call), self.owned.tag(call));
        let function = (key.function(), backend);
        let ending = Ending::of(call);
        let time = call.ticks().map(|ticks| timeline.nanoseconds(ticks));
        let count = self.groups.len();
        self.awaited.call(call, || (key, backend));
        self.pending_errors += u64::from(call.pending_hip_error().is_some());
        let group = match self.groups.entry((key, backend)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) if count < MOST_SHAPES => place.insert(Group::new(call.words())),
            Entry::Vacant(_) => {
                self.others.entry(function).or_insert_with(|| Group::new(call.words()))
            }
        };
        let at = timeline.since_start(call.begin());
        let (process, begin) = (self.process, call.begin());
        group.add(ending, time.map(|time| Ended { at, time, process, begin }));
        match call.capture() {
            Capture::Yes => self.captured += 1,
            Capture::Untold => self.capture_untold += 1,
            Capture::Unasked | Capture::No => {}
        }
        self.extend(at, time, call.depth());
        let instance = || {
            let call_text = Signature(*call, Detail::Short).to_string();
            Instance { call: call_text, at, process, thread, sequence: call.sequence() }
        };
        if let Some(ending) = ending.filter(|ending| ending.is_bad()) {
            let failure = self.failures.entry((function, ending));
            let (calls, first) = failure.or_insert_with(|| (0, instance()));
            *calls += 1;
            if at < first.at {
                *first = instance();
            }
        }
        let id = CallId { thread, sequence: call.sequence() };
        self.due[0] += u64::from(self.owned.checks_all && is_to_be_checked(call));
        for finding in self.owned.checks.findings(id) {
            self.bad_outputs += 1;
            self.bad_calls.insert(id);
            if self.findings.len() < MOST_FOUND {
                self.findings.push(Found {
                    call: instance(),
                    parameter: parameter(call.function(), finding.parameter),
                    nan: finding.nan,
                    inf: finding.inf,
                    first: finding.first,
                    saved: self.owned.checks.saved(id),
                    has_no_record: false,
                });
            }
        }
        if call.was_left() {
            self.left += 1;
        } else if call.end().is_none() {
            self.is_in_flight(instance);
        }
    }

    /// Adds findings for calls that have no record. All existing records must have been read.
    pub(super) fn without_records(&mut self, found: impl IntoIterator<Item = Found>) {
        for found in found {
            self.bad_outputs += 1;
            self.findings.push(found);
        }
    }

    fn is_in_flight(&mut self, call: impl FnOnce() -> Instance) {
        self.unfinished += 1;
        if self.in_flight.len() < MOST_IN_FLIGHT {
            self.in_flight.push(call());
        }
    }

    fn extend(&mut self, at: f64, time: Option<f64>, depth: u8) {
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = self.last.max(at + time.unwrap_or(0.0));
        if depth == 0 {
            self.time += time.unwrap_or(0.0);
        }
    }

    /// Adds the figures of another collector.
    pub fn merge(&mut self, other: Self) {
        for (key, group) in other.groups {
            let count = self.groups.len();
            let function = (key.0.function(), key.1);
            match self.groups.entry(key) {
                Entry::Occupied(known) => known.into_mut().merge(&group),
                Entry::Vacant(place) if count < MOST_SHAPES => {
                    place.insert(group);
                }
                Entry::Vacant(_) => merge_into(&mut self.others, function, group),
            }
        }
        for (function, group) in other.others {
            merge_into(&mut self.others, function, group);
        }
        for (name, group) in other.foreign {
            match self.foreign.get_mut(&name) {
                Some(known) => known.merge(&group),
                None => {
                    self.foreign.insert(name, group);
                }
            }
        }
        for (key, (calls, first)) in other.failures {
            let (known, earliest) = self.failures.entry(key).or_insert_with(|| (0, first.clone()));
            *known += calls;
            if first.at < earliest.at {
                *earliest = first;
            }
        }
        for (own, other) in self.checked.iter_mut().zip(other.checked) {
            *own += other;
        }
        for (own, other) in self.due.iter_mut().zip(other.due) {
            *own += other;
        }
        self.bad_outputs += other.bad_outputs;
        self.findings.extend(other.findings);
        for (why, count) in other.skipped {
            *self.skipped.entry(why).or_default() += count;
        }
        self.unfinished += other.unfinished;
        self.in_flight.extend(other.in_flight);
        self.left += other.left;
        self.devices.extend(other.devices);
        for (why, count) in other.missing {
            *self.missing.entry(why).or_default() += count;
        }
        self.problems.extend(other.problems);
        self.first = self.first.into_iter().chain(other.first).reduce(f64::min);
        self.last = self.last.max(other.last);
        self.time += other.time;
        self.pending_errors += other.pending_errors;
        self.handles.merge(other.handles);
        for (reason, calls) in other.gpu_skipped {
            *self.gpu_skipped.entry(reason).or_default() += calls;
        }
        self.captured += other.captured;
        self.capture_untold += other.capture_untold;
    }

    /// The figures.
    #[must_use]
    pub fn finish(self) -> Summary {
        let functions = Functions::default();
        let name = |function: u16| rocblas_abi::name(usize::from(function)).to_string_lossy();
        let names = self.names;
        let backend = |tag: Tag| {
            let place = usize::from(tag).checked_sub(1);
            place.and_then(|place| names.get(place)).map_or("", String::as_str)
        };
        let mut by_function: BTreeMap<Function, (Group, Option<Work>, gpu::Shapes)> =
            BTreeMap::new();
        let mut shapes = Vec::new();
        let mut firsts = FxHashSet::default();
        let groups = self.groups.iter();
        let groups = groups.map(|((key, of), group)| ((key.function(), *of), group, true));
        let others = self.others.iter().map(|(function, group)| (*function, group, false));
        for (function, group, is_shape) in groups.chain(others) {
            let call = functions.call(usize::from(function.0), &group.example);
            // Failed calls have done no work, and calls in flight have not done it yet.
            let ended = group.timed + u64::from(group.first.is_some());
            let done = ended.saturating_sub(group.errors()) as f64;
            let work = Work::of(&call)
                .filter(|_| is_shape)
                .map(|work| Work { operations: work.operations * done, bytes: work.bytes * done });
            let shape = if is_shape { shape_of(&call) } else { "other shapes".to_owned() };
            if let Some(Ended { process, begin, .. }) = group.first.filter(|_| is_shape) {
                firsts.insert(First { process, function: function.0, begin });
            }
            let row = group.row(&name(function.0), shape, backend(function.1), work);
            let of_shape = row.gpu;
            shapes.push(row);
            match by_function.get_mut(&function) {
                Some((all, sum, gpu)) => {
                    all.merge(group);
                    gpu.add(group.calls, of_shape);
                    *sum = sum.zip(work).map(|(sum, work)| Work {
                        operations: sum.operations + work.operations,
                        bytes: sum.bytes + work.bytes,
                    });
                }
                None => {
                    let mut gpu = gpu::Shapes::default();
                    gpu.add(group.calls, of_shape);
                    by_function.insert(function, (group.clone(), work, gpu));
                }
            }
        }
        let mut rows: Vec<Row> = by_function
            .iter()
            .map(|((function, tag), (group, work, gpu))| {
                let gpu = gpu.figures(group.calls);
                group.row_with(&name(*function), String::new(), backend(*tag), *work, gpu)
            })
            .collect();
        let foreign = self.foreign.iter();
        rows.extend(foreign.map(|(name, group)| group.row(name, String::new(), "", None)));
        for rows in [&mut rows, &mut shapes] {
            rows.sort_by(|a, b| {
                b.others.total_cmp(&a.others).then_with(|| b.total.total_cmp(&a.total)).then_with(
                    || {
                        let key = |row: &Row| {
                            (row.function.clone(), row.shape.clone(), row.backend.clone())
                        };
                        key(a).cmp(&key(b))
                    },
                )
            });
        }
        let (mut failures, mut silent) = (Vec::new(), Vec::new());
        for (((function, tag), ending), (calls, first)) in self.failures {
            let failures = if is_error(ending.status) { &mut failures } else { &mut silent };
            failures.push(Failure {
                function: name(function).into_owned(),
                backend: backend(tag).to_owned(),
                status: ending.name(),
                calls,
                first,
            });
        }
        for failures in [&mut failures, &mut silent] {
            failures.sort_by(|a: &Failure, b: &Failure| {
                b.calls.cmp(&a.calls).then_with(|| a.function.cmp(&b.function))
            });
        }
        let mut statuses: BTreeMap<String, u64> = BTreeMap::new();
        for (status, calls) in rows.iter().flat_map(|row| &row.statuses) {
            *statuses.entry(status.clone()).or_default() += calls;
        }
        let mut missing = self.missing;
        if self.left > 0 {
            missing.insert("an exit: they were left by an exception".to_owned(), self.left);
        }
        let mut in_flight = self.in_flight;
        in_flight.sort_by(|a, b| a.at.total_cmp(&b.at));
        let mut findings = self.findings;
        // Overwritten calls precede all recorded ones. Their time is that of the check.
        findings.sort_by(|a, b| {
            b.has_no_record.cmp(&a.has_no_record).then(a.call.at.total_cmp(&b.call.at))
        });
        findings.truncate(MOST_FOUND);
        Summary {
            calls: rows.iter().map(|row| row.calls).sum(),
            errors: rows.iter().map(|row| row.errors).sum(),
            captured: self.captured,
            capture_untold: self.capture_untold,
            span: self.first.map_or(0.0, |first| self.last - first),
            time: self.time,
            processes: Vec::new(),
            devices: self.devices,
            failures,
            silent,
            pending_errors: self.pending_errors,
            kept_handles: Some(self.handles.kept()),
            gpu: Gpu { skipped: self.gpu_skipped, ..Gpu::default() },
            // Collected in a separate pass.
            callers: Callers::default(),
            checked: self.checked,
            unchecked: (self.due[0].saturating_sub(self.checked[0] + self.due[1]), self.due[0]),
            bad_outputs: self.bad_outputs,
            findings,
            skipped: self.skipped,
            unfinished: self.unfinished,
            in_flight,
            functions: rows,
            shapes,
            firsts,
            statuses,
            missing,
            problems: self.problems,
        }
    }
}

fn merge_into(groups: &mut FxHashMap<Function, Group>, function: Function, group: Group) {
    match groups.entry(function) {
        Entry::Occupied(known) => known.into_mut().merge(&group),
        Entry::Vacant(place) => {
            place.insert(group);
        }
    }
}

/// Whether a call's outputs are checked if those of every call are.
fn is_to_be_checked(call: &Call<'_>) -> bool {
    let is_done = call.depth() == 0 && call.status().is_some_and(|status| !is_error(status));
    let argument = |position: usize| call.argument(position);
    let operands = is_done.then(|| operands(call.function(), &argument)).flatten();
    operands.is_some_and(|all| all.iter().any(|one| one.is_written() && one.span().is_some()))
}

/// The shape without the function's name and the parentheses.
fn shape_of(call: &Call<'_>) -> String {
    let text = Signature(*call, Detail::Shape).to_string();
    let inside = text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
