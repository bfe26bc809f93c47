//! Notes on what the figures alone do not show: an empty trace, and calls that a trace cannot see.

use super::{Found, Instance, Summary};
use crate::output::{count, grouped};
use rocblas_trace::{
    read::{CallId, NO_CALLS},
    text::Time,
};

/// The most outputs that a page lists.
const MOST: usize = 10;

/// If this variable is set, llama.cpp makes each call itself.
const WITHOUT_GRAPHS: &str = "GGML_CUDA_DISABLE_GRAPHS";

impl Summary {
    /// A sentence if there are no calls, not even left-out ones.
    pub(in crate::trace) fn nothing(&self) -> Option<String> {
        let is_empty = self.calls == 0 && self.missing.is_empty();
        is_empty.then(|| format!("No rocBLAS call was recorded: {NO_CALLS}"))
    }

    /// Sentences on how GPU times were measured, if they were.
    pub(in crate::trace) fn on_gpu_times(&self) -> Vec<String> {
        let measured: u64 = self.functions.iter().filter_map(|row| Some(row.gpu?.measured)).sum();
        let mut notes = Vec::new();
        if measured > 0 {
            let mut which = match self.gpu.every {
                Some(1) => "every call".to_owned(),
                Some(every) => format!("one of {every} calls of a thread"),
                None => "some calls".to_owned(),
            };
            if let Some(pause) = self.gpu.pause {
                which += &format!(", at most one in {}", Time(pause as f64));
            }
            notes.push(format!(
                "GPU times are from event to event on the stream, measured of {which} ({} in all); GPU totals \
                 are, for each shape, their mean times the number of calls",
                count(measured, "time")
            ));
        }
        notes.extend(self.gpu.notes());
        notes
    }

    /// A sentence on handles that were not destroyed.
    pub(in crate::trace) fn on_handles(&self) -> Option<String> {
        let kept = self.kept_handles.filter(|kept| *kept > 0)?;
        Some(format!("{} {} created and never destroyed", count(kept, "handle"), were(kept)))
    }

    /// Sentences on outputs that are not finite, for a page without a table of them.
    pub(in crate::trace) fn on_findings(&self) -> Vec<String> {
        let note = |found: &Found| {
            let Instance { call, thread, sequence, .. } = &found.call;
            let id = CallId { thread: *thread, sequence: *sequence };
            let saved = found.saved.as_ref().map_or(String::new(), |file| format!(" ({file})"));
            format!("{} after call {id}, {call}{saved}", found.sentence())
        };
        let mut notes: Vec<String> = self.findings.iter().take(MOST).map(note).collect();
        let more = self.bad_outputs.saturating_sub(notes.len() as u64);
        if more > 0 {
            notes.push(format!("{} more with NaN or infinite elements", count(more, "output")));
        }
        notes
    }

    /// Sentences on how many calls were checked, and on those that should have been checked but were not.
    pub(in crate::trace) fn on_checks(&self) -> Vec<String> {
        let [calls, outputs] = self.checked;
        let checked = (calls > 0).then(|| {
            let (calls, were) = (count(calls, "call"), were(outputs));
            format!("{} of {calls} {were} checked", count(outputs, "output"))
        });
        let (unchecked, all) = self.unchecked;
        let pending = (unchecked > 0).then(|| {
            let with_outputs = if all == 1 { "call with outputs" } else { "calls with outputs" };
            let others = if calls + unchecked == all {
                "the others".to_owned()
            } else {
                format!("{} more", grouped(unchecked))
            };
            format!(
                "{} of {} {with_outputs} {} checked; the process ended before {others} were",
                grouped(calls),
                grouped(all),
                were(calls),
            )
        });
        let note = |(why, calls): (&String, &u64)| {
            format!("{} {} not {why}", count(*calls, "call"), were(*calls))
        };
        checked.into_iter().chain(pending).chain(self.skipped.iter().map(note)).collect()
    }

    /// Sentences on captured calls.
    pub(in crate::trace) fn on_graphs(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.captured > 0 {
            let (calls, were) = (count(self.captured, "call"), were(self.captured));
            notes.push(format!(
                "{calls} {were} captured into a graph, whose launches repeat them unseen \
                 ({WITHOUT_GRAPHS}=1 avoids it)"
            ));
        }
        if self.capture_untold > 0 {
            let calls = count(self.capture_untold, "call");
            notes.push(format!("HIP did not say of {calls} whether a graph captured them"));
        }
        let is_blind = self.processes.iter().any(|process| {
            !process.asks_capture && !process.environment.contains_key(WITHOUT_GRAPHS)
        });
        if is_blind && self.calls > 0 {
            notes.push(format!(
                "Calls in a HIP graph are recorded once: capture=ask marks them, {WITHOUT_GRAPHS}=1 avoids it"
            ));
        }
        notes
    }
}

fn were(count: u64) -> &'static str {
    if count == 1 { "was" } else { "were" }
}
