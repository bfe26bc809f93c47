//! The time line's data, from one pass over the records of all threads, in bounded memory. Each thread has a
//! lane; if there are too many threads, the least important ones are only counted.

use super::{
    colours::{Colours, short},
    durations::Durations,
    lane::{Lane, Span},
    singles::{Said, Singles},
};
use crate::{
    progress::Bar,
    trace::{
        opened::Opened,
        select::is_error,
        summary::{First, Owned, by},
        work::Work,
    },
};
use rocblas_trace::{
    call::Call,
    layout::Capture,
    read::{Record, ThreadReader, Timeline},
    text::{Detail, Line, Outcome, Signature, Time},
};
use rustc_hash::FxHashSet;
use std::{sync::Arc, thread};

/// The most lanes.
pub(super) const MOST_LANES: usize = 40;

/// The most columns of all lanes together: with their titles they make up most of a page's size.
const MOST_COLUMNS: usize = 4800;

/// The most columns of a lane, about the width of a screen in pixels.
const MOST_IN_A_LANE: usize = 1200;

/// Threads' lanes on one time line.
#[derive(Debug)]
pub(super) struct Lanes {
    /// The most important threads, by process and number.
    pub(super) threads: Vec<Thread>,
    /// The width of a column in every lane, in nanoseconds.
    pub(super) width: f64,
    /// The indices of the first and the last column in any lane.
    pub(super) range: (i64, i64),
    /// Totals of the threads without a lane.
    pub(super) rest: Rest,
    /// How long the calls of all threads took.
    pub(super) durations: Durations,
}

/// A thread.
#[derive(Debug)]
pub(super) struct Thread {
    /// The index of its process's trace.
    pub(super) process: usize,
    /// Its number in its trace, from 1.
    pub(super) number: u32,
    /// Its TID.
    pub(super) tid: u32,
    /// Its name.
    pub(super) name: String,
    /// Its calls.
    pub(super) lane: Lane,
    /// The calls that the page contains individually.
    pub(super) singles: Singles,
}

/// Threads without a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rest {
    pub(super) threads: u64,
    pub(super) calls: u64,
    /// Their time in nanoseconds.
    pub(super) time: f64,
}

/// A thread to be read.
struct Job {
    process: usize,
    /// The PID of its process; 0 if it is unknown.
    pid: u32,
    reader: ThreadReader,
    timeline: Timeline,
    /// The start of its trace, in nanoseconds on the time line.
    start: f64,
    /// The backends of its trace.
    owned: Arc<Owned>,
}

/// Data that is known before calls are read.
#[derive(Clone, Copy)]
struct Known<'a> {
    colours: &'a Colours,
    /// The first call of each shape.
    firsts: &'a FxHashSet<First>,
    /// The most columns of a lane.
    most: usize,
    /// The number of threads.
    threads: usize,
}

/// Reads the threads of the given traces to their ends, several at a time. The time line starts with the
/// first trace. `firsts` has the first call of each shape.
pub(super) fn lanes(traces: Vec<Opened>, colours: &Colours, firsts: &FxHashSet<First>) -> Lanes {
    let bar = Opened::bar(&traces);
    let count: usize = traces.iter().map(|opened| opened.threads.len()).sum();
    let most = (MOST_COLUMNS / count.clamp(1, MOST_LANES)).min(MOST_IN_A_LANE);
    let known = Known { colours, firsts, most, threads: count };
    let workers = thread::available_parallelism().map_or(1, usize::from).min(count);
    let mut shares: Vec<Vec<Job>> = Vec::new();
    shares.resize_with(workers, Vec::new);
    for (n, job) in jobs(traces).into_iter().enumerate() {
        shares[n % workers].push(job);
    }
    let mut kept = Kept::default();
    thread::scope(|scope| {
        let bar = &bar;
        let workers: Vec<_> = shares
            .into_iter()
            .map(|share| {
                scope.spawn(move || {
                    let mut own = Kept::default();
                    for job in share {
                        let thread = read(job, known, &mut own.durations, bar);
                        own.keep(thread);
                    }
                    own
                })
            })
            .collect();
        for worker in workers {
            match worker.join() {
                Ok(own) => kept.merge(own),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    kept.finish(most)
}

/// Nanoseconds from the start of the first trace to the start of each, by the time of day in their headers. A
/// trace without a header is assumed to start with the first one.
pub(super) fn starts(traces: &[Opened]) -> Vec<f64> {
    let starts = || traces.iter().map(|opened| opened.timeline.start());
    let first = starts().filter(|start| *start > 0).min().unwrap_or(0);
    starts().map(|start| start.saturating_sub(first) as f64).collect()
}

fn jobs(traces: Vec<Opened>) -> Vec<Job> {
    let starts = starts(&traces);
    let (mut jobs, mut names) = (Vec::new(), Vec::new());
    for (process, (opened, start)) in traces.into_iter().zip(starts).enumerate() {
        let Opened { threads, timeline, trace, .. } = opened;
        let pid = trace.process().map_or(0, |process| process.pid);
        // The summary reports anything unreadable.
        let are_several = trace.backends().are_several();
        let owned = if are_several { Owned::of(&trace, &mut names).ok() } else { None };
        let owned = Arc::new(owned.unwrap_or_default());
        jobs.extend(threads.into_iter().map(|reader| {
            let owned = Arc::clone(&owned);
            Job { process, pid, reader, timeline, start, owned }
        }));
    }
    jobs
}

/// Reads a thread to its end. The summary reports anything unreadable.
fn read(job: Job, known: Known<'_>, durations: &mut Durations, bar: &Bar) -> Thread {
    let Job { process, pid, mut reader, timeline, start, owned } = job;
    let mut reading = Reading {
        known,
        pid,
        clock: Clock { timeline, start },
        owned: &owned,
        lane: Lane::new(known.most),
        singles: Singles::of_threads(known.threads),
        durations,
    };
    let mut left = reader.bytes_left();
    while let Ok(Some(record)) = reader.next() {
        reading.take(&record);
        let now = reader.bytes_left();
        if now != left {
            bar.advance(left - now);
            left = now;
        }
    }
    let Reading { lane, singles, .. } = reading;
    let written = reader.written();
    let (number, tid, name) = (written.ordinal, written.tid, written.name.clone());
    Thread { process, number, tid, name, lane, singles }
}

/// Converts a trace's clock to the time line.
struct Clock {
    timeline: Timeline,
    start: f64,
}

impl Clock {
    fn at(&self, ticks: u64) -> f64 {
        self.start + self.timeline.since_start(ticks)
    }
}

/// A thread that is being read.
struct Reading<'a> {
    known: Known<'a>,
    /// The PID of its process.
    pid: u32,
    clock: Clock,
    owned: &'a Owned,
    lane: Lane,
    singles: Singles,
    durations: &'a mut Durations,
}

impl Reading<'_> {
    /// Adds a record to the lane.
    fn take(&mut self, record: &Record<'_>) {
        match record {
            Record::Call(call) => self.take_call(call),
            Record::Foreign { name, begin, end, .. } => {
                let ticks = end.map(|end| end.saturating_sub(*begin));
                let time = ticks.map(|ticks| self.clock.timeline.nanoseconds(ticks));
                let begin = self.clock.at(*begin);
                let span = Span {
                    begin,
                    end: begin + time.unwrap_or(0.0),
                    colour: self.known.colours.of_name(name),
                    depth: 0,
                    failed: false,
                    is_first: false,
                };
                match time {
                    Some(time) => {
                        self.lane.add(span, || format!("{}()  {}", short(name), Time(time)));
                        self.singles.leave_out();
                    }
                    None => {
                        self.lane.add_in_flight(span, || format!("{}() = in flight", short(name)));
                    }
                }
            }
            Record::GpuTime(time) => self.singles.add_gpu_time(time.sequence, time.nanoseconds),
            _ => {}
        }
    }

    fn take_call(&mut self, call: &Call<'_>) {
        let begin = self.clock.at(call.begin());
        let time = call.ticks().map(|ticks| self.clock.timeline.nanoseconds(ticks));
        let first =
            First { process: self.pid, function: call.function() as u16, begin: call.begin() };
        let span = Span {
            begin,
            end: begin + time.unwrap_or(0.0),
            colour: self.known.colours.of_index(call.function()),
            depth: call.depth(),
            failed: call.status().is_some_and(is_error),
            is_first: self.known.firsts.contains(&first),
        };
        let ticks_per_nanosecond = self.clock.timeline.ticks_per_nanosecond();
        let owned = self.owned;
        let text = || {
            let (detail, by_shim) = (Detail::Short, owned.by_shim(call));
            let line = Line { call: *call, detail, by_shim, ticks_per_nanosecond };
            format!("{line}{}", by(owned.name(call)))
        };
        // It is not known when an exception left a call.
        if call.end().is_none() && !call.was_left() {
            self.lane.add_in_flight(span, text);
            return;
        }
        self.lane.add(span, text);
        self.singles.add(span, call.sequence(), || said(call, owned));
        if let Some(time) = time {
            self.durations.add(first.function, time, span.is_first);
        }
    }
}

/// The description of a single call.
fn said(call: &Call<'_>, owned: &Owned) -> Said {
    let by_shim = if owned.by_shim(call) { " by the shim" } else { "" };
    let captured = if call.capture() == Capture::Yes { " into a graph" } else { "" };
    let (signature, outcome) = (Signature(*call, Detail::Short), Outcome(*call));
    let backend = by(owned.name(call));
    let has_succeeded = call.status() == Some(0);
    Said {
        text: format!("{signature} = {outcome}{by_shim}{captured}{backend}").into_boxed_str(),
        name: call.name(),
        work: has_succeeded.then(|| Work::of(call)).flatten(),
    }
}

/// The most important threads seen so far.
#[derive(Default)]
struct Kept {
    threads: Vec<Thread>,
    rest: Rest,
    durations: Durations,
}

impl Kept {
    fn keep(&mut self, thread: Thread) {
        self.threads.push(thread);
        if self.threads.len() > MOST_LANES {
            let rank = |thread: &Thread| {
                let (_, failed, in_flight) = thread.lane.counts();
                (failed + in_flight > 0, thread.lane.time())
            };
            let least = self.threads.iter().enumerate().min_by(|(_, a), (_, b)| {
                let (a, b) = (rank(a), rank(b));
                a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
            });
            if let Some((place, _)) = least {
                let thread = self.threads.swap_remove(place);
                self.rest.threads += 1;
                self.rest.calls += thread.lane.counts().0;
                self.rest.time += thread.lane.time();
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.rest.threads += other.rest.threads;
        self.rest.calls += other.rest.calls;
        self.rest.time += other.rest.time;
        self.durations.merge(&other.durations);
        other.threads.into_iter().for_each(|thread| self.keep(thread));
    }

    /// Brings all lanes to one width, at which they span at most `most` columns.
    fn finish(self, most: usize) -> Lanes {
        let Self { mut threads, rest, durations } = self;
        threads.retain(|thread| thread.lane.range().is_some());
        threads.sort_by_key(|thread| (thread.process, thread.number));
        let mut width = threads.iter().map(|thread| thread.lane.width()).fold(1.0, f64::max);
        loop {
            threads.iter_mut().for_each(|thread| thread.lane.widen(width));
            let ranges = threads.iter().filter_map(|thread| thread.lane.range());
            let range = ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or((0, 0));
            if range.1.saturating_sub(range.0) < most as i64 {
                return Lanes { threads, width, range, rest, durations };
            }
            width *= 2.0;
        }
    }
}
