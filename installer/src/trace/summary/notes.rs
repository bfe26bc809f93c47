//! What figures alone would hide: that there are none, and calls that a trace cannot see.

use super::Summary;
use crate::output::count;
use rocblas_trace::read::NO_CALLS;

/// With this in its environment llama.cpp makes each call itself.
const WITHOUT_GRAPHS: &str = "GGML_CUDA_DISABLE_GRAPHS";

impl Summary {
    /// A sentence where there is no call, not even one that was left out.
    pub(in crate::trace) fn nothing(&self) -> Option<String> {
        let is_empty = self.calls == 0 && self.missing.is_empty();
        is_empty.then(|| format!("No rocBLAS call was recorded: {NO_CALLS}"))
    }

    /// Sentences on graphs, of the calls that there are.
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
