//! Folded stacks, the input of `flamegraph.pl`, inferno and speedscope: one line per call stack, with
//! functions separated by semicolons, the outermost first, followed by a space and a number.

use super::{Around, Sink};
use anyhow::{Context, Result};
use rocblas_trace::call::Call;
use std::{collections::BTreeMap, io::Write};

/// The meaning of the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// The number of calls.
    Calls,
    /// Their time on the host, in nanoseconds.
    Time,
}

pub(super) struct Folded<'o> {
    out: &'o mut dyn Write,
    weight: Weight,
    stacks: BTreeMap<String, f64>,
}

impl<'o> Folded<'o> {
    pub(super) fn new(out: &'o mut dyn Write, weight: Weight) -> Self {
        Self { out, weight, stacks: BTreeMap::new() }
    }
}

/// A name without the characters that would end it.
fn part(name: &str) -> String {
    name.chars().map(|c| if c == ';' || c.is_control() { ':' } else { c }).collect()
}

impl Sink for Folded<'_> {
    fn call(&mut self, call: &Call<'_>, around: &Around<'_>) -> Result<()> {
        if around.callers.is_empty() {
            return Ok(());
        }
        let outer = around.callers.iter().rev().map(|frame| part(&frame.name));
        let line: Vec<String> = outer.chain([call.name().to_owned()]).collect();
        let weight = match self.weight {
            Weight::Calls => 1.0,
            Weight::Time => call.ticks().map_or(0.0, |ticks| around.timeline.nanoseconds(ticks)),
        };
        *self.stacks.entry(line.join(";")).or_default() += weight;
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        for (stack, weight) in &self.stacks {
            writeln!(self.out, "{stack} {weight:.0}").context("cannot write")?;
        }
        self.out.flush().context("cannot write")
    }
}
