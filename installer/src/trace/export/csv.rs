//! One row per call. Functions have different arguments, so one column holds them all as text.

use super::{Around, Sink};
use crate::trace::stacks;
use anyhow::{Context, Result};
use csv::Writer;
use rocblas_contract::hip_errors::error_name;
use rocblas_trace::{
    call::Call,
    text::{Detail, Outcome, Signature},
};
use std::io::Write;

const HEADER: [&str; 15] = [
    "process",
    "thread",
    "sequence",
    "depth",
    "start_ns",
    "duration_ns",
    "function",
    "status",
    "device",
    "stream",
    "arguments",
    "call",
    "hip_error",
    "gpu_ns",
    "callers",
];

pub(super) struct Rows<'o>(Writer<&'o mut dyn Write>);

impl<'o> Rows<'o> {
    pub(super) fn new(out: &'o mut dyn Write) -> Result<Self> {
        let mut writer = Writer::from_writer(out);
        writer.write_record(HEADER).context("cannot write")?;
        Ok(Self(writer))
    }
}

impl Sink for Rows<'_> {
    fn call(&mut self, call: &Call<'_>, around: &Around<'_>) -> Result<()> {
        let state = around.tracked.state(call);
        let optional = |value: Option<String>| value.unwrap_or_default();
        let full = Signature(*call, Detail::Full).to_string();
        let arguments = full.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
        let row = [
            around.process.to_string(),
            around.thread.to_string(),
            call.sequence().to_string(),
            call.depth().to_string(),
            format!("{:.1}", around.timeline.since_start(call.begin())),
            optional(
                call.ticks().map(|ticks| format!("{:.1}", around.timeline.nanoseconds(ticks))),
            ),
            call.name().to_owned(),
            Outcome(*call).to_string(),
            optional(state.and_then(|state| state.device).map(|device| device.to_string())),
            optional(state.map(|state| state.stream.to_string())),
            arguments.to_owned(),
            Signature(*call, Detail::Short).to_string(),
            optional(call.raised_hip_error().map(error_name)),
            optional(around.gpu_time(call).map(|time| time.to_string())),
            stacks::line(around.callers, usize::MAX),
        ];
        self.0.write_record(row).context("cannot write")
    }

    fn finish(&mut self) -> Result<()> {
        self.0.flush().context("cannot write")
    }
}
