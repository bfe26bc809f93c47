//! The trace event format of Perfetto and Chrome's own viewer: an object with an array of events. A complete
//! event (`X`) has a start and a duration in microseconds; a call that never ended is a begin event (`B`)
//! without an end. Metadata events (`M`) name processes and threads.
//!
//! If GPU times were measured, each stream is shown as a thread, and an arrow (`s` to `f`) connects a call to
//! its time there. Only the GPU's duration is recorded, not when it began: a time is drawn as early as it can
//! have been, which is after the call was entered and after the previous measured call on the stream.

use super::{Around, Sink, document};
use crate::trace::{opened::Opened, stacks};
use anyhow::{Context, Result};
use rocblas_trace::call::Call;
use serde_json::{Value as Json, json};
use std::{collections::HashMap, io::Write};

pub(super) struct Chrome<'o> {
    out: &'o mut dyn Write,
    is_first: bool,
    streams: HashMap<(u32, u32), Row>,
    arrows: u64,
}

/// A row for a stream of a process.
struct Row {
    /// Its thread number in the output.
    number: u32,
    /// End of the last event drawn, in microseconds.
    end: f64,
}

/// Greater than the number of threads in any trace.
const FIRST_STREAM: u32 = 1_000_000;

impl<'o> Chrome<'o> {
    pub(super) fn new(out: &'o mut dyn Write) -> Result<Self> {
        out.write_all(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[").context("cannot write")?;
        Ok(Self { out, is_first: true, streams: HashMap::new(), arrows: 0 })
    }

    fn event(&mut self, event: &Json) -> Result<()> {
        let comma = if self.is_first { "" } else { "," };
        self.is_first = false;
        write!(self.out, "{comma}\n{event}").context("cannot write")
    }
}

impl Chrome<'_> {
    /// Writes the GPU time of a call, in microseconds, to the row of its stream.
    fn device(
        &mut self,
        call: &Call<'_>,
        around: &Around<'_>,
        time: f64,
        host: &Json,
    ) -> Result<()> {
        let state = around.tracked.state(call);
        let stream = state.map_or(0, |state| state.stream);
        let entered = around.timeline.since_start(call.begin()) / 1e3;
        let count = self.streams.len() as u32;
        let is_new = !self.streams.contains_key(&(around.process, stream));
        let row = self
            .streams
            .entry((around.process, stream))
            .or_insert_with(|| Row { number: FIRST_STREAM + count, end: 0.0 });
        let (number, start) = (row.number, entered.max(row.end));
        row.end = start + time;
        let pid = around.process;
        if is_new {
            let device = state.and_then(|state| state.device);
            let device = device.map_or(String::new(), |device| format!("GPU {device}, "));
            self.event(&json!({
                "ph": "M", "name": "thread_name", "pid": pid, "tid": number,
                "args": {"name": format!("{device}stream {stream}")},
            }))?;
        }
        let mut event = json!({
            "ph": "X", "cat": "gpu", "name": host["name"], "pid": pid, "tid": number, "ts": start, "dur": time,
            "args": host["args"],
        });
        event["args"]["sequence"] = json!(call.sequence());
        self.event(&event)?;
        self.arrows += 1;
        let mut arrow = json!({
            "ph": "s", "cat": "gpu", "name": "call", "id": self.arrows, "pid": pid, "tid": around.thread,
            "ts": entered,
        });
        self.event(&arrow)?;
        arrow["ph"] = json!("f");
        arrow["bp"] = json!("e");
        arrow["tid"] = json!(number);
        arrow["ts"] = json!(start);
        self.event(&arrow)
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
        if !around.callers.is_empty() {
            event["args"]["callers"] = json!(stacks::line(around.callers, usize::MAX));
        }
        if let Some(ticks) = call.ticks() {
            event["ph"] = json!("X");
            event["dur"] = json!(around.timeline.nanoseconds(ticks) / 1e3);
        }
        self.event(&event)?;
        match around.gpu_time(call) {
            Some(time) => self.device(call, around, time as f64 / 1e3, &event),
            None => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<()> {
        self.out.write_all(b"\n]}\n").and_then(|()| self.out.flush()).context("cannot write")
    }
}
