//! `compare --results`: the calls whose results differ by more than rounding.
//!
//! | file | what it does |
//! |---|---|
//! | `digests.rs` | the digests of a trace, by call |
//! | `operands.rs` | compares the digests of two calls: whether their inputs and outputs are the same |
//! | `tolerance.rs` | how far rounding may change a digest |
//! | `process.rs` | the calls of a process, those in the same place first |
//! | `left_over.rs` | calls whose counterpart is elsewhere |
//! | `alone.rs` | the first calls that differ, captured on both sides and replayed |
//! | `verdict.rs` | what follows from the replays |
//! | `text.rs`, `page.rs` | the result as text, and for the page of `--report` |

pub(super) mod alone;
mod digests;
mod left_over;
mod operands;
mod page;
mod process;
mod text;
mod tolerance;
mod verdict;

use super::{align::in_order, first::Found, runs::Ran};
use alone::Captured;
use anyhow::Result;
use digests::Digests;
use operands::{Inputs, Outputs};
pub(super) use page::Page;
use process::Process;
use rocblas_trace::read::CallId;
use serde::Serialize;
use tolerance::Deviation;

/// The comparison of the results of calls that both sides made.
#[derive(Debug, Default, Serialize)]
pub struct Results {
    /// Calls with the same bits in all outputs.
    pub same: u64,
    /// Calls whose outputs differ, but not by more than rounding allows.
    pub rounded: u64,
    /// Calls whose outputs differ by more than rounding allows.
    pub different: u64,
    /// Calls whose outputs differ, but whose inputs differ already.
    pub given_others: u64,
    /// Calls of several threads without a counterpart in the other run: no call there had the same inputs.
    pub unmatched: u64,
    /// Calls of several threads without a counterpart because their inputs are unknown.
    pub unknown_inputs: u64,
    /// Calls that have a digest on one side only.
    pub one_sided: u64,
    /// Calls that should have a digest but have none, on both sides together.
    pub skipped: u64,
    /// The first differing calls, in the order in which the first backend made them.
    pub differing: Vec<Differing>,
}

/// A call whose results differ by more than rounding.
#[derive(Debug, Serialize)]
pub struct Differing {
    /// The function with its arguments, as the first side called it.
    pub call: String,
    /// The output's parameter.
    pub output: &'static str,
    /// How much it differs.
    #[serde(flatten)]
    pub deviation: Deviation,
    /// Whether its inputs are the same on both sides.
    pub inputs: Inputs,
    /// The position of the call on each side.
    pub sides: [Found; 2],
    /// The files with its operands, if the program was run again to save them.
    pub captured: [Option<Captured>; 2],
    #[serde(skip)]
    function: &'static str,
    /// The call as trace options identify it, if it is in the same place in each run.
    #[serde(skip)]
    place: Option<[CallId; 2]>,
    /// The parameter of that output, and the hash of its digest on each side.
    #[serde(skip)]
    digest: (u8, [u64; 2]),
    /// The number of the process, in the order in which processes began.
    #[serde(skip)]
    process: usize,
    /// When the call began, in nanoseconds since the start of the first side's process.
    #[serde(skip)]
    begun: f64,
}

/// Compares the results of the runs of two backends, each run with the one of the same number. All differing
/// calls are counted, and up to `described` of them are described.
pub(super) fn results(a: &[Ran], b: &[Ran], described: usize) -> Result<Results> {
    let mut results = Results::default();
    for (a, b) in a.iter().zip(b) {
        let mut of_run = Results::default();
        // Calls are read again: the digests, and what the threads do, must be known beforehand.
        let digests = [a, b].map(|run| in_order(run)?.into_iter().map(Digests::read).collect());
        let [of_a, of_b]: [Result<Vec<Digests>>; 2] = digests;
        let digests = of_a?.into_iter().zip(of_b?);
        let threads = in_order(a)?.into_iter().zip(in_order(b)?);
        let traces = in_order(a)?.into_iter().zip(in_order(b)?);
        for (number, ((traces, threads), (of_x, of_y))) in
            traces.zip(threads).zip(digests).enumerate()
        {
            of_run.skipped += [&of_x, &of_y].iter().flat_map(|of| of.skipped.values()).sum::<u64>();
            let process = Process { number, runs: [a.number, b.number], digests: [&of_x, &of_y] };
            process.compare(traces.into(), [threads.0.threads, threads.1.threads], &mut of_run);
        }
        of_run.keep_the_first(described);
        results.add(of_run, described);
    }
    Ok(results)
}

impl Results {
    /// How many calls were compared.
    #[must_use]
    pub fn compared(&self) -> u64 {
        self.same + self.rounded + self.different + self.given_others
    }

    /// Whether some calls had different results.
    #[must_use]
    pub fn differ(&self) -> bool {
        self.different + self.given_others > 0
    }

    /// Counts a call, unless its outputs differ by more than rounding. Returns whether it was counted.
    fn count(&mut self, outputs: Outputs) -> bool {
        match outputs {
            Outputs::Unknown => {}
            Outputs::OneSided => self.one_sided += 1,
            Outputs::Same => self.same += 1,
            Outputs::Rounded => self.rounded += 1,
            Outputs::Different(..) => return false,
        }
        true
    }

    /// Keeps `count` differing calls: the first ones, and in any case the first one whose inputs do not
    /// differ.
    fn keep_the_first(&mut self, count: usize) {
        self.differing.sort_by(|x, y| x.begun.total_cmp(&y.begun));
        let is_cause = |it: &Differing| it.inputs != Inputs::Different;
        match self.differing.iter().position(is_cause) {
            Some(at) if at >= count => {
                let cause = self.differing.swap_remove(at);
                self.differing.truncate(count.saturating_sub(1));
                self.differing.push(cause);
            }
            _ => self.differing.truncate(count),
        }
    }

    /// Adds the results of a later run.
    fn add(&mut self, later: Self, described: usize) {
        self.same += later.same;
        self.rounded += later.rounded;
        self.different += later.different;
        self.given_others += later.given_others;
        self.unmatched += later.unmatched;
        self.unknown_inputs += later.unknown_inputs;
        self.one_sided += later.one_sided;
        self.skipped += later.skipped;
        self.differing.extend(later.differing);
        self.differing.truncate(described);
    }
}
