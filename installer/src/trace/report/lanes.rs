//! The time line's data: a pass over the records of all threads, in bounded memory. Each thread has a
//! lane; where there are too many of them, those that matter least are only counted.

use super::{
    colours::{Colours, short},
    lane::{Lane, Span},
};
use crate::{
    progress::Bar,
    trace::{
        opened::Opened,
        select::is_error,
        summary::{Owned, by},
    },
};
use rocblas_trace::{
    call::Call,
    read::{Record, ThreadReader, Timeline},
    text::{Detail, Line, Time},
};
use std::{sync::Arc, thread};

/// The most lanes.
pub(super) const MOST_LANES: usize = 40;

/// The columns of all lanes together: with their titles they are most of what a page weighs.
const MOST_COLUMNS: usize = 4800;

/// The most columns of a lane: about as many as a screen has pixels there.
const MOST_IN_A_LANE: usize = 1200;

/// Threads' lanes on one time line.
#[derive(Debug)]
pub(super) struct Lanes {
    /// Those that matter most, by process and number.
    pub(super) threads: Vec<Thread>,
    /// Of a column of every lane, in nanoseconds.
    pub(super) width: f64,
    /// The places of the first and the last column that any lane has.
    pub(super) range: (i64, i64),
    /// What the threads did that have no lane.
    pub(super) rest: Rest,
}

/// A thread.
#[derive(Debug)]
pub(super) struct Thread {
    /// The position of its process among the traces.
    pub(super) process: usize,
    /// Its number in its trace, from 1.
    pub(super) number: u32,
    /// The kernel's number.
    pub(super) tid: u32,
    /// Its name.
    pub(super) name: String,
    /// Its calls.
    pub(super) lane: Lane,
}

/// Threads that have no lane.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rest {
    pub(super) threads: u64,
    pub(super) calls: u64,
    /// In nanoseconds.
    pub(super) time: f64,
}

/// A thread that is to be read.
struct Job {
    process: usize,
    reader: ThreadReader,
    timeline: Timeline,
    /// Nanoseconds on the time line of the start of its trace.
    start: f64,
    /// The backends of its trace.
    owned: Arc<Owned>,
}

/// Reads the threads of some traces to their ends, several at a time. The time line begins where the
/// first trace does.
pub(super) fn lanes(traces: Vec<Opened>, colours: &Colours) -> Lanes {
    let bar = Opened::bar(&traces);
    let count: usize = traces.iter().map(|opened| opened.threads.len()).sum();
    let most = (MOST_COLUMNS / count.clamp(1, MOST_LANES)).min(MOST_IN_A_LANE);
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
                        own.keep(read(job, most, colours, bar));
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

/// Nanoseconds from the start of the first of some traces to that of each, by the time of day that they
/// say. A trace without a header does not know: it begins with the first.
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
        // What cannot be read the summary complains of.
        let are_several = trace.backends().are_several();
        let owned = if are_several { Owned::of(&trace, &mut names).ok() } else { None };
        let owned = Arc::new(owned.unwrap_or_default());
        jobs.extend(threads.into_iter().map(|reader| {
            let owned = Arc::clone(&owned);
            Job { process, reader, timeline, start, owned }
        }));
    }
    jobs
}

/// Reads a thread to its end. What cannot be read the summary complains of.
fn read(job: Job, most: usize, colours: &Colours, bar: &Bar) -> Thread {
    let Job { process, mut reader, timeline, start, owned } = job;
    let clock = Clock { timeline, start };
    let mut lane = Lane::new(most);
    let mut left = reader.bytes_left();
    while let Ok(Some(record)) = reader.next() {
        take(&mut lane, &record, &clock, &owned, colours);
        let now = reader.bytes_left();
        if now != left {
            bar.advance(left - now);
            left = now;
        }
    }
    let written = reader.written();
    Thread { process, number: written.ordinal, tid: written.tid, name: written.name.clone(), lane }
}

/// A trace's clock on the time line.
struct Clock {
    timeline: Timeline,
    start: f64,
}

impl Clock {
    fn at(&self, ticks: u64) -> f64 {
        self.start + self.timeline.since_start(ticks)
    }
}

/// Takes a record into a lane.
fn take(lane: &mut Lane, record: &Record<'_>, clock: &Clock, owned: &Owned, colours: &Colours) {
    match record {
        Record::Call(call) => take_call(lane, call, clock, owned, colours),
        Record::Foreign { name, begin, end } => {
            let ticks = end.map(|end| end.saturating_sub(*begin));
            let time = ticks.map(|ticks| clock.timeline.nanoseconds(ticks));
            let begin = clock.at(*begin);
            let span = Span {
                begin,
                end: begin + time.unwrap_or(0.0),
                colour: colours.of_name(name),
                depth: 0,
                failed: false,
            };
            match time {
                Some(time) => lane.add(span, || format!("{}()  {}", short(name), Time(time))),
                None => lane.add_in_flight(span, || format!("{}() = in flight", short(name))),
            }
        }
        Record::Handle(_) | Record::Device(_) => {}
    }
}

fn take_call(lane: &mut Lane, call: &Call<'_>, clock: &Clock, owned: &Owned, colours: &Colours) {
    let begin = clock.at(call.begin());
    let time = call.ticks().map_or(0.0, |ticks| clock.timeline.nanoseconds(ticks));
    let span = Span {
        begin,
        end: begin + time,
        colour: colours.of_index(call.function()),
        depth: call.depth(),
        failed: call.status().is_some_and(is_error),
    };
    let ticks_per_nanosecond = clock.timeline.ticks_per_nanosecond();
    let text = || {
        let (detail, by_shim) = (Detail::Short, owned.by_shim(call));
        let line = Line { call: *call, detail, by_shim, ticks_per_nanosecond };
        format!("{line}{}", by(owned.name(call)))
    };
    // When a call was left by an exception is not known.
    if call.end().is_none() && !call.was_left() {
        lane.add_in_flight(span, text);
    } else {
        lane.add(span, text);
    }
}

/// The threads that matter most among those seen.
#[derive(Default)]
struct Kept {
    threads: Vec<Thread>,
    rest: Rest,
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
        other.threads.into_iter().for_each(|thread| self.keep(thread));
    }

    /// Brings all to one width, at which they have so many columns together at the most.
    fn finish(self, most: usize) -> Lanes {
        let Self { mut threads, rest } = self;
        threads.retain(|thread| thread.lane.range().is_some());
        threads.sort_by_key(|thread| (thread.process, thread.number));
        let mut width = threads.iter().map(|thread| thread.lane.width()).fold(1.0, f64::max);
        loop {
            threads.iter_mut().for_each(|thread| thread.lane.widen(width));
            let ranges = threads.iter().filter_map(|thread| thread.lane.range());
            let range = ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or((0, 0));
            if range.1.saturating_sub(range.0) < most as i64 {
                return Lanes { threads, width, range, rest };
            }
            width *= 2.0;
        }
    }
}
