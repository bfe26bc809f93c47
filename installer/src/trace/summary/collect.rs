//! Goes through the records of threads and keeps figures of them.

use super::{DeviceRow, Failure, Instance, Row, Summary};
use crate::{
    progress::Bar,
    trace::{alike::Key, select::is_error, work::Work},
};
use rocblas_abi::{EnumId, enumeration};
use rocblas_trace::{
    call::{Call, Functions},
    layout::Capture,
    read::{Backends, Owners, Record, ThreadReader, Timeline, Trace, Unreadable},
    text::{Detail, Signature},
};
use rustc_hash::FxHashMap;
use sketches_ddsketch::{Config, DDSketch};
use std::{
    collections::{BTreeMap, hash_map::Entry},
    sync::Arc,
};

/// Different shapes that are told apart; calls of further ones count for their functions alone.
pub const MOST_SHAPES: usize = 20_000;

/// Calls in flight that are listed: one for each thread, most often.
const MOST_IN_FLIGHT: usize = 100;

/// Calls that are alike.
#[derive(Clone)]
struct Group {
    calls: u64,
    /// When the first call that has ended was entered, and its time, in nanoseconds: kernels are loaded in it.
    first: Option<(f64, f64)>,
    /// Further calls that have ended, whose times are below.
    timed: u64,
    /// Nanoseconds.
    total: f64,
    min: f64,
    max: f64,
    times: DDSketch,
    statuses: Vec<(i32, u64)>,
    /// The words of one of them.
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
            statuses: Vec::new(),
            example: example.into(),
        }
    }

    fn add(&mut self, status: Option<i32>, at: f64, time: Option<f64>) {
        self.calls += 1;
        if let Some(time) = time {
            self.add_time((at, time));
        }
        if let Some(status) = status {
            self.count(status, 1);
        }
    }

    /// Adds a call's entry and time. The earliest of all stays apart.
    fn add_time(&mut self, call: (f64, f64)) {
        let later = match self.first {
            None => {
                self.first = Some(call);
                return;
            }
            // Of two at the same time, the same one whoever comes first.
            Some(first) if call < first => {
                self.first = Some(call);
                first.1
            }
            Some(_) => call.1,
        };
        self.timed += 1;
        self.total += later;
        self.min = self.min.min(later);
        self.max = self.max.max(later);
        self.times.add(later);
    }

    fn count(&mut self, status: i32, calls: u64) {
        match self.statuses.iter_mut().find(|(known, _)| *known == status) {
            Some((_, count)) => *count += calls,
            None => self.statuses.push((status, calls)),
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
        // Sketches of one configuration always merge.
        let merged = self.times.merge(&other.times);
        debug_assert!(merged.is_ok());
        for (status, calls) in &other.statuses {
            self.count(*status, *calls);
        }
    }

    fn errors(&self) -> u64 {
        self.statuses.iter().filter(|(status, _)| is_error(*status)).map(|(_, calls)| calls).sum()
    }

    fn row(&self, function: &str, shape: String, backend: &str, work: Option<Work>) -> Row {
        let first = self.first.map_or(0.0, |(_, time)| time);
        // A sketch's quantiles may lie beyond what there was.
        let quantile = |q| {
            let time = self.times.quantile(q).ok().flatten().unwrap_or(0.0);
            if self.timed == 0 { first } else { time.clamp(self.min, self.max) }
        };
        let max = if self.timed == 0 { first } else { self.max };
        let statuses = self.statuses.iter().map(|(status, calls)| (status_name(*status), *calls));
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
            // Of fewer calls there is no hundredth.
            p99: if self.timed <= 100 { max } else { quantile(0.99) },
            max,
            work,
            statuses: statuses.collect(),
        }
    }
}

/// The short name of a `rocblas_status`.
fn status_name(status: i32) -> String {
    let name = enumeration(EnumId::Status).short_name_of(status);
    name.map_or_else(|| status.to_string(), str::to_owned)
}

/// The backends of a trace where they are told apart, and whose each handle was.
#[derive(Debug, Default)]
pub struct Owned {
    backends: Backends,
    /// By number; none: they are not told apart.
    tags: Vec<Tag>,
    owners: Owners,
}

/// The name of a backend, as a position from 1 among those of all traces that are read; 0 where it is not told.
type Tag = u16;

impl Owned {
    /// Of a trace, whose threads are read for that. Names that are not in the list yet are added to it.
    ///
    /// # Errors
    /// A directory that cannot be read.
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
        Ok(Self { backends, tags, owners: Owners::read(trace.threads()?.0) })
    }

    /// Whether the shim handled a call instead of the handle's backend.
    #[must_use]
    pub fn by_shim(&self, call: &Call<'_>) -> bool {
        self.backends.by_shim(call, self.owners.of(call).unwrap_or(0))
    }

    /// The name of the backend that a call went to; empty where that is not told.
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

/// A function of this program's table, and the backend that it was called of.
type Function = (u16, Tag);

/// Figures in the making.
#[derive(Default)]
pub struct Collector {
    /// The kernel's number of the process whose threads are read.
    process: u32,
    owned: Arc<Owned>,
    /// The names of backends.
    pub(super) names: Vec<String>,
    groups: FxHashMap<(Key, Tag), Group>,
    /// Calls of shapes beyond [`MOST_SHAPES`], by function.
    others: FxHashMap<Function, Group>,
    /// Calls of functions that this program does not know, by name.
    foreign: BTreeMap<String, Group>,
    failures: BTreeMap<(Function, i32), (u64, Instance)>,
    unfinished: u64,
    in_flight: Vec<Instance>,
    left: u64,
    devices: BTreeMap<u64, DeviceRow>,
    missing: BTreeMap<String, u64>,
    problems: Vec<String>,
    /// Nanoseconds from the start of the trace.
    first: Option<f64>,
    last: f64,
    /// Time of calls that were not made from within others.
    time: f64,
    /// Calls that a graph captured, and those of which HIP did not tell.
    captured: u64,
    capture_untold: u64,
}

impl Collector {
    /// For the threads of a process (0: which one is not known) with these backends.
    #[must_use]
    pub fn of_process(process: u32, owned: Arc<Owned>) -> Self {
        Self { process, owned, ..Self::default() }
    }

    /// Takes sentences over what could not be read.
    pub fn complain(&mut self, problems: Vec<String>) {
        self.problems.extend(problems);
    }

    /// Reads a thread to its end.
    pub fn read(&mut self, mut reader: ThreadReader, timeline: &Timeline, bar: &Bar) {
        let thread = reader.written().ordinal;
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

    /// Takes a record in.
    pub fn take(&mut self, record: &Record<'_>, thread: u32, timeline: &Timeline) {
        match record {
            Record::Call(call) => self.call(call, thread, timeline),
            Record::Foreign { name, begin, end } => {
                let time = end.map(|end| timeline.nanoseconds(end.saturating_sub(*begin)));
                let at = timeline.since_start(*begin);
                let group = self.foreign.entry((*name).to_owned());
                group.or_insert_with(|| Group::new(&[])).add(None, at, time);
                self.extend(at, time, 0);
                if end.is_none() {
                    let (call, process) = (format!("{name}()"), self.process);
                    self.is_in_flight(|| Instance { call, at, process, thread });
                }
            }
            Record::Device(seen) => {
                let row = DeviceRow { name: seen.name(), target: seen.target() };
                self.devices.insert(seen.number, row);
            }
            Record::Handle(_) => {}
        }
    }

    fn call(&mut self, call: &Call<'_>, thread: u32, timeline: &Timeline) {
        let (key, backend) = (Key::of(call), self.owned.tag(call));
        let function = (key.function(), backend);
        let status = call.status();
        let time = call.ticks().map(|ticks| timeline.nanoseconds(ticks));
        let count = self.groups.len();
        let group = match self.groups.entry((key, backend)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) if count < MOST_SHAPES => place.insert(Group::new(call.words())),
            Entry::Vacant(_) => {
                self.others.entry(function).or_insert_with(|| Group::new(call.words()))
            }
        };
        let at = timeline.since_start(call.begin());
        group.add(status, at, time);
        match call.capture() {
            Capture::Yes => self.captured += 1,
            Capture::Untold => self.capture_untold += 1,
            Capture::Unasked | Capture::No => {}
        }
        self.extend(at, time, call.depth());
        let process = self.process;
        let instance =
            || Instance { call: Signature(*call, Detail::Short).to_string(), at, process, thread };
        if let Some(status) = status.filter(|status| is_error(*status)) {
            let failure = self.failures.entry((function, status));
            let (calls, first) = failure.or_insert_with(|| (0, instance()));
            *calls += 1;
            if at < first.at {
                *first = instance();
            }
        }
        if call.was_left() {
            self.left += 1;
        } else if call.end().is_none() {
            self.is_in_flight(instance);
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

    /// Takes in what another has collected.
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
        let mut by_function: BTreeMap<Function, (Group, Option<Work>)> = BTreeMap::new();
        let mut shapes = Vec::new();
        let groups = self.groups.iter();
        let groups = groups.map(|((key, of), group)| ((key.function(), *of), group, true));
        let others = self.others.iter().map(|(function, group)| (*function, group, false));
        for (function, group, is_shape) in groups.chain(others) {
            let call = functions.call(usize::from(function.0), &group.example);
            // What failed has done nothing, and what is in flight not yet.
            let ended = group.timed + u64::from(group.first.is_some());
            let done = ended.saturating_sub(group.errors()) as f64;
            let work = Work::of(&call)
                .filter(|_| is_shape)
                .map(|work| Work { operations: work.operations * done, bytes: work.bytes * done });
            let shape = if is_shape { shape_of(&call) } else { "other shapes".to_owned() };
            shapes.push(group.row(&name(function.0), shape, backend(function.1), work));
            match by_function.get_mut(&function) {
                Some((all, sum)) => {
                    all.merge(group);
                    *sum = sum.zip(work).map(|(sum, work)| Work {
                        operations: sum.operations + work.operations,
                        bytes: sum.bytes + work.bytes,
                    });
                }
                None => {
                    by_function.insert(function, (group.clone(), work));
                }
            }
        }
        let mut rows: Vec<Row> = by_function
            .iter()
            .map(|((function, tag), (group, work))| {
                group.row(&name(*function), String::new(), backend(*tag), *work)
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
        let mut failures: Vec<Failure> = self
            .failures
            .into_iter()
            .map(|(((function, tag), status), (calls, first))| Failure {
                function: name(function).into_owned(),
                backend: backend(tag).to_owned(),
                status: status_name(status),
                calls,
                first,
            })
            .collect();
        failures.sort_by(|a, b| b.calls.cmp(&a.calls).then_with(|| a.function.cmp(&b.function)));
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
            unfinished: self.unfinished,
            in_flight,
            functions: rows,
            shapes,
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

/// The shape without the function's name and the parentheses.
fn shape_of(call: &Call<'_>) -> String {
    let text = Signature(*call, Detail::Shape).to_string();
    let inside = text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
