//! The trace event format that Perfetto and Chrome's own viewer read: an object with an array of
//! events. A complete event (`X`) has a begin and a duration in microseconds; a call that never ended is
//! a begin alone (`B`). Metadata (`M`) gives processes and threads their names.

use super::{Around, Sink, document};
use crate::trace::opened::Opened;
use anyhow::{Context, Result};
use rocblas_trace::call::Call;
use serde_json::{Value as Json, json};
use std::io::Write;

pub(super) struct Chrome<'o> {
    out: &'o mut dyn Write,
    is_first: bool,
}

impl<'o> Chrome<'o> {
    pub(super) fn new(out: &'o mut dyn Write) -> Result<Self> {
        out.write_all(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[").context("cannot write")?;
        Ok(Self { out, is_first: true })
    }

    fn event(&mut self, event: &Json) -> Result<()> {
        let comma = if self.is_first { "" } else { "," };
        self.is_first = false;
        write!(self.out, "{comma}\n{event}").context("cannot write")
    }
}

impl Sink for Chrome<'_> {
    fn process(&mut self, opened: &Opened) -> Result<()> {
        let pid = opened.trace.process().map_or(0, |process| process.pid);
        self.event(&json!({
            "ph": "M", "name": "process_name", "pid": pid, "args": {"name": opened.name()},
        }))?;
        for thread in &opened.threads {
            let written = thread.written();
            let name = format!("{} ({})", written.name, written.tid);
            self.event(&json!({
                "ph": "M", "name": "thread_name", "pid": pid, "tid": written.ordinal,
                "args": {"name": name},
            }))?;
        }
        Ok(())
    }

    fn call(&mut self, call: &Call<'_>, around: &Around<'_>) -> Result<()> {
        let mut of_call = document(call, around.timeline);
        let start = around.timeline.since_start(call.begin()) / 1e3;
        let mut event = json!({
            "ph": "B",
            "cat": "rocblas",
            "name": call.name().strip_prefix("rocblas_").unwrap_or(call.name()),
            "pid": around.process,
            "tid": around.thread,
            "ts": start,
            "args": of_call["arguments"].take(),
        });
        if let Some(status) = of_call.get("status") {
            event["args"]["status"] = status.clone();
        }
        if let Some(state) = around.tracked.state(call) {
            event["args"]["stream"] = json!(state.stream);
        }
        if let Some(ticks) = call.ticks() {
            event["ph"] = json!("X");
            event["dur"] = json!(around.timeline.nanoseconds(ticks) / 1e3);
        }
        self.event(&event)
    }

    fn finish(&mut self) -> Result<()> {
        self.out.write_all(b"\n]}\n").and_then(|()| self.out.flush()).context("cannot write")
    }
}
