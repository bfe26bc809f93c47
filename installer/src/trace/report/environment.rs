//! What ran where, and how it was recorded; and the names of threads.

use super::{
    lanes,
    text::{count, date, grouped, shortened, time},
};
use crate::trace::{
    opened::Opened,
    summary::{ProcessRow, Summary, named},
};
use rocblas_trace::{layout::State, process};
use serde::Serialize;
use std::{collections::HashMap, io};

/// The most characters shown of a text.
const MOST_CHARACTERS: usize = 2000;

/// The facts that the page shows about a process.
#[derive(Debug, Serialize)]
pub(super) struct Facts {
    name: String,
    /// Labels with their values.
    facts: Vec<(&'static str, Vec<String>)>,
    /// Names and values of environment variables.
    variables: Vec<(String, String)>,
}

/// A GPU.
#[derive(Debug, Serialize)]
pub(super) struct Gpu {
    number: u64,
    name: String,
    target: String,
}

/// The processes of the traces, in the same order.
pub(super) fn processes(traces: &[Opened], rows: &[ProcessRow]) -> Vec<Facts> {
    traces
        .iter()
        .zip(rows)
        .map(|(opened, row)| Facts {
            name: shown(&row.name),
            facts: facts(opened.trace.process(), row),
            variables: row
                .environment
                .iter()
                .map(|(name, value)| (shown(name), shown(value)))
                .collect(),
        })
        .collect()
}

/// The GPUs that handles were on.
pub(super) fn gpus(summary: &Summary) -> Vec<Gpu> {
    summary
        .devices
        .iter()
        .map(|(number, device)| Gpu {
            number: *number,
            name: device.name.clone(),
            target: device.target.clone(),
        })
        .collect()
}

fn facts(process: Option<&process::Process>, row: &ProcessRow) -> Vec<(&'static str, Vec<String>)> {
    let mut facts = vec![
        ("Command", vec![row.command.clone()]),
        ("Program", vec![process.map_or(String::new(), |process| process.program.clone())]),
        ("Host", vec![row.host.clone()]),
        (
            "Start of the trace",
            vec![if row.started > 0 { date(row.started) } else { String::new() }],
        ),
        ("State", vec![row.life.clone()]),
        ("Shim", vec![row.shim.clone()]),
        ("Backend", vec![row.backend.clone(), row.backend_path.clone()]),
        (
            "Further backends",
            row.further_backends.iter().flat_map(|b| [named(b), b.path.clone()]).collect(),
        ),
    ];
    if let Some(process) = process {
        facts.push(("Promises kept", vec![process.promises.join(", ")]));
        facts.push(("Recorded", recorded(process)));
        let clock = &process.clock;
        facts.push(("Clock", vec![format!("{}, {:.3} GHz", clock.kind, clock.hertz / 1e9)]));
    }
    facts.push(("Trace", vec![row.directory.display().to_string()]));
    for (_, values) in &mut facts {
        values.retain(|value| !value.is_empty());
        values.iter_mut().for_each(|value| *value = shown(value));
    }
    facts.retain(|(_, values)| !values.is_empty());
    facts
}

/// The limits that the settings place on the recording.
fn recorded(process: &process::Process) -> Vec<String> {
    let settings = &process.settings;
    let mut limits = Vec::new();
    if !settings.functions.is_empty() {
        limits.push(format!("only functions {}", settings.functions.join(", ")));
    }
    if settings.min > 0 {
        limits.push(format!("only calls of at least {}", time(settings.min as f64)));
    }
    if let Some(first) = settings.first {
        limits.push(format!("only the first {}", count(first, "call")));
    }
    if settings.capture {
        limits.push("whether streams captured".to_owned());
    }
    if let Some(ring) = settings.ring {
        let size = grouped(ring);
        limits.push(format!("only the last {size} bytes of each thread"));
    }
    if limits.is_empty() {
        limits.push("all calls".to_owned());
    }
    limits
}

/// The part of a text that is shown.
pub(crate) fn shown(text: &str) -> String {
    shortened(text, MOST_CHARACTERS)
}

/// Sentences about threads whose recording stopped early, although they may have made further calls.
pub(super) fn stopped(traces: &[Opened]) -> Vec<String> {
    let mut sentences = Vec::new();
    for opened in traces {
        for thread in &opened.threads {
            let written = thread.written();
            let why = match written.state {
                State::Failed => {
                    let error = io::Error::from_raw_os_error(written.errno.cast_signed());
                    format!("its file could not grow: {error}")
                }
                State::Limit => "the trace's limit was reached".to_owned(),
                State::Running | State::Ended => continue,
            };
            let number = written.ordinal;
            sentences.push(format!(
                "Thread {number} of {} was recorded up to a point: {why}",
                opened.name()
            ));
        }
    }
    sentences
}

/// Threads and processes, by their numbers.
#[derive(Debug)]
pub(super) struct Threads {
    /// Names, by the numbers of the process and the thread.
    names: HashMap<(u32, u32), String>,
    processes: HashMap<u32, Process>,
}

/// A process.
#[derive(Debug)]
struct Process {
    /// `None` if there are no other processes.
    name: Option<String>,
    /// Nanoseconds from the start of the first trace to that of this one.
    start: f64,
}

impl Threads {
    pub(super) fn of(traces: &[Opened]) -> Self {
        let process = |opened: &Opened| opened.trace.process().map_or(0, |process| process.pid);
        let names = traces.iter().flat_map(|opened| {
            let process = process(opened);
            opened.threads.iter().map(move |thread| {
                let written = thread.written();
                ((process, written.ordinal), written.name.clone())
            })
        });
        let processes = traces.iter().zip(lanes::starts(traces)).map(|(opened, start)| {
            let name = (traces.len() > 1).then(|| shown(&opened.name()));
            (process(opened), Process { name, start })
        });
        Self { names: names.collect(), processes: processes.collect() }
    }

    /// `2 worker`, or with several processes `2 worker, llama-server (process 4711)`.
    pub(super) fn name(&self, process: u32, thread: u32) -> String {
        let mut text = thread.to_string();
        if let Some(name) = self.names.get(&(process, thread)).filter(|name| !name.is_empty()) {
            text = format!("{text} {name}");
        }
        match self.processes.get(&process).and_then(|process| process.name.as_ref()) {
            Some(process) => format!("{text}, {process}"),
            None => text,
        }
    }

    /// Converts a time since the start of a process's trace to the common time line, in nanoseconds.
    pub(super) fn at(&self, process: u32, at: f64) -> f64 {
        self.processes.get(&process).map_or(0.0, |process| process.start) + at
    }
}
