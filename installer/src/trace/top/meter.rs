//! Counts calls between two updates, and since the first one.

use crate::trace::select::is_error;
use rocblas_trace::read::{Record, Timeline};
use serde::Serialize;
use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

/// The most functions that are counted separately: a damaged trace may name any number.
const MOST_FUNCTIONS: usize = 5000;

/// Counts of calls by function.
#[derive(Debug, Default)]
pub(super) struct Meter {
    functions: BTreeMap<String, Counts>,
}

/// The calls of a function.
#[derive(Debug, Default)]
struct Counts {
    now: Tally,
    /// Earlier calls, since this program began to watch.
    before: Tally,
}

/// Totals over calls.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    calls: u64,
    errors: u64,
    /// Nanoseconds of calls that were not nested in others.
    time: f64,
    /// Nanoseconds of all calls.
    total: f64,
    max: f64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.time += other.time;
        self.total += other.total;
        self.max = self.max.max(other.max);
    }
}

/// What a program called during an interval. Times are in nanoseconds, measured on the host.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Snapshot {
    /// `llama-server (process 4711)`
    pub(super) name: String,
    /// The length of the interval.
    pub(super) interval: f64,
    /// The number of threads that have made calls.
    pub(super) threads: usize,
    /// Calls per second.
    pub(super) rate: f64,
    /// Time in rocBLAS as a fraction of the interval; it may exceed 1 with several threads.
    pub(super) share: f64,
    /// Calls that failed since this program began to watch.
    pub(super) errors: u64,
    /// Per function, the one with the most time first.
    pub(super) functions: Vec<Row>,
    /// Calls in flight, the longest first.
    pub(super) in_flight: Vec<InFlight>,
    /// Whether the program is no longer traced.
    pub(super) is_over: bool,
}

/// The calls of a function.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    /// The function.
    pub(super) function: String,
    /// Completed calls per second.
    pub(super) rate: f64,
    /// Their time as a fraction of the interval, without calls nested in others.
    pub(super) share: f64,
    /// Their mean time.
    pub(super) mean: f64,
    /// The longest time.
    pub(super) max: f64,
    /// The number of threads executing it.
    pub(super) in_flight: usize,
    /// Calls since this program began to watch.
    pub(super) calls: u64,
    /// How many of these failed.
    pub(super) errors: u64,
}

/// A call in flight.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct InFlight {
    /// The function.
    #[serde(skip)]
    pub(super) function: String,
    /// The function with its arguments.
    pub(super) call: String,
    /// The number of its thread in the trace.
    pub(super) thread: u32,
    /// How long it has taken so far.
    pub(super) time: f64,
}

impl Meter {
    /// Processes a record.
    pub(super) fn take(&mut self, record: &Record<'_>, timeline: &Timeline) {
        let (name, ticks, failed, depth) = match record {
            Record::Call(call) => {
                let failed = call.status().is_some_and(is_error);
                (call.name(), call.ticks(), failed, call.depth())
            }
            Record::Foreign { name, begin, end, .. } => {
                (*name, end.map(|end| end.saturating_sub(*begin)), false, 0)
            }
            _ => return,
        };
        let count = self.functions.len();
        let counts = match self.functions.entry(name.to_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) if count < MOST_FUNCTIONS => place.insert(Counts::default()),
            Entry::Vacant(_) => return,
        };
        let time = ticks.map_or(0.0, |ticks| timeline.nanoseconds(ticks));
        counts.now.add(&Tally {
            calls: 1,
            errors: u64::from(failed),
            time: if depth == 0 { time } else { 0.0 },
            total: time,
            max: time,
        });
    }

    /// The calls since the last snapshot.
    pub(super) fn snapshot(
        &mut self,
        name: String,
        interval: Duration,
        threads: usize,
        mut in_flight: Vec<InFlight>,
        is_over: bool,
    ) -> Snapshot {
        let seconds = interval.as_secs_f64().max(1e-9);
        let of = |function: &str| in_flight.iter().filter(|call| call.function == function).count();
        let mut all = Tally::default();
        let mut errors = 0;
        let mut rows: Vec<(Row, f64)> = Vec::new();
        for (function, counts) in &mut self.functions {
            let now = std::mem::take(&mut counts.now);
            counts.before.add(&now);
            all.add(&now);
            errors += counts.before.errors;
            let row = Row {
                function: function.clone(),
                rate: now.calls as f64 / seconds,
                share: now.time / 1e9 / seconds,
                mean: if now.calls == 0 { 0.0 } else { now.total / now.calls as f64 },
                max: now.max,
                in_flight: of(function),
                calls: counts.before.calls,
                errors: counts.before.errors,
            };
            rows.push((row, counts.before.time));
        }
        // A function whose first call is still in flight has no counts, so it is only listed.
        for call in &in_flight {
            if !rows.iter().any(|(row, _)| row.function == call.function) {
                let function = call.function.clone();
                let in_flight = of(&function);
                let none = Row {
                    function,
                    rate: 0.0,
                    share: 0.0,
                    mean: 0.0,
                    max: 0.0,
                    in_flight,
                    calls: 0,
                    errors: 0,
                };
                rows.push((none, 0.0));
            }
        }
        rows.sort_by(|(a, a_before), (b, b_before)| {
            b.share.total_cmp(&a.share).then_with(|| b_before.total_cmp(a_before))
        });
        in_flight.sort_by(|a, b| b.time.total_cmp(&a.time));
        Snapshot {
            name,
            interval: interval.as_nanos() as f64,
            threads,
            rate: all.calls as f64 / seconds,
            share: all.time / 1e9 / seconds,
            errors,
            functions: rows.into_iter().map(|(row, _)| row).collect(),
            in_flight,
            is_over,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rocblas_trace::{
        call::Functions,
        layout::{BEGIN, END, HEAD, Head, RESULT},
        process::{Clock, Point},
    };

    /// A call at a depth that took the given number of nanoseconds.
    fn take(meter: &mut Meter, name: &str, time: u64, status: u64, depth: u8) {
        let clock = Clock { kind: String::new(), hertz: 1e9, start: Point::default() };
        let timeline = Timeline::new(&clock, Default::default());
        let functions = Functions::default();
        let function = rocblas_abi::by_name(name).expect("a function").index;
        let length = functions.shape(usize::from(function)).words;
        let mut words = vec![0; usize::from(length)];
        words[HEAD] = Head::new(function, length, depth, 0).0;
        (words[BEGIN], words[END], words[RESULT]) = (1000, 1000 + time, status);
        let call = functions.call(usize::from(function), &words);
        meter.take(&Record::Call(call), &timeline);
    }

    fn snapshot(meter: &mut Meter, in_flight: Vec<InFlight>) -> Snapshot {
        meter.snapshot("program".to_owned(), Duration::from_millis(500), 2, in_flight, false)
    }

    #[test]
    fn calls_are_counted_for_each_interval() {
        let mut meter = Meter::default();
        for time in [100_000_000, 50_000_000, 100_000_000] {
            take(&mut meter, "rocblas_sgemm", time, 0, 0);
        }
        take(&mut meter, "rocblas_strsm", 10_000_000, 6, 0);
        take(&mut meter, "rocblas_sscal", 90_000_000, 0, 1);
        let first = snapshot(&mut meter, Vec::new());
        let row = |function: &str, snapshot: &Snapshot| -> Row {
            let row = snapshot.functions.iter().find(|row| row.function == function);
            row.unwrap_or_else(|| panic!("no {function}: {snapshot:?}")).clone()
        };
        let sgemm = row("rocblas_sgemm", &first);
        assert_eq!((sgemm.rate, sgemm.share, sgemm.calls), (6.0, 0.5, 3));
        assert_eq!((sgemm.mean.round(), sgemm.max), (83_333_333.0, 100_000_000.0));
        let inner = row("rocblas_sscal", &first);
        assert_eq!((inner.share, inner.mean), (0.0, 90_000_000.0), "its time is in another's");
        assert_eq!((first.rate, first.share, first.errors), (10.0, 0.52, 1));
        assert_eq!(first.functions[0].function, "rocblas_sgemm", "most time first");

        take(&mut meter, "rocblas_strsm", 10_000_000, 6, 0);
        let second = snapshot(&mut meter, Vec::new());
        let strsm = row("rocblas_strsm", &second);
        assert_eq!((strsm.rate, strsm.calls, strsm.errors, second.errors), (2.0, 2, 2, 2));
        let sgemm = row("rocblas_sgemm", &second);
        assert_eq!((sgemm.rate, sgemm.mean, sgemm.calls), (0.0, 0.0, 3));
    }

    #[test]
    fn calls_in_flight_are_counted_for_their_functions() {
        let mut meter = Meter::default();
        take(&mut meter, "rocblas_sgemm", 10, 0, 0);
        let call = |function: &str, time: f64| InFlight {
            function: function.to_owned(),
            call: format!("{function}()"),
            thread: 1,
            time,
        };
        let in_flight = vec![
            call("rocblas_sgemm", 5.0),
            call("rocblas_strsm", 2e9),
            call("rocblas_strsm", 3e9),
        ];
        let snapshot = snapshot(&mut meter, in_flight);
        let counts: Vec<(&str, usize)> =
            snapshot.functions.iter().map(|row| (row.function.as_str(), row.in_flight)).collect();
        assert_eq!(counts, [("rocblas_sgemm", 1), ("rocblas_strsm", 2)]);
        assert_eq!(snapshot.in_flight[0].time, 3e9, "the longest first");
    }
}
