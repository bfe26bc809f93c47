//! What the replays of a call show about the two backends.

use super::{Differing, Inputs};
use crate::replay::{Replay, Row};

fn replays(differing: &Differing) -> impl Iterator<Item = &Replay> {
    differing.captured.iter().flatten().filter_map(|captured| captured.replay.as_ref())
}

/// Which side is right: `good: right, bad: wrong`.
pub(in crate::compare) fn verdict(differing: &Differing, names: &[String; 2]) -> String {
    // The call is replayed with the other side's operands only if nothing was wrong with those of the first.
    let last = replays(differing).last();
    match last {
        Some(replay) if differing.inputs != Inputs::Different || replay.exit_code() != 0 => {
            let word = |(name, row): (&String, &Row)| format!("{name}: {}", row.outcome.word());
            names.iter().zip(&replay.backends).map(word).collect::<Vec<_>>().join(", ")
        }
        _ if differing.inputs == Inputs::Different => "inputs already differ".to_owned(),
        _ => "not replayed".to_owned(),
    }
}

/// What follows from replays in which nothing was wrong.
pub(in crate::compare) fn conclusion(differing: &Differing) -> Option<&'static str> {
    let mut replays = replays(differing).peekable();
    replays.peek()?;
    if replays.any(|replay| replay.exit_code() != 0) {
        return None;
    }
    Some(match differing.inputs {
        Inputs::Different => {
            "Alone, the call is right with both backends, and its inputs differ between the runs: \
             look at what computes them outside of rocBLAS, at earlier calls that failed, and at sums that nearly \
             cancel."
        }
        _ => {
            "Alone, the call is right with both backends: in the program its result depends on \
             something else, such as calls before it or at the same time."
        }
    })
}
