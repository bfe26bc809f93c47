//! The first call that ends otherwise: the threads of two runs are gone through call by call.
//!
//! Where one side makes calls that the other does not, the sides are brought back together by the nearest
//! calls that are alike, within a window. So what is in memory does not depend on how many calls there are.

use super::runs::Ran;
use crate::trace::{Opened, alike::Key};
use anyhow::Result;
use rocblas_trace::{
    call::{Call, Functions},
    read::{Record, ThreadReader},
    text::{Detail, Outcome, Signature},
};
use serde::Serialize;
use std::collections::VecDeque;

/// How many calls of each side are looked at to bring them together again.
const WINDOW: usize = 200;

/// A call that both make, and that ends otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct First {
    /// The function with its arguments, as the first side called it.
    pub call: String,
    /// How it ended, and where it is, on each side.
    pub sides: [Found; 2],
}

/// A call in its trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// The number of the run among all.
    pub run: usize,
    /// `llama-server (process 4711)`
    pub process: String,
    /// The number of its thread in the trace.
    pub thread: u32,
    /// Its number among the calls of the thread, from 1: the line of `trace show --thread`.
    pub number: u64,
    /// How it ended: the status by its name, or `in flight`.
    pub outcome: String,
}

/// The first such call of the runs of two backends, of which each is compared with the one of the same
/// number.
pub(super) fn first(a: &[Ran], b: &[Ran]) -> Result<Option<First>> {
    for (a, b) in a.iter().zip(b) {
        let found = first_of_runs(a, b)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Of two runs: of their processes in the order in which they began, and of all threads the earliest.
fn first_of_runs(a: &Ran, b: &Ran) -> Result<Option<First>> {
    let functions = Functions::default();
    for (x, y) in in_order(a)?.into_iter().zip(in_order(b)?) {
        let names = [x.name(), y.name()];
        let timeline = x.timeline;
        let mut others = y.threads;
        let mut earliest: Option<(f64, First)> = None;
        for thread in x.threads {
            let number = thread.written().ordinal;
            let Some(at) = others.iter().position(|other| other.written().ordinal == number) else {
                continue;
            };
            let readers = [thread, others.swap_remove(at)];
            let Some(pair) = differing(readers.map(|reader| Calls::new(reader, &functions))) else {
                continue;
            };
            let begun = timeline.since_start(pair[0].call(&functions).begin());
            if earliest.as_ref().is_none_or(|(known, _)| begun < *known) {
                let runs = [a.number, b.number];
                earliest = Some((begun, described(&pair, &functions, runs, &names, number)));
            }
        }
        if let Some((_, found)) = earliest {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The traces of a run, those of processes that began earlier first.
fn in_order(run: &Ran) -> Result<Vec<Opened>> {
    let mut traces = Opened::all(&run.trace)?;
    traces.sort_by_key(|opened| opened.timeline.start());
    Ok(traces)
}

fn described(
    pair: &[Taken; 2],
    functions: &Functions,
    runs: [usize; 2],
    names: &[String; 2],
    thread: u32,
) -> First {
    let found = |side: usize| Found {
        run: runs[side],
        process: names[side].clone(),
        thread,
        number: pair[side].number,
        outcome: Outcome(pair[side].call(functions)).to_string(),
    };
    let call = Signature(pair[0].call(functions), Detail::Short).to_string();
    First { call, sides: [found(0), found(1)] }
}

/// A call that was read.
struct Taken {
    function: usize,
    words: Box<[u64]>,
    number: u64,
}

impl Taken {
    fn call<'a>(&'a self, functions: &'a Functions) -> Call<'a> {
        functions.call(self.function, &self.words)
    }
}

/// The calls of a thread, some of which are looked at before they are taken.
struct Calls<'f> {
    reader: ThreadReader,
    functions: &'f Functions,
    window: VecDeque<Taken>,
    count: u64,
}

impl<'f> Calls<'f> {
    fn new(reader: ThreadReader, functions: &'f Functions) -> Self {
        Self { reader, functions, window: VecDeque::new(), count: 0 }
    }

    /// Reads until there are so many in the window, or no more.
    fn fill(&mut self, wanted: usize) {
        while self.window.len() < wanted {
            match self.reader.next() {
                Ok(Some(Record::Call(call))) => {
                    self.count += 1;
                    let (function, words) = (call.function(), call.words().into());
                    self.window.push_back(Taken { function, words, number: self.count });
                }
                Ok(Some(_)) => {}
                // The summary of the trace says what could not be read.
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn keys(&self) -> Vec<Key> {
        self.window.iter().map(|taken| Key::of(&taken.call(self.functions))).collect()
    }
}

/// The first pair of calls that are alike and end otherwise.
fn differing(mut sides: [Calls<'_>; 2]) -> Option<[Taken; 2]> {
    loop {
        let [a, b] = &mut sides;
        a.fill(1);
        b.fill(1);
        let (x, y) = (a.window.pop_front()?, b.window.pop_front()?);
        let calls = [x.call(a.functions), y.call(b.functions)];
        if Key::of(&calls[0]) != Key::of(&calls[1]) {
            a.window.push_front(x);
            b.window.push_front(y);
            a.fill(WINDOW);
            b.fill(WINDOW);
            let [skipped, other] = skip(&a.keys(), &b.keys());
            a.window.drain(..skipped);
            b.window.drain(..other);
        } else if ending(&calls[0]) != ending(&calls[1]) {
            return Some([x, y]);
        }
    }
}

/// How a call ended: its status, whether it returned, and whether an exception left it. Other results, such
/// as addresses and sizes, differ for good reasons.
fn ending(call: &Call<'_>) -> (Option<i32>, bool, bool) {
    (call.status(), call.end().is_some(), call.was_left())
}

/// How many calls of each side have to be passed over for the next ones to be alike, as few as can be. All,
/// if none are.
fn skip<T: PartialEq>(a: &[T], b: &[T]) -> [usize; 2] {
    for sum in 0..a.len() + b.len() {
        for i in sum.saturating_sub(b.len() - 1)..=sum.min(a.len() - 1) {
            if a[i] == b[sum - i] {
                return [i, sum - i];
            }
        }
    }
    [a.len(), b.len()]
}

#[cfg(test)]
mod tests {
    use super::skip;

    #[test]
    fn as_few_calls_as_can_be_are_passed_over() {
        for (a, b, skipped) in [
            ("xyz", "exyz", [0, 1]),
            ("eexyz", "xyz", [2, 0]),
            ("abx", "cx", [2, 1]),
            ("abc", "de", [3, 2]),
            ("a", "b", [1, 1]),
        ] {
            assert_eq!(skip(a.as_bytes(), b.as_bytes()), skipped, "{a} {b}");
        }
    }
}
