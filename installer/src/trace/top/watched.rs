//! Follows the files of a trace that is being written.

use super::meter::{InFlight, Meter, Snapshot};
use crate::trace::opened::name_of;
use anyhow::{Context, Result};
use rocblas_trace::{
    read::{Life, Merged, Next, Record, ThreadReader, Timeline, Trace},
    text::{Detail, Signature},
};
use std::{
    path::{Path, PathBuf},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// A trace that is being written, followed from now on.
pub(super) struct Watched {
    trace: Trace,
    timeline: Timeline,
    merged: Merged,
    /// The files that have been opened.
    known: Vec<PathBuf>,
    meter: Meter,
    looked: Instant,
    /// The calls in flight.
    in_flight: Vec<InFlight>,
}

impl Watched {
    /// Opens a trace and skips its existing records.
    pub(super) fn new(directory: &Path) -> Result<Self> {
        let trace = Trace::open(directory)?;
        let (mut threads, _) = trace.threads()?;
        let timeline = trace.timeline(&threads);
        let known = threads.iter().map(|thread| thread.path().to_owned()).collect();
        threads.iter_mut().for_each(ThreadReader::skip);
        let mut merged = Merged::new(threads);
        while let Next::Record(..) = merged.next() {}
        let mut watched = Self {
            trace,
            timeline,
            merged,
            known,
            meter: Meter::default(),
            looked: Instant::now(),
            in_flight: Vec::new(),
        };
        watched.in_flight = watched.under_way()?;
        Ok(watched)
    }

    /// `llama-server (process 4711)`
    pub(super) fn name(&self) -> String {
        name_of(&self.trace)
    }

    /// Whether nothing more will be written.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.trace.life(), Life::Over | Life::Stopped)
    }

    /// Reads what was written since the last update. Returns whether nothing more will be.
    ///
    /// # Errors
    /// Any error from reading.
    pub(super) fn look(&mut self) -> Result<bool> {
        // Checked before the files are read, so that everything written until then is read below.
        let is_over = self.is_over();
        if is_over {
            self.merged.close();
        }
        let (new, _) = self.trace.threads_but(&self.known)?;
        for mut thread in new {
            self.known.push(thread.path().to_owned());
            if is_over {
                thread.close();
            }
            self.merged.add(thread);
        }
        self.merged.refresh().context("cannot read on")?;
        while let Next::Record(_, record) = self.merged.next() {
            self.meter.take(&record, &self.timeline);
        }
        self.in_flight = self.under_way()?;
        Ok(is_over)
    }

    /// The calls since the last snapshot.
    pub(super) fn snapshot(&mut self, is_over: bool) -> Snapshot {
        let now = Instant::now();
        let interval = now.duration_since(self.looked);
        self.looked = now;
        let threads = self.merged.threads().len();
        let in_flight = std::mem::take(&mut self.in_flight);
        self.meter.snapshot(self.name(), interval, threads, in_flight, is_over)
    }

    /// The calls in flight.
    fn under_way(&mut self) -> Result<Vec<InFlight>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = now.as_nanos() as f64 - self.timeline.start() as f64;
        let mut in_flight = Vec::new();
        for thread in 0..self.merged.threads().len() {
            let number = self.merged.threads()[thread].written().ordinal;
            let record = self.merged.under_way(thread).context("cannot read on")?;
            let Some(record) = record else { continue };
            let (function, call) = match &record {
                Record::Call(call) => {
                    (call.name().to_owned(), Signature(*call, Detail::Short).to_string())
                }
                Record::Foreign { name, .. } => ((*name).to_owned(), format!("{name}()")),
                _ => continue,
            };
            let time = (now - self.timeline.since_start(record.begin())).max(0.0);
            in_flight.push(InFlight { function, call, thread: number, time });
        }
        Ok(in_flight)
    }
}
