//! Compares the calls of a process on both sides, one by one.

use super::{
    Differing, Results,
    digests::Digests,
    left_over::LeftOver,
    operands::{Inputs, Outputs, Sides, name},
};
use crate::{
    compare::{
        align::{self, Matched, Pairs, Step, Taken},
        first::found,
    },
    trace::Opened,
};
use rocblas_trace::{
    call::Functions,
    read::ThreadReader,
    text::{Detail, Signature},
};

/// A process of two runs.
pub(super) struct Process<'a> {
    /// Its number, in the order in which processes began.
    pub(super) number: usize,
    /// The numbers of the runs.
    pub(super) runs: [usize; 2],
    pub(super) digests: [&'a Digests; 2],
}

/// A pair of calls, and how their outputs and inputs compare.
struct Pair {
    calls: [Taken; 2],
    outputs: Outputs,
    inputs: Inputs,
}

impl Process<'_> {
    /// Compares the calls of both sides. `threads` are readers of the same files as those of `traces`.
    pub(super) fn compare(
        &self,
        traces: [Opened; 2],
        threads: [Vec<ThreadReader>; 2],
        results: &mut Results,
    ) {
        let functions = Functions::default();
        let sides = Sides { functions: &functions, digests: self.digests };
        let names = traces.each_ref().map(Opened::name);
        let timeline = traces[0].timeline;
        let begun = |pair: &Pair| timeline.since_start(pair.calls[0].call(&functions).begin());
        let plan = align::threads(threads, &functions, &sides);
        let is_single = plan.is_single();
        let (mut different, left) =
            self.in_place(plan.of(traces.map(|it| it.threads)), &sides, is_single, results);
        let mut others = Vec::new();
        for calls in left.matched(&sides) {
            let pair = Pair::of(&sides, calls);
            match pair.inputs {
                _ if results.count(pair.outputs) => {}
                Inputs::Same | Inputs::Rounded => different.push(pair),
                // With one thread, the order of calls determines which correspond to each other.
                Inputs::Unknown if is_single => different.push(pair),
                _ => others.push(pair),
            }
        }
        results.different += different.len() as u64;
        let first = different.iter().map(&begun).reduce(f64::min);
        let (follow, unmatched): (Vec<Pair>, Vec<Pair>) = others.into_iter().partition(|pair| {
            let follows = first.is_some_and(|first| begun(pair) > first);
            is_single || pair.inputs == Inputs::Different && follows
        });
        results.given_others += follow.len() as u64;
        for pair in unmatched {
            match pair.inputs {
                Inputs::Unknown => results.unknown_inputs += 1,
                _ => results.unmatched += 1,
            }
        }
        for pair in different.into_iter().chain(follow) {
            let begun = begun(&pair);
            if let Some(differing) = self.described(pair, &sides, &names, is_single, begun) {
                results.differing.push(differing);
            }
        }
    }

    /// Compares the calls in the same place. Returns those that differ although their inputs are the same,
    /// and those that still need a counterpart.
    fn in_place(
        &self,
        threads: Matched,
        sides: &Sides<'_>,
        is_single: bool,
        results: &mut Results,
    ) -> (Vec<Pair>, LeftOver) {
        let (mut different, mut left) = (Vec::new(), LeftOver::default());
        for step in threads.pairs.into_iter().flat_map(|it| Pairs::new(it, sides.functions)) {
            match step {
                // One thread makes its calls in an order that determines which correspond to each other.
                Step::Alone(..) if is_single => {}
                Step::Alone(side, taken) => left.add(sides, side, taken),
                Step::Pair(calls) => {
                    let pair = Pair::of(sides, calls);
                    match pair.inputs {
                        _ if results.count(pair.outputs) => {}
                        Inputs::Same | Inputs::Rounded => different.push(pair),
                        Inputs::Unknown if is_single => different.push(pair),
                        _ => left.add_pair(sides, pair.calls),
                    }
                }
            }
        }
        for (side, readers) in threads.alone.into_iter().enumerate() {
            for taken in readers.into_iter().flat_map(|it| align::Calls::new(it, sides.functions)) {
                left.add(sides, side, taken);
            }
        }
        (different, left)
    }

    fn described(
        &self,
        pair: Pair,
        sides: &Sides<'_>,
        names: &[String; 2],
        is_single: bool,
        begun: f64,
    ) -> Option<Differing> {
        let Outputs::Different(parameter, deviation) = pair.outputs else { return None };
        let calls = pair.calls.each_ref().map(|taken| taken.call(sides.functions));
        let side = |i: usize| found(&pair.calls[i], calls[i], self.runs[i], &names[i]);
        let hash = |i: usize| {
            let outputs = sides.of(i, &pair.calls[i]).outputs.iter();
            outputs.filter(|it| it.parameter == parameter).map(|it| it.hash).next()
        };
        Some(Differing {
            call: Signature(calls[0], Detail::Short).to_string(),
            output: name(&calls[0], parameter),
            deviation,
            inputs: pair.inputs,
            sides: [side(0), side(1)],
            captured: [None, None],
            function: calls[0].name(),
            place: is_single.then(|| pair.calls.each_ref().map(|taken| taken.id)),
            digest: (parameter, [hash(0)?, hash(1)?]),
            process: self.number,
            begun,
        })
    }
}

impl Pair {
    fn of(sides: &Sides<'_>, calls: [Taken; 2]) -> Self {
        let outputs = sides.outputs(calls.each_ref());
        let inputs = match outputs {
            Outputs::Different(..) => sides.inputs(calls.each_ref()),
            // The inputs do not matter: the outputs are right or cannot be compared.
            _ => Inputs::Unknown,
        };
        Self { calls, outputs, inputs }
    }
}
