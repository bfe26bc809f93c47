//! Matches GPU times with their calls. A time is recorded once it is known, after later calls.

use super::{
    thread::ThreadReader,
    walk::{GpuTime, Record},
};
use crate::call::Call;
use std::collections::{HashMap, VecDeque};

/// Calls of a thread that wait for their GPU times, with a value for each.
#[derive(Clone, Debug)]
pub struct Awaited<T>(VecDeque<(u64, T)>);

/// More than a thread measures at the same time. It is limited because a time that HIP failed to measure never
/// arrives.
const MOST: usize = 4096;

impl<T> Default for Awaited<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Awaited<T> {
    /// Stores a value for a call, if its time will follow.
    pub fn call(&mut self, call: &Call<'_>, kept: impl FnOnce() -> T) {
        if call.is_timed() {
            if self.0.len() == MOST {
                self.0.pop_front();
            }
            self.0.push_back((call.sequence(), kept()));
        }
    }

    /// The value for a time's call; `None` if the call is no longer in the trace.
    pub fn take(&mut self, time: &GpuTime) -> Option<T> {
        let place = self.0.iter().position(|(sequence, _)| *sequence == time.sequence)?;
        self.0.remove(place).map(|(_, kept)| kept)
    }
}

/// The GPU times of a trace, in nanoseconds, by the number of the thread in the trace and the number of the call in
/// the thread.
#[derive(Clone, Debug, Default)]
pub struct GpuTimes(HashMap<(u32, u64), u64>);

impl GpuTimes {
    /// Reads the times of these threads to the end of their files. Damage is not reported here, but when
    /// their calls are read.
    #[must_use]
    pub fn read(threads: Vec<ThreadReader>) -> Self {
        let mut times = HashMap::new();
        for mut thread in threads {
            thread.close();
            let ordinal = thread.written().ordinal;
            while let Ok(Some(record)) = thread.next() {
                if let Record::GpuTime(time) = record {
                    times.insert((ordinal, time.sequence), time.nanoseconds);
                }
            }
        }
        Self(times)
    }

    /// The time of a call.
    #[must_use]
    pub fn of(&self, thread: u32, sequence: u64) -> Option<u64> {
        self.0.get(&(thread, sequence)).copied()
    }

    /// Whether there are no times.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
