//! Calls with recorded stacks, by stack.

use crate::trace::{
    opened::Opened,
    stacks::{self, Frame, Symbols},
};
use rocblas_trace::read::{Awaited, Record, Stacks, Unreadable};
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::sync::Arc;

/// The most distinct stacks identified by all of their addresses; further ones are identified by the
/// innermost address alone.
const MOST_ADDRESSES: usize = 50_000;

/// The most stacks that are kept: those with the most calls.
const MOST_STACKS: usize = 2000;

/// Calls with their stacks.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Callers {
    /// Every n-th call of each thread is recorded; `None` if none is, or if traces differ in it.
    pub every: Option<u64>,
    /// The number of calls with a stack.
    pub calls: u64,
    /// Calls by function and stack, the most frequent first.
    pub stacks: Vec<Calls>,
    /// Calls of stacks beyond these.
    pub left_out: u64,
}

/// Calls of a function from the same place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Calls {
    /// The function.
    pub function: String,
    /// Its callers, the innermost first.
    #[serde(serialize_with = "stacks::names")]
    pub callers: Vec<Arc<Frame>>,
    /// The number of calls.
    pub calls: u64,
    /// Their time on the host, in nanoseconds.
    pub time: f64,
    /// Their GPU time, for those for which it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpu: Option<f64>,
}

impl Calls {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.time += other.time;
        self.gpu = self.gpu.into_iter().chain(other.gpu).reduce(|a, b| a + b);
    }
}

/// Calls by function and addresses.
#[derive(Debug, Default)]
pub(super) struct Collected(FxHashMap<(String, Vec<Arc<Frame>>), Calls>);

/// Calls of a function from the same addresses.
#[derive(Debug)]
struct Group {
    function: usize,
    frames: Box<[u64]>,
    /// When the first one was made.
    ticks: u64,
    calls: u64,
    time: f64,
    gpu: Option<f64>,
}

impl Collected {
    fn add(&mut self, calls: Calls) {
        let key = (calls.function.clone(), calls.callers.clone());
        self.0.entry(key).and_modify(|known| known.add(&calls)).or_insert(calls);
    }

    /// Adds the calls of a trace, reading its threads. The collector, which reads the same threads, reports
    /// any damage.
    ///
    /// # Errors
    /// Fails if the directory cannot be read.
    pub(super) fn read(&mut self, opened: &Opened) -> Result<(), Unreadable> {
        if opened.options().is_none_or(|options| options.stacks.is_none()) {
            return Ok(());
        }
        let mut groups: Vec<Group> = Vec::new();
        let mut places: FxHashMap<(usize, Box<[u64]>), usize> = FxHashMap::default();
        for mut thread in opened.trace.threads()?.0 {
            thread.close();
            let mut stacks = Stacks::default();
            let mut awaited = Awaited::default();
            while let Ok(Some(record)) = thread.next() {
                stacks.take(0, &record);
                match record {
                    Record::Call(call) => {
                        let mut frames = stacks.of(0, &call);
                        if frames.is_empty() {
                            continue;
                        }
                        if groups.len() >= MOST_ADDRESSES {
                            frames = &frames[..1];
                        }
                        let function = call.function();
                        let place = *places.entry((function, frames.into())).or_insert_with(|| {
                            let (frames, ticks) = (frames.into(), call.begin());
                            groups.push(Group {
                                function,
                                frames,
                                ticks,
                                calls: 0,
                                time: 0.0,
                                gpu: None,
                            });
                            groups.len() - 1
                        });
                        let time = call.ticks().map_or(0.0, |t| opened.timeline.nanoseconds(t));
                        groups[place].calls += 1;
                        groups[place].time += time;
                        awaited.call(&call, || place);
                    }
                    Record::GpuTime(time) => {
                        if let Some(place) = awaited.take(&time) {
                            let gpu = groups[place].gpu.get_or_insert(0.0);
                            *gpu += time.nanoseconds as f64;
                        }
                    }
                    _ => {}
                }
            }
        }
        let mut symbols = Symbols::of(&opened.trace);
        for Group { function, frames, ticks, calls, time, gpu } in groups {
            let callers = frames.iter().map(|address| symbols.frame(*address, ticks)).collect();
            let function = rocblas_abi::name(function).to_string_lossy().into_owned();
            self.add(Calls { function, callers, calls, time, gpu });
        }
        Ok(())
    }

    /// The calls by stack.
    pub(super) fn finish(self, every: Option<u64>) -> Callers {
        let mut stacks = sorted(self.0.into_values());
        let calls = stacks.iter().map(|stack| stack.calls).sum();
        let left_out = stacks.iter().skip(MOST_STACKS).map(|stack| stack.calls).sum();
        stacks.truncate(MOST_STACKS);
        Callers { every, calls, stacks, left_out }
    }
}

/// Sorts calls, the most frequent first.
fn sorted(all: impl Iterator<Item = Calls>) -> Vec<Calls> {
    let mut all: Vec<Calls> = all.collect();
    all.sort_by(|a, b| {
        let names = |calls: &Calls| (calls.function.clone(), calls.callers.clone());
        b.calls.cmp(&a.calls).then_with(|| names(a).cmp(&names(b)))
    });
    all
}

impl Callers {
    /// Calls by function and its `most` innermost callers.
    pub(in crate::trace) fn innermost(&self, most: usize) -> Vec<Calls> {
        let mut collected = Collected::default();
        for stack in &self.stacks {
            let mut calls = stack.clone();
            calls.callers.truncate(most);
            collected.add(calls);
        }
        sorted(collected.0.into_values())
    }

    /// `the stacks of one of 100 calls of a thread (1,234 in all)`
    pub(in crate::trace) fn source(&self) -> String {
        let which = match self.every {
            Some(1) => "the stack of each call".to_owned(),
            Some(every) => format!("the stacks of one of {every} calls of a thread"),
            None => "the stacks of some calls".to_owned(),
        };
        format!("{which} ({} in all)", crate::output::grouped(self.calls))
    }
}
