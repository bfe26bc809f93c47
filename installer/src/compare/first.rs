//! Finds the first call that ends differently, by going through the threads of two runs call by call.

use super::{
    align::{self, Calls, Data, Matched, Pairs, Step, Taken, in_order},
    runs::Ran,
};
use crate::trace::alike::Key;
use anyhow::Result;
use rocblas_trace::{
    call::{Call, Functions},
    read::ThreadReader,
    text::{Detail, HipError, Outcome, Signature},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    hash::{DefaultHasher, Hash},
};

/// A call that both sides make and that ends differently.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct First {
    /// The function with its arguments, as the first side called it.
    pub call: String,
    /// For each side, how the call ended and where it is.
    pub sides: [Found; 2],
}

/// A call and its position in its trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// The number of the run among all runs.
    pub run: usize,
    /// `llama-server (process 4711)`
    pub process: String,
    /// The number of its thread in the trace.
    pub thread: u32,
    /// Its number in the thread, as `trace show` prints it and `trace capture --call` expects it.
    pub sequence: u64,
    /// How it ended: the name of the status, or `in flight`.
    pub outcome: String,
}

/// The first such call of the runs of two backends. Each run is compared with the run of the same number.
pub(super) fn first(a: &[Ran], b: &[Ran]) -> Result<Option<First>> {
    for (a, b) in a.iter().zip(b) {
        let found = first_of_runs(a, b)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The first such call of two runs: processes are compared in the order in which they began, and among all
/// threads of a process the earliest call counts.
fn first_of_runs(a: &Ran, b: &Ran) -> Result<Option<First>> {
    let functions = Functions::default();
    let processes = in_order(a)?.into_iter().zip(in_order(b)?);
    for ((x, y), (again_x, again_y)) in processes.zip(in_order(a)?.into_iter().zip(in_order(b)?)) {
        let names = [x.name(), y.name()];
        let timeline = x.timeline;
        let plan =
            align::threads([again_x.threads, again_y.threads], &functions, &ByEnding(&functions));
        let Matched { pairs, alone } = plan.of([x.threads, y.threads]);
        let differing = pairs.into_iter().filter_map(|readers| differing(readers, &functions));
        let differing: Vec<[Taken; 2]> =
            differing.chain(differing_of_pools(alone, &functions)).collect();
        let begun = |pair: &[Taken; 2]| timeline.since_start(pair[0].call(&functions).begin());
        let earliest = differing.iter().min_by(|x, y| begun(x).total_cmp(&begun(y)));
        if let Some(pair) = earliest {
            return Ok(Some(described(pair, &functions, [a.number, b.number], &names)));
        }
    }
    Ok(None)
}

fn described(
    pair: &[Taken; 2],
    functions: &Functions,
    runs: [usize; 2],
    names: &[String; 2],
) -> First {
    let calls = pair.each_ref().map(|taken| taken.call(functions));
    let side = |side: usize| found(&pair[side], calls[side], runs[side], &names[side]);
    First { call: Signature(calls[0], Detail::Short).to_string(), sides: [side(0), side(1)] }
}

/// Locates a call of a run.
pub(super) fn found(taken: &Taken, call: Call<'_>, run: usize, process: &str) -> Found {
    Found {
        run,
        process: process.to_owned(),
        thread: taken.id.thread,
        sequence: taken.id.sequence,
        outcome: format!("{}{}", Outcome(call), HipError(call)),
    }
}

/// The first pair of calls that are alike but end differently.
fn differing(readers: [ThreadReader; 2], functions: &Functions) -> Option<[Taken; 2]> {
    Pairs::new(readers, functions).find_map(|step| match step {
        Step::Pair(pair) => Some(pair).filter(|pair| !ByEnding(functions).agree(pair.each_ref())),
        Step::Alone(..) => None,
    })
}

/// How the calls of a function with certain sizes end: for each ending, their number and the first one.
type Endings = BTreeMap<Ending, (u64, Taken)>;

/// The first calls of threads without a counterpart that end differently. Any of the threads may make a call,
/// but for each function and sizes, the same number of calls must end in each way.
fn differing_of_pools(
    pools: [Vec<ThreadReader>; 2],
    functions: &Functions,
) -> impl Iterator<Item = [Taken; 2]> {
    let [a, mut b] = pools.map(|readers| {
        let mut all: HashMap<Key, Endings> = HashMap::new();
        for taken in readers.into_iter().flat_map(|reader| Calls::new(reader, functions)) {
            let call = taken.call(functions);
            let (key, ending, begin) = (Key::of(&call), ending(&call), call.begin());
            match all.entry(key).or_default().entry(ending) {
                Entry::Vacant(entry) => {
                    entry.insert((1, taken));
                }
                Entry::Occupied(mut entry) => {
                    let (count, first) = entry.get_mut();
                    *count += 1;
                    if begin < first.call(functions).begin() {
                        *first = taken;
                    }
                }
            }
        }
        all
    });
    a.into_iter().filter_map(move |(key, of_a)| {
        let of_b = b.remove(&key)?;
        let count = |of: &Endings, ending: &Ending| of.get(ending).map_or(0, |(count, _)| *count);
        let more = |of: &Endings, other: &Endings| {
            of.iter().find(|(ending, (n, _))| *n > count(other, ending)).map(|(ending, _)| *ending)
        };
        let more = [more(&of_a, &of_b)?, more(&of_b, &of_a)?];
        let [(_, x), (_, y)] = [{ of_a }.remove(&more[0])?, { of_b }.remove(&more[1])?];
        Some([x, y])
    })
}

/// How a call ended: see [`ending`].
type Ending = (Option<i32>, bool, bool, Option<u16>);

/// Distinguishes threads that make the same calls by how these end.
struct ByEnding<'f>(&'f Functions);

impl Data for ByEnding<'_> {
    fn hash(&self, _side: usize, taken: &Taken, hasher: &mut DefaultHasher) {
        ending(&taken.call(self.0)).hash(hasher);
    }

    fn agree(&self, pair: [&Taken; 2]) -> bool {
        let [x, y] = pair.map(|taken| ending(&taken.call(self.0)));
        x == y
    }
}

/// How a call ended: its status, whether it returned, whether an exception left it, and which HIP error it
/// raised. Other results, such as addresses and sizes, differ for legitimate reasons.
fn ending(call: &Call<'_>) -> Ending {
    (call.status(), call.end().is_some(), call.was_left(), call.raised_hip_error())
}
