//! Aligns the calls of two runs side by side.
//!
//! | file | what it does |
//! |---|---|
//! | `threads.rs` | which threads correspond to each other, by what they do |
//! | `pairs.rs` | the calls of two threads side by side |

mod pairs;
mod threads;

pub(super) use pairs::{Calls, Pairs, Step, Taken};
pub(super) use threads::Data;

use super::runs::Ran;
use crate::trace::Opened;
use anyhow::Result;
use rocblas_trace::{call::Functions, read::ThreadReader};
use threads::{Match, Profile, matched};

/// The traces of a run, ordered by when their processes began.
pub(super) fn in_order(run: &Ran) -> Result<Vec<Opened>> {
    let mut traces = Opened::all(&run.trace)?;
    traces.sort_by_key(|opened| opened.timeline.start());
    Ok(traces)
}

/// Reads what the threads of two processes do, and matches them.
pub(super) fn threads(
    sides: [Vec<ThreadReader>; 2],
    functions: &Functions,
    data: &dyn Data,
) -> Plan {
    let mut side = 0;
    let [a, b] = sides.map(|readers| {
        let of = |reader| Profile::read(side, reader, functions, data);
        let profiles: Vec<Profile> = readers.into_iter().map(of).collect();
        side += 1;
        profiles
    });
    Plan(matched(&a, &b, data))
}

/// Which threads correspond to each other.
pub(super) struct Plan(Match);

/// The threads of two processes.
pub(super) struct Matched {
    /// The threads that correspond to each other.
    pub(super) pairs: Vec<[ThreadReader; 2]>,
    /// The threads of each side without a counterpart.
    pub(super) alone: [Vec<ThreadReader>; 2],
}

impl Plan {
    /// Whether a single thread of each process makes calls.
    pub(super) fn is_single(&self) -> bool {
        self.0.pairs.len() <= 1 && self.0.alone.iter().all(Vec::is_empty)
    }

    /// Applies the plan to the same threads, opened again.
    pub(super) fn of(&self, sides: [Vec<ThreadReader>; 2]) -> Matched {
        let [mut a, mut b] = sides.map(|readers| readers.into_iter().map(Some).collect::<Vec<_>>());
        let take = |list: &mut Vec<Option<ThreadReader>>, at: usize| list.get_mut(at)?.take();
        let pairs = self.0.pairs.iter();
        let pairs =
            pairs.filter_map(|[i, j]| Some([take(&mut a, *i)?, take(&mut b, *j)?])).collect();
        let [of_a, of_b] = &self.0.alone;
        let alone = [
            of_a.iter().filter_map(|i| take(&mut a, *i)).collect(),
            of_b.iter().filter_map(|j| take(&mut b, *j)).collect(),
        ];
        Matched { pairs, alone }
    }
}
